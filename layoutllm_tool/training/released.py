"""The authors' released data: Layout-Instruction-Data, Apache-2.0, ModelScope ``iic``.

Known from public threads: about 116k dense descriptions (DocILE, RVL-CDIP) and 300k SFT instructions, with
and without LayoutCoT; ``LayoutLLM_data/pretrain_data/ocr_results/RVL_CDIP/<picture's file name>.json``;
``eval_data/VIE_CORD.jsonl``. The fields inside the files could *not* be verified. LLaVA's form is expected
(``id``, ``image``, ``conversations`` of ``from`` and ``value``), with OCR in any of the usual forms. How the
authors wrote the three steps was published as pictures only: headings are looked for in several spellings,
and what the text leaves open is found on the page. Names and patterns are in ``released.toml``. What fits
none is skipped and counted.

Evaluation data (FUNSD, CORD, SROIE) is refused. RVL-CDIP and FUNSD come from one archive: a FUNSD page under
another name is *not* noticed. File names in the data never lead out of the folder.

Files may be far larger than memory. What a stage can use is sorted out once, by the text alone, into an index
under the user's cache directory: a JSON line a picture, with its items. Pages, OCR results and boxes are
looked at when their turn comes. A page that can't be used gives its turn to another one, the same every time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, islice, pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from layoutllm_tool.cot import AnswerFormation, Kind, QuestionAnalysis, Relation
from layoutllm_tool.documents.align import Place, find, similarity
from layoutllm_tool.documents.geometry import SCALE, Box, Line, Page, Word
from layoutllm_tool.documents.occurrences import fits, occurrences
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.errors import DocumentError, DocumentNotFound, RecipeError, TrainingError
from layoutllm_tool.model.fetched import home
from layoutllm_tool.training.grounding import copied, copied_alone, key_beside, problem
from layoutllm_tool.training.keys import EDGES, key_of
from layoutllm_tool.training.pretraining.files import line_at, offsets, picture, read_items, read_json, spread
from layoutllm_tool.training.sampling import pick
from layoutllm_tool.training.schema import QA, Example, Instruction, Task

if TYPE_CHECKING:
    from PIL.Image import Image

Wanted = Literal["layoutcot", "pretraining"]
"""What a stage learns from: questions with their three steps, or the seven tasks."""
Frame = Literal["pixels", "thousandths"]
"""Of the boxes of OCR results."""
Corners = tuple[float, float, float, float]

MOST_TURNS = 200
_MOST_ITEMS = 500
"""Items about one picture that are taken together."""
_DEEPEST, _MOST_FOLDERS = 5, 2_000
TRIED = 200
"""Pages looked at, one after another, before the data are given up."""
MOST_ENTRIES, _MOST_TEXT, _DEEPEST_ENTRY = 5_000, 2_000, 4
"""Of an OCR result: entries, characters of one, objects around them."""
MOST_LINES = 24
"""Lines that the area of a formed answer may have."""
LONGEST = 8_000
"""Characters of a question or an answer."""
_OUTSIDE = 0.02
"""A box may reach over the page's edge by this share of its size."""

_DATA: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_FIELDS: dict[str, list[str]] = _DATA["fields"]
_PATTERNS = _DATA["patterns"]
_ANSWER, _ABSENT, _REASONING = (
    re.compile(_PATTERNS[name], re.I) for name in ("answer", "absent", "reasoning")
)
_STEPS = [(re.compile(step["name"], re.I), re.compile(step["number"], re.I)) for step in _PATTERNS["steps"]]
_VALUE = r" {0,3}(-?\d{1,9}(?:\.\d{1,9})?) {0,3}"
_BOX = re.compile(rf"[\[({{<]{_VALUE},{_VALUE},{_VALUE},{_VALUE}[\])}}>]")
_QUOTED = re.compile(r"[\"“”]([^\"“”\n]{1,80})[\"“”]|(?<!\w)'([^'\n]{1,80})'(?!\w)")
_EVALUATION = re.compile(r"(?<![a-z])(?:funsd|cord|sroie|eval_data)(?![a-z])", re.I)
_PLACEHOLDER = re.compile(r"\s*<(?:image|document|doc|ocr)>\s*", re.I)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z+]*:")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ROLES = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
_HIDDEN = ("MVLM", "MPI")
"""Tasks that can't be used: what they hide is not given."""
_TYPES: dict[Wanted, type[QA] | type[Instruction]] = {"layoutcot": QA, "pretraining": Instruction}
_HINTS: dict[Wanted, str] = {
    "layoutcot": "Name the instructions for fine-tuning, whose answers have the three steps.",
    "pretraining": "Name the instructions for pre-training too, or take a recipe without that stage.",
}


