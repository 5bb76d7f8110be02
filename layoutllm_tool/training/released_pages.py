"""The authors' released data as pages to train on, any of them at any time, of files far larger than memory.

What a stage can use is sorted out once, by the text alone, into an index under the user's cache directory: a picture a line, with
its items. Pages, OCR results and boxes are looked at when their turn comes. What ``released.py`` then can't use gives its turn to
another page, the same one every time.
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
from typing import Any

from layoutllm_tool.errors import RecipeError
from layoutllm_tool.model.base import home
from layoutllm_tool.training.passes import pick
from layoutllm_tool.training.released import Released
from layoutllm_tool.training.released_text import Wanted
from layoutllm_tool.training.schema import QA, Example, Instruction

TRIED = 200
"""Pages looked at, one after another, before the data are given up."""
_TYPES: dict[Wanted, type[QA] | type[Instruction]] = {"layoutcot": QA, "pretraining": Instruction}
_HINTS: dict[Wanted, str] = {
    "layoutcot": "Name the instructions for fine-tuning, whose answers have the three steps.",
    "pretraining": "Name the instructions for pre-training too, or take a recipe without that stage.",
}
_FORMAT = "layoutllm-released/1"


@dataclass(frozen=True)
class ReleasedPages:
    """The index-th page with its questions of one kind, a function of (files, seed, index) alone.

    ``ReleasedPages.read(files, "layoutcot")`` makes the index or finds it. Can be pickled, as worker processes need.
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
        """RecipeError where the files hold nothing of this kind; DocumentUnreadable where one is no list and no lines of JSON."""
        folder = home() / "released"
        folder.mkdir(parents=True, exist_ok=True)
        made = _Index(folder, f"{_name(files)}-{wanted}")
        facts = made.facts() or made.write(files, wanted)
        if not facts["count"]:
            why = "; ".join(f"{reason} ({count})" for reason, count in facts["skipped"].items())
            raise RecipeError(
                f"{', '.join(f.instructions.name for f in files)}: nothing for the data {wanted!r}{f': {why}' if why else ''}.",
                hint=_HINTS[wanted],
            )
        offsets = array("Q", made.offsets.read_bytes())
        return cls(tuple(files), wanted, made.lines, offsets, facts["sha256"], seed)

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
            hint="Is the folder the one that holds pictures and OCR results, and are its boxes pixels (--released-boxes)?",
        )

    def at(self, number: int) -> tuple[Example | None, Counter[str]]:
        """The page in the files' order, with its questions of the wanted kind; None, and why, where there is none."""
        with self.index.open("rb") as lines:
            lines.seek(self.offsets[number])
            of, items = json.loads(lines.readline())
        source = self.files[of]
        before = Counter(source.skipped)
        example = source.example(items)
        questions = tuple(q for q in example.questions if isinstance(q, _TYPES[self.wanted])) if example else ()
        return replace(example, questions=questions) if example and questions else None, source.skipped - before


@dataclass(frozen=True)
class _Index:
    """Three files; the one with the facts comes last and says that the others are whole."""

    folder: Path
    name: str

    @property
    def lines(self) -> Path:
        return self.folder / f"{self.name}.jsonl"

    @property
    def offsets(self) -> Path:
        return self.folder / f"{self.name}.offsets"

    def facts(self) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads((self.folder / f"{self.name}.json").read_bytes())
            whole = self.offsets.stat().st_size == 8 * facts["count"] and self.lines.stat().st_size == facts["bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return facts if whole and facts.get("format") == _FORMAT else None

    def write(self, files: Sequence[Released], wanted: Wanted) -> dict[str, Any]:
        """Two processes at once write the same bytes, each into files of its own until they are whole."""
        offsets, found, at, skipped = array("Q"), hashlib.sha256(), 0, Counter[str]()
        parts = {path: path.with_name(f"{path.name}.{os.getpid()}.part") for path in (self.lines, self.offsets)}
        with parts[self.lines].open("wb") as out:
            for of, source in enumerate(files):
                counted = replace(source, skipped=skipped)
                for group in counted.groups():
                    items = [item for item in group if wanted in counted.kinds(item)]
                    if not items:
                        continue
                    line = json.dumps([of, items]).encode() + b"\n"
                    offsets.append(at)
                    at += out.write(line)
                    found.update(line)
        parts[self.offsets].write_bytes(offsets.tobytes())
        for path, part in parts.items():
            os.replace(part, path)
        facts = {"format": _FORMAT, "count": len(offsets), "bytes": at, "sha256": found.hexdigest(), "skipped": dict(skipped)}  # fmt: skip
        part = self.folder / f"{self.name}.{os.getpid()}.part"
        part.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        os.replace(part, self.folder / f"{self.name}.json")
        return facts


def _name(files: Sequence[Released]) -> str:
    """By what the files say: a changed one gets an index of its own."""
    found = hashlib.sha256()
    for source in files:
        with source.instructions.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]
