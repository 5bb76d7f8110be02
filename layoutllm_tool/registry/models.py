"""The registry itself: which model is current, what came before it, and how another takes its place.

``registry.jsonl`` (see ``log``) says everything; the current model follows from it alone. ``models/ID`` holds the weights,
``scores`` what a model answered, ``validation.jsonl`` the frozen set (see ``frozen``). "shipped", the package's own weights, is the
model that every registry begins with. A model's files are hashed each time it is asked for.

Whoever may write to the folder can forge all of it at once; against that only a ``head`` noted elsewhere helps.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from layoutllm_tool.errors import RegistryError
from layoutllm_tool.model.weights import SHIPPED as PACKAGED
from layoutllm_tool.registry import folders, frozen
from layoutllm_tool.registry.folders import Candidate
from layoutllm_tool.registry.frozen import Frozen
from layoutllm_tool.registry.history import (
    MODEL_ID,
    SHIPPED,
    Listed,
    Scores,
    listed,
    scores_of,
    stack,
    validation_set,
)
from layoutllm_tool.registry.log import FILE, Entry, Log, exclusively, sync_folder, version, write_whole, writing

_SHA256 = re.compile(r"[0-9a-f]{64}")
_INCOMING = ".incoming-"
_LONGEST_SCORES = 256 * 2**20


class Registry:
    """A registry in a folder; ``Registry(folder)`` where there is one, ``Registry.freeze`` makes one.

    Safe for several processes: nothing is kept in memory, writers wait for each other. Every method raises RegistryError where the
    log is not as it was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, Log(folder)
        self._begun(self.log.entries())

    @classmethod
    def freeze(cls, folder: Path, validation: Frozen) -> Self:
        """The registry with this validation set; made where there is none.

        RegistryError where it has another set by which a model was promoted already, or where a document can't be used.
        """
        validation = validation.looked_at()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        log = Log(folder)
        with log.locked():
            entries = log.entries() if log.path.exists() else []
            _may_freeze(folder, entries, validation)
            if not entries:
                log.append("created", {"version": version(), "shipped": folders.fingerprint(folders.files(PACKAGED))})
            # The list first: one that fits no entry is refused until it is frozen again, one that was never written is not there.
            write_whole(folder / frozen.FILE, validation.write(folder))
            if validation_set(entries) != validation.sha256:
                log.append(
                    "frozen",
                    {
                        "validation": validation.sha256, "questions": len(validation.cases),
                        "documents": len({case.sha256 for case in validation.cases}), "languages": validation.languages,
                    },
                )  # fmt: skip
        return cls(folder)

    @property
    def validation(self) -> Frozen:
        """The frozen set. RegistryError where the list is not what was frozen; its documents are checked by ``Frozen.check``."""
        entry = next((e for e in reversed(self.log.entries()) if e["event"] == "frozen"), None)
        again = "Freeze the same list again: layoutllm models freeze VALIDATION.jsonl --registry DIR"
        if entry is None:
            raise RegistryError(f"{self.folder} has no validation set.", hint=again)
        found = Frozen.read(self.folder / frozen.FILE, languages=tuple(map(str, entry.get("languages", ()))))
        if found.sha256 != entry.get("validation"):
            raise RegistryError(f"{self.folder / frozen.FILE} is not the list that was frozen.", hint=again)
        return found

    # -- models ------------------------------------------------------------------------------------------------------

    @property
    def current(self) -> str:
        """The current model's id."""
        return stack(self.log.entries())[-1]

    def weights(self, model: str | None = None) -> Path | None:
        """That model's folder (the current one's), its files checked; None for the shipped weights.

        RegistryError where the registry has no such model, or where a file of it is not what it was.
        """
        entries = self.log.entries()
        model = model or stack(entries)[-1]
        if model == SHIPPED:
            return None
        entry = next((e for e in reversed(entries) if e["event"] == "promoted" and e["model"] == model), None)
        if entry is None:
            raise RegistryError(
                f"{self.folder} holds no model {model[:64]!r}.", hint="Look at `layoutllm models list`."
            )
        folder = self._place(model)
        found = folders.files(folder)
        if folders.fingerprint(found)[:16] != model:
            said = entry.get("files")
            changed = [n for n in found if isinstance(said, dict) and said.get(n) != found[n]] or ["a file"]
            raise RegistryError(
                f"model {model} is not what was promoted: {', '.join(changed)} was changed.",
                hint="Put the file back, or go back a model: layoutllm models rollback",
            )
        return folder

    def models(self) -> list[Listed]:
        """Every model that the log knows, the shipped one first, then in the order of first appearance."""
        return listed(self.log.entries())

    def fingerprint(self, model: str) -> str:
        return folders.fingerprint(folders.files(self.weights(model) or PACKAGED))

    # -- another one -------------------------------------------------------------------------------------------------

    @contextmanager
    def staged(self, weights: Path) -> Iterator[Candidate]:
        """The folder copied in, so that what is asked is what is kept. One at a time; a copy that is not taken is removed.

        RegistryError where the folder holds no weights, or where another promotion is at work (that one is retryable).
        """
        folders.files(weights)
        models = self.folder / "models"
        with exclusively(self.folder / ".promotion.lock", 0, "another promotion is at work in this registry."):
            with writing(models):
                models.mkdir(exist_ok=True)
                for left in models.glob(f"{_INCOMING}*"):  # of a promotion that was killed
                    shutil.rmtree(left)
                place = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=models))
            try:
                folders.copy(weights, place / "weights")
                found = folders.facts(place / "weights")
                yield Candidate(place / "weights", folders.files(place / "weights"), found, self._parent(found))
            finally:
                shutil.rmtree(place, ignore_errors=True)

    def decide(
        self,
        candidate: Candidate,
        scored: Scores,
        current: Scores,
        *,
        replaces: str,
        facts: Mapping[str, Any],
        tolerance: float,
    ) -> Entry | None:
        """Writes down that the candidate is promoted, where it is no worse, or else refused; ``facts`` are the ``conditions`` under
        which both were asked. None where these, or the current model, are others by now: nothing was done, compare again."""
        promoted = scored.no_worse(current, tolerance)
        with self.log.locked():
            if self.current != replaces or self.conditions(facts["setting"]) != facts:
                return None
            if promoted:
                self._take(candidate)
            said = {
                "model": candidate.id, "parent": candidate.parent, "replaces": replaces, "candidate": asdict(scored),
                "current": asdict(current), "tolerance": tolerance, **facts, "files": dict(candidate.files),
                "facts": dict(candidate.facts),
            }  # fmt: skip
            return self.log.append("promoted" if promoted else "refused", said)

    def roll_back(self) -> Entry:
        """The model before the last promotion is current again; a damaged one is skipped, which the entry says. RegistryError where
        there was none."""
        with self.log.locked():
            standing = stack(self.log.entries())
            if len(standing) == 1:
                raise RegistryError("the shipped weights are current: there is nothing to go back to.")
            *before, current = standing
            skipped = []
            while not self._whole(before[-1]):
                skipped.append(before.pop())
            return self.log.append("rolled back", {"model": before[-1], "replaces": current, "skipped": skipped})

    def _whole(self, model: str) -> bool:
        try:
            self.weights(model)
        except RegistryError:
            return False
        return True

    def _take(self, candidate: Candidate) -> None:
        """Renamed, never copied: a kill leaves the model whole or not there, and no entry names it yet."""
        place = self._place(candidate.id)
        if place.exists():
            if _same(place, candidate):
                return
            with writing(place):
                shutil.rmtree(place)  # damaged since it was taken, by whatever
        with writing(place):
            os.rename(candidate.folder, place)
        sync_folder(place.parent)

    def _parent(self, facts: Mapping[str, str]) -> str | None:
        """What ``start_sha256`` (``parts_sha256`` of the weights gone on from) means here."""
        started = facts.get("start_sha256")
        if started is None:
            return None
        known = {SHIPPED: folders.files(PACKAGED)}
        for entry in self.log.entries():
            if entry["event"] in ("promoted", "refused") and isinstance(entry.get("files"), dict):
                known[entry["model"]] = entry["files"]
        named = (model for model, files in known.items() if folders.parts_sha256(files) == started)
        return next(named, started[:16])

    # -- scores ------------------------------------------------------------------------------------------------------

    def keep_answers(self, answers: Sequence[Mapping[str, Any]]) -> str:
        """A model's answers as a file in ``scores``, known by its hash, which is returned."""
        data = json.dumps(list(answers), indent=1).encode() + b"\n"
        sha256 = hashlib.sha256(data).hexdigest()
        write_whole(self.folder / "scores" / f"{sha256[:16]}.json", data)
        return sha256

    def conditions(self, setting: str) -> dict[str, str | None]:
        """What scores depend on beside the model: frozen set, package, and ``setting`` (what reads the pages)."""
        return {"validation": validation_set(self.log.entries()), "version": version(), "setting": setting}

    def remembered(self, model: str, facts: Mapping[str, str | None]) -> tuple[Scores, list[dict[str, Any]]] | None:
        """What the model with that fingerprint answered under these conditions, where an entry vouches for it."""
        for scores in scores_of(self.log.entries(), model, **facts):
            if (answers := self._answers(scores.sha256)) is not None:
                return scores, answers
        return None

    def _answers(self, sha256: str) -> list[dict[str, Any]] | None:
        path = self.folder / "scores" / f"{sha256[:16]}.json"
        if not _SHA256.fullmatch(sha256) or not path.is_file() or path.stat().st_size > _LONGEST_SCORES:
            return None
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            return None
        answers: list[dict[str, Any]] = json.loads(data)
        return answers

    # -- places ------------------------------------------------------------------------------------------------------

    def _place(self, model: str) -> Path:
        if not MODEL_ID.fullmatch(model):
            raise RegistryError(f"{model[:64]!r} is no model's id.", hint="Look at `layoutllm models list`.")
        return self.folder / "models" / model

    def _begun(self, entries: Sequence[Entry]) -> None:
        if not entries or entries[0]["event"] != "created":
            raise _lost(self.folder)


