"""The authors' released data: Layout-Instruction-Data, Apache-2.0, ModelScope ``iic``.

Known from public threads: dense descriptions for pre-training, instructions with and without LayoutCoT, OCR
results at ``LayoutLLM_data/pretrain_data/ocr_results/RVL_CDIP/<picture's file name>.json``. What they say
could *not* be verified. Expected are LLaVA's form (``image``, ``conversations`` of ``from`` and ``value``),
the three steps under their names, and OCR results as lists of texts with boxes in pixels. What doesn't fit is
skipped. Evaluation data (FUNSD, CORD, SROIE) is refused by name.

Files may be larger than memory. What a stage can use is sorted out by the text alone into an index under the
user's cache directory: a JSON line a picture. Pages and boxes are looked at when their turn comes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from layoutllm_tool.cot import KINDS, AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.align import Place
from layoutllm_tool.documents.geometry import SCALE, Box, Page
from layoutllm_tool.documents.occurrences import occurrences
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.errors import DocumentError, DocumentNotFound, RecipeError, TrainingError
from layoutllm_tool.model.fetched import home
from layoutllm_tool.training.grounding import problem
from layoutllm_tool.training.keys import key_of
from layoutllm_tool.training.pretraining.files import line_at, offsets, picture, read_items, read_json, spread
from layoutllm_tool.training.sampling import pick
from layoutllm_tool.training.schema import QA, Example, Instruction

if TYPE_CHECKING:
    from PIL.Image import Image

Wanted = Literal["layoutcot", "pretraining"]
"""What a stage learns from: questions with their three steps, or descriptions."""

_MOST_ITEMS, _MOST_ENTRIES, _MOST_LINES = 500, 5_000, 24
"""Items about one picture, entries of an OCR result, lines in the area of a formed answer."""
_TRIED = 200
"""Pages looked at, one after another, before the data are given up."""
_LONGEST = 8_000
"""Characters of a question, an answer or an entry."""

_HEAD = r"(?:^|\n)[ \t#*>-]{{0,9}}(?:step ?\d ?[:.)-]? ?)?[*(]{{0,3}}{}[)*]{{0,3}} ?(?:[:.\n]|\*\*)"
_NAMES = "question analysis", "relevant area(?: concentration)?", "answer formation"
_HEADINGS = [re.compile(_HEAD.format(name), re.I) for name in _NAMES]
_ANSWER = re.compile(
    r"(?:^|[\n.;,])[ \t#*>-]{0,9}(?:so )?(?:the )?(?:final )?answer[*]{0,2} ?(?:is|:)[*: ]{0,4}", re.I
)
_ABSENT = re.compile(r"\b(?:not (?:in|mentioned|given|found|specified|provided|stated)|no answer)\b", re.I)
_REASONING = re.compile(r"\b(?:reason|infer|calculat|comput|compar|count|summ)", re.I)
_DESCRIBE = re.compile(r"descri(?:be|ption)|caption|summari[sz]e", re.I)
_VALUE = r" {0,3}(-?\d{1,9}(?:\.\d{1,9})?) {0,3}"
_BOX = re.compile(rf"[\[({{<]{_VALUE},{_VALUE},{_VALUE},{_VALUE}[\])}}>]")
_QUOTED = re.compile(r"[\"“”](?=\S)([^\"“”\n]{1,80})[\"“”]")
_EVALUATION = re.compile(r"(?<![a-z])(?:funsd|cord|sroie|eval_data)(?![a-z])", re.I)
_PLACEHOLDER = re.compile(r"\s*<(?:image|document|doc|ocr)>\s*", re.I)


@dataclass(frozen=True)
class Released:
    """The index-th page with its questions of one kind, a function of (files, seed, index) alone.

    ``Released.read(files, folder, "layoutcot")`` makes the index. Can be pickled, as worker processes need.
    """

    folder: Path
    """Holds pictures and OCR results, at any depth, in folders of the data sets' names."""
    index: Path
    offsets: list[int] = field(repr=False, compare=False)
    """Of the pictures' lines, in bytes."""
    seed: int = 0

    @classmethod
    def read(cls, files: Sequence[Path], folder: Path, wanted: Wanted, *, seed: int = 0) -> Released:
        """From files of instructions, each a JSON list or JSON Lines.

        TrainingError for evaluation data, RecipeError where the files hold nothing of this kind,
        DocumentNotFound, DocumentUnreadable where one is no JSON.
        """
        _check(files, folder)
        made, found = home() / "released", hashlib.sha256()
        made.mkdir(parents=True, exist_ok=True)
        part = made / f"{os.getpid()}.part"  # processes side by side write the same bytes
        with part.open("wb") as out:
            for stem, name, turns in _turns_of(files):
                if asked := [turn for turn in turns if _kind_of(*turn) == wanted]:
                    line = json.dumps([f"released/{stem}/{Path(name).name}", name, asked]).encode() + b"\n"
                    found.update(line)
                    out.write(line)
        index = part.replace(made / f"{found.hexdigest()}.jsonl")
        if not (lines := offsets(index)):
            hint = "Name the authors' instructions for this stage too, or take a recipe without it."
            raise RecipeError(f"the released data hold nothing for {wanted!r}.", hint=hint)
        return cls(folder, index, lines, seed)

    @property
    def digest(self) -> str:
        """SHA-256 of the index: of every word that is trained on, not of the pictures."""
        return self.index.stem

    def __len__(self) -> int:
        """Pictures, those included that will turn out to be of no use."""
        return len(self.offsets)

    def __call__(self, index: int) -> Example:
        """Where that page can't be used, the next one. RecipeError where none of many can, with reasons."""
        first, why = pick(index, len(self), f"released/{self.seed}"), Counter[str]()
        for number in range(first, first + _TRIED):
            example, reasons = self.at(number % len(self))
            if example is not None:
                return example
            why.update(reasons)
        raise RecipeError(
            f"none of {_TRIED} pages of the released data could be used: {dict(why)}.",
            hint="Does --released-folder hold their pictures and OCR results?",
        )

    def at(self, number: int) -> tuple[Example | None, list[str]]:
        """The number-th page with its questions, None without any; why others can't be used."""
        source, name, turns = json.loads(line_at(self.index, self.offsets[number]))
        page = self._page(Path(name))
        if isinstance(page, str):
            return None, [page]
        asked = [question_of(question, answer, page) for question, answer in turns]
        questions = tuple(found for found in asked if not isinstance(found, str))
        reasons = [found for found in asked if isinstance(found, str)]
        return Example(source, page, questions) if questions else None, reasons

    def _page(self, name: Path) -> Page | str:
        """The page by its OCR result, with its picture where that is there; or why there is none."""
        ocr, image = (self._files.get((name.parent.name, name.name + ending)) for ending in (".json", ""))
        if ocr is None:
            return "no OCR result"
        try:
            return page_of(read_json(ocr), picture(image.parent, image.name) if image else None)
        except DocumentError:
            return "a damaged file"

    @cached_property
    def _files(self) -> dict[tuple[str, str], Path]:
        """The files in the folder, by the names of their own folder and of themselves. Links are left out."""
        walked = ((Path(where), name) for where, _, names in os.walk(self.folder) for name in names)
        return {(at.name, name): at / name for at, name in walked if not (at / name).is_symlink()}


