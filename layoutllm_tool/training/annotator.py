"""LayoutCoT for real pages by a chat model (paper section 3.2, document images): it writes, the page decides.

The model gets the page's text with boxes and writes questions, answers, steps 1 and 3, and the relevant
lines; boxes come from the lines. Whatever can't be found on the page is thrown away and counted. A question
that is wrong but stands on the page (another field's value beside the right key) is *not* noticed. Any
LangChain chat model will do, or anything with ``invoke``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from layoutllm_tool.cot import KINDS, OPERATIONS, RELATIONS, AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.align import find, normal, similarity
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.occurrences import fits, occurrences
from layoutllm_tool.errors import QuestionError
from layoutllm_tool.readers.replies import items_of, text_of
from layoutllm_tool.training import annotation_prompts as prompts
from layoutllm_tool.training.grounding import copied, copied_alone, key_beside, problem
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA
from layoutllm_tool.training.synthetic.questions import ABSENT, lacks

MOST_QUESTIONS = 40
"""Items that one page may be asked for."""
_MOST_LINES = 16
"""Lines that one question may need."""
_LONGEST = {"question": 240, "answer": 400, "key": 80, "key_text": 80}
_SENTENCE = 0.85
"""Least similarity of a quoted sentence and its place on the page."""
_NOTHING = (
    "notinthedocument", "notonthepage", "notmentioned", "notspecified", "notgiven", "none", "na", "null",
    "unknown",
)  # fmt: skip


class ChatModel(Protocol):
    """Takes messages as (role, text) pairs, gives an object with ``content`` or ``text``."""

    def invoke(self, messages: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Annotation:
    """What was kept, and why the rest was not: reason -> how often."""

    questions: tuple[QA, ...]
    rejected: Mapping[str, int] = field(default_factory=dict)
    replies: int = 0
    """How often the model was asked."""


@dataclass(slots=True)
class _Kept:
    """Questions so far, and what each rejected item was."""

    questions: list[QA] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)


def annotate_page(
    model: ChatModel, page: Page, *, count: int = 8, absent: int = 2, retries: int = 2
) -> Annotation:
    """Up to ``count`` questions, of which the model is asked to leave ``absent`` unanswered by the page.

    After a reply that falls short the model is told what was wrong, at most ``retries`` times. Errors of the
    model's own (network, quota) are the caller's. QuestionError where the page has no words or the numbers
    make no sense.
    """
    if not 1 <= count <= MOST_QUESTIONS or not 0 <= absent <= count or retries < 0:
        reason = f"{count} questions, {absent} of them absent, {retries} retries."
        raise QuestionError(reason, hint=f"Ask for 1 to {MOST_QUESTIONS}.")
    if not prompts.shown(page):
        raise QuestionError("the page has no words to ask about.", hint="Recognise its text first.")
    messages = [("system", prompts.SYSTEM), ("human", prompts.ask(page, count, absent))]
    kept = _Kept()
    for replies in range(1, retries + 2):
        text = text_of(model.invoke(messages))
        wrong = _take(text, page, kept, count)
        if len(kept.questions) >= count or replies > retries:
            break
        again = prompts.ask_again(wrong[:12] or ["there are too few items"], count - len(kept.questions))
        messages = [*messages, ("ai", text or "-"), ("human", again)]
    return Annotation(tuple(kept.questions), dict(kept.rejected), replies)


def _take(text: str, page: Page, kept: _Kept, count: int) -> list[str]:
    """Adds a reply's items to what is kept; says what is wrong with the others."""
    items = items_of(text)
    if items is None:
        kept.rejected["no JSON"] += 1
        return ["there is no JSON with a list of items"]
    wrong = ["an item can't be read as JSON"] * items.spoilt
    kept.rejected.update({"unreadable item": items.spoilt} if items.spoilt else {})
    for item in items.found:
        if len(kept.questions) >= count:
            break
        found = _judged(item, page, {normal(one.question) for one in kept.questions})
        if isinstance(found, QA):
            kept.questions.append(found)
        else:
            kept.rejected[found] += 1
            question = item.get("question") if isinstance(item, dict) else item
            wrong.append(f"{str(question)[:80]!r}: {found}")
    return wrong


