"""What people decided about a batch's answers, as LayoutCoT training examples.

A person gives an answer, seldom a place. Where the chain knows the place (an accepted or a re-read answer),
that is taken. Elsewhere ``align`` looks for the value, and of equal ones prefers the one whose key is most
like the field's name. What can't be found on the page is left out and counted: a value that OCR lost would
teach the model to invent. Boxes 0-1000.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from layoutllm_tool.batch.sources import ANYWHERE, Places, asked_pages, open_document
from layoutllm_tool.batch.store import ReviewRecord, Store
from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents import align
from layoutllm_tool.documents.align import Place
from layoutllm_tool.documents.geometry import Document, Page, box_of
from layoutllm_tool.documents.occurrences import TOP
from layoutllm_tool.errors import DocumentError, RecipeError
from layoutllm_tool.training.grounding import problem
from layoutllm_tool.training.keys import Key, keys_of
from layoutllm_tool.training.sampling import pick
from layoutllm_tool.training.schema import QA, Example
from layoutllm_tool.training.synthetic.questions import absent, unanswerable

SURE = 0.85
"""Least similarity of a person's value and its place on the page."""
NOTHING_LIKE_IT = 0.6
"""A page without anything this similar does not answer. Between this and SURE, it is left out."""
ABSENT_SHARE = 0.4
"""Questions that nothing answers, as a share of the reviewed ones, beside what people called absent."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's answer to one question; None where the document has none."""

    name: str
    """The field's."""
    question: str
    answer: str | None
    cot: LayoutCoT | None = None
    """The chain whose answer it is; None where the answer came from elsewhere."""

    @property
    def analysis(self) -> QuestionAnalysis:
        return self.cot.analysis if self.cot else QuestionAnalysis("key-value", "extraction", self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """What its key on the page may be called."""
        return tuple(filter(None, (self.name.replace("_", " "), self.analysis.key)))


@dataclass(frozen=True, slots=True)
class ReviewExamples:
    """A page each with its questions, and why decisions were left out: reason -> how often."""

    examples: tuple[Example, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def examples_of(document: Document, decisions: Iterable[Decision], *, source: str = "") -> ReviewExamples:
    """The document's pages (with their words) of which the decisions teach something."""
    asked: dict[int, list[QA]] = {}
    left_out: Counter[str] = Counter()
    for one in decisions:
        found = {page.number: qa for page in document.pages if page.lines and (qa := _asked(page, one))}
        if one.answer is not None and not any(qa.answer is not None for qa in found.values()):
            left_out["its value stands on no page"] += 1
            continue
        for number, qa in found.items():
            asked.setdefault(number, []).append(qa)
    name = source or document.name
    examples = tuple(
        _example(f"{name}/{page.number}", page, qas)
        for page in sorted(document.pages, key=lambda page: page.number)
        # Further pages on which nothing stands would teach to refuse.
        if (qas := asked.get(page.number)) and (len(asked) == 1 or any(qa.answer is not None for qa in qas))
    )
    return ReviewExamples(examples, dict(left_out))


def _example(source: str, page: Page, asked: Sequence[QA]) -> Example:
    """Add fields that the page lacks: reviews are mostly about what a document says."""
    lacking = absent(page, max(1, round(ABSENT_SHARE * len(asked))), Random(f"reviewed/{source}"))
    return Example(source, page, (*asked, *lacking))


def _asked(page: Page, decision: Decision) -> QA | None:
    """The question as this page answers it; None where that can't be told."""
    analysis = decision.analysis
    if decision.answer is None:
        return unanswerable(decision.question, analysis.key or decision.name, analysis.kind)
    if analysis.operation == "reasoning" and (qa := _formed(page, decision)):
        return qa
    place = _known(page, decision) or next(iter(_places(page, decision)), None)
    if place is not None:
        qa = _copied(page, decision, place)
        return None if problem(qa, page) else qa
    alike = align.similarity(decision.answer, page.text)
    return unanswerable(decision.question, analysis.key, analysis.kind) if alike < NOTHING_LIKE_IT else None


def _known(page: Page, decision: Decision) -> Place | None:
    """Where the chain copied the answer from, if that is what the person's answer says, on this page."""
    evidence = decision.cot.evidence if decision.cot else ()
    words = tuple(word for e in evidence if e.page == page.number for word in e.words)
    lines = page.lines or ()
    if not words or not all(i < len(lines) and j < len(lines[i].words) for i, j in words):
        return None
    try:
        return align.place_of(page, words, decision.answer or "")
    except ValueError:
        return None


def _places(page: Page, decision: Decision) -> list[Place]:
    """Where the value stands, the likeliest first."""
    areas = [area.box for area in decision.cot.areas if area.page == page.number] if decision.cot else []

    def prefer(place: Place) -> float:
        likeness = _likeness(_key(page, place, decision.names), decision.names)
        return 0.2 * likeness + 0.3 * any(area.covers(box_of(page, place.words)) for area in areas)

    return align.find(decision.answer or "", page, threshold=SURE, prefer=prefer)


def _key(page: Page, place: Place, names: Sequence[str]) -> Key:
    """Of what may be its key, what is most like the field's name; the likeliest by its place where nothing
    is.

    Text with a digit in it (a street, another value) that isn't like the name is no key.
    """
    keys = keys_of(page, place)
    beside = (k for k in keys if _likeness(k, names) > 0.5 or not any(map(str.isdigit, k.formation.key)))
    found = [*beside, Key(AnswerFormation("inside", ""), None)]
    return max(found, key=lambda key: round(_likeness(key, names), 1))


def _likeness(key: Key, names: Sequence[str]) -> float:
    text = key.formation.key
    return max((align.similarity(text, name) for name in names if text), default=0.0)


def _copied(page: Page, decision: Decision, place: Place) -> QA:
    key = _key(page, place, decision.names)
    formation = key.formation
    if key.line is None and box_of(page, place.words).y0 < TOP:
        formation = AnswerFormation("top of page", "")
    analysis = replace(decision.analysis, operation="extraction")
    return QA(decision.question, analysis, key.lines(place), formation, place.answer, place.words)


def _formed(page: Page, decision: Decision) -> QA | None:
    """An answer in other words than the page's. It follows from the area that the person looked at."""
    cot = decision.cot
    if cot is None or cot.evidence:
        return None
    lines = dict.fromkeys(line for area in cot.areas if area.page == page.number for line in area.lines)
    formation = AnswerFormation("none", cot.formation.key)
    qa = QA(decision.question, decision.analysis, tuple(lines), formation, decision.answer)
    return None if problem(qa, page) else qa


# -- from a batch ---------------------------------------------------------------


@dataclass(frozen=True)
class ReviewedPages:
    """All decisions in some batches. ``ReviewedPages.read(folders)`` reads the documents once."""

    examples: tuple[Example, ...]
    left_out: Mapping[str, int]
    seed: int = 0

    @classmethod
    def read(
        cls,
        folders: Sequence[Path],
        *,
        seed: int = 0,
        held_out: frozenset[str] = frozenset(),
        places: Places = ANYWHERE,
    ) -> ReviewedPages:
        """StoreMismatch where a folder holds no batch. RecipeError where no decision can be taught."""
        found = [one for folder in folders for one in of_batch(folder, held_out=held_out, places=places)]
        left_out = sum((Counter(one.left_out) for one in found), Counter[str]())
        examples = tuple(example for one in found for example in one.examples)
        if not examples:
            why = f": {_counted(left_out)}" if left_out else ""
            batches = ", ".join(map(str, folders)) or "no batch"
            raise RecipeError(
                f"there is nothing to learn from the reviews of {batches}{why}.",
                hint="Review answers with `layoutllm view OUT`, and name the batch with --reviewed OUT.",
            )
        return cls(examples, dict(left_out), seed)

    @property
    def facts(self) -> dict[str, str]:
        """For the weights' metadata."""
        return {"reviewed_pages": str(len(self)), "reviewed_left_out": _counted(self.left_out) or "nothing"}

    def __len__(self) -> int:
        return len(self.examples)

    def __call__(self, index: int) -> Example:
        """Pass after pass, each in an order of its own."""
        return self.examples[pick(index, len(self), f"reviewed/{self.seed}")]


def _counted(left_out: Mapping[str, int]) -> str:
    return "; ".join(f"{reason} ({count})" for reason, count in left_out.items())


def of_batch(
    folder: Path, *, held_out: frozenset[str] = frozenset(), places: Places = ANYWHERE
) -> Iterator[ReviewExamples]:
    """One a document with decisions, in the order of their keys.

    What can't be opened any more is counted, and what is held out (SHA-256 of its bytes).
    """
    with Store.open(folder) as store:
        for key, decisions in sorted(_decisions(store.decisions()).items()):
            try:
                yield _document(store, key, decisions, held_out, places)
            except DocumentError as error:
                yield ReviewExamples((), {str(error): len(decisions)})


def _document(
    store: Store, key: str, decisions: Sequence[Decision], held_out: frozenset[str], places: Places
) -> ReviewExamples:
    source, done = store.input_of(key), store.document(key)
    if source is None or done is None:
        return ReviewExamples((), {"its document has left the source": len(decisions)})
    if done.sha256 in held_out:
        return ReviewExamples((), {"its document is in the validation set": len(decisions)})
    pages = asked_pages(store.settings["plan"], source.page)
    document = open_document(source.name, pages=pages, places=places)
    if document.sha256 != done.sha256:
        return ReviewExamples((), {"its document has changed": len(decisions)})
    document = _recognised(document, tuple(store.settings.get("languages", ("eng",))))
    return examples_of(document, decisions, source=Path(source.name).name)


def _decisions(reviewed: Iterable[ReviewRecord]) -> dict[str, list[Decision]]:
    """By document."""
    found: dict[str, list[Decision]] = {}
    for one in reviewed:
        cot = LayoutCoT.from_json(one.after["cot"])
        found.setdefault(one.key, []).append(Decision(one.name, cot.question, cot.answer, cot))
    return found


def _recognised(document: Document, languages: tuple[str, ...]) -> Document:
    from layoutllm_tool.ocr import ReadingCache, recognise_page

    cache = ReadingCache.on_disk()
    pages = tuple(recognise_page(page, languages=languages, cache=cache) for page in document.pages)
    return replace(document, pages=pages)
