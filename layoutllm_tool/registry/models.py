"""A registry of trained weights in a folder: which model is current, and how another replaces it.

``registry.json`` holds the validation set, the champions in their order, and every comparison (see
``records``). ``models/ID`` holds the weights of a promoted model, ``scores`` what a model answered.
"shipped", the package's own weights, is the first champion of every registry. A model's files are hashed each
time it is asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from layoutllm_tool.errors import ModelError, RegistryError
from layoutllm_tool.model.weight_files import PARTS, WeightFiles
from layoutllm_tool.model.weights import SHIPPED as PACKAGED
from layoutllm_tool.registry import records
from layoutllm_tool.registry.records import FILE, SHIPPED, Comparison, Conditions, Contents, Scores, StoredSet
from layoutllm_tool.registry.validation import ValidationSet

_CARD = "MODEL_CARD.md"
"""Copied with the weights; no part of a model's id."""
_INCOMING = ".incoming-"
_MAX_FACTS, _MAX_FACT_LENGTH = 64, 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A copy of a folder of weights inside the registry, not yet part of it."""

    folder: Path
    files: WeightFiles
    facts: dict[str, str]

    @property
    def fingerprint(self) -> str:
        return records.fingerprint(self.files.hashes)

    @property
    def id(self) -> str:
        return self.fingerprint[:16]


class Registry:
    """A registry in a folder; ``Registry(folder)`` where there is one, ``Registry.set_validation`` makes one.

    Safe for several processes: nothing is kept in memory, writers wait for each other. Every method raises
    RegistryError where ``registry.json`` can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        records.read(self.folder)

    @classmethod
    def set_validation(cls, folder: Path, validation: ValidationSet) -> Self:
        """The registry with this validation set; made where there is none.

        RegistryError where a model was promoted by another set, or where a document can't be used.
        """
        validation = validation.hashed()
        cases = tuple(case.relative_to(folder) for case in validation.cases)
        stored = StoredSet(sha256=validation.sha256, languages=validation.languages, cases=cases)
        with records.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with records.locked(folder):
            if not (folder / FILE).exists() and any((folder / "models").glob("*")):
                raise RegistryError(f"{folder} has lost its {FILE}.", hint="Put the file back from a backup.")
            known = records.read(folder) if (folder / FILE).exists() else None
            if (
                known
                and known.validation.sha256 != stored.sha256
                and any(c.promoted for c in known.comparisons)
            ):
                raise RegistryError(
                    "models were promoted by another validation set.",
                    hint="Scores on two sets can't be compared: make a new registry, in another folder.",
                )
            contents = known or Contents(validation=stored, champions=[SHIPPED], comparisons=[])
            records.write(folder, contents.model_copy(update={"validation": stored}))
        return cls(folder)

    @property
    def validation(self) -> ValidationSet:
        """Its documents are not looked at. RegistryError where the set was edited."""
        stored = records.read(self.folder).validation
        found = ValidationSet(tuple(case.at(self.folder) for case in stored.cases), stored.languages)
        if found.sha256 != stored.sha256:
            again = "Set the same list again: layoutllm models set-validation VALIDATION.jsonl --registry DIR"
            raise RegistryError(f"the validation set in {self.folder / FILE} was edited.", hint=again)
        return found

    @property
    def current(self) -> str:
        """The champion's id."""
        return records.read(self.folder).champions[-1]

    def weights(self, model: str | None = None) -> Path | None:
        """That model's folder (the champion's), its files checked; None for the shipped weights.

        RegistryError where the registry has no such model, or where a file of it was changed.
        """
        contents = records.read(self.folder)
        model = model or contents.champions[-1]
        if model == SHIPPED:
            return None
        record = next((c for c in reversed(contents.comparisons) if c.promoted and c.model == model), None)
        if record is None:
            raise RegistryError(
                f"{self.folder} holds no model {model[:64]!r}.", hint="Look at `layoutllm models list`."
            )
        folder = self.folder / "models" / model
        found = _files(folder).hashes
        if records.fingerprint(found)[:16] != model:
            changed = [name for name in found if record.files.get(name) != found[name]] or ["a file"]
            raise RegistryError(
                f"model {model} is not what was promoted: {', '.join(changed)} was changed.",
                hint="Put the file back, or go back a model: layoutllm models rollback",
            )
        return folder

    def models(self) -> list[dict[str, Any]]:
        """Every model that was ever compared, the shipped one first, then by first appearance."""
        return records.listed(records.read(self.folder))

    def fingerprint(self, model: str) -> str:
        return records.fingerprint(_files(self.weights(model) or PACKAGED).hashes)

    @contextmanager
    def staged(self, weights: Path) -> Iterator[Candidate]:
        """The folder's known files copied in, so that what is asked is what is kept. One promotion at a time.

        RegistryError where the folder holds no weights, or where another promotion is at work (that one is
        retryable).
        """
        files, models = _files(weights), self.folder / "models"
        facts = _facts(files)
        with records.exclusively(
            self.folder / ".promotion.lock", 0, "another promotion is at work in this registry."
        ):
            with records.writing(models):
                models.mkdir(exist_ok=True)
                for left in models.glob(f"{_INCOMING}*"):  # of a promotion that was killed
                    shutil.rmtree(left)
                place = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=models))
            try:
                _copy(files, weights / _CARD, place / "weights")
                yield Candidate(place / "weights", files, facts)
            finally:
                shutil.rmtree(place, ignore_errors=True)

    def decide(
        self, candidate: Candidate, scored: Scores, current: Scores, *, replaces: str, conditions: Conditions,
        tolerance: float,
    ) -> Comparison | None:  # fmt: skip
        """Record the comparison; the candidate is promoted where it is no worse.

        None where the validation set or the champion have changed since: nothing was done, compare again.
        """
        with records.locked(self.folder):
            contents = records.read(self.folder)
            if (contents.champions[-1], contents.validation.sha256) != (replaces, conditions["validation"]):
                return None
            made = Comparison(
                model=candidate.id, parent=_parent(candidate.facts.get("start_sha256"), contents.comparisons),
                promoted=scored.no_worse(current, tolerance), replaces=replaces, candidate=scored,
                current=current,
                at=datetime.now(UTC).isoformat(timespec="seconds"), tolerance=tolerance,
                conditions=conditions,
                files=candidate.files.hashes, parts_sha256=candidate.files.parts_sha256,
                facts=candidate.facts,
            )  # fmt: skip
            if made.promoted:
                self._take(candidate)
                contents.champions.append(made.model)
            contents.comparisons.append(made)
            records.write(self.folder, contents)
            return made

    def roll_back(self) -> tuple[str, str, list[str]]:
        """Go back a champion: the current one now, the replaced one, and damaged ones that were skipped.

        RegistryError where there was none.
        """
        with records.locked(self.folder):
            contents = records.read(self.folder)
            if len(contents.champions) == 1:
                raise RegistryError("the shipped weights are current: there is nothing to go back to.")
            current, skipped = contents.champions.pop(), []
            while not self._is_whole(contents.champions[-1]):
                skipped.append(contents.champions.pop())
            records.write(self.folder, contents)
            return contents.champions[-1], current, skipped

    def _is_whole(self, model: str) -> bool:
        try:
            self.weights(model)
        except RegistryError:
            return False
        return True

    def _take(self, candidate: Candidate) -> None:
        """Rename the staged folder: a kill leaves the model whole or not there. No record names it yet."""
        place = self.folder / "models" / candidate.id
        if place.exists() and self._is_whole(candidate.id):
            return
        with records.writing(place):
            if place.exists():  # damaged since it was promoted
                shutil.rmtree(place)
            os.rename(candidate.folder, place)
            records.sync_folder(place.parent)

    def answers(self, model: str, conditions: Conditions) -> list[dict[str, Any]] | None:
        """What the model with that fingerprint answered; None where it was not asked."""
        path = self._answers(model, conditions)
        return json.loads(path.read_bytes()) if path.is_file() else None

    def keep_answers(self, model: str, conditions: Conditions, answers: Sequence[Mapping[str, Any]]) -> None:
        data = json.dumps(list(answers), indent=1).encode() + b"\n"
        records.write_whole(self._answers(model, conditions), data)

    def _answers(self, model: str, conditions: Conditions) -> Path:
        name = hashlib.sha256(json.dumps([model, conditions], sort_keys=True).encode()).hexdigest()
        return self.folder / "scores" / f"{name[:32]}.json"


