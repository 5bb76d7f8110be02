"""Measure a batch: python -m scripts.batch_benchmark SOURCE --out DIR

Documents a minute beside asking one after another, the same rows after kills, and the same rows through Ray.
The real command runs in processes of its own, on real documents. A kill is SIGKILL to the command and all its
workers, at documents and fractions of a second drawn by the seed. The folder is resumed: what lies in it is
not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console

from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import asked_pages, open_document
from layoutllm_tool.batch.store import FILE, Store
from layoutllm_tool.batch.tables import TIMINGS, document_rows, field_rows
from layoutllm_tool.errors import LayoutLLMError, RecipeError
from layoutllm_tool.evaluation.command import make_reader
from layoutllm_tool.evaluation.report import table
from layoutllm_tool.evaluation.run import spread
from layoutllm_tool.protocols import Reader
from scripts.resumable import claim

_POLL = 0.2
"""Seconds between two looks at how far a batch has come."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``alone`` documents, evenly spaced, are asked in turn; the second batch is killed ``kills`` times."""

    source: str
    task: str
    out: Path
    alone: int = 24
    kills: int = 5
    ray: bool = False
    workers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.alone < 1 or self.kills < 0:
            raise RecipeError(f"{self.alone} alone, {self.kills} kills.", hint="Give at least 1 and 0.")


@dataclass(frozen=True, slots=True)
class Measured:
    """``same_*``: how many of ``rows`` equal those of the unbroken batch; None where it was not asked for."""

    documents: int
    failed: int
    rows: int
    batch_per_minute: float
    """With the start of command and workers."""
    alone_per_minute: float
    """One process, one document after another, without its start."""
    kills: int
    """That happened."""
    same_after_kills: int | None = None
    same_through_ray: int | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """1 where a row came out otherwise."""
    options = vars(_parser().parse_args(arguments))
    console, file = Console(), options.pop("json")
    found = measure(Plan(**options), lambda: make_reader(None), console.print)
    console.print(table(f"A batch of {found.documents} documents", ("", ""), _rows_of(found)))
    if file:
        file.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    counts = (found.same_after_kills, found.same_through_ray)
    return int(any(same not in (None, found.rows) for same in counts))


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser("batch_benchmark", formatter_class=formatter)
    parser.add_argument("source", metavar="SOURCE", help="as for `layoutllm batch`")
    parser.add_argument("--task", default="Extract company, date, address and total", metavar="TEXT")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the batches; resumed")
    parser.add_argument("--alone", type=int, default=24, metavar="N", help="documents asked one by one")
    parser.add_argument("--kills", type=int, default=5, metavar="N")
    parser.add_argument("--ray", action="store_true", help="once more with --engine ray")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured here")
    return parser


def _rows_of(found: Measured) -> list[tuple[str, str]]:
    rows = [
        ("failed", str(found.failed)),
        ("documents a minute", f"{found.batch_per_minute:.1f}"),
        ("one after another", f"{found.alone_per_minute:.1f}"),
    ]
    counts = {f"after {found.kills} kills": found.same_after_kills, "through Ray": found.same_through_ray}
    for name, same in counts.items():
        if same is not None:
            rows.append((f"rows the same {name}", f"{same} of {found.rows}"))
    return rows


def measure(plan: Plan, make: Callable[[], Reader], say: Callable[[str], None]) -> Measured:
    """LayoutLLMError where a batch ends with an error."""
    settings = {"task": plan.task, "alone": plan.alone, "workers": plan.workers, "seed": plan.seed}
    claim(plan.out, settings | {"source": os.path.abspath(plan.source)})
    seconds = _timed(plan.out / "whole.json", lambda: _anew(plan, "whole"))
    say(f"batch: {seconds:.0f} s")
    alone = spread(list(batch_inputs(plan.source)), plan.alone)
    lone = _timed(plan.out / "alone.json", lambda: _one_by_one(plan, alone, make()))
    say(f"one after another: {len(alone)} documents in {lone:.0f} s")
    whole, kills, broken, through = _rows(plan.out / "whole"), 0, None, None
    if plan.kills:
        kills = _killed(plan, say)
        broken = _same(whole, _rows(plan.out / "killed"))
        say(f"killed {kills} times: {broken} of {len(whole)} rows are the same")
    if plan.ray:
        _batch(plan, "ray", "--engine", "ray")
        through = _same(whole, _rows(plan.out / "ray"))
    with Store.open(plan.out / "whole") as store:
        counts = store.statuses()
    total = sum(counts.values())
    speeds = (60 * total / seconds, 60 * len(alone) / lone)
    return Measured(total, counts.get("failed", 0), len(whole), *speeds, kills, broken, through)


