"""What people said of a batch's answers, as LayoutCoT training examples: the way from a review back into the weights.

A person gives an answer, seldom a place. Where the chain knows the place (an accepted or a read-again answer), that is taken;
elsewhere ``align`` looks for the value, and of equal ones prefers the one whose key sounds like the field. What can't be found
on the page is left out and counted: a value that OCR lost would teach the model to invent. Boxes 0-1000.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from layoutllm_tool.batch.sources import ANYWHERE, Places, asked_pages, open_document
from layoutllm_tool.batch.store import Reviewed, Store
from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import DocumentError, RecipeError
from layoutllm_tool.training import align
from layoutllm_tool.training.align import Place
from layoutllm_tool.training.factory.questions import absent, unanswerable
from layoutllm_tool.training.grounding import TOP, problem
from layoutllm_tool.training.keys import Key, keys_of
from layoutllm_tool.training.sampling import pick
from layoutllm_tool.training.schema import QA, Example

SURE = 0.85
"""Least similarity of a person's value and its place on the page."""
NOTHING_LIKE_IT = 0.6
"""A page on which nothing is more like the value than this does not answer; in between nobody knows, and it is left out."""
ABSENT_SHARE = 0.4
"""Questions that nothing answers, as a share of the reviewed ones, beside what people called absent."""


@dataclass(frozen=True, slots=True)
class Said:
    """A person's word on one question: its answer, None where the document has none."""

    name: str
    """The field's."""
    question: str
    answer: str | None
    cot: LayoutCoT | None = None
    """The chain whose answer it is; None where the answer came from elsewhere."""


