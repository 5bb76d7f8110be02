"""Folders of weights as files: which model they are, where it comes from, and copies of them that are whole or not there.

What the files hold is ``model/weights``' matter; of ``parts.safetensors`` only the facts in its header are read here. No torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from layoutllm_tool.errors import RegistryError
from layoutllm_tool.registry.log import sync_folder, writing

PARTS = "parts.safetensors"
NEEDED = ("config.json", PARTS, "adapter/adapter_config.json", "adapter/adapter_model.safetensors")
MAY_BE = ("calibration.json", "loss_head.safetensors")
CARD = "MODEL_CARD.md"
"""Goes along, and changes no answer: no part of what a model is known by."""
_LONGEST_HEADER = 16 * 2**20
_MOST_FACTS, _LONGEST_FACT = 64, 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A copy of a folder of weights inside the registry, not yet part of it."""

    folder: Path
    files: Mapping[str, str]
    facts: Mapping[str, str]
    parent: str | None
    """Id of the model it was trained from; the beginning of that one's hash, where the registry does not know it."""

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.files)

    @property
    def id(self) -> str:
        return self.fingerprint[:16]


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that an answer may depend on. RegistryError where one that is needed is not there."""
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise RegistryError(f"{folder} lacks {', '.join(missing)}.", hint="Name a folder of weights, as `layoutllm train` writes it.")  # fmt: skip
    names = (*NEEDED, *(name for name in MAY_BE if (folder / name).is_file()))
    try:
        return {name: _sha256(folder / name) for name in names}
    except OSError as error:
        raise RegistryError(f"{folder} can't be read: {error}.", hint="Check the rights to it.") from error


def fingerprint(found: Mapping[str, str]) -> str:
    """SHA-256 over names and hashes of ``files``: other weights, another configuration or calibration is another model."""
    return hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()


def parts_sha256(found: Mapping[str, str]) -> str:
    """What ``model/weights.parts_sha256`` says of the folder, by its ``files``; "" where they are not those of weights."""
    try:
        return hashlib.sha256(b"".join(bytes.fromhex(found[name]) for name in (PARTS, NEEDED[-1]))).hexdigest()
    except (KeyError, TypeError, ValueError):
        return ""


def facts(folder: Path) -> dict[str, str]:
    """What the training run wrote beside the weights: seed, recipe, hashes of its data, what it started from ... Bounded.

    RegistryError where the file is no safetensors file.
    """
    try:
        with (folder / PARTS).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= _LONGEST_HEADER:
                raise ValueError(f"a header of {size} bytes")
            header = json.loads(file.read(size))
        found = header.get("__metadata__") or {}
        pairs = [(str(name)[:_LONGEST_FACT], str(value)[:_LONGEST_FACT]) for name, value in found.items()]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise RegistryError(
            f"{folder / PARTS} is no safetensors file: {error}.", hint="Export the weights again."
        ) from error
    return dict(sorted(pairs)[:_MOST_FACTS])


def copy(source: Path, target: Path) -> None:
    """The known files of a folder, and no others, on the disk when this returns. ``target`` is new; it may be left half made."""
    with writing(target):
        (target / "adapter").mkdir(parents=True)
        for name in (*NEEDED, *MAY_BE, CARD):
            if (source / name).is_file():
                _copy(source / name, target / name)
    sync_folder(target / "adapter")
    sync_folder(target)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as given, target.open("xb") as made:
        while block := given.read(2**20):
            made.write(block)
        made.flush()
        os.fsync(made.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
