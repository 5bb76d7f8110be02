"""Hostile pictures: TIFF, PNG and WebP written field by field, other formats damaged after Pillow wrote them.

Each maker takes a ``random.Random`` and gives a file; the same state gives the same file.
"""

from __future__ import annotations

import io
import random
import struct
import zlib

from PIL import Image

from scripts.fuzzing.injuries import INTEGERS, damaged, samples

_MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"), "WEBP": ("RGB", "RGBA"), "GIF": ("P", "L"),
    "JPEG": ("L", "RGB", "CMYK"), "BMP": ("1", "L", "P", "RGB"), "PPM": ("1", "L", "RGB"),
    "JPEG2000": ("L", "RGB", "RGBA"), "AVIF": ("RGB",),
}  # fmt: skip
_SUFFIXES = {"PNG": (".png",), "TIFF": (".tif", ".tiff"), "WEBP": (".webp",), "JPEG": (".jpg", ".jpeg")}
_HUGE = (16_384, 30_000, 65_535, 100_000, 2**31 - 1)


def drawn(kind: str, r: random.Random) -> bytes:
    """A valid small picture of Pillow's format ``kind``, at times of several frames."""
    image = Image.new("RGB", (r.randint(1, 80), r.randint(1, 80)), r.randrange(2**24))
    image.paste(r.randrange(2**24), (0, 0, r.randint(1, 40), r.randint(1, 40)))
    image = (
        image.convert("L").convert(mode)
        if (mode := r.choice(_MODES[kind])) in ("F", "I;16")
        else image.convert(mode)
    )
    options: dict[str, object] = {}
    if kind in ("TIFF", "GIF", "WEBP", "PNG") and mode != "F" and r.random() < 0.4:
        options |= {
            "save_all": True,
            "append_images": [image.rotate(90, expand=kind == "TIFF")] * r.randint(1, 4),
        }
    if kind == "TIFF" and mode in ("1", "L", "RGB"):
        options["compression"] = r.choice(("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"))
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _seed(kind: str, r: random.Random) -> bytes:
    known = samples(_SUFFIXES.get(kind, ()))
    return r.choice(known) if known and r.random() < 0.2 else drawn(kind, r)


def other(r: random.Random) -> bytes:
    """GIF, JPEG, BMP, PPM, JPEG 2000 or AVIF, damaged in its header or its data."""
    kind = r.choice(("GIF", "JPEG", "BMP", "PPM", "JPEG2000", "AVIF"))
    data = _seed(kind, r)
    if kind == "PPM" and r.random() < 0.5:
        return (
            b"P%d\n%d %d\n%d\n" % (r.randint(1, 6), r.choice(_HUGE), r.choice(_HUGE), r.choice(INTEGERS))
            + data[12:]
        )
    return damaged(data, r) if r.random() < 0.9 else data


# -- TIFF ----------------------------------------------------------------------------------------------------

_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 11: 4, 12: 8}
_ODD_TAGS: dict[int, tuple[int, ...]] = {
    256: _HUGE, 257: _HUGE, 258: (0, 1, 2, 4, 12, 16, 32, 64, 255),
    259: (0, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34712, 50001, 9), 262: tuple(range(11)), 266: (0, 2, 9),
    274: (*range(10), 255), 277: (0, 2, 3, 4, 5, 255, 65535), 278: (0, 1, 2**31), 279: INTEGERS,
    284: (0, 2, 3), 317: (2, 3, 9), 322: _HUGE, 323: _HUGE, 338: (0, 1, 2, 9), 339: (0, 2, 3, 4, 9),
    34675: INTEGERS,
}  # fmt: skip


def tiff(r: random.Random) -> bytes:
    """Directories with odd values, loops, long chains and shared strips; or a file of Pillow's, damaged."""
    if r.random() < 0.35:
        return damaged(_seed("TIFF", r), r)
    order = r.choice("<>")
    side = r.choice((8, 64, 200, 5000, 8000))
    packed = r.random() < 0.7
    strip = zlib.compress(bytes(side * side), 9) if packed else bytes(min(side * side, 40_000))
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(strip))
    count = r.choice((1, 1, 2, 4, 12, 50)) if r.random() < 0.97 else r.choice((3_000, 20_000, 100_000))
    plain = {
        256: side,
        257: side,
        258: 8,
        259: 8 if packed else 1,
        262: 1,
        273: 8,
        277: 1,
        278: side,
        279: len(strip),
    }
    at, body = 8 + len(strip), []
    odd = _odd(r) if r.random() < 0.7 else {}
    size = 6 + 12 * len(plain | odd)
    for number in range(count):
        last = number == count - 1
        after = (
            at + size * (number + 1)
            if not last
            else r.choice((0, 0, 0, 8, at, at + size * r.randrange(count), 2**32 - 9))
        )
        tags = plain | (odd if number in (0, count - 1) or r.random() < 0.5 else dict.fromkeys(odd, 1))
        body.append(_directory(tags, order, after, r))
    return head + strip + b"".join(body)


def _odd(r: random.Random) -> dict[int, int]:
    return {tag: r.choice(_ODD_TAGS[tag]) for tag in r.sample(sorted(_ODD_TAGS), r.choice((1, 1, 2, 3)))}


def _directory(tags: dict[int, int], order: str, after: int, r: random.Random) -> bytes:
    made = struct.pack(f"{order}H", len(tags))
    for tag, value in sorted(tags.items()):
        kind, length = (4, 1) if r.random() < 0.99 else (r.choice(sorted(_WIDTHS)), r.choice(INTEGERS))
        made += struct.pack(f"{order}HHII", tag, kind, length, value % 2**32)
    return made + struct.pack(f"{order}I", after)


