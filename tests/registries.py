"""Registries for tests: folders of weights that are a few bytes, and readers that answer as those folders
say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from layoutllm_tool.protocols import Reader
from layoutllm_tool.registry import Registry
from layoutllm_tool.registry.validation import ValidationSet
from layoutllm_tool.testing import FakeReader

GOLD = {"vendor?": "ACME", "total?": "12.50", "date?": "2018-12-25", "iban?": None}
SHIPPED = GOLD | {"total?": "99.99"}
"""What the shipped weights answer: three of four are right."""
BAD = GOLD | {"total?": "99.99", "vendor?": "nobody"}


def weights(folder: Path, answers: Mapping[str, str | None] = GOLD, *, seed: int = 0, **facts: str) -> Path:
    """A folder as ``save_weights`` writes it, which answers so."""
    (folder / "adapter").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(answers)))
    (folder / "adapter/adapter_config.json").write_text("{}")
    tensor = {"gate": np.full(4, seed, np.float32)}
    save_file(tensor, folder / "parts.safetensors", metadata={"seed": str(seed), "recipe": "adapt"} | facts)
    save_file(tensor, folder / "adapter/adapter_model.safetensors")
    return folder


class Readers:
    """Makes readers for ``promote``; ``asked`` are the folders that were asked, in their order."""

    def __init__(self, shipped: Mapping[str, str | None] = SHIPPED) -> None:
        self.shipped = shipped
        self.asked: list[Path | None] = []

    def __call__(self, folder: Path | None, _languages: Sequence[str]) -> Reader:
        self.asked.append(folder)
        return FakeReader(
            self.shipped if folder is None else json.loads((folder / "config.json").read_text())
        )


def validation(folder: Path, gold: Mapping[str, str | None] = GOLD) -> Path:
    """A list of two pictures, with the questions of ``gold`` on each."""
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(2):
        name = f"documents/{number}.png"
        Image.new("L", (40, 60), 200 + number).save(folder / name)
        rows += [
            {"document": name, "question": q, "answers": [] if a is None else [a]} for q, a in gold.items()
        ]
    (folder / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "list.jsonl"


def registry(folder: Path) -> Registry:
    """One in ``folder / "registry"`` with ``validation`` beside it."""
    return Registry.set_validation(folder / "registry", ValidationSet.read(validation(folder)))