def _check(files: Sequence[Path], folder: Path) -> None:
    for path in files:
        if _EVALUATION.search(f"{path.parent.name}/{path.name}"):
            raise TrainingError(f"{path.name} is evaluation data.", hint="Name pretrain_data or sft_data.")
    for path in (*files, folder):
        if not path.exists():
            raise DocumentNotFound(f"{path} is missing.", hint="Give instructions and their pages' folder.")


def _turns_of(files: Sequence[Path]) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """The file's stem, a picture's name, and the turns of a run of items about it."""
    for path in files:
        named = (item for item in read_items(path) if isinstance(item, dict) and item.get("image"))
        for name, items in groupby(named, key=lambda item: str(item["image"])):
            if not _EVALUATION.search(name):
                yield path.stem, name, [turn for item in islice(items, _MOST_ITEMS) for turn in _turns(item)]


def _turns(item: Any) -> list[tuple[str, str]]:
    """Questions, without placeholders of the picture, and the answers that follow them."""
    said, found = item.get("conversations"), []
    for pair in pairwise(said if isinstance(said, list) else []):
        match pair:
            case {"from": "human", "value": str(question)}, {"from": "gpt", "value": str(answer)}:
                found.append((_PLACEHOLDER.sub(" ", question).strip(), answer))
    return found


# -- the text of an instruction ------------------------------------------------------------------------------


def _kind_of(question: str, text: str) -> Wanted | None:
    """What ``question_of`` would make of it if it fits the page."""
    described: Wanted | None = "pretraining" if _DESCRIBE.search(question) else None
    return "layoutcot" if len(text) <= _LONGEST and steps_of(text) else described


def question_of(question: str, text: str, page: Page) -> QA | Instruction | str:
    """A question and its answer text, mapped to the page; the reason where that can't be done."""
    if not (question and text.strip() and max(len(question), len(text)) <= _LONGEST):
        return "a question or answer that is empty or too long"
    if not all(c.isprintable() or c.isspace() for c in question + text):
        return "a question or answer with control characters"
    if not (steps := steps_of(text)):
        return Instruction("DDD", question, text.strip())
    found = _qa(question, steps, page)
    return found if isinstance(found, str) else problem(found, page) or found


