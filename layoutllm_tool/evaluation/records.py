"""Score typed records (``layoutllm eval records``): values by leaf, rows by alignment, sure errors.

A set is a folder with ``tasks.json``: a list of {"id", "document", "schema", "expected", "accepted"}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from layoutllm_tool.documents.safety import Access
from layoutllm_tool.evaluation.run import Tick
from layoutllm_tool.protocols import Reader
from layoutllm_tool.tool import LayoutLLMTool

SURE = 0.8
_NO_ROW = object()
"""In place of the leaves of a row that was not found: equal to nothing, not even to null."""
_ALIKE = 95
"""Least likeness of two texts that say the same, in per cent: a letter misread in twenty."""


@dataclass
class RecordScores:
    """Counts over tasks. ``kinds`` counts (right, all) by the type of the value expected."""

    right: int = 0
    leaves: int = 0
    sure_wrong: int = 0
    rows_right: int = 0
    rows_expected: int = 0
    rows_given: int = 0
    kinds: dict[str, list[int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """A line each: task, pointer, expected, given."""

    def count(self, where: str, expected: Any, given: Any, sure: bool, accepted: Sequence[Any]) -> bool:
        right = any(same(value, given) for value in (expected, *accepted))
        kind = self.kinds.setdefault(_kind(expected), [0, 0])
        kind[0] += right
        kind[1] += 1
        self.leaves += 1
        self.right += right
        self.sure_wrong += sure and not right
        if not right:
            shown = "no row" if given is _NO_ROW else f"given {given!r}{' SURE' if sure else ''}"
            self.wrong.append(f"{where}: {expected!r}, {shown}")
        return right


@dataclass
class Extracted:
    """All tasks' scores, and their records with their fields by task."""

    scores: RecordScores = field(default_factory=RecordScores)
    records: dict[str, Any] = field(default_factory=dict)


def extract_all(
    tasks: Sequence[Mapping[str, Any]],
    folder: Path,
    reader: Reader,
    *,
    tick: Tick | None = None,
) -> Extracted:
    """Extract every task's record with the workflow and compare it with the expected one."""
    from layoutllm_graphs.context import Context
    from layoutllm_graphs.extract import extract

    done = Extracted()
    tool = LayoutLLMTool(reader=reader, access=Access.anywhere())
    context = Context(tool=tool, second_opinion=False)  # as ``extract`` has it
    for task in tasks:
        found = extract(str(folder / task["document"]), task["schema"], context=context)
        compare(done.scores, task, found.record, found.fields)
        done.records[task["id"]] = {"record": found.record, "fields": found.fields}
        if tick:
            tick(1)
    return done


def compare(
    scores: RecordScores, task: Mapping[str, Any], record: Mapping[str, Any], fields: Mapping[str, Any]
) -> None:
    """Count one task's record. A field is sure where it is satisfied at ``SURE`` or more."""
    sure = {at: f["verdict"] == "satisfied" and f["confidence"] >= SURE for at, f in fields.items()}
    _compare(scores, task, "", task["expected"], record, sure)


def table(scores: RecordScores) -> str:
    """The figures in lines of text, then every wrong leaf."""
    kinds = ", ".join(f"{kind} {right} of {n}" for kind, (right, n) in sorted(scores.kinds.items()))
    rows = (
        f"rows: {scores.rows_right} of {scores.rows_expected} found, {scores.rows_given} given"
        if scores.rows_expected else "no rows"
    )  # fmt: skip
    share, sure = (n / max(scores.leaves, 1) for n in (scores.right, scores.sure_wrong))
    return "\n".join(
        (
            f"leaves: {scores.right} of {scores.leaves} right ({share:.3f}); {kinds}",
            f"wrong at {SURE} and more: {scores.sure_wrong} ({sure:.1%} of all)",
            rows, *scores.wrong,
        )
    )  # fmt: skip


def read_tasks(folder: Path) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    return tasks


