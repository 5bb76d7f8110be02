"""Answers that are ticked: of a box with a label, of yes and no behind a question, of a group of choices.

The boxes are ``documents/marks.py``'s; here they meet the words of a schema. Pure but for the page's picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.marks import Choice, choices, marked_rows
from layoutllm_tool.documents.page_layout import PageLayout, Run, WordId
from layoutllm_tool.extraction.rows import normal
from layoutllm_tool.extraction.typed import says_no, says_yes

NAMED = 0.8
"""Least likeness of a label, or of what stands before a group, and the field's words."""
SURE, LESS_SURE = 0.93, 0.75
"""Confidence of a tick in a group of which exactly one is ticked, and else."""


@dataclass(frozen=True, slots=True)
class _Group:
    page: Page
    layout: PageLayout
    choices: Sequence[Choice]

    @property
    def before(self) -> str:
        """The words of the first row that stand before its first box or label; else the row above."""
        first = min(self.choices, key=lambda one: (one.box[1], one.box[0]))
        left = min(first.box[0], first.label[0].x0)
        row = [w for w in self.layout.row_of(first.label[0]) if w.x1 <= left]
        if row:
            return _text(row)
        top = first.box[1] - 0.3 * self.layout.height
        above = self.layout.between(top - 2 * self.layout.height, top)
        return _text(sorted(above, key=lambda w: w.x0))


def ticked(document: Document, question: str, words: str, values: Sequence[str]) -> LayoutCoT | None:
    """Whether the field of these words is ticked (``values`` yes and no), or which of the values is.

    None where the page has no such boxes.
    """
    groups = [group for page in document.pages for group in _groups(page)]
    if set(values) == {"yes", "no"}:
        return next(_yes_or_no(groups, question, words), None)
    return next(_one_of(groups, question, words, values), None)


def all_ticked(document: Document, values: Sequence[str]) -> list[Evidence]:
    """The ticked labels of the group that offers most of the values."""
    groups = [group for page in document.pages for group in _groups(page)]
    best = max(groups, key=lambda group: _offered(group, values), default=None)
    if best is None or not _offered(best, values):
        return []
    return [Evidence.of(best.page, _ids(one.label)) for one in best.choices if one.ticked]


def _groups(page: Page) -> Iterator[_Group]:
    """Choices that stand together, and each row of them that has two or more."""
    layout = PageLayout(page)
    for group in choices(marked_rows(layout, page.image), layout):
        yield _Group(page, layout, group)
        rows = list(_rows_of(group, layout.height))
        yield from (_Group(page, layout, row) for row in rows if 1 < len(row) < len(group))


def _rows_of(group: Sequence[Choice], height: float) -> Iterator[list[Choice]]:
    row: list[Choice] = []
    for one in sorted(group, key=lambda one: (one.box[1] + one.box[3]) / 2):
        if row and one.box[1] + one.box[3] - row[0].box[1] - row[0].box[3] > height:
            yield row
            row = []
        row.append(one)
    if row:
        yield row


def _yes_or_no(groups: Sequence[_Group], question: str, words: str) -> Iterator[LayoutCoT]:
    """From yes and no behind the field's words, the likest first; else from a box whose label they are."""
    answered = [(likeness(group.before, words), group) for group in groups if _is_yes_no(group)]
    for score, group in sorted(answered, key=lambda found: -found[0]):
        marked = [one for one in group.choices if one.ticked]
        if score >= NAMED and len(marked) == 1:
            yield _cot(group, question, words, marked[0], _text(marked[0].label), score * SURE)
    labels = [(likeness(_text(one.label), words), group, one) for group in groups for one in group.choices]
    for score, group, one in sorted(labels, key=lambda found: -found[0]):
        if score >= NAMED:
            yield _cot(group, question, words, one, "[x]" if one.ticked else "[ ]", score * SURE)


def _one_of(groups: Sequence[_Group], question: str, words: str, values: Sequence[str]) -> Iterator[LayoutCoT]:
    """From the group that offers most of the values, or stands behind the field's words."""
    ranked = sorted(groups, key=lambda g: -(_offered(g, values) + likeness(g.before, words)))
    for group in ranked:
        if _offered(group, values) < 0.5:
            continue
        marked = [one for one in group.choices if one.ticked]
        if marked:
            sure = SURE if len(marked) == 1 else LESS_SURE
            yield _cot(group, question, words, marked[0], _text(marked[0].label), sure)


def _is_yes_no(group: _Group) -> bool:
    texts = [_text(one.label) for one in group.choices]
    return len(texts) == 2 and any(map(says_yes, texts)) and any(map(says_no, texts))


def _offered(group: _Group, values: Sequence[str]) -> float:
    """Share of the values that are labels of the group."""
    labels = [normal(_text(one.label)) for one in group.choices]
    return sum(any(fuzz.ratio(normal(v), label) >= 85 for label in labels) for v in values) / len(values)


def likeness(text: str, words: str) -> float:
    """0-1, by words in any order; a short text within a long one counts in part."""
    a, b = normal(text), normal(words)
    return max(fuzz.token_sort_ratio(a, b), 0.9 * fuzz.token_set_ratio(a, b)) / 100 if a and b else 0.0


def _cot(
    group: _Group, question: str, words: str, one: Choice, answer: str, confidence: float
) -> LayoutCoT:
    page, ids = group.page, _ids(one.label)
    lines = tuple(sorted({line for line, _ in ids}))
    return LayoutCoT(
        question, QuestionAnalysis("list", "extraction", words), (Area.of(page, lines),),
        AnswerFormation("inside", group.before), answer, round(confidence, 4), (Evidence.of(page, ids),),
    )  # fmt: skip


def _ids(run: Run) -> tuple[WordId, ...]:
    return tuple(word.id for word in run)


def _text(run: Sequence[object]) -> str:
    return " ".join(word.text for word in run)  # type: ignore[attr-defined]
