"""What ``registry.json`` holds, and how a registry's files are written: whole, one writer at a time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from layoutllm_tool.errors import RegistryError
from layoutllm_tool.registry.validation import ValidationCase, first_fault

FILE = "registry.json"
SHIPPED = "shipped"
"""The id of the package's own weights."""
_ROUNDING = 1e-9
_LOCK_SECONDS = 60.0

_ModelId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Scores(BaseModel):
    """What a model reached on the validation set."""

    anls: float
    """Mean over the questions; 1 where it rightly says that the document does not."""
    right: int
    refused: int
    """Answers "not in the document"."""
    questions: int

    def no_worse(self, current: Scores, tolerance: float) -> bool:
        return self.anls >= current.anls - tolerance - _ROUNDING


Conditions = dict[str, str]
"""What scores depend on beside the model: ``validation`` (hash), ``version``, ``setting`` (the OCR)."""


class Comparison(BaseModel):
    """A model compared with the then champion."""

    model: _ModelId
    parent: str | None
    """Id of the model it was trained from; the beginning of its hash where it is not known here."""
    promoted: bool
    replaces: str
    at: str
    candidate: Scores
    current: Scores
    tolerance: float
    conditions: Conditions
    parts_sha256: str
    files: dict[str, str]
    """SHA-256 of each file that an answer may depend on."""
    facts: dict[str, str]
    """What the training run wrote beside the weights: seed, recipe, hashes of its data, its start ..."""


class StoredSet(BaseModel):
    """The validation set; its paths are relative to the registry."""

    sha256: _Sha256
    languages: tuple[str, ...]
    cases: tuple[ValidationCase, ...]


class Contents(BaseModel):
    """``registry.json``."""

    validation: StoredSet
    champions: Annotated[list[_ModelId | Literal["shipped"]], Field(min_length=1)]
    """From the shipped model to the current one."""
    comparisons: list[Comparison]


def listed(contents: Contents) -> list[dict[str, Any]]:
    """Every model that was ever compared, the shipped one first, then by first appearance; the last that
    happened to it.

    ``state``: current, promoted (an earlier champion), rolled back, refused; "" for shipped ones that are not
    current.
    """
    champions = contents.champions
    found = {SHIPPED: _listed(SHIPPED, "current" if champions[-1] == SHIPPED else "", None)}
    for one in contents.comparisons:
        state = "current" if one.model == champions[-1] else "promoted"
        if one.model not in champions:
            state = "rolled back" if one.promoted else "refused"
        if one.promoted or one.model not in champions:
            found[one.model] = _listed(one.model, state, one)
    return list(found.values())


def _listed(model: str, state: str, one: Comparison | None) -> dict[str, Any]:
    return {
        "id": model, "state": state, "parent": one.parent if one else None, "at": one.at if one else "",
        "anls": one.candidate.anls if one else None, "against": one.current.anls if one else None,
        "questions": one.candidate.questions if one else 0, "facts": one.facts if one else {},
    }  # fmt: skip


def read(folder: Path) -> Contents:
    """RegistryError where there is no registry, or where its file is not as it was written."""
    try:
        return Contents.model_validate_json((folder / FILE).read_bytes())
    except OSError as error:
        raise RegistryError(
            f"{folder} is no registry: {error.strerror}.",
            hint="Make one: layoutllm models set-validation VALIDATION.jsonl --registry DIR",
        ) from error
    except ValidationError as error:
        message = f"{folder / FILE} is damaged ({first_fault(error, 'the file')})."
        raise RegistryError(message, hint="Put the file back from a backup.") from error


def write(folder: Path, contents: Contents) -> None:
    """Call it under ``locked``. RegistryError."""
    write_whole(folder / FILE, contents.model_dump_json(indent=1, by_alias=True).encode() + b"\n")


def fingerprint(hashes: Mapping[str, str]) -> str:
    """SHA-256 over names and hashes of a model's files; configuration and calibration count."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()


# -- files ---------------------------------------------------------------------------------------------------


def locked(folder: Path) -> AbstractContextManager[None]:
    """Nobody else writes meanwhile. RegistryError after a minute of waiting."""
    return exclusively(folder / ".registry.lock", _LOCK_SECONDS, "somebody else is writing to this registry.")


@contextmanager
def exclusively(path: Path, seconds: float, otherwise: str) -> Iterator[None]:
    """Lock out other processes and threads; ends with its holder. Retryable RegistryError on time-out."""
    from filelock import FileLock, Timeout

    try:
        with writing(path):
            held = FileLock(path, timeout=seconds).acquire()
    except Timeout as error:
        busy = RegistryError(otherwise, hint="Try again once they are done.")
        busy.retryable = True
        raise busy from error
    with held:
        yield


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file in one step: after a kill or a crash it is the old or the new one."""
    aside = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(aside, data)
        os.replace(aside, path)
        sync_folder(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write and flush to the disk. OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """RegistryError where the disk is full, or nobody may write there."""
    try:
        yield
    except TimeoutError:  # filelock's
        raise
    except OSError as error:
        raise RegistryError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Look at rights and at the room on the disk.",
        ) from error


def sync_folder(folder: Path) -> None:
    """Flush what was made or renamed in the folder; Windows can't open folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
