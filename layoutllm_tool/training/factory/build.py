"""From drawn pages to examples: misreads the words, groups them as real OCR words are, and finds every fact again."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from random import Random

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.training.align import WordIndex, box_of, normal
from layoutllm_tool.training.factory import business, layouts
from layoutllm_tool.training.factory.noise import read, scanned
from layoutllm_tool.training.factory.questions import absent, ask_field, ask_key, unanswerable
from layoutllm_tool.training.factory.render import MONO, Canvas, Fact, Span
from layoutllm_tool.training.factory.values import Maker
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA, Example

KINDS = {
    "form": layouts.form,
    "receipt": business.receipt,
    "invoice": business.invoice,
    "letter": layouts.letter,
    "table": layouts.table,
    "order": business.order,
}
"""What draws each kind of page."""
_SHARES = (36, 24, 13, 9, 9, 9)
_RATES = (0.0, 0.0, 0.01, 0.02, 0.04, 0.07)
"""Shares of misread characters; a page has one of them."""
UNANSWERABLE = 0.22
"""Share of questions that their page does not answer."""


_Asked = tuple[str, str]
"""A question and the key information it names."""
_CORE = (("total", r"total|amount|due|\bsum\b"), ("date", r"date|\d[-/.]\d+[-/.]\d|\b(?:19|20)\d\d\b"))
"""Fields often asked for, with what must not stand on a page that lacks them."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A fact on the page as read: positions of its characters are known."""

    fact: Fact
    lines: tuple[int, ...]
    words: tuple[WordIndex, ...]
    answer: str
    formation: AnswerFormation
    box: Box


def examples(*, seed: int, count: int) -> Iterator[Example]:
    """``count`` pages with four to eight questions each; the same seed gives the same pages."""
    for number in range(count):
        yield example(seed, number)


def example(seed: int, number: int) -> Example:
    """One page. Drawings whose texts collide, or of which too little can be asked, are drawn again."""
    for attempt in range(100):
        rng = Random(f"factory/{seed}/{number}/{attempt}")
        kind = rng.choices(tuple(KINDS), _SHARES)[0]
        canvas, facts = _drawn(kind, rng)
        if _collides(canvas):
            continue
        page, found = _read(canvas, facts, rng)
        if len(questions := _questions(page, facts, found, rng)) >= 4:
            return Example(f"factory/{kind}/{number}", page, questions)
    raise RuntimeError(f"no page came out of 100 drawings for seed {seed}, number {number}")


def _drawn(kind: str, rng: Random) -> tuple[Canvas, list[Fact]]:
    if kind == "receipt":
        width, height = rng.randint(400, 560), 1400
        canvas = Canvas(width, height, rng, families=rng.choice((MONO, MONO, (0, 3, 4, 7))))
    else:
        canvas = Canvas(800, rng.choice((1035, 1100, 1131)), rng)
    maker = Maker(rng)
    facts = KINDS[kind](canvas, maker)
    if kind != "receipt" and rng.random() < 0.6:
        layouts.small_print(canvas, maker)
    if kind == "receipt":
        canvas.crop(int(max(ink.box[3] for ink in canvas.inks)) + rng.randint(10, 60))
    return canvas, facts


def _collides(canvas: Canvas) -> bool:
    """Whether words overlap or leave the page."""
    boxes = [ink.box for ink in canvas.inks]
    if any(x0 < 0 or y0 < 0 or x1 > canvas.width or y1 > canvas.height for x0, y0, x1, y1 in boxes):
        return True
    return any(
        a[0] < b[2] - 2 and b[0] < a[2] - 2 and a[1] < b[3] - 3 and b[1] < a[3] - 3 for a, b in combinations(boxes, 2)
    )


