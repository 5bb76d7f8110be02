"""Small PDFs for tests, written by hand so that a test can say exactly what is on the page."""

from __future__ import annotations

from collections.abc import Sequence

FONT = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> %s >>"


def text(words: str, x: float, y: float, *, size: float = 18, before: str = "") -> str:
    """A line of text whose baseline starts at (x, y) points from the bottom left."""
    return f"BT {before} /F1 {size} Tf 1 0 0 1 {x} {y} Tm ({words}) Tj ET\n"


def make_pdf(
    *contents: str, page: str = "/MediaBox [0 0 612 792]", catalog: str = "", extra: Sequence[bytes] = ()
) -> bytes:
    """One page for each content stream. ``extra`` are objects 100, 101, ..., ``page`` goes into every page.

    There is no cross-reference table: PDFium rebuilds it.
    """
    resources = FONT % ("/XObject << /Im 100 0 R >>" if extra else "")
    kids = " ".join(f"{10 + 2 * i} 0 R" for i in range(len(contents)))
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode(),
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
    }
    for i, content in enumerate(contents):
        objects[10 + 2 * i] = (
            f"<< /Type /Page /Parent 2 0 R {page} /Resources {resources} /Contents {11 + 2 * i} 0 R >>"
        ).encode()
        objects[11 + 2 * i] = stream(content.encode("latin-1"))
    objects |= {100 + i: body for i, body in enumerate(extra)}
    bodies = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, body) for number, body in objects.items())
    return b"%PDF-1.7\n" + bodies + b"trailer << /Root 1 0 R >>\n%%EOF\n"


def stream(data: bytes, entries: str = "") -> bytes:
    return f"<< /Length {len(data)} {entries} >>\nstream\n".encode() + data + b"\nendstream"


def grey_picture(width: int, height: int, pixels: bytes) -> bytes:
    """An image object of 8-bit greys."""
    entries = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray"
    return stream(pixels, f"{entries} /BitsPerComponent 8")