def resolve(weights: Path | None) -> Path | None:
    """A registry's champion: its folder, or None for the shipped weights. Other folders are returned as they
    are.

    RegistryError where the registry, or its champion, was changed.
    """
    return Registry(weights).weights() if weights is not None and (weights / FILE).is_file() else weights


def check_unchanged(folder: Path, hashes: Mapping[str, str]) -> None:
    """RegistryError where a model's files, as they were read, are not those that its folder is named by."""
    if records.fingerprint(hashes)[:16] != folder.name:
        raise RegistryError(
            f"model {folder.name} was changed while it was being read.",
            hint="Put the file back, or go back a model: layoutllm models rollback",
        )


def _files(folder: Path) -> WeightFiles:
    with _model_errors():
        return WeightFiles.read(folder)


def _facts(files: WeightFiles) -> dict[str, str]:
    """Those beside the weights, bounded."""
    with _model_errors():
        found = sorted(files.facts(PARTS).items())[:_MAX_FACTS]
    return {name[:_MAX_FACT_LENGTH]: value[:_MAX_FACT_LENGTH] for name, value in found}


@contextmanager
def _model_errors() -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise RegistryError(
            error.message, hint="Name a folder of weights, as `layoutllm train` writes it."
        ) from error


def _parent(started: str | None, comparisons: Sequence[Comparison]) -> str | None:
    """The model whose ``parts_sha256`` is ``started``."""
    if started is None:
        return None
    known = {one.parts_sha256: one.model for one in comparisons} | {_files(PACKAGED).parts_sha256: SHIPPED}
    return known.get(started, started[:16])


def _copy(files: WeightFiles, card: Path, target: Path) -> None:
    """Write the known files, and no others. ``target`` is new; an error leaves it half made."""
    with records.writing(target):
        (target / "adapter").mkdir(parents=True)
        for name, data in files.data.items():
            records.write_file(target / name, data)
        if card.is_file():
            records.write_file(target / _CARD, card.read_bytes())
        records.sync_folder(target / "adapter")
        records.sync_folder(target)