def _read(canvas: Canvas, facts: Sequence[Fact], rng: Random) -> tuple[Page, list[_Found]]:
    """The page as OCR would give it, and the facts that can still be pointed at."""
    reads = read(canvas.inks, rng, rate=rng.choice(_RATES), width=canvas.width, height=canvas.height)
    lines = tuple(group_lines([r.word for r in reads], width=canvas.width, height=canvas.height))
    page = Page(1, canvas.width, canvas.height, lines, scanned(canvas.image, rng), "given")
    origins = {id(r.word): r for r in reads}
    chars = [
        ((i, j), origin)
        for i, line in enumerate(lines)
        for j, word in enumerate(line.words)
        for origin in origins[id(word)].origin
    ]
    return page, [found for fact in facts if fact.value and (found := _find(page, fact, chars))]


def _find(page: Page, fact: Fact, chars: Sequence[tuple[WordIndex, int]]) -> _Found | None:
    """None where the value's words are torn apart by others, or in another order than they were written."""
    place = _stretch(page, fact.value, chars)
    if place is None:
        return None
    words, answer = place
    key = _stretch(page, fact.key, chars) if fact.key else None
    if fact.key and key is None:
        return None
    lines = tuple(dict.fromkeys(i for i, _ in words))
    formation, key_line = _formation(page, words, key)
    if key_line is not None and key_line not in lines:
        lines = (key_line, *lines)
    return _Found(fact, lines, words, answer, formation, box_of(page, words))


def _stretch(
    page: Page, span: Span, chars: Sequence[tuple[WordIndex, int]]
) -> tuple[tuple[WordIndex, ...], str] | None:
    """The words that came from the span and the string in them, if nothing else stands between in their lines."""
    wanted = set(span)
    at = [n for n, (_, origin) in enumerate(chars) if origin in wanted]
    if not at or [chars[n][1] for n in at] != sorted(chars[n][1] for n in at):
        return None
    own = {chars[n][0][0] for n in at}
    if any(chars[n][1] not in wanted and chars[n][0][0] in own for n in range(at[0], at[-1] + 1)):
        return None
    words = tuple(dict.fromkeys(chars[n][0] for n in at))
    lines = page.lines or ()
    before = sum(1 for n in range(at[0]) if chars[n][0] == words[0])
    after = sum(1 for n in range(at[-1] + 1, len(chars)) if chars[n][0] == words[-1])
    text = " ".join(lines[i].words[j].text for i, j in words)
    return words, text[before : len(text) - after]


def _formation(
    page: Page, words: tuple[WordIndex, ...], key: tuple[tuple[WordIndex, ...], str] | None
) -> tuple[AnswerFormation, int | None]:
    """Where the value stands seen from its key, as boxes show it."""
    box = box_of(page, words)
    if key is None:
        return AnswerFormation("top of page" if box.y0 < 350 else "inside", ""), None
    key_words, text = key
    line = key_words[0][0]
    name = text.strip(EDGES) or text
    if line == words[0][0]:
        return AnswerFormation("inside", name), line
    below = box.y0 >= box_of(page, key_words).y1 - 2
    return AnswerFormation("below" if below else "right of", name), line


def _questions(page: Page, facts: Sequence[Fact], found: Sequence[_Found], rng: Random) -> tuple[QA, ...]:
    total = rng.randint(4, 8)
    none = int(total * UNANSWERABLE + rng.random())
    askable = _askable(found, facts, rng)
    every = [normal(fact.name) for fact in facts]
    rng.shuffle(askable)
    askable.sort(key=lambda one: rng.random() < 0.5 or every.count(normal(one[0].fact.name)) == 1)
    asked = [_qa(f, question) for f, question in askable[: total - none]]
    if len(asked) < 2:
        return ()
    blank = [f for f in facts if not f.value and every.count(normal(f.name)) == 1]
    empty = [_blank(f, rng) for f in rng.sample(blank, min(len(blank), none, rng.randint(1, 2)))]
    empty += _core(page, facts, rng)
    asked += empty[:none] + absent(page, max(none - len(empty), 0), rng, keys=_other_keys(rng))
    rng.shuffle(asked)
    return tuple(asked)