def steps_of(text: str) -> list[str]:
    """The texts of steps 1 and 2, and the answer; [] where a step or the answer is missing."""
    parts = [text]
    for heading in _HEADINGS:
        parts[-1:] = heading.split(parts[-1], maxsplit=1)
    answers = list(_ANSWER.finditer(parts[-1]))
    if len(parts) != len(_HEADINGS) + 1 or not answers:
        return []
    return [*parts[1:3], parts[3][answers[-1].end() :].strip().split("\n")[0]]


def area_of(text: str) -> Box | str:
    """Around the boxes (0-1000, or shares) that a text names, or why there is none."""
    found = [tuple(map(float, match.groups())) for match in _BOX.finditer(text)]
    scale = SCALE if max((max(box) for box in found), default=0) <= 1 else 1
    try:
        return Box.union(Box(*(scale * value for value in box)) for box in found)
    except ValueError:
        return "a box in step 2 that is none" if found else "no box in step 2"


def _qa(question: str, steps: Sequence[str], page: Page) -> QA | str:
    analysis, where, written = steps
    answer = " ".join(written.split()).strip(" *`\"'“”")
    if not answer:
        return "no answer"
    kind = next((kind for kind in KINDS if re.search(rf"\b{kind}", analysis, re.I)), KINDS[-1])
    key = next(iter(_QUOTED.findall(analysis) or _QUOTED.findall(question)), "") or question.strip(" ?")[:80]
    extraction = QuestionAnalysis(kind, "extraction", key)
    if _ABSENT.search(answer):
        return QA(question, extraction, (), AnswerFormation("none", ""), None)
    area = area_of(where)
    lines = page.lines_in(area) if isinstance(area, Box) else ()
    if not lines:
        return area if isinstance(area, str) else "no line of the page in the area"
    texts = answer, answer.rstrip(".\"'“”")
    place = next((place for text in texts for place in occurrences(text, page, lines)), None)
    if not _REASONING.search(analysis):
        return _copied(question, extraction, place, page) if place else "the answer is not in the area"
    if len(lines) > _MOST_LINES:
        return "an area of too many lines for a formed answer"
    return QA(question, QuestionAnalysis(kind, "reasoning", key), lines, AnswerFormation("none", ""), answer)


def _copied(question: str, analysis: QuestionAnalysis, place: Place, page: Page) -> QA:
    """With the page's own key: how step 3 names it is not known."""
    key = key_of(page, place)
    return QA(question, analysis, key.lines(place), key.formation, place.answer, place.words)


# -- OCR results ---------------------------------------------------------------------------------------------


def page_of(raw: Any, image: Image | None) -> Page | str:
    """The page of an OCR result, or why there is none. Its size is the picture's, or the file's own.

    A list of {text, box}, or an object that holds one. Boxes are pixels, as four numbers, eight numbers or
    four points. Rotated pages are *not* turned.
    """
    facts = raw if isinstance(raw, dict) else {"lines": raw}
    width, height = size = image.size if image else (facts.get("width", 0), facts.get("height", 0))
    if not all(isinstance(side, int) and 0 < side <= 50_000 for side in size):
        return "a page of unknown size"
    entries = next((value for value in facts.values() if isinstance(value, list)), [])
    if not 0 < len(entries) <= _MOST_ENTRIES or not all(map(_is_entry, entries)):
        return "not a list of texts, or too many, in the OCR result"
    boxes = [box for entry in entries if (box := _box(entry, size))]
    if len(boxes) < len(entries):
        return "a box that is none or lies outside the page"
    lines = [line for entry, box in zip(entries, boxes, strict=True) for line in spread(entry["text"], box)]
    words = [word for line in lines for word in line.words]
    if len(words) <= 1.2 * len(lines):  # entries are words, not lines
        lines = group_lines(words, width=width, height=height)
    return Page(1, width, height, tuple(lines), image, "given")


def _is_entry(entry: Any) -> bool:
    text = entry.get("text") if isinstance(entry, dict) else None
    return isinstance(text, str) and text.isprintable() and len(text) <= _LONGEST


def _box(entry: dict[str, Any], size: tuple[int, int]) -> Box | None:
    """Of the first list among the entry's values; None where that is no box, or none on the page."""
    points = next((value for value in entry.values() if isinstance(value, list)), [])
    numbers = [n for point in points for n in (point if isinstance(point, list) else (point,))]
    if len(numbers) not in (4, 8) or not all(isinstance(n, int | float) for n in numbers):
        return None
    if not all(-0.02 * side <= n <= 1.02 * side for n, side in zip(numbers, size * 4, strict=False)):
        return None
    xs, ys = numbers[0::2], numbers[1::2]
    return Box.from_pixels(min(xs), min(ys), max(xs), max(ys), width=size[0], height=size[1])