def resolve(weights: Path | None) -> Path | None:
    """A registry means its current model: that one's folder, or None for the shipped weights. Other folders mean themselves.

    RegistryError where the registry, or its current model, is not what it was.
    """
    return Registry(weights).weights() if weights is not None and (weights / FILE).is_file() else weights


def check_unchanged(folder: Path, hashes: Mapping[str, str]) -> None:
    """Whether a model's folder still holds what it is named by, by the hashes of its files as they were read. RegistryError."""
    if folders.fingerprint(hashes)[:16] != folder.name:
        raise RegistryError(
            f"model {folder.name} was changed while it was being read.",
            hint="Put the file back, or go back a model: layoutllm models rollback",
        )


def _may_freeze(folder: Path, entries: Sequence[Entry], validation: Frozen) -> None:
    if not entries and any((folder / "models").glob("*")):
        raise _lost(folder)
    if any(entry["event"] == "promoted" for entry in entries) and validation_set(entries) != validation.sha256:
        raise RegistryError(
            "models were promoted by another validation set, and that one is frozen.",
            hint="Scores on two sets say nothing about each other: make a new registry, in another folder.",
        )


def _lost(folder: Path) -> RegistryError:
    return RegistryError(f"{folder / FILE} has lost its beginning.", hint="Put the file back from a backup.")


def _same(place: Path, candidate: Candidate) -> bool:
    try:
        return folders.files(place) == candidate.files
    except RegistryError:
        return False
