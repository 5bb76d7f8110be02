"""A PDF page's characters from PDFium: code, place on the drawn page, visibility.

Also turns pages with sideways text, and merges form fields and notes into the page. ``text_layer.py`` decides
whether to trust the characters.
"""

from __future__ import annotations

import ctypes
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Rect = tuple[float, float, float, float]
"""x0, y0, x1, y1 with x0 <= x1, y0 <= y1 and y downwards where it is in pixels of the drawn page."""


SAMPLE = 20_000
"""Characters that decide about a page's orientation."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character of the layer."""

    text: str
    """One character, or "" for a gap that PDFium inferred from the distance."""
    box: Rect
    """Pixels of the drawn page; may lie outside it."""
    hidden: bool = False

    @property
    def solid(self) -> bool:
        return bool(self.text) and not self.text.isspace()

    @property
    def senseless(self) -> bool:
        """Without meaning: a control character, a private or unassigned code, the replacement character."""
        if not self.text or self.text in "\t\n":
            return False
        return self.text == "\ufffd" or unicodedata.category(self.text) in ("Cc", "Co", "Cn")


def flattened(document: Any, sheet: Any, number: int) -> Any:
    """The page with its form fields and notes merged in, so that the text layer has them."""
    from pypdfium2 import raw

    if (
        raw.FPDFPage_GetAnnotCount(sheet) < 1
        or raw.FPDFPage_Flatten(sheet, raw.FLAT_NORMALDISPLAY) != raw.FLATTEN_SUCCESS
    ):
        return sheet
    sheet.close()
    return document[number - 1]


def turn_upright(sheet: Any) -> int:
    """Turn the page where nearly all of its text runs sideways or upside down. Degrees clockwise, or 0."""
    from pypdfium2 import raw

    text = sheet.get_textpage()
    try:
        count = min(raw.FPDFText_CountChars(text), SAMPLE)
        solid = (i for i in range(count) if not chr(raw.FPDFText_GetUnicode(text, i)).isspace())
        quarters = Counter(round(raw.FPDFText_GetCharAngle(text, i) / (math.pi / 2)) % 4 for i in solid)
    finally:
        text.close()
    total = quarters.total()
    quarter, most = quarters.most_common(1)[0] if quarters else (0, 0)
    before = sheet.get_rotation()
    after = -90 * quarter % 360
    if total < 20 or most < 0.9 * total or before == after:
        return 0
    sheet.set_rotation(after)
    return int(after - before) % 360


def read_glyphs(sheet: Any, text: Any, count: int, size: tuple[int, int]) -> Iterator[Glyph]:
    """The first ``count`` characters in the layer's order, without those off the page (printers' marks).

    ``size`` is the drawn page's, in pixels.
    """
    from pypdfium2 import raw

    to_pixels = _transform(sheet, size)
    covered = _covering(sheet, to_pixels)
    left, bottom, right, top = (ctypes.c_double() for _ in range(4))
    for i in range(count):
        character = "-" if raw.FPDFText_IsHyphen(text, i) == 1 else chr(raw.FPDFText_GetUnicode(text, i))
        if raw.FPDFText_IsGenerated(text, i) == 1:
            yield Glyph("", (0, 0, 0, 0))
            continue
        raw.FPDFText_GetCharBox(text, i, left, right, bottom, top)
        box = to_pixels(left.value, bottom.value, right.value, top.value)
        if not _off_page(box, size):
            hidden = character != " " and (_inkless(text, i) or covered(text, i, box))
            yield Glyph(character, box, hidden)


def _inkless(text: Any, index: int) -> bool:
    """Drawn in the invisible text mode, or fully transparent."""
    from pypdfium2 import raw

    shape = raw.FPDFText_GetTextObject(text, index)
    mode = raw.FPDFTextObj_GetTextRenderMode(shape) if shape else raw.FPDF_TEXTRENDERMODE_FILL
    if mode in (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP):
        return True
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    filled = mode == raw.FPDF_TEXTRENDERMODE_FILL and raw.FPDFText_GetFillColor(
        text, index, red, green, blue, alpha
    )
    return bool(filled) and alpha.value == 0


def _off_page(box: Rect, size: tuple[int, int]) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return not (0 <= x <= size[0] and 0 <= y <= size[1])


def _transform(sheet: Any, size: tuple[int, int]) -> Callable[[float, float, float, float], Rect]:
    """A function from a page box in points to pixels of the drawn page, with crop box and rotation."""
    from pypdfium2 import raw

    fine = 1 << 24  # PDFium answers in whole device units
    x, y = ctypes.c_int(), ctypes.c_int()

    def device(px: float, py: float) -> tuple[float, float]:
        raw.FPDF_PageToDevice(sheet, 0, 0, fine, fine, 0, px, py, x, y)
        return x.value * size[0] / fine, y.value * size[1] / fine

    (ox, oy), (ax, ay), (bx, by) = device(0, 0), device(100, 0), device(0, 100)
    xx, xy, yx, yy = (ax - ox) / 100, (bx - ox) / 100, (ay - oy) / 100, (by - oy) / 100

    def to_pixels(x0: float, y0: float, x1: float, y1: float) -> Rect:
        xs = sorted((ox + xx * x0 + xy * y0, ox + xx * x1 + xy * y1))
        ys = sorted((oy + yx * x0 + yy * y0, oy + yx * x1 + yy * y1))
        return xs[0], ys[0], xs[1], ys[1]

    return to_pixels


def _covering(
    sheet: Any, to_pixels: Callable[[float, float, float, float], Rect]
) -> Callable[[Any, int, Rect], bool]:
    """A function that tells whether a character lies under a picture that is drawn later."""
    from pypdfium2 import raw

    order: dict[int | None, int] = {}
    pictures: list[tuple[int, Rect]] = []
    for place, shape in enumerate(sheet.get_objects()):
        if shape.type == raw.FPDF_PAGEOBJ_TEXT:
            order[ctypes.cast(shape.raw, ctypes.c_void_p).value] = place
        elif shape.type == raw.FPDF_PAGEOBJ_IMAGE and not raw.FPDFPageObj_HasTransparency(shape):
            pictures.append((place, to_pixels(*_bounds(shape))))

    def covered(text: Any, index: int, box: Rect) -> bool:
        if not pictures:
            return False
        shape = raw.FPDFText_GetTextObject(text, index)
        place = order.get(ctypes.cast(shape, ctypes.c_void_p).value) if shape else None
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return place is not None and any(
            later > place and over[0] <= x <= over[2] and over[1] <= y <= over[3] for later, over in pictures
        )

    return covered


def _bounds(shape: Any) -> Rect:
    """Of an object in points of the page, also where it is nested in forms."""
    bounds: Rect = shape.get_bounds()
    container = shape.container
    while container is not None:
        bounds, container = container.get_matrix().on_rect(*bounds), container.container
    return bounds


def pictures_share(sheet: Any, size: tuple[int, int]) -> float:
    """Share of the page's area that lies under pictures."""
    import numpy as np
    from pypdfium2 import raw

    to_grid = _transform(sheet, (100, 100))
    under = np.zeros((100, 100), dtype=bool)
    for shape in sheet.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        x0, y0, x1, y1 = (min(max(round(value), 0), 100) for value in to_grid(*_bounds(shape)))
        under[y0:y1, x0:x1] = True
    return float(under.mean())
