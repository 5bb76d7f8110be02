"""Typed, faxed and printed business forms: each kind is a theme's keys in blocks that suit it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from layoutllm_tool.training.synthetic import blocks, grids
from layoutllm_tool.training.synthetic.canvas import Canvas
from layoutllm_tool.training.synthetic.form_canvas import FormCanvas
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import THEMES, questions_about

_WORDS = (110, 150, 150, 190, 240, 330)
"""Words after which no further block is begun; a page has one of them."""
_COUNTED: dict[str, tuple[Callable[[FormCanvas, int], None], int, int]] = {
    "rows": (blocks.rows, 3, 8),
    "dense": (blocks.rows, 7, 14),
    "boxes": (blocks.boxes, 4, 12),
    "pairs": (blocks.pairs, 5, 14),
    "signatures": (grids.signatures, 1, 3),
    "choices": (grids.choices, 1, 5),
    "columns": (grids.columns, 2, 6),
    "notes": (blocks.notes, 1, 2),
    "sentences": (blocks.sentences, 1, 3),
}
"""Blocks with the least and most that they hold."""
_SINGLE: dict[str, Callable[[FormCanvas], None]] = {"prose": blocks.prose, "embedded": blocks.embedded}


def page(canvas: Canvas, values: ValueGenerator, theme: str) -> None:
    """A form of the theme: head, then blocks until the page or its share of words is full."""
    form, rng = FormCanvas(canvas, values, theme), canvas.rng
    if rng.random() < (0.7 if theme == "fax" else 0.12):
        blocks.routing(form)
    _head(form)
    _draw(form, rng.choice(THEMES[theme]["first"]))
    most = rng.choice(_WORDS)
    for block in _order(form, THEMES[theme]["then"]):
        if len(canvas.words) > most or form.room < 80:
            break
        form.y += rng.choice((2, 10, 24, 50))
        if rng.random() < 0.3:
            blocks.heading(form)
        _draw(form, block)
    _foot(form)


def _draw(form: FormCanvas, block: str) -> None:
    if single := _SINGLE.get(block):
        single(form)
    else:
        draw, least, most = _COUNTED[block]
        draw(form, form.rng.randint(least, most))


def _order(form: FormCanvas, others: Sequence[str]) -> list[str]:
    picked = form.rng.sample(others, form.rng.randint(3, min(6, len(others))))
    return sorted(picked, key=lambda block: block == "signatures")


def _head(form: FormCanvas) -> None:
    """Company and title, each of which may be missing."""
    rng, canvas = form.rng, form.canvas
    x, place = rng.choice(((canvas.width / 2, "center"), (canvas.width / 2, "center"), (form.left, "left")))
    if rng.random() < 0.4:
        name = canvas.text(x, form.y, form.values.company(), size=form.size + rng.randint(0, 8), align=place)
        canvas.unprinted("company", name, "title", names=("company", "name of the company"))
        form.y += form.size + 12
    if rng.random() < 0.8:
        text = rng.choice(THEMES[form.theme]["titles"])
        text = rng.choice((text, text.upper()))
        title = canvas.text(x, form.y, text, size=form.size + rng.randint(0, 8), align=place)
        canvas.unprinted("title", title, "title", questions=questions_about("title"))
        form.y += form.size + 14
    form.y += rng.randint(4, 30)


def _foot(form: FormCanvas) -> None:
    """Draw a form's number or a running number, about which there are no questions."""
    rng, values = form.rng, form.values
    if form.room > 30 and rng.random() < 0.7:
        text = rng.choice((values.digits(8), f"Form {values.typed('ref')}", f"{rng.randint(1, 9)}"))
        x, place = rng.choice(((form.left, "left"), (form.right, "right")))
        form.canvas.text(x, form.canvas.height - 36, text, size=13, align=place)