def _judged(item: Any, page: Page, asked: set[str]) -> QA | str:
    """The item as a question that keeps the schema's promises, or the reason why it is none."""
    if not isinstance(item, dict):
        return "not an object"
    values = {name: "" if item.get(name) is None else item[name] for name in _LONGEST}
    if not all(isinstance(value, str) for value in values.values()):
        return "a field is not a text"
    text = {name: " ".join(value.split()) for name, value in values.items()}
    if reason := _form_problem(item, text, asked):
        return reason
    lines = _lines(item, page)
    if isinstance(lines, str):
        return lines
    analysis = QuestionAnalysis(item["kind"], item["operation"], text["key"])
    formation = AnswerFormation(item["relation"], text["key_text"])
    written = QA(text["question"], analysis, lines, formation, text["answer"])
    found = _answered(written, page)
    return found if isinstance(found, str) else problem(found, page) or found


def _form_problem(item: dict[str, Any], text: dict[str, str], asked: set[str]) -> str:
    """What can be said without the page."""
    if len(normal(text["question"])) < 4:
        return "no question"
    if long := next((name for name, most in _LONGEST.items() if len(text[name]) > most), ""):
        return f"{long} too long"
    if not text["key"]:
        return "no key"
    for name, known in (("kind", KINDS), ("operation", OPERATIONS), ("relation", RELATIONS)):
        if item.get(name) not in known:
            return f"unknown {name}"
    return "asked before" if normal(text["question"]) in asked else ""


def _lines(item: dict[str, Any], page: Page) -> tuple[int, ...] | str:
    """The relevant lines in reading order, from numbers and quoted sentences."""
    numbers, sentences = item.get("lines") or [], item.get("sentences") or []
    if not isinstance(numbers, list) or not isinstance(sentences, list):
        return "lines are not a list"
    if len(numbers) > _MOST_LINES or len(sentences) > _MOST_LINES:
        return "too many lines"
    found: set[int] = set()
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < prompts.shown(page):
            return "unknown line"
        found.add(number)
    for sentence in sentences:
        if not isinstance(sentence, str) or len(sentence) > 2 * prompts.MOST_LINE:
            return "sentence not on the page"
        places = find(sentence, page, threshold=_SENTENCE)
        if not places:
            return "sentence not on the page"
        found.update(next((p for p in places if set(p.lines) & found), places[0]).lines)
    return tuple(sorted(found)) if len(found) <= _MOST_LINES else "too many lines"


def _answered(written: QA, page: Page) -> QA | str:
    """What the model wrote about one question, held against the page."""
    answer = written.answer or ""
    if not answer or "".join(c for c in answer.lower() if c.isalnum()) in _NOTHING:
        return _absent(written, page)
    if not written.lines:
        return "no relevant lines"
    return _formed(written, page) if written.analysis.operation == "reasoning" else _copied(written, page)


def _absent(written: QA, page: Page) -> QA | str:
    """Not in the document: then neither the key nor any other name for it stands on the page."""
    if written.formation != AnswerFormation("none", "") or written.lines:
        return "no answer, and yet a place for it"
    wanted = normal(written.analysis.key)
    alike = (name for group in ABSENT if wanted in map(normal, group) for name in group)
    if not lacks(page, {written.analysis.key, *alike}):
        return "said to be absent, but it stands on the page"
    return replace(written, answer=None)


def _formed(written: QA, page: Page) -> QA | str:
    """A formed answer: what it follows from must stand in the lines, the numbers in it can be new."""
    text, key = " ".join((page.lines or ())[i].text for i in written.lines), written.formation.key
    if key and similarity(key, text) < _SENTENCE:
        return "key not in the relevant lines"
    return replace(written, formation=AnswerFormation("none", key))


def _copied(written: QA, page: Page) -> QA | str:
    """The first place in the lines that stands to the key as the model says."""
    places = list(occurrences(written.answer or "", page, written.lines))
    if not places:
        return "answer not in the relevant lines"
    relation, key_text = written.formation.relation, written.formation.key.strip(EDGES)
    for place in places:
        if not key_text and fits(relation, None, place, page):
            return copied_alone(place, written.question, written.analysis, relation)
        if key_text and (key := key_beside(key_text, (relation,), place, page)):
            return copied(place, written.question, written.analysis, key)
    if key_text and not find(key_text, page, threshold=_SENTENCE):
        return "key not on the page"
    return f"the answer does not stand {relation!r} its key"
