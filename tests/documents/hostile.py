"""Small files that cost much: made by program, so that a test can say what each of them does."""

from __future__ import annotations

import struct
import zlib

from tests.pdfs import make_pdf, stream


def nested_forms(wide: int = 10, deep: int = 14) -> bytes:
    """A PDF of a few kilobytes whose page is a form that draws ten forms that draw ten forms: it never
    ends.
    """
    forms = [
        stream(
            b"/Fx Do " * wide,
            f"/Type /XObject /Subtype /Form /BBox [0 0 600 700] "
            f"/Resources << /XObject << /Fx {101 + level} 0 R >> >>",
        )
        for level in range(deep)
    ]
    last = stream(b"0 0 5 5 re f", "/Type /XObject /Subtype /Form /BBox [0 0 600 700]")
    return make_pdf("/Im Do\n" * wide, extra=[*forms, last])


def huge_pages(count: int = 50, side: int = 14_000) -> bytes:
    """A PDF of a few kilobytes with many pages that are as large as pages may be, and in colour."""
    return make_pdf(*["1 0 0 rg 10 10 5000 5000 re f\n"] * count, page=f"/MediaBox [0 0 {side} {side}]")


def bomb_tiff(pages: int = 12, side: int = 8_900, channels: int = 3) -> bytes:
    """A TIFF of a few kilobytes: every page is ``side`` x ``side`` RGB or RGBA pixels of one colour, all in
    one deflated strip.
    """
    strip = zlib.compress(bytes(side * side * channels), 9)
    header = struct.pack("<2sHI", b"II", 42, 8)
    entries = 10
    size = 2 + 12 * entries + 4
    extra = 8 + size * pages
    bits, at = extra, extra + 2 * channels
    body = b""
    for page in range(pages):
        rows = [
            (256, 4, 1, side), (257, 4, 1, side), (258, 3, channels, bits), (259, 3, 1, 8), (262, 3, 1, 2),
            (273, 4, 1, at), (277, 3, 1, channels), (278, 4, 1, side), (279, 4, 1, len(strip)), (338, 3,
            channels - 3, 2),
        ]  # fmt: skip
        following = 8 + size * (page + 1) if page + 1 < pages else 0
        body += struct.pack("<H", entries) + b"".join(struct.pack("<HHII", *row) for row in rows)
        body += struct.pack("<I", following)
    return header + body + struct.pack("<H", 8) * channels + strip


def many_directories(count: int) -> bytes:
    """A TIFF of ``count`` empty directories in a chain."""
    chain = b"".join(struct.pack("<HI", 0, 8 + 6 * (n + 1) if n + 1 < count else 0) for n in range(count))
    return struct.pack("<2sHI", b"II", 42, 8) + chain


def circular_directories() -> bytes:
    """A TIFF whose second directory is followed by its first."""
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HI", 0, 14) + struct.pack("<HI", 0, 8)


def bomb_webp(side: int = 16_383) -> bytes:
    """A WebP of 34 bytes whose canvas is as large as a canvas can be."""
    flags = b"\x02\0\0\0" + (side - 1).to_bytes(3, "little") * 2
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(flags)) + flags + b"ANIM"
    return b"RIFF" + struct.pack("<I", len(body)) + body