@dataclass(frozen=True)
class Released:
    """Examples out of one file of instructions (a JSON list or JSON Lines), read a little at a time, as often
    as asked.

    ``skipped`` counts, over all readings, what could not be used: reason -> items or turns.
    """

    instructions: Path
    folder: Path
    """Holds the pictures and OCR results, at any depth up to five."""
    frame: Frame = "pixels"
    """Of the OCR's boxes. Boxes inside answers are taken as 0-1000, as in the paper."""
    skipped: Counter[str] = field(default_factory=Counter, compare=False)

    def __post_init__(self) -> None:
        name = self.instructions.name
        if _EVALUATION.search(f"{self.instructions.parent.name}/{name}"):
            hint = "Train on the instructions of pretrain_data or sft_data."
            raise TrainingError(f"{name} is evaluation data.", hint=hint)
        if not self.instructions.is_file() or not self.folder.is_dir():
            missing = self.folder if self.instructions.is_file() else self.instructions
            hint = "Give a file of instructions and the folder of its pages."
            raise DocumentNotFound(f"{missing} is missing.", hint=hint)

    def __iter__(self) -> Iterator[Example]:
        """One example for each run of items about one picture. Raises as ``read_items``."""
        return (example for items in self.groups() if (example := self.example(items)) is not None)

    def groups(self) -> Iterator[list[Mapping[str, Any]]]:
        """The usable items, those of a run about the same picture together."""
        items = filter(self._is_usable, read_items(self.instructions))
        return (list(islice(group, _MOST_ITEMS)) for _, group in groupby(items, key=_picture_name))

    def example(self, items: Sequence[Mapping[str, Any]]) -> Example | None:
        """The page of items about one picture, with their questions; None without page or questions."""
        name = _picture_name(items[0])
        page = self._page(name, items[0])
        if isinstance(page, str):
            self.skipped[page] += len(items)
            return None
        questions = tuple(q for item in items for q in self._questions(item, page))
        source = f"released/{self.instructions.stem}/{Path(name).name}"
        return Example(source, page, questions) if questions else None

    def _is_usable(self, item: Any) -> bool:
        if reason := _refusal(item):
            self.skipped[reason] += 1
        return not reason

    def _questions(self, item: Mapping[str, Any], page: Page) -> Iterator[QA | Instruction]:
        turns = _turns(item)
        if not turns:
            self.skipped["no conversation"] += 1
        for question, answer in turns:
            found = question_of(question, answer, page)
            if isinstance(found, str):
                self.skipped[found] += 1
            else:
                yield found

    def _page(self, name: str, item: Mapping[str, Any]) -> Page | str:
        """The page by its OCR result, with its picture where that is there."""
        given = _first(item, "ocr")
        file = Path(name).name
        names = [given, Path(given).name] if isinstance(given, str) else []
        path = self._find([*names, f"{file}.json", f"{Path(file).stem}.json"], name, (".json",))
        if path is None and not isinstance(given, list | dict):
            return "no OCR result"
        try:
            raw = given if path is None else read_json(path)
            image = self._find([name, file], name, _PICTURES)
            return page_of(raw, picture(image.parent, image.name) if image else None, self.frame)
        except DocumentError:
            return "a damaged file"

    def _find(self, names: list[str], near: str, kinds: tuple[str, ...]) -> Path | None:
        """The first name that is a file in a folder. Folders named in the path ``near`` come first."""
        parts = set(Path(near).parts)
        order = sorted(self._folders, key=lambda folder: (folder.name not in parts, folder))
        for name in names:
            for folder in order:
                if os.path.isfile(folder / name):  # False for a name that no file can have
                    real = (folder / name).resolve()
                    if real.is_relative_to(self._folders[0]) and real.suffix.lower() in kinds:
                        return real
        return None

    @cached_property
    def _folders(self) -> tuple[Path, ...]:
        """The folder and those below it. Links are not followed."""
        root, found = self.folder.resolve(), []
        for where, below, _ in os.walk(root):
            depth = len(Path(where).relative_to(root).parts)
            below[:] = sorted(below) if depth < _DEEPEST else []
            found.append(Path(where))
            if len(found) >= _MOST_FOLDERS:
                break
        return tuple(found)