def _qa(found: _Found, asked: _Asked) -> QA:
    question, key = asked
    analysis = QuestionAnalysis(found.fact.kind, "extraction", key)
    return QA(question, analysis, found.lines, found.formation, found.answer, found.words)


def _name(fact: Fact) -> str:
    return fact.name.strip(EDGES)


def _askable(found: Sequence[_Found], facts: Sequence[Fact], rng: Random) -> list[tuple[_Found, _Asked]]:
    """One question for each fact. Facts of one name are told apart by where they stand, or left out."""
    groups: dict[str, list[_Found]] = defaultdict(list)
    for one in found:
        groups[normal(one.fact.name)].append(one)
    every = [normal(fact.name) for fact in facts]
    asked = []
    for name, group in groups.items():
        if every.count(name) == 1:
            asked.append((group[0], _question(group[0].fact, rng)))
        elif every.count(name) == len(group):
            asked += _positional(group, rng)
    return asked


def _question(fact: Fact, rng: Random) -> _Asked:
    """Key information is what the question names: the meaning asked for, or the key as printed."""
    if fact.names and (not fact.questions or rng.random() < 0.4) and (not fact.printed or rng.random() < 0.4):
        name = rng.choice(fact.names)
        return ask_field(name, rng), name
    if fact.questions and (not fact.printed or rng.random() < 0.6):
        return rng.choice(fact.questions), fact.concept or _name(fact)
    return ask_key(rng.choice((fact.name, _name(fact))), rng), _name(fact)


def _positional(group: Sequence[_Found], rng: Random) -> list[tuple[_Found, _Asked]]:
    """Questions for equal keys: on the left or right, at the top or bottom, first, second, last."""
    key = _name(group[0].fact)
    if not group[0].fact.printed:
        return []
    across = sorted(group, key=lambda f: f.box.center[0])
    down = sorted(group, key=lambda f: f.box.center[1])
    if len(group) == 2 and across[1].box.x0 - across[0].box.x1 > 60:
        words: tuple[str, ...] = ("on the left", "on the right")
        ordered = across
    elif down[-1].box.y0 - down[0].box.y1 > 150 and len(group) == 2 and rng.random() < 0.6:
        words, ordered = ("at the top", "at the bottom"), down
    elif all(b.box.y0 > a.box.y1 for a, b in pairwise(down)):
        words, ordered = ("first", "second", "third", "fourth")[: len(group)], down
    else:
        return []
    return [(f, (_spatial(key, word, rng), key)) for f, word in zip(ordered, words, strict=False)]


def _spatial(key: str, word: str, rng: Random) -> str:
    if " " in word:
        return rng.choice((f'What is the "{key}" {word}?', f'What is the content in the "{key}" field {word}?'))
    return rng.choice((f'What is the {word} "{key}"?', f'What is the content in the {word} "{key}" field?'))


def _blank(fact: Fact, rng: Random) -> QA:
    """A question for a field that was left blank: its key is there, its value isn't."""
    question, key = _question(fact, rng)
    return unanswerable(question, key, fact.kind)


def _core(page: Page, facts: Sequence[Fact], rng: Random) -> list[QA]:
    """Questions for a total, a date or an address on pages without one: every third time."""
    lacking = [name for name, pattern in _CORE if not re.search(pattern, page.text, re.IGNORECASE)]
    if not any(
        fact.kind == "paragraph" or re.search(r"address|street|location", fact.name, re.IGNORECASE) for fact in facts
    ):
        lacking.append("address")
    if not lacking or rng.random() > 0.33:
        return []
    name = rng.choice(lacking)
    question = rng.choice((f'What is the "{name}" in the given document?', ask_field(name, rng)))
    return [unanswerable(question, name, "paragraph" if name == "address" else "key-value")]


def _other_keys(rng: Random) -> list[str]:
    return [rng.choice((name, name.upper(), name + ":")) for name, _ in rng.sample(layouts.FIELDS, 8)]
