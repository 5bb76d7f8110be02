"""The authors' released data as pages to train on, any of them at any time, of files far larger than memory.

What a stage can use is sorted out once, by the text alone, into an index under the user's cache directory: a
JSON line a picture, with its items. Pages, OCR results and boxes are looked at when their turn comes. A page
that ``released.py`` then can't use gives its turn to another one, the same every time.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from layoutllm_tool.errors import RecipeError
from layoutllm_tool.model.base import home
from layoutllm_tool.training.released import Released
from layoutllm_tool.training.released_text import Wanted
from layoutllm_tool.training.sampling import pick
from layoutllm_tool.training.schema import QA, Example, Instruction

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
        found = _scan(index)
        if found is None:
            _write(index, files, wanted)
            found = _scan(index)
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


def _write(index: Path, files: Sequence[Released], wanted: Wanted) -> None:
    """Two processes at once write the same bytes, each into a file of its own until it is whole."""
    skipped = Counter[str]()
    part = index.with_name(f"{index.name}.{os.getpid()}.part")
    with part.open("wb") as out:
        for of, source in enumerate(files):
            for group in replace(source, skipped=skipped).groups():
                if items := [item for item in group if wanted in source.kinds(item)]:
                    out.write(json.dumps([of, items]).encode() + b"\n")
        out.write(json.dumps({"end": skipped}).encode() + b"\n")
    part.replace(index)


def _content(files: Sequence[Released]) -> str:
    """A name by what the files say: a changed one gets an index of its own."""
    found = hashlib.sha256()
    for source in files:
        with source.instructions.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]
