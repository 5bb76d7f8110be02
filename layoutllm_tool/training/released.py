"""The authors' released data: Layout-Instruction-Data, Apache-2.0, ModelScope ``iic``.

Known from public threads: about 116k dense descriptions (DocILE, RVL-CDIP) and 300k SFT instructions, with
and without LayoutCoT; ``LayoutLLM_data/pretrain_data/ocr_results/RVL_CDIP/<picture's file name>.json``;
``eval_data/VIE_CORD.jsonl``. The fields inside the files could *not* be verified. LLaVA's form is expected
(``id``, ``image``, ``conversations`` of ``from`` and ``value``), OCR in any of the usual forms
(``released_ocr.py``); what fits none is skipped and counted.

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
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import DocumentError, DocumentNotFound, RecipeError, TrainingError
from layoutllm_tool.model.fetched import home
from layoutllm_tool.training.pretraining.files import MOST_BYTES, damaged, parsed, picture, read_items
from layoutllm_tool.training.released_ocr import Frame, page_of
from layoutllm_tool.training.released_text import Wanted, kind_of, question_of
from layoutllm_tool.training.sampling import pick
from layoutllm_tool.training.schema import QA, Example, Instruction

MOST_TURNS = 200
_MOST_ITEMS = 500
"""Items about one picture that are taken together."""
_DEEPEST, _MOST_FOLDERS = 5, 2_000
_IMAGE = ("image", "image_path", "img", "file_name", "image_name")
_OCR = ("ocr", "ocr_path", "ocr_result", "ocr_results")
_CONVERSATION = ("conversations", "conversation", "messages")
_ROLES = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
_EVALUATION = re.compile(r"(?<![a-z])(?:funsd|cord|sroie|eval_data)(?![a-z])", re.I)
_PLACEHOLDER = re.compile(r"\s*<(?:image|document|doc|ocr)>\s*", re.I)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z+]*:")
TRIED = 200
"""Pages looked at, one after another, before the data are given up."""
_TYPES: dict[Wanted, type[QA] | type[Instruction]] = {"layoutcot": QA, "pretraining": Instruction}
_HINTS: dict[Wanted, str] = {
    "layoutcot": "Name the instructions for fine-tuning, whose answers have the three steps.",
    "pretraining": "Name the instructions for pre-training too, or take a recipe without that stage.",
}
_END = b'{"end": '
"""Begins the index's last line: without it the index is cut off."""


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
        items = filter(self._usable, read_items(self.instructions))
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

    def _usable(self, item: Any) -> bool:
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
        given = _value(item, _OCR)
        file = Path(name).name
        names = [given, Path(given).name] if isinstance(given, str) else []
        path = self._find([*names, f"{file}.json", f"{Path(file).stem}.json"], name, (".json",))
        if path is None and not isinstance(given, list | dict):
            return "no OCR result"
        try:
            raw = given if path is None else _json(path)
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
                    if real.is_relative_to(self._root) and real.suffix.lower() in kinds:
                        return real
        return None

    @cached_property
    def _root(self) -> Path:
        return self.folder.resolve()

    @cached_property
    def _folders(self) -> tuple[Path, ...]:
        """The folder and those below it. Links are not followed."""
        found = []
        for where, below, _ in os.walk(self._root):
            depth = len(Path(where).relative_to(self._root).parts)
            below[:] = sorted(below) if depth < _DEEPEST else []
            found.append(Path(where))
            if len(found) >= _MOST_FOLDERS:
                break
        return tuple(found)


