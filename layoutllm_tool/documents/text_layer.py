"""A PDF page's text layer: its words with boxes, and whether they match what a person sees.

Refuses the layer, so that text recognition reads the page, when (in the order of the checks)

1. much of it is invisible (without colour, under a picture, in the colour behind it): it is the recognition
of a scan, or a trap. What lies off the page is left out; 2. its characters make no sense: no known meaning,
private-use codes, few vowels among Latin letters; 3. its words cover too little of the page's ink: a scan
with a printed stamp, letters drawn as shapes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.documents.glyphs import Glyph, pictures_share, read_glyphs

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_CHARACTERS = 100_000
"""On one page: no sheet of paper holds so much."""
MAX_HIDDEN = 0.05
"""Largest share of invisible characters, such as a spreadsheet's white zeros. They are never words."""
MAX_BROKEN = 0.005
"""Largest share of characters without meaning."""
MIN_VOWELS = 0.15
"""Least share of vowels among Latin letters. A font with shuffled codes mostly has fewer."""
MIN_INK = 0.10
"""Least share of the page's ink under words ..."""
MIN_INK_SCAN = 0.50
"""... and on a page mostly covered by pictures."""
_CONTRAST = 24
"""Least difference of grey levels within a visible word."""


@dataclass(frozen=True, slots=True)
class Layer:
    """``words`` in the layer's order, () on a blank page, None where text recognition must read the page."""

    words: tuple[Word, ...] | None
    complaint: str = ""
    """Why the layer is refused."""


def read(sheet: Any, image: Image) -> Layer:
    """The page's text layer as seen on its picture, or why it is refused."""
    import numpy as np

    grey = np.asarray(image.convert("L"))
    text = sheet.get_textpage()
    try:
        count = text.count_chars()
        if count > MAX_CHARACTERS:
            return Layer(None, f"it holds more than {MAX_CHARACTERS:,} characters")
        glyphs = list(read_glyphs(sheet, text, count, image.size))
    finally:
        text.close()
    if not any(glyph.solid for glyph in glyphs):
        blank = int(grey.max()) - int(grey.min()) < _CONTRAST
        return Layer(() if blank else None)
    glyphs = [_with_visibility(glyph, grey) for glyph in glyphs]
    words = _words(glyphs, image.size)
    if complaint := _complaint(glyphs) or _ink_complaint(words, grey, pictures_share(sheet, image.size)):
        return Layer(None, complaint)
    return Layer(tuple(words))


def _with_visibility(glyph: Glyph, grey: Any) -> Glyph:
    """The glyph, hidden where its place on the picture is of one colour."""
    x0, y0, x1, y1 = glyph.box
    seen = grey[max(int(y0) - 1, 0) : max(int(y1) + 2, 1), max(int(x0) - 1, 0) : max(int(x1) + 2, 1)]
    if not glyph.solid or glyph.hidden or (seen.size and int(seen.max()) - int(seen.min()) >= _CONTRAST):
        return glyph
    return replace(glyph, hidden=True)


def _words(glyphs: Sequence[Glyph], size: tuple[int, int]) -> list[Word]:
    """Visible characters joined into words, in the layer's order."""
    words: list[Word] = []
    run: list[Glyph] = []
    inferred = False
    for glyph in (*glyphs, Glyph(" ", (0, 0, 0, 0))):
        if glyph.hidden:
            continue
        if not glyph.text:
            inferred = True
            continue
        if run and (not glyph.solid or _apart(run[-1], glyph, inferred)):
            words.append(_word(run, size))
            run = []
        inferred = False
        if glyph.solid:
            run.append(glyph)
    return [word for word in words if any(unicodedata.category(c) != "Co" for c in word.text)]


def _apart(before: Glyph, glyph: Glyph, inferred: bool) -> bool:
    """Whether two neighbours belong to different words. Some gaps that PDFium infers are too narrow."""
    (a0, b0, a1, b1), (x0, y0, x1, y1) = before.box, glyph.box
    across, down = max(x0 - a1, a0 - x1), max(y0 - b1, b0 - y1)
    extent = max(a1 - a0, b1 - b0, x1 - x0, y1 - y0, 1.0)
    return max(across, down) > (0.12 if inferred else 1.0) * extent


def _word(run: Sequence[Glyph], size: tuple[int, int]) -> Word:
    text = "".join(glyph.text for glyph in run)
    # Join surrogate pairs, which come as two characters; spell out ligatures.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = "".join(unicodedata.normalize("NFKC", c) if "\ufb00" <= c <= "\ufb06" else c for c in text)
    boxes = [Box.from_pixels(*glyph.box, width=size[0], height=size[1]) for glyph in run]
    return Word(text, Box.union(boxes))


def _complaint(glyphs: Sequence[Glyph]) -> str:
    """Why the characters can't be trusted, "" if they can."""
    solid = [glyph for glyph in glyphs if glyph.solid or glyph.senseless]
    hidden = sum(glyph.hidden for glyph in solid)
    if hidden > MAX_HIDDEN * len(solid):
        return f"{hidden} of its {len(solid)} characters can't be seen on the page"
    # A bullet in a private code is harmless where it stands alone; beside a letter, a letter is missing.
    broken = sum(
        glyph.senseless and any(side.text.isalnum() for side in (before, after))
        for before, glyph, after in zip(glyphs, glyphs[1:], glyphs[2:], strict=False)
    )
    text = "".join(glyph.text for glyph in solid)
    if broken > MAX_BROKEN * len(solid) or "(cid:" in text:
        return "some of its characters have no known meaning"
    letters = [c for c in unicodedata.normalize("NFKD", text).lower() if "a" <= c <= "z"]
    if len(letters) >= 40 and sum(c in "aeiouy" for c in letters) < MIN_VOWELS * len(letters):
        return "its letters make no words"
    return ""


def _ink_complaint(words: Sequence[Word], grey: Any, pictures: float) -> str:
    """Why the words are not all text of the page, "" if they are. Ink is where the picture's greys change."""
    share = _ink_share(words, grey)
    if share >= (MIN_INK_SCAN if pictures > 0.5 else MIN_INK):
        return ""
    return f"its words stand on {share:.0%} of what is printed on the page"


def _ink_share(words: Sequence[Word], grey: Any) -> float:
    import numpy as np

    step = max(max(grey.shape) // 1000, 1)
    small = grey[::step, ::step].astype(np.int16)
    ink = np.zeros(small.shape, dtype=bool)
    ink[:, 1:] |= np.abs(np.diff(small, axis=1)) > _CONTRAST
    ink[1:, :] |= np.abs(np.diff(small, axis=0)) > _CONTRAST
    total = int(ink.sum())
    height, width = ink.shape
    for word in words:
        x0, y0, x1, y1 = word.box.to_pixels(width, height)
        ink[max(y0 - 2, 0) : y1 + 3, max(x0 - 2, 0) : x1 + 3] = False
    return 1 - int(ink.sum()) / total if total else 1.0
