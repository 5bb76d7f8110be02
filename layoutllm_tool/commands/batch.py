"""``layoutllm batch SOURCE --task ... -o out/``: a task over many documents, resumable.

Progress goes to stderr; tables lie in the folder. Looking at them, and deciding on what waits, is ``layoutllm
view``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.commands import arguments
from layoutllm_tool.commands.show import MOST_DOUBTS, tell_doubts
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.protocols import Reader
from layoutllm_tool.version import package_version

if TYPE_CHECKING:
    from layoutllm_graphs.batch.runner import Batch, BatchStats, Workers
    from layoutllm_graphs.batch.worker import Settings
    from layoutllm_tool.batch.store import Field

_EXAMPLES = """\
examples:
  layoutllm batch receipts/ --task "Extract vendor, date and total" -o out/
  layoutllm batch invoices.csv --schema invoice.schema.json -o out/ --workers 4
  layoutllm batch "s3://bucket/scans/*.pdf" --task "Extract the total" -o out/ --shard 1/8
  layoutllm batch receipts/ --task "Extract vendor, date and total" -o out/ --retry-failed

SOURCE is a folder, a file, a glob, or a JSONL or CSV list with the field `document` (or path, \
file) and optionally `page`.
The same command again goes on where the last one ended, however it ended. Exit codes: \
0 where every document is done,
3 where one failed or waits for a person, 1 where an error that should not have happened is in errors.log.
"""
_EVERY = 15.0
"""Seconds between lines of progress that no terminal shows."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    short = "carry out a document task over many documents"
    text = "Carry out a task over many documents. Answers that stay doubtful wait for a person."
    parser = arguments.add_command(
        commands, "batch", run, summary=short, description=text, examples=_EXAMPLES
    )
    add = parser.add_argument
    add(
        "source", metavar="SOURCE", help="folder, file, glob, or a list (.jsonl, .csv); also s3://, gs:// ..."
    )
    arguments.add_task(parser)
    add("-o", "--out", type=Path, required=True, metavar="DIR", help="where results are kept")
    add("--page", type=arguments.from_one, metavar="N", help="look at this page only, where a row names none")
    add(
        "--shard", type=_shard, metavar="I/N",
        help="only the I-th of N parts (from 1), by a hash of the name; a folder for each",
    )  # fmt: skip
    add("--retry-failed", action="store_true", help="do again what failed, and nothing else")
    arguments.add_attempts(parser)
    arguments.add_min_confidence(parser)
    arguments.add_escalation(parser)
    add("--no-second-opinion", action="store_true", help="don't read doubtful answers again from a crop")
    arguments.add_places(parser, default="the list's folder, or the folder itself")
    arguments.add_reading(parser, password=False)
    engine = "who does the work (default: processes)"
    add("--engine", choices=("processes", "ray"), default="processes", help=engine)
    add("--ray-address", metavar="HOST:PORT", help="of a Ray cluster; default: RAY_ADDRESS, else a local one")
    workers = min(4, os.cpu_count() or 1)
    add(
        "--workers", type=arguments.from_one, default=workers, metavar="N",
        help=f"processes with a model each, 1.2 GB or so (default: a core each, at most 4; here {workers})",
    )  # fmt: skip
    add(
        "--seconds", type=_limit, default=300.0, metavar="S",
        help="longest time for a document (default: 300; not with Ray)",
    )  # fmt: skip


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """0: all done; 3: something failed or is pending; 1: an unexpected error. LayoutLLMError."""
    from layoutllm_graphs.batch.runner import Batch
    from layoutllm_tool.batch.inputs import batch_inputs
    from layoutllm_tool.batch.tables import write_tables
    from layoutllm_tool.registry import resolve

    options.weights = resolve(options.weights)  # once: all workers, and the store, mean the same model
    settings = _settings(options, reader)
    shard = options.shard
    part = f"{shard[0] + 1}/{shard[1]}" if shard else ""
    found = batch_inputs(
        options.source, page=options.page, shard=shard, roots=options.root, schemes=options.allow_scheme
    )
    with Batch(found, options.out, settings, shard=part, retry_failed=options.retry_failed) as batch:
        progress = _Progress(batch)
        try:
            with progress.bar:
                stats = batch.run(_workers(options, settings, reader), progress.take)
        finally:
            parquet = write_tables(batch.store, options.out)
        return _report(batch, stats, options.out, parquet=parquet)


