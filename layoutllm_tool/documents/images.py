"""Picture files -> page pictures: upright, eight bits, "RGB" or "L". Pillow; pillow-heif for HEIC.

Text recognition corrects skew and orientation of the text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from layoutllm_tool.documents.geometry import Notice, Page
from layoutllm_tool.documents.safety import Limits
from layoutllm_tool.errors import DocumentTooLarge, DocumentUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF")
"""Decoders for untrusted bytes. Without EPS, for instance, which would start Ghostscript."""
_BAND = 2**20
"""Pixels of one band of rows."""
_ORIENTATION = 0x0112
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""TIFF, BigTIFF."""
MOST_DIRECTORIES = 5_000
"""Pages of a TIFF. Pillow visits all pages before the one that is wanted."""
_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    *_TIFF,
    b"GIF8",
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),  # JPEG 2000: file, code stream
)


def is_picture(data: bytes) -> bool:
    """Whether the first bytes are those of a picture format that can be read here."""
    if data.startswith(_MAGIC) or is_heic(data) or _is_avif(data):
        return True
    if data[:2] == b"BM":  # with the four reserved bytes, since a text may begin with BM
        return data[6:10] == bytes(4)
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#":  # PBM, PGM, PPM
        return len(data) > 2
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def is_heic(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and not _is_avif(data)


def _is_avif(data: bytes) -> bool:
    # "mif1" is common to HEIC and AVIF: the compatible brands that follow tell them apart.
    return data[4:8] == b"ftyp" and (data[8:12] in (b"avif", b"avis") or b"avif" in data[16:64])


def picture_pages(
    data: bytes, name: str, *, limits: Limits, wanted: Sequence[int] | None
) -> Iterator[int | Page]:
    """The number of pages in the file, then those of ``wanted`` (1-based; None for all), one at a time.

    Only TIFF has pages. An animation's page is its first frame, with a notice. Raises DocumentTooLarge,
    DocumentUnreadable.
    """
    from PIL import Image as pillow

    try:
        if data[:4] == b"RIFF":
            _check_pixels(webp_size(data), name, limits)  # opening it allocates its canvas
        directories = count_directories(data, name) if data[:4] in _TIFF else None
        with _open_heic(data, name, limits) if is_heic(data) else _open(data) as opened:
            yield from _frames(opened, directories, name, limits, wanted)
    except (DocumentTooLarge, DocumentUnreadable, MemoryError):
        raise
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise too_many_pixels(name, limits) from error
    # Pillow's decoders raise nearly every exception for damaged files (struct.error, SyntaxError, KeyError,
    # ...).
    except Exception as error:
        raise DocumentUnreadable(
            f"the picture {name!r} is damaged or incomplete ({type(error).__name__}).",
            hint="Open it in a viewer and save it anew as PNG, or get the file again.",
        ) from error


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height as the header claims; (0, 0) where it claims none."""
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def count_directories(data: bytes, name: str) -> int:
    """The pages of a TIFF, by its chain of directories. DocumentTooLarge past MOST_DIRECTORIES.

    Pillow counts in quadratic time. Ends at a loop, and at the end of the file.
    """
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = 43 in (data[2], data[3])
    offset, counted, entry = (8, 8, 20) if big else (4, 2, 12)

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    at, seen = number(8 if big else 4, offset), set[int]()
    while at and at not in seen and at + counted <= len(data):
        seen.add(at)
        if len(seen) > MOST_DIRECTORIES:
            raise DocumentTooLarge(
                f"{name!r} has more than {MOST_DIRECTORIES:,} pages.",
                hint="Split it, and give the part you need.",
            )
        at = number(at + counted + entry * number(at, counted), offset)
    return len(seen)


def _open(data: bytes) -> Image:
    from PIL import Image as pillow

    pillow.init()  # knows its formats only once all plug-ins are loaded, and some builds lack some of them
    return pillow.open(io.BytesIO(data), formats=[name for name in _FORMATS if name in pillow.OPEN])


def _open_heic(data: bytes, name: str, limits: Limits) -> Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise DocumentUnreadable(
            f"{name!r} is a HEIC picture, and the plug-in for those is not installed.",
            hint="Run: pip install pillow-heif, or convert the picture to JPEG or PNG.",
        ) from error
    heif = pillow_heif.open_heif(io.BytesIO(data))
    _check_pixels(heif.size, name, limits)  # decoding starts with to_pillow()
    picture: Image = heif.to_pillow()
    return picture


def _frames(
    opened: Image, directories: int | None, name: str, limits: Limits, wanted: Sequence[int] | None
) -> Iterator[int | Page]:
    if directories is None or opened.format != "TIFF":
        frames = getattr(opened, "n_frames", 1)
        first = Notice("first_frame_only", f"an animation of {frames} frames: only the first is read")
        yield 1
        # MPO: a photo followed by its previews, no animation.
        told = (first,) if frames > 1 and opened.format != "MPO" else ()
        yield as_page(1, _decoded(opened, name, limits), *told)
        return
    yield directories
    for number in range(1, directories + 1) if wanted is None else wanted:
        opened.seek(number - 1)
        yield as_page(number, _decoded(opened, name, limits))


def as_page(number: int, image: Image, *notices: Notice) -> Page:
    """A page that is a picture, its words unknown."""
    return Page(number, image.width, image.height, image=image, notices=notices)


def _decoded(frame: Image, name: str, limits: Limits) -> Image:
    _check_pixels(frame.size, name, limits)
    frame.load()
    return normalised(frame)


def _check_pixels(size: tuple[int, int], name: str, limits: Limits) -> None:
    """To be called before the pixels are decoded."""
    if size[0] * size[1] > limits.max_pixels:
        raise too_many_pixels(name, limits)


def too_many_pixels(name: str, limits: Limits) -> DocumentTooLarge:
    """The error for a picture of more than ``limits.max_pixels``."""
    return DocumentTooLarge(
        f"a picture in {name!r} has more than {limits.max_pixels:,} pixels.",
        hint="Scale it down (a page needs about 2000 pixels on its long side).",
    )


def normalised(image: Image) -> Image:
    """A new picture: EXIF rotation applied, transparency over white, "L" for greys and "RGB" for colours.

    Wider samples (16 and 32 bits, floats) are scaled to eight bits, not clipped.
    """
    from PIL import ImageOps

    turned = image.getexif().get(_ORIENTATION, 1) != 1
    upright = ImageOps.exif_transpose(image) if turned else image  # it copies what it need not turn, too
    if upright.mode.startswith("I") or upright.mode == "F":
        return _eight_bits(upright)
    if upright.has_transparency_data:
        return _over_white(upright)
    return upright.convert("L" if upright.mode in ("1", "L") else "RGB")


def _over_white(image: Image) -> Image:
    """In bands of rows: each step between takes four bytes a pixel."""
    from PIL import Image as pillow

    flat = pillow.new("L" if image.mode in ("L", "LA", "La", "1") else "RGB", image.size)
    for box in _bands(image):
        layered = image.crop(box).convert("RGBA")
        white = pillow.new("RGBA", layered.size, "white")
        flat.paste(pillow.alpha_composite(white, layered).convert(flat.mode), box[:2])
    return flat


def _bands(image: Image) -> list[tuple[int, int, int, int]]:
    """Boxes of whole rows that hold about _BAND pixels each, from the top."""
    height = max(_BAND // max(image.width, 1), 1)
    return [(0, y, image.width, min(y + height, image.height)) for y in range(0, image.height, height)]


def _eight_bits(image: Image) -> Image:
    """Integers are scaled by the bits they use (a 12-bit scan stays bright), floats by their range.

    In bands of rows: 64-bit floats take eight times the picture's memory.
    """
    import numpy as np
    from PIL import Image as pillow

    boxes = _bands(image)

    def samples(box: tuple[int, int, int, int]) -> np.ndarray:
        return np.nan_to_num(np.asarray(image.crop(box)).astype(np.float64))

    ends = [(float(band.min()), float(band.max())) for band in map(samples, boxes)]
    low, top = min(0.0, *(end[0] for end in ends)), max(end[1] for end in ends)
    if image.mode == "F":  # usually 0-1 or 0-255
        top = next((usual for usual in (1.0, 255.0) if top <= usual), top)
    else:
        low, top = 0.0, float(2 ** max(int(top).bit_length(), 8) - 1)
    scaled = np.empty((image.height, image.width), np.uint8)
    for box in boxes:
        band = (samples(box) - low) / (top - low) * 255.0
        scaled[box[1] : box[3]] = np.clip(np.round(band), 0, 255).astype(np.uint8)
    return pillow.fromarray(scaled)