def _first(item: Mapping[str, Any], what: str, kind: Any = object) -> Any:
    """The first value under the field's names that is of this type and not empty."""
    return next((item[n] for n in _FIELDS[what] if item.get(n) and isinstance(item[n], kind)), None)


def _refusal(item: Any) -> str:
    """Why an item can't be used; "" where it can."""
    if not isinstance(item, dict):
        return "not an object"
    name = _picture_name(item)
    if not name:
        return "no picture named"
    if _EVALUATION.search(name):
        return "evaluation data"
    paths = [name, *(item[key] for key in _FIELDS["ocr"] if isinstance(item.get(key), str))]
    return "" if all(map(_inside, paths)) else "a path that leads out of the folder"


def _picture_name(item: Mapping[str, Any]) -> str:
    match _first(item, "picture"):
        case str(name) | [str(name)]:
            return name.replace("\\", "/")
    return ""


def _inside(name: str) -> bool:
    """Whether a relative path stays below where it starts."""
    path = Path(name)
    return not (path.is_absolute() or ".." in path.parts or "\0" in name or _SCHEME.match(name))


def _turns(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Questions, without placeholders of the picture, and the answers that follow them."""
    turns = [_turn(turn) for turn in (_first(item, "turns", list) or [])[: 2 * MOST_TURNS]]
    return [
        (_PLACEHOLDER.sub(" ", question).strip(), answer)
        for (who, question), (other, answer) in pairwise(turns)
        if (who, other) == ("human", "gpt")
    ]


def _turn(turn: Any) -> tuple[str, str]:
    """Who speaks, and the text; ("", "") where that can't be told."""
    match turn:
        case {"from": str(who), "value": str(text)} | {"role": str(who), "content": str(text)}:
            return _ROLES.get(who, ""), text
    return "", ""


# -- any page at any time ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReleasedPages:
    """The index-th page with its questions of one kind, a function of (files, seed, index) alone.

    ``ReleasedPages.read(files, "layoutcot")`` makes the index or finds it. Can be pickled, as worker
    processes need.
    """

    files: tuple[Released, ...]
    wanted: Wanted
    index: Path
    offsets: list[int] = field(repr=False, compare=False)
    """Of the pictures' lines, in bytes."""
    digest: str = ""
    """SHA-256 of the index: of every word that is trained on, not of the pictures."""
    seed: int = 0

    @classmethod
    def read(cls, sources: Sequence[Released], wanted: Wanted, *, seed: int = 0) -> ReleasedPages:
        """RecipeError where the files hold nothing of this kind. DocumentUnreadable where one is no JSON."""
        folder = home() / "released"
        folder.mkdir(parents=True, exist_ok=True)
        index = folder / f"{_content(sources)}-{wanted}.jsonl"
        end = _end(index) or _write(index, sources, wanted)
        *lines, _ = offsets(index)
        if not lines:
            names = ", ".join(source.instructions.name for source in sources)
            why = "; ".join(f"{reason} ({count})" for reason, count in end["skipped"].items())
            reason = f"{names}: nothing for the data {wanted!r}{f': {why}' if why else ''}."
            raise RecipeError(reason, hint=_HINTS[wanted])
        return cls(tuple(sources), wanted, index, lines, end["sha256"], seed)

    def __len__(self) -> int:
        """Pictures, those included that will turn out to be of no use."""
        return len(self.offsets)

    def __call__(self, index: int) -> Example:
        """RecipeError where none of many pages can be used, with the reasons."""
        rng = Random(f"released/{self.seed}/{index}")
        at, why = pick(index, len(self), f"released/{self.seed}"), Counter[str]()
        for _ in range(TRIED):
            example, skipped = self.at(at)
            if example is not None:
                return example
            why.update(skipped)
            at = rng.randrange(len(self))
        raise RecipeError(
            f"none of {TRIED} pages of the released data could be used: {dict(why)}.",
            hint="Does the folder hold pictures and OCR results, their boxes in pixels (--released-boxes)?",
        )

    def at(self, number: int) -> tuple[Example | None, Counter[str]]:
        """The number-th page with its questions of the wanted kind; None, and why, where there is none."""
        of, items = json.loads(line_at(self.index, self.offsets[number]))
        source = self.files[of]
        before = Counter(source.skipped)
        example = source.example(items)
        if example is not None:
            questions = tuple(q for q in example.questions if isinstance(q, _TYPES[self.wanted]))
            example = replace(example, questions=questions) if questions else None
        return example, source.skipped - before


def _content(sources: Sequence[Released]) -> str:
    """A name by what the files say: a changed one gets an index of its own."""
    found = hashlib.sha256()
    for source in sources:
        with source.instructions.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]