# -- runs ----------------------------------------------------------------------------------------------------


def _command(plan: Plan, name: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "layoutllm_tool", "batch", plan.source, "--task", plan.task,
        "-o", str(plan.out / name), "--workers", str(plan.workers), *more,
    ]  # fmt: skip


def _batch(plan: Plan, name: str, *more: str) -> None:
    """3 is a batch in which something failed or waits: what is measured here has both."""
    code = subprocess.run(_command(plan, name, *more), check=False).returncode
    if code not in (0, 3):
        raise LayoutLLMError(f"the batch {name!r} ended with code {code}.", hint=f"See {plan.out / name}.")


def _anew(plan: Plan, name: str) -> None:
    """What is timed begins at its beginning, though it was cut off before."""
    shutil.rmtree(plan.out / name, ignore_errors=True)
    _batch(plan, name)


def _killed(plan: Plan, say: Callable[[str], None]) -> int:
    """Run to the end through the kills (fewer where it ended before); a file keeps those that happened."""
    rng, folder, note = Random(f"kills/{plan.seed}"), plan.out / "killed", plan.out / "kills.json"
    total = sum(1 for _ in batch_inputs(plan.source))
    counts = sorted(rng.sample(range(1, total), min(plan.kills, total - 1)))
    points = [(count, rng.random() * 3) for count in counts]
    done: list[int] = json.loads(note.read_text()) if note.exists() else []
    for count, pause in points[len(done) :]:
        process = subprocess.Popen(_command(plan, "killed"), start_new_session=True)
        while process.poll() is None and _answered(folder) < count:
            time.sleep(_POLL)
        time.sleep(pause)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done.append(_answered(folder))
        note.write_text(json.dumps(done) + "\n")
        say(f"kill {len(done)} after {done[-1]} documents")
    _batch(plan, "killed")
    return len(done)


def _answered(folder: Path) -> int:
    if not (folder / FILE).exists():
        return 0
    with Store.open(folder) as store:
        return sum(store.statuses().values())


def _one_by_one(plan: Plan, chosen: Sequence[Any], reader: Reader) -> None:
    """The workflow as anybody would write it down: for each document its questions, nothing beside."""
    from layoutllm_graphs.context import Context
    from layoutllm_graphs.planning.planner import plan_task
    from layoutllm_graphs.workflow import make_graph
    from layoutllm_tool.tool import LayoutLLMTool

    task, graph = plan_task(plan.task).plan.model_dump(mode="json"), make_graph()
    for row in chosen:
        try:
            document = reader.load(open_document(row.name, pages=asked_pages(task, row.page)))
        except LayoutLLMError:
            continue
        context = Context(tool=LayoutLLMTool(reader=reader, documents={row.name: document}))
        graph.invoke({"document": row.name, "task": task, "page": row.page}, context=context)


def _timed(note: Path, work: Callable[[], None]) -> float:
    if not note.exists():
        begun = time.monotonic()
        work()
        note.write_text(json.dumps({"seconds": round(time.monotonic() - begun, 1)}) + "\n")
    return float(json.loads(note.read_text())["seconds"])


# -- rows ----------------------------------------------------------------------------------------------------


def _rows(folder: Path) -> list[dict[str, Any]]:
    with Store.open(folder) as store:
        documents = [{k: v for k, v in row.items() if k not in TIMINGS} for row in document_rows(store)]
        return [*documents, *field_rows(store)]


def _same(a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]]) -> int:
    return sum(one == other for one, other in zip(a, b, strict=True))


if __name__ == "__main__":
    sys.exit(main())
