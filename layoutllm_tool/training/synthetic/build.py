"""From drawings to examples: misread the words, group them as OCR words are, find every fact again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.training.schema import Example
from layoutllm_tool.training.synthetic import asking, business, forms, office, places, tables
from layoutllm_tool.training.synthetic.canvas import MONO, Canvas
from layoutllm_tool.training.synthetic.noise import read, scanned, tilted
from layoutllm_tool.training.synthetic.places import Drawn
from layoutllm_tool.training.synthetic.values import COUNTRIES, ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import THEMES

KINDS: dict[str, Callable[[Canvas, ValueGenerator], None]] = {
    "form": forms.form,
    "receipt": business.receipt,
    "invoice": business.invoice,
    "letter": forms.letter,
    "table": tables.table,
    "order": business.order,
    **{theme: partial(office.page, theme=theme) for theme in THEMES},
}
"""What draws each kind of page."""
_SHARES = {
    "form": 10, "receipt": 14, "invoice": 6, "letter": 5, "table": 8, "order": 5, "memo": 5, "fax": 6,
    "lab": 10, "promotion": 7, "media": 6, "budget": 8, "registration": 6, "legal": 4,
}  # fmt: skip
_RATES = (0.0, 0.0, 0.0, 0.01, 0.02, 0.04, 0.07)
"""Shares of misread characters; a page has one of them."""
_LOOSE = (0.0, 0.0, 0.0, 0.3, 0.7, 1.0)
"""Shares of the signs at which OCR splits words; a page has one of them."""
_AMERICAN = next(country for country in COUNTRIES if country.code == "US")


def examples(*, seed: int, count: int) -> Iterator[Example]:
    """``count`` pages with four to nine questions each; the same seed gives the same pages."""
    for number in range(count):
        yield example(seed, number)


def example(seed: int, number: int) -> Example:
    """One page. Drawings whose texts collide, or with too few questions, are drawn again."""
    return _made(seed, number)[1]


def drawn(seed: int, number: int) -> Drawn:
    """The page of ``example(seed, number)`` with every fact found on it and every field left blank."""
    return _made(seed, number)[0]


def _made(seed: int, number: int) -> tuple[Drawn, Example]:
    for attempt in range(100):
        rng = Random(f"factory/{seed}/{number}/{attempt}")
        kind = rng.choices(tuple(_SHARES), tuple(_SHARES.values()))[0]
        canvas = _drawing(kind, rng)
        if _collides(canvas):
            continue
        one = look(canvas, rng, kind=kind)
        total = rng.randint(5, 9) if kind in THEMES else rng.randint(4, 8)
        asked = asking.questions(one, rng, total=total)
        if len(asked) >= 4:
            return one, Example(f"factory/{kind}/{number}", one.page, asked)
    raise RuntimeError(f"no page came out of 100 drawings for seed {seed}, number {number}")


def _drawing(kind: str, rng: Random) -> Canvas:
    if kind == "receipt":
        canvas = Canvas(rng.randint(400, 560), 1400, rng, families=rng.choice((MONO, MONO, (0, 3, 4, 7))))
    else:
        canvas = Canvas(800, rng.choice((1035, 1100, 1131)), rng)
    american = kind in THEMES and rng.random() < 0.75
    values = ValueGenerator(rng, country=_AMERICAN if american else None)
    KINDS[kind](canvas, values)
    if kind != "receipt" and kind not in THEMES and rng.random() < 0.6:
        forms.small_print(canvas, values)
    if kind == "receipt":
        canvas.crop(int(max(word.box[3] for word in canvas.words)) + rng.randint(10, 60))
    return canvas


def _collides(canvas: Canvas) -> bool:
    """Whether words overlap or leave the page."""
    boxes = sorted((word.box for word in canvas.words), key=lambda box: box[1])
    if any(x0 < 0 or y0 < 0 or x1 > canvas.width or y1 > canvas.height for x0, y0, x1, y1 in boxes):
        return True
    for n, a in enumerate(boxes):
        for b in boxes[n + 1 :]:
            if b[1] >= a[3] - 3:
                break
            if a[0] < b[2] - 2 and b[0] < a[2] - 2:
                return True
    return False


def look(canvas: Canvas, rng: Random, *, kind: str) -> Drawn:
    """The page as OCR would give it, and the facts that can still be pointed at."""
    image, words, typed = canvas.image, canvas.words, kind in THEMES
    if typed and rng.random() < 0.35:
        image, words = tilted(image, words, rng.uniform(-0.01, 0.01))
    size = {"width": canvas.width, "height": canvas.height}
    loose = rng.choice(_LOOSE) if typed or kind == "form" else 0.0
    reads = read(words, rng, rate=rng.choice(_RATES), loose=loose, **size)
    lines = tuple(group_lines([r.word for r in reads], **size))
    page = Page(1, canvas.width, canvas.height, lines, scanned(image, rng), "given")
    origins = {id(r.word): r.origin for r in reads}
    placed = [((i, j), word) for i, line in enumerate(lines) for j, word in enumerate(line.words)]
    chars = [(at, origin) for at, word in placed for origin in origins[id(word)]]
    filled, blank = (tuple(fact for fact in canvas.facts if bool(fact.value) is has) for has in (True, False))
    found = tuple(one for fact in filled if (one := places.find(page, fact, chars)))
    blanks = tuple(empty for fact in blank if (empty := places.blank(page, fact, chars)))
    return Drawn(kind, page, tuple(canvas.facts), found, blanks)