@dataclass(frozen=True)
class ReleasedPages:
    """The index-th page with its questions of one kind, a function of (files, seed, index) alone.

    ``ReleasedPages.read(files, "layoutcot")`` makes the index or finds it. Can be pickled, as worker
    processes need.
    """

    files: tuple[Released, ...]
    wanted: Wanted
    index: Path
    offsets: array[int] = field(repr=False, compare=False)
    """Of the pictures' lines, in bytes."""
    digest: str = ""
    """SHA-256 of the index: of every word that is trained on, not of the pictures."""
    seed: int = 0

    @classmethod
    def read(cls, files: Sequence[Released], wanted: Wanted, *, seed: int = 0) -> ReleasedPages:
        """RecipeError where the files hold nothing of this kind. DocumentUnreadable where one is no JSON."""
        folder = home() / "released"
        folder.mkdir(parents=True, exist_ok=True)
        index = folder / f"{_content(files)}-{wanted}.jsonl"
        found = _scan(index) or _scan(_write(index, files, wanted))
        assert found is not None
        offsets, digest, skipped = found
        if not offsets:
            names = ", ".join(file.instructions.name for file in files)
            why = "; ".join(f"{reason} ({count})" for reason, count in skipped.items())
            reason = f"{names}: nothing for the data {wanted!r}{f': {why}' if why else ''}."
            raise RecipeError(reason, hint=_HINTS[wanted])
        return cls(tuple(files), wanted, index, offsets, digest, seed)

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
        with self.index.open("rb") as lines:
            lines.seek(self.offsets[number])
            of, items = json.loads(lines.readline())
        source = self.files[of]
        before = Counter(source.skipped)
        example = source.example(items)
        if example is not None:
            questions = tuple(q for q in example.questions if isinstance(q, _TYPES[self.wanted]))
            example = replace(example, questions=questions) if questions else None
        return example, source.skipped - before


def _refusal(item: Any) -> str:
    """Why an item can't be used; "" where it can."""
    if not isinstance(item, dict):
        return "not an object"
    name = _picture_name(item)
    if not name:
        return "no picture named"
    if _EVALUATION.search(name):
        return "evaluation data"
    paths = [name, *(item[key] for key in _OCR if isinstance(item.get(key), str))]
    return "" if all(map(_inside, paths)) else "a path that leads out of the folder"


def _value(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of the values that is there and not empty."""
    return next((item[name] for name in names if item.get(name)), None)


def _picture_name(item: Mapping[str, Any]) -> str:
    match _value(item, _IMAGE):
        case str(name) | [str(name)]:
            return name.replace("\\", "/")
    return ""


def _inside(name: str) -> bool:
    """Whether a relative path stays below where it starts."""
    path = Path(name)
    return not (path.is_absolute() or ".." in path.parts or "\0" in name or _SCHEME.match(name))


def _turns(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Questions, without placeholders of the picture, and the answers that follow them."""
    messages = _value(item, _CONVERSATION)
    turns = [_turn(turn) for turn in messages[: 2 * MOST_TURNS]] if isinstance(messages, list) else []
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


def _is_wanted(item: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether one of its turns looks like it, by the text alone."""
    return any(kind_of(question, answer) == wanted for question, answer in _turns(item))


def _json(path: Path) -> Any:
    if path.stat().st_size > MOST_BYTES:
        raise damaged(f"{path.name} is over {MOST_BYTES} bytes.")
    return parsed(path.read_bytes(), path.name)


def _scan(index: Path) -> tuple[array[int], str, dict[str, int]] | None:
    """Where its lines begin, its SHA-256 and what was skipped; None where there is no whole index."""
    if not index.is_file():
        return None
    offsets, found, at = array("Q"), hashlib.sha256(), 0
    with index.open("rb") as lines:
        for line in lines:
            if line.startswith(_END):
                return offsets, found.hexdigest(), json.loads(line)["end"]
            offsets.append(at)
            found.update(line)
            at += len(line)
    return None


def _write(index: Path, files: Sequence[Released], wanted: Wanted) -> Path:
    """Two processes at once write the same bytes, each into a file of its own until it is whole."""
    skipped = Counter[str]()
    part = index.with_name(f"{index.name}.{os.getpid()}.part")
    with part.open("wb") as out:
        for of, source in enumerate(files):
            for group in replace(source, skipped=skipped).groups():
                if items := [item for item in group if _is_wanted(item, wanted)]:
                    out.write(json.dumps([of, items]).encode() + b"\n")
        out.write(json.dumps({"end": skipped}).encode() + b"\n")
    return part.replace(index)


def _content(files: Sequence[Released]) -> str:
    """A name by what the files say: a changed one gets an index of its own."""
    found = hashlib.sha256()
    for source in files:
        with source.instructions.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]
