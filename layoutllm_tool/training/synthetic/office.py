"""Typed, faxed and printed business forms: each kind is a theme's keys in an order of ``blocks`` that suits it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from layoutllm_tool.training.synthetic import blocks, grids
from layoutllm_tool.training.synthetic.canvas import Canvas, Fact
from layoutllm_tool.training.synthetic.form_canvas import FormCanvas
from layoutllm_tool.training.synthetic.keys import TITLES
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.wording import reference

Block = Callable[[FormCanvas], None]
_WORDS = (110, 150, 150, 190, 240, 330)
"""Words after which no further block is begun; a page has one of them."""


def _some(block: Callable[[FormCanvas, int], None], least: int, most: int) -> Block:
    return lambda sheet: block(sheet, sheet.rng.randint(least, most))


_ROWS, _DENSE, _BOXES, _PAIRS = (
    _some(blocks.rows, 3, 8),
    _some(blocks.rows, 7, 14),
    _some(blocks.boxes, 4, 12),
    _some(blocks.pairs, 5, 14),
)
_SIGNED, _CHOICES, _COLUMNS = _some(grids.signatures, 1, 3), _some(grids.choices, 1, 5), _some(grids.columns, 2, 6)
_NOTES, _SENTENCES = _some(blocks.notes, 1, 2), _some(blocks.sentences, 1, 3)

_USUAL: dict[str, tuple[tuple[Block, ...], tuple[Block, ...]]] = {
    "memo": ((_ROWS,), (_NOTES, blocks.prose, _CHOICES, _ROWS, _SIGNED)),
    "fax": ((_ROWS, _BOXES), (_ROWS, _NOTES, _SENTENCES, blocks.prose, _CHOICES, _COLUMNS)),
    "lab": ((_DENSE, _BOXES, _ROWS), (_PAIRS, _PAIRS, _COLUMNS, _COLUMNS, _CHOICES, _NOTES, _SIGNED, _BOXES)),
    "promotion": ((_ROWS, _DENSE), (_COLUMNS, _CHOICES, _NOTES, _SENTENCES, _PAIRS, _SIGNED, _ROWS)),
    "media": ((_BOXES, _DENSE), (_COLUMNS, _COLUMNS, _ROWS, _PAIRS, _NOTES, _SIGNED)),
    "budget": ((_BOXES, _DENSE), (_PAIRS, _COLUMNS, _NOTES, _SIGNED, _SIGNED, _ROWS, _BOXES)),
    "registration": ((_DENSE, _ROWS), (_CHOICES, _CHOICES, _DENSE, _SENTENCES, _PAIRS, _SIGNED)),
    "legal": ((_ROWS, blocks.embedded), (_SENTENCES, _NOTES, blocks.embedded, _ROWS, _SIGNED, blocks.prose)),
}
"""What a theme's page begins with (one of these), and what may follow."""
THEMES = tuple(_USUAL)


def page(canvas: Canvas, maker: ValueGenerator, *, theme: str) -> list[Fact]:
    """A form of the theme: head, then blocks until the page or its share of words is full."""
    sheet, rng = FormCanvas(canvas, maker, theme), canvas.rng
    if rng.random() < (0.7 if theme == "fax" else 0.12):
        blocks.routing(sheet)
    _head(sheet)
    first, others = _USUAL[theme]
    rng.choice(first)(sheet)
    most = rng.choice(_WORDS)
    for block in _order(sheet, others):
        if len(canvas.inks) > most or sheet.room < 80:
            break
        sheet.y += rng.choice((2, 10, 24, 50))
        if rng.random() < 0.3:
            blocks.heading(sheet)
        block(sheet)
    _foot(sheet)
    return sheet.facts


PAGES: dict[str, Callable[[Canvas, ValueGenerator], list[Fact]]] = {
    theme: partial(page, theme=theme) for theme in THEMES
}
"""What draws each theme's page."""


def _order(sheet: FormCanvas, others: Sequence[Block]) -> list[Block]:
    picked = sheet.rng.sample(others, sheet.rng.randint(3, min(6, len(others))))
    return sorted(picked, key=lambda block: block is _SIGNED)


def _head(sheet: FormCanvas) -> None:
    """Company and title, each of which may be missing; a number at the right now and then."""
    rng, canvas = sheet.rng, sheet.canvas
    x, place = rng.choice(((canvas.width / 2, "center"), (canvas.width / 2, "center"), (sheet.left, "left")))
    if rng.random() < 0.4:
        name = canvas.text(x, sheet.y, sheet.maker.company(), size=sheet.size + rng.randint(0, 8), align=place)
        sheet.add("company", (), name, kind="title", names=("company", "name of the company"), printed=False)
        sheet.y += sheet.size + 12
    if rng.random() < 0.8:
        text = rng.choice(TITLES[sheet.theme].split(";"))
        title = canvas.text(
            x, sheet.y, rng.choice((text, text.upper())), size=sheet.size + rng.randint(0, 8), align=place
        )
        asked = (
            "What is the title of the document?",
            'What is the "title" in the given document?',
            "What is the heading?",
        )
        sheet.add("title", (), title, kind="title", questions=asked, printed=False)
        sheet.y += sheet.size + 14
    sheet.y += rng.randint(4, 30)


def _foot(sheet: FormCanvas) -> None:
    """A form's number or a running number that nobody asks about."""
    y = sheet.canvas.height - 36
    if sheet.room > 30 and sheet.rng.random() < 0.7:
        text = sheet.rng.choice((sheet.maker.digits(8), f"Form {reference(sheet.maker)}", f"{sheet.rng.randint(1, 9)}"))
        x, place = sheet.rng.choice(((sheet.left, "left"), (sheet.right, "right")))
        sheet.canvas.text(x, y, text, size=13, align=place)