@dataclass(frozen=True, slots=True)
class Taught:
    """A page each with its questions, and why others were left out: reason -> how often."""

    examples: tuple[Example, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def examples_of(document: Document, said: Iterable[Said], *, source: str = "") -> Taught:
    """The document's pages (with their words) that a person's words teach something of."""
    words = list(said)
    asked: dict[int, list[QA]] = {}
    left_out: Counter[str] = Counter()
    for one in words:
        found = {page.number: qa for page in document.pages if page.lines and (qa := _asked(page, one))}
        if one.answer is not None and not any(qa.answer is not None for qa in found.values()):
            left_out["its value stands on no page"] += 1
            continue
        for number, qa in found.items():
            asked.setdefault(number, []).append(qa)
    pages = {page.number: page for page in document.pages}
    # Further pages on which nothing stands would teach to refuse.
    teaching = [n for n, qas in asked.items() if len(asked) == 1 or any(qa.answer is not None for qa in qas)]
    name = source or document.name
    examples = tuple(_example(f"{name}/{n}", pages[n], asked[n]) for n in sorted(teaching))
    return Taught(examples, dict(left_out))


def _example(source: str, page: Page, asked: Sequence[QA]) -> Example:
    """With fields that the page lacks: people review what a document says, and from that alone a model unlearns to refuse."""
    lacking = absent(page, max(1, round(ABSENT_SHARE * len(asked))), Random(f"reviewed/{source}"))
    return Example(source, page, (*asked, *lacking))


def _asked(page: Page, said: Said) -> QA | None:
    """The question as this page answers it; None where that can't be told."""
    analysis = said.cot.analysis if said.cot else QuestionAnalysis("key-value", "extraction", said.name)
    if said.answer is None:
        return unanswerable(said.question, analysis.key or said.name, analysis.kind)
    formed = analysis.operation == "reasoning" and said.cot is not None and not said.cot.evidence
    if formed and (qa := _formed(page, said, analysis)):
        return qa
    names = (said.name.replace("_", " "), analysis.key)
    places = [place] if (place := _known(page, said)) else _places(page, said, names)
    if not places:
        alike = align.similarity(said.answer, page.text)
        return unanswerable(said.question, analysis.key, analysis.kind) if alike < NOTHING_LIKE_IT else None
    qa = _copied(page, said, replace(analysis, operation="extraction"), places[0], names)
    return None if problem(qa, page) else qa


def _known(page: Page, said: Said) -> Place | None:
    """Where the chain copied the answer from, if that is what the person's answer says, on this page."""
    evidence = [e for e in said.cot.evidence if e.page == page.number] if said.cot else []
    words = tuple(word for e in evidence for word in e.words)
    lines = page.lines or ()
    if not words or not all(i < len(lines) and j < len(lines[i].words) for i, j in words):
        return None
    try:
        return align.place_of(page, words, said.answer or "")
    except ValueError:
        return None


def _places(page: Page, said: Said, names: Sequence[str]) -> list[Place]:
    """Where the value stands, the likeliest first."""
    areas = [area.box for area in said.cot.areas if area.page == page.number] if said.cot else []

    def prefer(place: Place) -> float:
        sounds = _sounds(_key(page, place, names), names)
        return 0.2 * sounds + 0.3 * any(area.covers(align.box_of(page, place.words)) for area in areas)

    return align.find(said.answer or "", page, threshold=SURE, prefer=prefer)


def _key(page: Page, place: Place, names: Sequence[str]) -> Key:
    """Of what may be its key, what sounds most like the field; the likeliest by its place where nothing does.

    Text with a figure in it (a street, another value) that doesn't sound like the field is no key.
    """
    beside = (k for k in keys_of(page, place) if _sounds(k, names) > 0.5 or not any(map(str.isdigit, k.formation.key)))
    found = [*beside, Key(AnswerFormation("inside", ""), None)]
    return max(found, key=lambda key: round(_sounds(key, names), 1))


def _sounds(key: Key, names: Sequence[str]) -> float:
    text = key.formation.key
    return max((align.similarity(text, name) for name in names if text and name), default=0.0)


def _copied(page: Page, said: Said, analysis: QuestionAnalysis, place: Place, names: Sequence[str]) -> QA:
    key = _key(page, place, names)
    formation = key.formation
    if key.line is None and align.box_of(page, place.words).y0 < TOP:
        formation = AnswerFormation("top of page", "")
    return QA(said.question, analysis, key.lines(place), formation, place.answer, place.words)


def _formed(page: Page, said: Said, analysis: QuestionAnalysis) -> QA | None:
    """An answer in other words than the page's: what it follows from is the area that the person looked at."""
    cot = said.cot
    if cot is None:
        return None
    lines = tuple(line for area in cot.areas if area.page == page.number for line in area.lines)
    formation = AnswerFormation("none", cot.formation.key)
    qa = QA(said.question, analysis, tuple(dict.fromkeys(lines)), formation, said.answer)
    return None if problem(qa, page) else qa


# -- from a batch -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReviewedPages:
    """All that people said in some batches; ``ReviewedPages.read(folders)`` opens and reads the documents once."""

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
        """StoreMismatch where a folder holds no batch; RecipeError where nobody has reviewed anything that can be taught."""
        taught = [one for folder in folders for one in of_batch(folder, held_out=held_out, places=places)]
        left_out = sum((Counter(one.left_out) for one in taught), Counter[str]())
        found = tuple(example for one in taught for example in one.examples)
        if not found:
            why = f": {_counted(left_out)}" if left_out else ""
            raise RecipeError(
                f"there is nothing to learn from the reviews of {', '.join(map(str, folders)) or 'no batch'}{why}.",
                hint="Review answers with `layoutllm view OUT`, and name the batch with --reviewed OUT.",
            )
        return cls(found, dict(left_out), seed)

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


def of_batch(folder: Path, *, held_out: frozenset[str] = frozenset(), places: Places = ANYWHERE) -> Iterator[Taught]:
    """A document each that somebody said something of, in the order of their keys. What can't be opened any more is counted, and
    what is held out (SHA-256 of its bytes)."""
    with Store.open(folder) as store:
        languages, plan = tuple(store.settings.get("languages", ("eng",))), store.settings["plan"]
        for key, said in sorted(_said_of(store.decisions()).items()):
            source, done = store.input_of(key), store.document(key)
            if source is None or done is None:
                yield Taught((), {"its document has left the source": len(said)})
                continue
            if done.sha256 in held_out:
                yield Taught((), {"its document is in the frozen set": len(said)})
                continue
            try:
                document = open_document(source.name, pages=asked_pages(plan, source.page), places=places)
                if document.sha256 != done.sha256:
                    yield Taught((), {"its document has changed": len(said)})
                    continue
                yield examples_of(_read(document, languages), said, source=Path(source.name).name)
            except DocumentError as error:
                yield Taught((), {str(error): len(said)})


def _said_of(decisions: Iterable[Reviewed]) -> dict[str, list[Said]]:
    """By document."""
    found: dict[str, list[Said]] = {}
    for one in decisions:
        cot = LayoutCoT.from_json(one.after["cot"])
        found.setdefault(one.key, []).append(Said(one.name, cot.question, cot.answer, cot))
    return found


def _read(document: Document, languages: tuple[str, ...]) -> Document:
    from layoutllm_tool.ocr import ReadingCache, recognise_page

    cache = ReadingCache.on_disk()
    pages = tuple(recognise_page(page, languages=languages, cache=cache) for page in document.pages)
    return replace(document, pages=pages)