def _end(index: Path) -> dict[str, Any]:
    """The index's last line: its SHA-256 and what was skipped; {} where there is no whole index."""
    lines = offsets(index) if index.is_file() else []
    try:
        end = json.loads(line_at(index, lines[-1])) if lines else {}
    except ValueError:
        return {}
    return end if isinstance(end, dict) else {}


def _write(index: Path, sources: Sequence[Released], wanted: Wanted) -> dict[str, Any]:
    """Its last line. Two processes at once write the same bytes, each into a file of its own until it is
    whole."""
    skipped, found = Counter[str](), hashlib.sha256()
    part = index.with_name(f"{index.name}.{os.getpid()}.part")
    with part.open("wb") as out:
        for of, source in enumerate(sources):
            for group in replace(source, skipped=skipped).groups():
                if items := [item for item in group if _has(item, wanted)]:
                    line = json.dumps([of, items]).encode() + b"\n"
                    found.update(line)
                    out.write(line)
        end = {"skipped": skipped, "sha256": found.hexdigest()}
        out.write(json.dumps(end).encode() + b"\n")
    part.replace(index)
    return end


def _has(item: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether one of its turns looks like what is wanted, by the text alone."""
    return any(_kind_of(question, answer) == wanted for question, answer in _turns(item))


def _kind_of(question: str, text: str) -> Wanted | None:
    """What ``question_of`` would make of it if it fits the page."""
    if len(text) <= LONGEST and steps_of(text):
        return "layoutcot"
    return "pretraining" if task_of(question) not in (None, *_HIDDEN) else None


# -- the text of an instruction ------------------------------------------------------------------------------


class Steps(NamedTuple):
    """The three steps' texts and the answer as written."""

    analysis: str
    area: str
    formation: str
    answer: str


def question_of(question: str, text: str, page: Page) -> QA | Instruction | str:
    """A question and its answer text, mapped to the page; the reason where that can't be done."""
    if not question or not text.strip():
        return "an empty question or answer"
    if len(question) > LONGEST or len(text) > LONGEST:
        return "a question or answer that is too long"
    if not all(c.isprintable() or c.isspace() for c in question + text):
        return "a question or answer with control characters"
    if steps := steps_of(text):
        found = _qa(question, steps, page)
        return found if isinstance(found, str) else problem(found, page) or found
    task = task_of(question)
    if task in _HIDDEN:
        return "a task whose hidden words are not given"
    return Instruction(task, question, text.strip()) if task else "no LayoutCoT in the answer"


def task_of(question: str) -> Task | None:
    """The pre-training task that a question belongs to by its phrasing."""
    return cast("Task | None", _named("tasks", " ".join(question.split())))


def steps_of(text: str) -> Steps | None:
    """The steps, by their names or numbers; None where one of them or the answer is missing."""
    headings: list[tuple[int, int]] = []
    for name, number in _STEPS:
        start = headings[-1][1] if headings else 0
        found = name.search(text, start) or number.search(text, start)
        if found is None:
            return None
        headings.append(found.span())
    first, second, third = headings
    rest = text[third[1] :]
    answers = list(_ANSWER.finditer(rest))
    if not answers:
        return None
    answer = rest[answers[-1].end() :].strip().split("\n")[0]
    formation = rest[: answers[-1].start()].strip()
    return Steps(text[first[1] : second[0]].strip(), text[second[1] : third[0]].strip(), formation, answer)


def area_of(text: str) -> Box | str:
    """Around the boxes (0-1000, or shares) that a text names, or why there is none."""
    found = [tuple(map(float, match.groups())) for match in _BOX.finditer(text)]
    if not found:
        return "no box in step 2"
    scale = SCALE if max(max(box) for box in found) <= 1 else 1
    try:
        return Box.union(Box(*(scale * value for value in box)) for box in found)
    except ValueError:
        return "a box in step 2 that is none"


def _qa(question: str, steps: Steps, page: Page) -> QA | str:
    answer = _bare(steps.answer)
    if not answer:
        return "no answer"
    reasoning = bool(_REASONING.search(steps.analysis))
    kind = cast(Kind, _named("kinds", steps.analysis) or "other")
    key = next(iter(_quotes(steps.analysis) or _quotes(question)), "") or question.strip(" ?")[:80]
    extraction = QuestionAnalysis(kind, "extraction", key)
    if _ABSENT.search(steps.answer):
        return QA(question, extraction, (), AnswerFormation("none", ""), None)
    area = area_of(steps.area)
    if isinstance(area, str):
        return area
    lines = page.lines_in(area)
    if not lines:
        return "no line of the page in the area"
    place = next((p for text in (answer, answer.rstrip(".")) for p in occurrences(text, page, lines)), None)
    if place and not reasoning:
        return _copied(question, extraction, steps.formation, place, page)
    if len(lines) > MOST_LINES:
        return "an area of too many lines for a formed answer"
    area_text = " ".join((page.lines or ())[i].text for i in lines)
    if not place and not reasoning and similarity(answer, area_text) >= 0.8:  # copied from another OCR
        return "the answer is written differently on the page"
    formation = AnswerFormation("none", _quoted_key(steps.formation, answer, page, lines))
    return QA(question, QuestionAnalysis(kind, "reasoning", key), lines, formation, answer)


def _copied(question: str, analysis: QuestionAnalysis, formation: str, place: Place, page: Page) -> QA:
    """With the key and relation that step 3 names if the page shows them, else with the page's own."""
    named = cast("Relation | None", _named("relations", formation))
    relations: tuple[Relation, ...] = (named,) if named else ("inside", "right of", "below")
    for text in _quotes(formation) if named != "top of page" else ():
        if found := key_beside(text, relations, place, page):
            return copied(place, question, analysis, found)
    if named == "top of page" and fits(named, None, place, page):
        return copied_alone(place, question, analysis, named)
    key = key_of(page, place)
    return QA(question, analysis, key.lines(place), key.formation, place.answer, place.words)


def _quoted_key(formation: str, answer: str, page: Page, lines: tuple[int, ...]) -> str:
    """The first text that step 3 quotes and that stands in the area."""
    for text in _quotes(formation):
        for place in find(text, page, threshold=0.85):
            if text != answer and set(place.lines) <= set(lines):
                return place.answer.strip(EDGES)
    return ""


def _named(table: str, text: str) -> str | None:
    """The name beside the first of the table's patterns that the text matches."""
    return next((name for pattern, name in _PATTERNS[table] if re.search(pattern, text, re.I)), None)


def _quotes(text: str) -> list[str]:
    return [found for a, b in _QUOTED.findall(text) if (found := (a or b).strip())]


def _bare(answer: str) -> str:
    """Without quotation marks, stars and spaces around it."""
    text = " ".join(answer.split()).strip("*` ")
    for mark in ('"', "'", "“”"):
        if len(text) > 1 and text[0] in mark and text.rstrip(".")[-1:] in mark:
            text = text.rstrip(".")[1:-1].strip()
    return text


# -- OCR results ---------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """A text and its corners x0, y0, x1, y1 in the file's own frame, with its words where they are given."""

    text: str
    corners: Corners
    words: tuple[_Entry, ...] = ()


def page_of(raw: Any, image: Image | None, frame: Frame) -> Page | str:
    """The page of an OCR result, or why there is none. Pixels need a size: the picture's, or the file's own.

    Forms: a list of {text, box}; an object that holds such a list, perhaps with the page's size; lines with
    ``words`` inside; two lists side by side (texts and boxes). Boxes: four numbers, eight numbers, four
    points. Rotated pages are *not* turned.
    """
    entries = list(_entries(raw))
    if not entries:
        return "no words in the OCR result"
    if len(entries) > MOST_ENTRIES:
        return "too many words in the OCR result"
    size = image.size if image else _size(raw)
    if size is None and frame == "pixels":
        return "a page of unknown size"
    width, height = size or (1000, 1000)
    scale = (width, height) if frame == "pixels" else (SCALE, SCALE)
    if any(_outside(entry, scale) for entry in entries):
        return "boxes outside the page"
    lines = tuple(line for entry in entries if (line := _line(entry, scale)))
    if not lines:
        return "no words in the OCR result"
    words = [word for line in lines for word in line.words]
    if len(words) <= 1.2 * len(lines):  # entries are words, not lines
        lines = tuple(group_lines(words, width=width, height=height))
    return Page(1, width, height, lines, image, "given")


def _entries(raw: Any, depth: int = 0) -> Iterator[_Entry]:
    if depth > _DEEPEST_ENTRY:
        return
    if isinstance(raw, list):
        for item in raw[: MOST_ENTRIES + 1]:
            if entry := _entry(item):
                yield entry
            elif isinstance(item, dict):
                yield from _entries(item, depth + 1)
    elif isinstance(raw, dict):
        texts, boxes = _first(raw, "texts", list) or [], _first(raw, "boxes", list) or []
        if texts and len(texts) == len(boxes):
            pairs = zip(texts[: MOST_ENTRIES + 1], boxes, strict=False)
            yield from filter(None, (_entry({"text": text, "box": box}) for text, box in pairs))
        else:
            yield from _entries(_first(raw, "entries", list | dict), depth + 1)


def _entry(item: Any, *, words: bool = True) -> _Entry | None:
    """None where it is none; ``words`` False leaves its words out."""
    match item:
        case [box, [text, *_]]:  # PaddleOCR: [four points, [text, confidence]]
            own = None
        case dict():
            text, box, own = _first(item, "text", str), _first(item, "box", list), item.get("words")
        case _:
            return None
    corners = _corners(box)
    if not isinstance(text, str) or len(text) > _MOST_TEXT or not text.split() or not corners:
        return None
    parts = own[:MOST_ENTRIES] if words and isinstance(own, list) else ()
    made = (_entry(part, words=False) for part in parts)
    return None if _SURROGATE.search(text) else _Entry(text, corners, tuple(filter(None, made)))


def _corners(box: Any) -> Corners | None:
    """Of four numbers, eight numbers or points."""
    points = box if isinstance(box, list) else []
    numbers = [n for point in points for n in (point if isinstance(point, list) else (point,))]
    if len(numbers) not in (4, 8) or not all(map(_is_number, numbers)):
        return None
    xs, ys = numbers[0::2], numbers[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


def _size(raw: Any) -> tuple[int, int] | None:
    """The page's width and height where the file gives them."""
    if not isinstance(raw, dict):
        return None
    for facts in (raw, *(raw[name] for name in _FIELDS["size"] if isinstance(raw.get(name), dict))):
        for across, down in (("width", "height"), ("w", "h")):
            size = facts.get(across), facts.get(down)
            if all(_is_number(value) and 1 <= value <= 50_000 for value in size):
                return int(size[0]), int(size[1])
    return None


def _outside(entry: _Entry, scale: tuple[float, float]) -> bool:
    x0, y0, x1, y1 = entry.corners
    across, down = scale
    return min(x0 / across, y0 / down) < -_OUTSIDE or max(x1 / across, y1 / down) > 1 + _OUTSIDE


def _line(entry: _Entry, scale: tuple[float, float]) -> Line | None:
    """The entry's words with their own boxes, or with shares of the line's."""
    if entry.words and not any(_outside(word, scale) for word in entry.words):
        return Line(tuple(Word(" ".join(word.text.split()), _box(word, scale)) for word in entry.words))
    return next(spread(entry.text, _box(entry, scale)), None)


def _box(entry: _Entry, scale: tuple[float, float]) -> Box:
    return Box.from_pixels(*entry.corners, width=scale[0], height=scale[1])