def same(expected: Any, given: Any) -> bool:
    """Equal as numbers, booleans or null; texts but for case, blanks, end punctuation, a letter in twenty."""
    if expected is None or given is None or isinstance(expected, bool) or isinstance(given, bool):
        return expected is given
    if isinstance(expected, int | float | Decimal):
        try:
            return abs(Decimal(str(expected)) - Decimal(str(given))) < Decimal("0.0001")
        except InvalidOperation:
            return False
    a, b = plain(str(expected)), plain(str(given))
    digits = re.sub(r"\D", "", a) == re.sub(r"\D", "", b)
    return a == b or (digits and fuzz.ratio(a, b) >= _ALIKE)


def plain(text: str) -> str:
    return " ".join(re.sub(r"[\s,;]+", " ", text.casefold()).strip(" .:").split())


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return "date"
    return {bool: "boolean", int: "number", float: "number"}.get(type(value), "text")


def _compare(
    scores: RecordScores,
    task: Mapping[str, Any],
    at: str,
    expected: Any,
    given: Any,
    sure: Mapping[str, bool],
) -> None:
    if isinstance(expected, Mapping):
        for name, value in expected.items():
            inner = given.get(name) if isinstance(given, Mapping) else given if given is _NO_ROW else None
            _compare(scores, task, f"{at}/{name}", value, inner, sure)
    elif isinstance(expected, list):
        compare_rows(scores, task, at, expected, given if isinstance(given, list) else [], sure)
    else:
        accepted = task.get("accepted", {}).get(at, [])
        scores.count(f"{task['id']} {at}", expected, given, sure.get(at, False), accepted)


def compare_rows(
    scores: RecordScores, task: Mapping[str, Any], at: str, expected: list[Any], given: list[Any],
    sure: Mapping[str, bool],
) -> None:  # fmt: skip
    scores.rows_expected += len(expected)
    scores.rows_given += len(given)
    pairs = dict(aligned(expected, given))
    for i, row in enumerate(expected):
        j = pairs.get(i)
        found = given[j] if j is not None else _NO_ROW
        scores.rows_right += found is not _NO_ROW and _alike(row, found) >= 0.5
        own = {pointer: known for pointer, known in sure.items() if pointer.startswith(f"{at}/{j}/")}
        moved = {f"{at}/{i}{pointer.removeprefix(f'{at}/{j}')}": known for pointer, known in own.items()}
        if isinstance(row, Mapping):
            _compare(scores, task, f"{at}/{i}", row, found, moved)
        else:
            where, accepted = f"{task['id']} {at}/{i}", task.get("accepted", {}).get(f"{at}/{i}", [])
            scores.count(where, row, found, sure.get(f"{at}/{j}", False), accepted)
    for j in set(range(len(given))) - set(pairs.values()):  # rows that are none
        surely = [p for p, _ in leaves(given[j]) if sure.get(f"{at}/{j}{p}", False)]
        scores.sure_wrong += len(surely)
        scores.wrong.append(f"{task['id']} {at}: a row too many, {given[j]!r}{' SURE' if surely else ''}")


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """(JSON pointer, value) of everything that is no object."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{at}/{name}")
    else:
        yield at, value


def aligned(expected: Sequence[Any], given: Sequence[Any]) -> list[tuple[int, int]]:
    """Pairs of rows in order, with the most equal leaves in all."""
    best = [[0.0] * (len(given) + 1) for _ in range(len(expected) + 1)]
    alike = [[_alike(a, b) for b in given] for a in expected]
    for i in range(len(expected) - 1, -1, -1):
        for j in range(len(given) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + alike[i][j])
    pairs, i, j = [], 0, 0
    while i < len(expected) and j < len(given):
        if alike[i][j] and best[i][j] == best[i + 1][j + 1] + alike[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _alike(expected: Any, given: Any) -> float:
    """Share of equal leaves."""
    theirs = dict(leaves(given))
    own = list(leaves(expected))
    return sum(pointer in theirs and same(value, theirs[pointer]) for pointer, value in own) / len(own)