def _report(batch: Batch, stats: BatchStats, out: Path, *, parquet: bool) -> int:
    waiting, pending = batch.store.find(pending_review=True, limit=MOST_DOUBTS)
    tell_doubts(((_label(batch, field), " ".join(field.answer["reasons"])) for field in pending), waiting)
    counts = {"done": 0, "failed": 0} | batch.store.statuses()
    sys.stderr.write(
        f"layoutllm: {counts['done']} done, {counts['failed']} failed, "
        f"{waiting} fields wait for a person; {out}\n"
    )
    if not parquet:
        sys.stderr.write("layoutllm: no Parquet without pyarrow: pip install 'layoutllm-tool[batch]'\n")
    if stats.bugs:
        sys.stderr.write(f"layoutllm: {stats.bugs} unexpected errors, see {out / 'errors.log'}\n")
        return 1
    return 3 if waiting or counts["failed"] else 0


def _label(batch: Batch, field: Field) -> str:
    source = batch.store.input_of(field.key)
    return f"{source.name if source else field.key}: {field.name}"


# -- options -------------------------------------------------------------------------------------------------


def _limit(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to a day")
    return seconds


def _shard(text: str) -> tuple[int, int]:
    part, slash, shards = text.partition("/")
    if not (slash and part.isdecimal() and shards.isdecimal() and 1 <= int(part) <= int(shards)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part like 1/4")
    return int(part) - 1, int(shards)


def _settings(options: argparse.Namespace, reader: Reader | None) -> Settings:
    from layoutllm_graphs.batch.worker import Settings
    from layoutllm_graphs.chat_models import chat_model

    if options.escalate:
        chat_model(options.escalate)  # every worker makes its own: an unknown one is told before they start
    task, schema = arguments.task_of(options)
    return Settings.of(
        task, schema=schema, model=_identity(options, reader),
        max_attempts=options.max_attempts,
        second_opinion=not options.no_second_opinion, languages=options.lang, version=package_version(),
        min_confidence=options.min_confidence, escalate=options.escalate,
        max_escalations=options.max_escalations,
    )  # fmt: skip


def _identity(options: argparse.Namespace, reader: Reader | None) -> dict[str, str]:
    from layoutllm_graphs.batch.runner import reader_identity

    known = reader_identity(reader) if reader else _model(options.weights)
    return known | ({"ocr": options.ocr} if options.ocr else {})


def _model(weights: Path | None) -> dict[str, str]:
    """Which weights, by content. Fetches a missing base model once, before any worker needs it."""
    from layoutllm_tool.model.base import base_model, base_sha256
    from layoutllm_tool.model.weights import calibration, parts_sha256

    try:
        parts = parts_sha256(weights)
    except OSError as error:
        raise LayoutLLMError(
            f"{weights} holds no weights: {error}.", hint="Name a folder of weights."
        ) from error
    fitted = hashlib.sha256(json.dumps(calibration(weights), sort_keys=True).encode()).hexdigest()
    return {
        "reader": "LayoutLLMReader", "parts_sha256": parts, "base_sha256": base_sha256(base_model()),
        "calibration_sha256": fitted,
    }  # fmt: skip


def _workers(options: argparse.Namespace, settings: Settings, reader: Reader | None) -> Workers:
    from layoutllm_graphs.batch.runner import here

    if reader is not None:
        return here(reader, settings)
    make = arguments.reading_options(options).reader
    if options.engine == "ray":
        from layoutllm_graphs.batch.ray import on_ray

        return on_ray(make, settings, workers=options.workers, address=options.ray_address)
    from layoutllm_graphs.batch.pool import pool

    return lambda items: pool(make, settings, items, workers=options.workers, seconds=options.seconds)


# -- progress ------------------------------------------------------------------------------------------------


class _Progress:
    """A bar on a terminal, else a line every so many seconds; both on stderr."""

    def __init__(self, batch: Batch) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress

        self._batch, self._begun, self._last = batch, time.monotonic(), time.monotonic()
        self._verdicts = Counter({"satisfied": 0, "failed": 0} | batch.store.verdicts())
        self.bar = Progress(
            "{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[text]}",
            console=Console(stderr=True), disable=not sys.stderr.isatty(),
        )  # fmt: skip
        self.bar.add_task("documents", total=batch.stats.total, text="")

    def take(self, result: Any) -> None:
        """After each document."""
        self._verdicts.update(field.answer["verdict"] for field in result.fields)
        stats = self._batch.stats
        if not self.bar.disable:
            self.bar.update(self.bar.task_ids[0], completed=stats.seen, text=self._text())
        elif time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            sys.stderr.write(f"layoutllm: {stats.seen} of {stats.total} documents, {self._text()}\n")

    def _text(self) -> str:
        stats, passed = self._batch.stats, max(time.monotonic() - self._begun, 1e-6)
        speed = stats.answered / passed
        left = timedelta(seconds=round((stats.total - stats.seen) / speed if speed else 0.0))
        verdicts = ", ".join(f"{count} {name}" for name, count in self._verdicts.items() if count)
        return f"{60 * speed:.1f} a minute, {left} left; {verdicts}; {stats.failed} documents failed"
