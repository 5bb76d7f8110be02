"""What a registry's log means: which models were current, which set is frozen, how a model fared. Pure functions of its entries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from layoutllm_tool.errors import RegistryError
from layoutllm_tool.registry.log import Entry

SHIPPED = "shipped"
"""The id of the package's own weights."""
MODEL_ID = re.compile(r"[0-9a-f]{16}")
_ROUNDING = 1e-9
_BACKUP = "Put registry.jsonl back from a backup."


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model reached on the frozen set."""

    anls: float
    """Mean over the questions; 1 where it rightly says that the document does not."""
    right: int
    refused: int
    """Answers "not in the document"."""
    questions: int
    fingerprint: str
    """Of the model: ``folders.fingerprint``."""
    sha256: str
    """Of the file in ``scores`` with every answer."""

    def no_worse(self, current: Scores, tolerance: float) -> bool:
        return self.anls >= current.anls - tolerance - _ROUNDING


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as ``layoutllm models list`` shows it: the last that happened to it."""

    id: str
    state: str
    """current, promoted (before the current one), rolled back, refused; "" for shipped weights that are not current."""
    parent: str | None = None
    at: str = ""
    anls: float | None = None
    against: float | None = None
    """The then current model's ANLS on the same questions."""
    questions: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)


def stack(entries: Sequence[Entry]) -> list[str]:
    """Ids from the shipped model to the current one. RegistryError where an entry says what can't have happened."""
    found = [SHIPPED]
    for entry in entries:
        model, event = entry.get("model"), entry["event"]
        if event in ("promoted", "refused") and not (isinstance(model, str) and MODEL_ID.fullmatch(model)):
            raise RegistryError(f"entry {entry['number']} names no model.", hint=_BACKUP)
        if event == "promoted":
            found.append(str(model))
        if event == "rolled back":
            if model not in found[:-1]:
                raise RegistryError(f"entry {entry['number']} goes back to what was not before it.", hint=_BACKUP)
            found.pop()
            while found[-1] != model:
                found.pop()
    return found


def validation_set(entries: Sequence[Entry]) -> str | None:
    """Hash of the frozen set, or None."""
    return next((entry.get("validation") for entry in reversed(entries) if entry["event"] == "frozen"), None)


def listed(entries: Sequence[Entry]) -> list[Listed]:
    """Every model that the entries know, the shipped one first, then in the order of first appearance."""
    standing = stack(entries)
    found = {SHIPPED: Listed(SHIPPED, "current" if standing[-1] == SHIPPED else "")}
    for entry in entries:
        if entry["event"] == "promoted" or (entry["event"] == "refused" and entry["model"] not in standing):
            found[entry["model"]] = _listed(entry, standing)
    return list(found.values())


def _listed(entry: Entry, standing: Sequence[str]) -> Listed:
    model, scored, current = entry["model"], entry.get("candidate", {}), entry.get("current", {})
    if model in standing:
        state = "current" if model == standing[-1] else "promoted"
    else:
        state = "refused" if entry["event"] == "refused" else "rolled back"
    return Listed(
        model, state, entry.get("parent"), entry["at"], scored.get("anls"), current.get("anls"),
        scored.get("questions", 0), entry.get("facts", {}),
    )  # fmt: skip


def scores_of(entries: Sequence[Entry], fingerprint: str, **asked: str | None) -> list[Scores]:
    """A model's scores by the entries whose facts are those asked for, the last ones first."""
    found = []
    for entry in reversed(entries):
        if all(entry.get(name) == value for name, value in asked.items()):
            said = (entry.get("candidate"), entry.get("current"))
            found += [Scores(**one) for one in said if isinstance(one, dict) and one.get("fingerprint") == fingerprint]
    return found
