"""Draws PDF pages and reads their text layer where it can be trusted. pypdfium2.

Runs in the parser's child process, on one thread, as PDFium requires; the parent limits its time. PDFium
handles turned pages, crop boxes and filled-in forms, so boxes and picture agree. Does *not* run scripts and
XFA forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.geometry import Notice, Page
from layoutllm_tool.documents.glyphs import flattened, turn_upright
from layoutllm_tool.documents.original import Original
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.documents.safety import Limits
from layoutllm_tool.documents.text_layer import Layer, read
from layoutllm_tool.errors import DocumentEncrypted, DocumentUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

LONG_SIDE = 2000
"""Pixels of a drawn page's long side: about 180 dots per inch for A4 and Letter."""
_SHORT_SIDE = 800
"""Long narrow pages (receipts) get a longer side, so that the short one has so many ..."""
_MAX_SCALE = 300 / 72
"""... but never more than 300 dots per inch."""


def is_pdf(data: bytes) -> bool:
    """Accepts some bytes before the header, as PDF readers do."""
    return b"%PDF-" in data[:1024]


def pdf_pages(
    data: bytes, name: str, *, limits: Limits, wanted: Sequence[int] | None, password: str | None
) -> Iterator[int | Page]:
    """The number of pages in the file, then those of ``wanted`` (1-based; None for all), one at a time.

    Each page has a picture. Its lines come from the text layer where that is trusted; else they are None,
    with a notice why. Raises DocumentEncrypted, DocumentUnreadable.
    """
    import pypdfium2

    with _opened(data, name, password) as document:
        try:
            total = len(document)
            yield total
            for number in range(1, total + 1) if wanted is None else wanted:
                yield _page(document, number, name, limits)
        except pypdfium2.PdfiumError as error:
            raise _damaged(name, error) from error


@contextmanager
def _opened(data: bytes, name: str, password: str | None) -> Iterator[Any]:
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(data, password=password)
    except pypdfium2.PdfiumError as error:
        if error.err_code != raw.FPDF_ERR_PASSWORD:
            raise _damaged(name, error) from error
        problem = (
            "is encrypted and needs a password" if password is None else "does not open with this password"
        )
        raise DocumentEncrypted(
            f"{name!r} {problem}.", hint="Give the right password, or a copy that is not encrypted."
        ) from error
    document.init_forms()
    try:
        yield document
    finally:
        document.close()


def _damaged(name: str, error: Exception) -> DocumentUnreadable:
    return DocumentUnreadable(
        f"the PDF {name!r} is damaged ({error}).",
        hint="Open it in a viewer and print it to a new PDF or a picture.",
    )


def _page(document: Any, number: int, name: str, limits: Limits) -> Page:
    image, turn, layer = _rendered(document, number, name, limits)
    notices, original = list[Notice](), None
    if turn:
        notices.append(Notice("turned", f"turned by {turn} degrees, so that the text is upright"))
        sides = image.size if turn == 180 else image.size[::-1]
        original = Original(*sides, turn=turn)
    if layer.complaint:
        complaint = f"the PDF's text layer was not used: {layer.complaint}"
        notices.append(Notice("layer_not_used", complaint))
    page = Page(number, image.width, image.height, image=image, notices=tuple(notices), original=original)
    if layer.words is None:
        return page
    return page.with_lines(group_lines(layer.words, width=image.width, height=image.height), "pdf")


def _rendered(document: Any, number: int, name: str, limits: Limits) -> tuple[Image, int, Layer]:
    """One page from PDFium: its picture, the degrees that it was turned, its text layer."""
    import pypdfium2

    try:
        sheet = flattened(document, document[number - 1], number)
    except pypdfium2.PdfiumError as error:
        raise DocumentUnreadable(
            f"page {number} of the PDF {name!r} is damaged.", hint="Choose other pages with pages=."
        ) from error
    try:
        if not all(0 < side < 1e6 for side in sheet.get_size()):
            raise DocumentUnreadable(
                f"page {number} of {name!r} has no size.", hint="Choose other pages with pages=."
            )
        turn = turn_upright(sheet)
        image = _drawn(sheet, limits)
        return image, turn, read(sheet, image)
    finally:
        sheet.close()


def _drawn(sheet: Any, limits: Limits) -> Image:
    """The page as a picture over white, "L" where it has no colours."""
    import pypdfium2
    from pypdfium2 import raw

    width, height = _pixel_size(sheet.get_size(), limits)
    bitmap = pypdfium2.PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGR, rev_byteorder=True)
    try:
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
        frame = (0, 0, width, height, 0, raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER)
        raw.FPDF_RenderPageBitmap(bitmap, sheet, *frame)
        if sheet.formenv:
            raw.FPDF_FFLDraw(sheet.formenv, bitmap, sheet, *frame)
        return _compact(bitmap.to_pil())
    finally:
        bitmap.close()


def _pixel_size(points: tuple[float, float], limits: Limits) -> tuple[int, int]:
    """Of the drawn page, from its sides in points of 1/72 inch."""
    width, height = points
    long, short = max(width, height), min(width, height)
    scale = min(max(LONG_SIDE / long, _SHORT_SIDE / short), _MAX_SCALE)
    ceiling = min(limits.max_pixels, 4 * LONG_SIDE * LONG_SIDE)
    scale = min(scale, (ceiling / (width * height)) ** 0.5, 30_000 / long)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _compact(image: Image) -> Image:
    """A copy that owns its pixels, in a third of the memory where the page has no colours."""
    from PIL import ImageChops

    red, green, blue = image.split()
    plain = all(
        ImageChops.difference(red, other).getextrema()[1] <= 2  # type: ignore[operator]
        for other in (green, blue)
    )
    return image.convert("L") if plain else image.copy()
