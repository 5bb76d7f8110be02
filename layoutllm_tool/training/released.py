"""The authors' released data: Layout-Instruction-Data, Apache-2.0, ModelScope ``iic``.

Known from public threads: about 116k dense descriptions (DocILE, RVL-CDIP) and 300k SFT instructions, with
and without LayoutCoT; ``LayoutLLM_data/pretrain_data/ocr_results/RVL_CDIP/<picture's file name>.json``;
``eval_data/VIE_CORD.jsonl``. The fields inside the files could *not* be verified. LLaVA's form is expected
(``id``, ``image``, ``conversations`` of ``from`` and ``value``), OCR in any of the usual forms
(``released_ocr.py``); what fits none is skipped and counted.

Evaluation data (FUNSD, CORD, SROIE) is refused. RVL-CDIP and FUNSD come from one archive: a FUNSD page under
another name is *not* noticed. File names in the data never lead out of the folder.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import DocumentError, DocumentNotFound, DocumentUnreadable, TrainingError
from layoutllm_tool.training.pretraining.files import MOST_BYTES, parsed, picture
from layoutllm_tool.training.released_ocr import Frame, page_of
from layoutllm_tool.training.released_text import Wanted, kind_of, question_of
from layoutllm_tool.training.schema import QA, Example, Instruction

MOST_ITEM = 2_000_000
"""Characters of one item."""
MOST_TURNS = 200
_MOST_ITEMS = 500
"""Items about one picture that are taken together."""
_CHUNK = 1 << 16
_DEEPEST, _MOST_FOLDERS = 5, 2_000
_IMAGE = ("image", "image_path", "img", "file_name", "image_name")
_OCR = ("ocr", "ocr_path", "ocr_result", "ocr_results")
_CONVERSATION = ("conversations", "conversation", "messages")
_PAIRS = (("question", "answer"), ("instruction", "output"), ("instruction", "answer"))
_ROLES = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt"}
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
_EVALUATION = re.compile(r"(?<![a-z])(?:funsd|cord|sroie|eval_data)(?![a-z])", re.I)
_PLACEHOLDER = re.compile(r"\s*<(?:image|document|doc|ocr)>\s*", re.I)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z+]*:")


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
        items = (item for item in read_items(self.instructions) if self._usable(item))
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

    def kinds(self, item: Mapping[str, Any]) -> set[Wanted | None]:
        """What its turns look like, by the text alone."""
        return {kind_of(question, answer) for question, answer in _turns(item)}

    def _usable(self, item: Any) -> bool:
        reason = _refusal(item)
        self.skipped.update([reason] if reason else [])
        return not reason

    def _questions(self, item: Mapping[str, Any], page: Page) -> Iterator[QA | Instruction]:
        turns = _turns(item)
        self.skipped.update(["no conversation"] if not turns else [])
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
                real = _real(folder / name)
                if real and real.is_relative_to(self._root) and real.suffix.lower() in kinds:
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


def read_items(path: Path) -> Iterator[Any]:
    """The items of a JSON list or JSON Lines, one in memory. DocumentUnreadable for anything else."""
    decoder, buffer, more, number = json.JSONDecoder(), "", True, 0
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            buffer = buffer.lstrip(" \t\r\n,\ufeff" if number else " \t\r\n[\ufeff")
            if buffer.startswith("]") or (not buffer and not more):
                return
            try:
                item, end = decoder.raw_decode(buffer) if buffer else (None, 0)
            except ValueError:
                end = 0
            except RecursionError as error:
                reason = f"item {number} of {path.name} is nested too deeply."
                raise DocumentUnreadable(reason, hint="Fetch it again.") from error
            if end and (end < len(buffer) or not more):
                yield item
                number, buffer = number + 1, buffer[end:]
                continue
            if not more or len(buffer) > MOST_ITEM:
                reason = f"item {number} of {path.name} is no JSON, or is cut off."
                raise DocumentUnreadable(reason, hint="Fetch it again.")
            chunk = file.read(max(_CHUNK, len(buffer)))
            buffer, more = buffer + chunk, bool(chunk)


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
    found = _value(item, _IMAGE)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found.replace("\\", "/") if isinstance(found, str) else ""


def _inside(name: str) -> bool:
    """Whether a relative path stays below where it starts."""
    path = Path(name)
    return not (path.is_absolute() or ".." in path.parts or "\0" in name or _SCHEME.match(name))


def _turns(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Questions, without placeholders of the picture, and the answers that follow them."""
    messages = _value(item, _CONVERSATION)
    if isinstance(messages, list):
        turns = [_turn(turn) for turn in messages[: 2 * MOST_TURNS]]
        pairs = [(a, b) for (who, a), (other, b) in pairwise(turns) if (who, other) == ("human", "gpt")]
    else:
        found = [(item.get(question), item.get(answer)) for question, answer in _PAIRS]
        pairs = [(a, b) for a, b in found if isinstance(a, str) and isinstance(b, str)][:1]
    return [(_PLACEHOLDER.sub(" ", question).strip(), answer) for question, answer in pairs]


def _turn(turn: Any) -> tuple[str, str]:
    """Who speaks, and the text; ("", "") where that can't be told."""
    if not isinstance(turn, dict):
        return "", ""
    who, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    return (_ROLES.get(who, ""), text) if isinstance(who, str) and isinstance(text, str) else ("", "")


def _real(path: Path) -> Path | None:
    try:
        return path.resolve() if path.is_file() else None
    except (OSError, ValueError):
        return None


def _json(path: Path) -> Any:
    if path.stat().st_size > MOST_BYTES:
        raise DocumentUnreadable(f"{path.name} is over {MOST_BYTES} bytes.")
    return parsed(path.read_bytes(), path.name)