# -- PNG -----------------------------------------------------------------------------------------------------


def png(r: random.Random) -> bytes:
    """Chunks with right checksums: odd headers, texts that unpack to much, animations, wrong orders."""
    seed = _seed("PNG", r)
    if r.random() < 0.15:
        return damaged(seed, r)
    chunks = _png_chunks(seed)
    for _ in range(r.choice((0, 1, 1, 2))):
        r.choice((_png_header, _png_bomb, _png_frames, _png_order, _png_pixels))(chunks, r)
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_png_chunk, chunks)) + (b"junk" if r.random() < 0.1 else b"")


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 8, []
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _png_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, body = chunk
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_header(chunks: list[tuple[bytes, bytes]], r: random.Random) -> None:
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1].ljust(13, b"\0")[:13])
    rest[r.randrange(5)] = r.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    if r.random() < 0.5:
        width, height = r.choice((*_HUGE, 0, 5000)), r.choice((*_HUGE, 1, 5000))
    chunks[0] = b"IHDR", struct.pack(">IIBBBBB", width, height, *rest)


def _png_bomb(chunks: list[tuple[bytes, bytes]], r: random.Random) -> None:
    packed = zlib.compress(bytes(r.choice((100, 10**6, 50 * 10**6))), 9)
    name, lead = r.choice(
        ((b"zTXt", b"key\0\0"), (b"iTXt", b"key\0\1\0\0\0"), (b"iCCP", b"icc\0\0"), (b"tEXt", b"key\0"))
    )
    chunks[1:1] = [(name, lead + packed)] * r.choice((1, 1, 5, 60))


def _png_frames(chunks: list[tuple[bytes, bytes]], r: random.Random) -> None:
    place = [r.choice((1, 9, 80, 5000, 2**31 - 1)) for _ in range(4)]
    frame = struct.pack(">IIIIIHHBB", 0, *place, 1, 1, r.randrange(4), r.randrange(3))
    chunks[1:1] = [(b"acTL", struct.pack(">II", r.choice(INTEGERS), 0)), (b"fcTL", frame)]
    chunks[-1:-1] = [(b"fcTL", frame), (b"fdAT", b"\0\0\0\2" + zlib.compress(bytes(r.choice((10, 10**6)))))]


def _png_order(chunks: list[tuple[bytes, bytes]], r: random.Random) -> None:
    one, other = r.randrange(len(chunks)), r.randrange(len(chunks))
    chunks[one], chunks[other] = chunks[other], chunks[one] if r.random() < 0.5 else chunks[other]


def _png_pixels(chunks: list[tuple[bytes, bytes]], r: random.Random) -> None:
    """As many pixels as the header says, in a few kilobytes."""
    width, height = r.choice(((3000, 3000), (8000, 9000), (16_000, 16_000), (1, 60_000)))
    depth, colour, width_of = r.choice(((8, 0, 1), (8, 2, 3), (16, 6, 8), (16, 0, 2), (1, 0, 1)))
    least = min(height * (width * width_of // (8 if depth == 1 else 1) + 2), 60_000_000)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, r.randrange(2))
    chunks[:] = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(least), 1)), (b"IEND", b"")]


# -- WebP ----------------------------------------------------------------------------------------------------


def webp(r: random.Random) -> bytes:
    """RIFF chunks: canvases larger than their pictures, frames outside, damaged streams."""
    seed = _seed("WEBP", r)
    if r.random() < 0.3:
        return damaged(seed, r)
    if r.random() < 0.2:  # lossless, the size in its first bits, and hardly a pixel in the stream
        width, height = (r.choice((1, 100, 5000, 16_383)) for _ in range(2))
        stream = b"\x2f" + struct.pack("<I", width | height << 14) + bytes(r.choice((8, 40)))
        return _riff([(b"VP8L", stream)])
    return _riff(_webp_frames(_riff_chunks(seed), r))


def _webp_frames(chunks: list[tuple[bytes, bytes]], r: random.Random) -> list[tuple[bytes, bytes]]:
    picture = next(chunk for chunk in [*chunks, (b"VP8 ", b"")] if chunk[0] not in (b"VP8X", b"ALPH"))
    if picture[0] in (b"ANIM", b"ANMF", b"ICCP"):
        return [chunks[at] for at in sorted(r.sample(range(len(chunks)), r.randint(1, len(chunks))))]
    width, height = (r.choice((1, 80, 4000, 16_383, 2**24 - 1)) for _ in range(2))
    canvas = (
        bytes([r.choice((0, 2, 16, 18, 255)), 0, 0, 0])
        + width.to_bytes(3, "little")
        + height.to_bytes(3, "little")
    )
    place = b"".join(
        r.choice((0, 0, 1, 79, 4000, 2**24 - 1)).to_bytes(3, "little") for _ in range(5)
    ) + bytes([r.randrange(4)])
    inner = picture[0] + struct.pack("<I", len(picture[1])) + picture[1]
    frames = [(b"ANMF", place + inner + b"\0" * (len(inner) % 2))] * r.choice((1, 3, 200))
    plain = [picture, (b"EXIF", b"MM\0*" + bytes(r.choice((0, 4, 400)))), (b"ICCP", bytes(50))]
    return [(b"VP8X", canvas), *([(b"ANIM", bytes(6)), *frames] if r.random() < 0.5 else r.sample(plain, 2))]


def _riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 12, []
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def _riff(chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"WEBP" + b"".join(n + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for n, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body
