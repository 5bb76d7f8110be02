"""What is asked about a page: its facts, equal keys by their place, blanks, and what it lacks."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from layoutllm_tool.cot import QuestionAnalysis
from layoutllm_tool.documents.align import normal
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA
from layoutllm_tool.training.synthetic.canvas import Fact
from layoutllm_tool.training.synthetic.places import Blank, Drawn, Found
from layoutllm_tool.training.synthetic.questions import (
    CORE,
    COUNTED,
    PLACED,
    absent,
    ask,
    ask_field,
    unanswerable,
)
from layoutllm_tool.training.synthetic.vocabulary import FORMS, near

UNANSWERABLE = 0.3
"""Share of questions that their page does not answer."""
_CHANGED = 0.2
"""Share of printed keys asked in another case, or without the signs around them."""

Asked = tuple[str, str]
"""A question and the key information it names."""


def questions(drawn: Drawn, rng: Random, *, total: int) -> tuple[QA, ...]:
    """Up to ``total`` different questions in any order; () where fewer than two can be answered."""
    none = int(total * UNANSWERABLE + rng.random())
    count = _counted(drawn.facts)
    able = askable(drawn.found, drawn.facts, rng)
    rng.shuffle(able)
    able.sort(key=lambda one: rng.random() < 0.5 or count[normal(one[0].fact.name)] == 1)
    asked = [_qa(one, question) for one, question in able[: total - none]]
    if len(asked) < 2:
        return ()
    asked += _unanswered(drawn, rng, none)
    distinct = list({qa.question: qa for qa in asked}.values())
    rng.shuffle(distinct)
    return tuple(distinct)


def _counted(facts: Sequence[Fact]) -> Counter[str]:
    return Counter(normal(fact.name) for fact in facts)


def _unanswered(drawn: Drawn, rng: Random, count: int) -> list[QA]:
    """Blanks first, then keys like those on the page, then fields that this page lacks."""
    page, facts, names = drawn.page, drawn.facts, _counted(drawn.facts)
    empty = [blank for blank in drawn.blanks if names[normal(blank.fact.name)] == 1]
    most = min(len(empty), count, rng.choice((1, 1, 2, 3)))
    chosen = [_blank(blank, rng) for blank in rng.sample(empty, most)]
    if len(chosen) < count and rng.random() < 0.5:
        chosen += _near(page, facts, rng)
    chosen += _core(page, facts, rng)
    return chosen[:count] + absent(page, max(count - len(chosen), 0), rng, keys=_other_keys(rng))


def _qa(found: Found, asked: Asked) -> QA:
    question, key = asked
    analysis = QuestionAnalysis(found.fact.kind, "extraction", key)
    return QA(question, analysis, found.lines, found.formation, found.answer, found.words)


def askable(found: Sequence[Found], facts: Sequence[Fact], rng: Random) -> list[tuple[Found, Asked]]:
    """One question for each fact. Facts of one name are told apart by where they stand, or left out."""
    groups: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        groups[normal(one.fact.name)].append(one)
    count = _counted(facts)
    asked = []
    for name, group in groups.items():
        if count[name] == 1:
            asked.append((group[0], _question(group[0].fact, group[0].printed, rng)))
        elif count[name] == len(group):
            asked += _positional(group, rng)
    return asked


def _question(fact: Fact, printed: str, rng: Random) -> Asked:
    """Key information is what the question names: the meaning asked for, or the key as printed."""
    if fact.names and (not fact.questions or rng.random() < 0.4) and (not fact.printed or rng.random() < 0.4):
        name = rng.choice(fact.names)
        return ask_field(name, rng), name
    if fact.questions and (not fact.printed or rng.random() < 0.6):
        return rng.choice(fact.questions), fact.concept or _bare(fact.name)
    return _quoted(printed or fact.name, rng)


def _quoted(key: str, rng: Random) -> Asked:
    """The key as it stands on the page, now and then in another case or without the signs around it."""
    if rng.random() < _CHANGED:
        key = rng.choice((key.upper(), key.title(), key.lower(), _bare(key), _bare(key)))
    return ask(key, rng), _bare(key)


def _bare(name: str) -> str:
    return name.strip(EDGES) or name


def _positional(group: Sequence[Found], rng: Random) -> list[tuple[Found, Asked]]:
    """Questions for equal keys: on the left or right, at the top or bottom, first, second, last."""
    key = _bare(group[0].fact.name)
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
    forms = PLACED if " " in words[0] else COUNTED
    texts = (rng.choice(forms).format(key=key, word=word) for word in words)
    return [(f, (text, key)) for f, text in zip(ordered, texts, strict=False)]


def _blank(blank: Blank, rng: Random) -> QA:
    """A question for a field that was left blank: its key is there, its value isn't."""
    question, key = _question(blank.fact, blank.printed, rng)
    return unanswerable(question, key, blank.fact.kind)


def _near(page: Page, facts: Sequence[Fact], rng: Random) -> list[QA]:
    """A key like one of the page's that stands nowhere on it."""
    printed = [fact.name for fact in facts if fact.printed and len(fact.name) < 40]
    text, name = normal(page.text), near(rng.choice(printed), rng) if printed else ""
    if not name or normal(name) in text or any(normal(name) in normal(fact.name) for fact in facts):
        return []
    return [unanswerable(*_quoted(name, rng))]


def _core(page: Page, facts: Sequence[Fact], rng: Random) -> list[QA]:
    """Questions for a total, a date or an address on pages without one: every third time."""
    lacking = [name for name, pattern in CORE if not re.search(pattern, page.text, re.IGNORECASE)]
    place = re.compile(r"address|street|location", re.IGNORECASE)
    if not any(fact.kind == "paragraph" or place.search(fact.name) for fact in facts):
        lacking.append("address")
    if not lacking or rng.random() > 0.33:
        return []
    name = rng.choice(lacking)
    question = rng.choice((f'What is the "{name}" in the given document?', ask_field(name, rng)))
    return [unanswerable(question, name, "paragraph" if name == "address" else "key-value")]


def _other_keys(rng: Random) -> list[str]:
    fields = rng.sample(FORMS["form"]["fields"], 8)
    return [rng.choice((name, name.upper(), name + ":")) for name, _ in fields]
