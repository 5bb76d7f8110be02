"""Answers that are ticked or stamped: of a box with a label, of yes and no behind a question, of a group of
choices, of a printed mark ("PAID").

The boxes are ``documents/marks.py``'s; here they meet the words of a schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.marks import Choice, choices, marked_rows
from layoutllm_tool.documents.page_layout import PageLayout, PlacedWord, Run, WordId
from layoutllm_tool.documents.search import find_exact
from layoutllm_tool.extraction.rows import Similarity, normal
from layoutllm_tool.extraction.typed import currency_of, says_no, says_yes

NAMED, MEANT = 0.8, 0.55
"""Least likeness of a label, or of what stands before a group, and the field: in letters, in meaning."""
SURE = 0.93
"""Confidence of a tick whose group's words are the field's."""


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


def ticked(
    document: Document, question: str, words: str, values: Sequence[str], similarity: Similarity
) -> LayoutCoT | None:
    """Whether the field of these words is ticked (``values`` yes and no), or which of the values is.

    None where the page has no such boxes.
    """
    groups = [group for page in document.pages for group in _groups(page)]
    if not groups:
        return None
    named = _Naming(question, words, similarity)
    if set(values) == {"yes", "no"}:
        return next(_yes_or_no(groups, named), None)
    return next(_one_of(groups, named, values), None)


def printed_mark(document: Document, question: str, mark: str) -> LayoutCoT | None:
    """Where the mark is printed, letter for letter; None where it is not."""
    for page in document.pages:
        if found := next(iter(find_exact(PageLayout(page), mark)), None):
            ids = _ids(found.words)
            area = Area.of(page, tuple(sorted({line for line, _ in ids})))
            analysis, evidence = QuestionAnalysis("title", "extraction", mark), Evidence.of(page, ids)
            formed = AnswerFormation("inside", "")
            return LayoutCoT(question, analysis, (area,), formed, evidence.text, SURE, (evidence,))
    return None


def printed_currency(document: Document, question: str, codes: Sequence[str]) -> LayoutCoT | None:
    """The currency that most amounts on the pages stand in, of those that the codes allow; None without."""
    counted: dict[str, list[tuple[Page, WordId]]] = {}
    for page in document.pages:
        for number, line in enumerate(page.lines or ()):
            for at, word in enumerate(line.words):
                if (code := currency_of(word.text, codes)) is not None:
                    counted.setdefault(str(code), []).append((page, (number, at)))
    if not counted:
        return None
    code = max(counted, key=lambda name: len(counted[name]))
    page, found = counted[code][0]
    sure = SURE * len(counted[code]) / sum(map(len, counted.values()))
    analysis, evidence = QuestionAnalysis("other", "reasoning", "currency"), Evidence.of(page, (found,))
    area, formed = Area.of(page, (found[0],)), AnswerFormation("inside", "")
    return LayoutCoT(question, analysis, (area,), formed, evidence.text, round(sure, 4), (evidence,))


@dataclass(frozen=True, slots=True)
class _Naming:
    """How near a text of the page is to what is asked for."""

    question: str
    words: str
    similarity: Similarity

    def score(self, text: str) -> float:
        """0-1; 0 where neither letters nor meaning are near enough."""
        letters = max(likeness(text, self.words), likeness(text, self.question))
        if letters >= NAMED or not text:
            return letters if text else 0.0
        meaning = max(row[0] for row in self.similarity([self.words, self.question], [text]))
        return meaning if meaning >= MEANT else 0.0


def all_ticked(document: Document, question: str, words: str, values: Sequence[str]) -> LayoutCoT | None:
    """All ticked labels of the group that offers most of the values; None where no group offers two."""
    groups = [group for page in document.pages for group in _groups(page)]
    best = max(groups, key=lambda g: (_offered(g, values), -len(g.choices)), default=None)
    if best is None or _offered(best, values) * len(values) < 2:
        return None
    found = tuple(Evidence.of(best.page, _ids(one.label)) for one in best.choices if one.ticked)
    analysis = QuestionAnalysis("list", "extraction", words)
    if not found:
        return LayoutCoT(question, analysis, (), AnswerFormation("none", ""), None, SURE)
    area = Area.of(best.page, sorted({line for one in found for line, _ in one.words}))
    answer = "; ".join(one.text for one in found)
    return LayoutCoT(question, analysis, (area,), AnswerFormation("inside", ""), answer, SURE, found)


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


def _yes_or_no(groups: Sequence[_Group], named: _Naming) -> Iterator[LayoutCoT]:
    """From yes and no behind the field's words, the likest first; else from a box whose label they are."""
    answered = [(named.score(group.before), group) for group in groups if _is_yes_no(group)]
    for score, group in sorted(answered, key=lambda found: -found[0]):
        marked = [one for one in group.choices if one.ticked]
        if score and len(marked) == 1:
            yield _cot(group, named, marked[0], _text(marked[0].label), score)
    labels = [(named.score(_text(one.label)), group, one) for group in groups for one in group.choices]
    for score, group, one in sorted(labels, key=lambda found: -found[0]):
        if score:
            yield _cot(group, named, one, "[x]" if one.ticked else "[ ]", score)


def _one_of(groups: Sequence[_Group], named: _Naming, values: Sequence[str]) -> Iterator[LayoutCoT]:
    """From the group that offers most of the values, or stands behind the field's words."""
    ranked = sorted(groups, key=lambda g: (-_offered(g, values) - named.score(g.before), len(g.choices)))
    for group in ranked:
        marked = [one for one in group.choices if one.ticked]
        if _offered(group, values) >= 0.5 and marked:
            yield _cot(group, named, marked[0], _text(marked[0].label), 1.0 if len(marked) == 1 else 0.8)


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


def _cot(group: _Group, named: _Naming, one: Choice, answer: str, score: float) -> LayoutCoT:
    page, ids = group.page, _ids(one.label)
    lines = tuple(sorted({line for line, _ in ids}))
    return LayoutCoT(
        named.question, QuestionAnalysis("list", "extraction", named.words), (Area.of(page, lines),),
        AnswerFormation("inside", group.before), answer, round(SURE * (0.5 + score / 2), 4),
        (Evidence.of(page, ids),),
    )  # fmt: skip


def _ids(run: Run) -> tuple[WordId, ...]:
    return tuple(word.id for word in run)


def _text(run: Sequence[PlacedWord]) -> str:
    return " ".join(word.text for word in run)
