"""A batch's workers as Ray actors, on this machine or a cluster (extra ``ray``).

Documents are opened where they are read, so a cluster's names are URLs (``batch.sources.SCHEMES``) or paths
that every node has. There is no time limit for a document. Ray retries a document that kills its actor, and
in the end fails the batch; what was answered is kept.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from layoutllm_graphs.batch.runner import Workers
from layoutllm_graphs.batch.worker import BatchWorker, MakeReader, Settings, WorkItem, WorkResult
from layoutllm_tool.errors import LayoutLLMError

_BATCH = 4
"""Documents that an actor takes at once: what is lost where an actor dies."""


class _Actor:
    """Holds one reader; from rows of names to rows of results."""

    def __init__(self, make_reader: MakeReader, settings: Settings) -> None:
        self._worker = BatchWorker(make_reader(), settings)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        items = [WorkItem.from_json(json.loads(str(item))) for item in batch["item"]]
        return {"result": [json.dumps(asdict(self._worker.result(item))) for item in items]}


def on_ray(
    make_reader: MakeReader, settings: Settings, *, workers: int = 1, address: str | None = None
) -> Workers:
    """``address`` of a cluster, else RAY_ADDRESS, else a Ray of this process that ends with the batch.

    The driver hashes all documents first.
    """

    def results(items: Iterator[WorkItem]) -> Iterator[WorkResult]:
        rows = [{"item": json.dumps(asdict(item))} for item in items]
        if not rows:
            return
        ray, ours = _started(workers, address or os.environ.get("RAY_ADDRESS"))
        try:
            answered = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // _BATCH)).map_batches(
                _Actor, fn_constructor_args=(make_reader, settings), batch_size=_BATCH, num_cpus=1,
                compute=ray.data.ActorPoolStrategy(size=workers),
            )  # fmt: skip
            for row in answered.iter_rows():
                yield WorkResult.from_json(json.loads(row["result"]))
        finally:
            if ours:
                ray.shutdown()

    return results


def _started(workers: int, address: str | None) -> tuple[Any, bool]:
    """Ray, without dashboard, usage reports and messages; and whether it was started here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LayoutLLMError(
            "--engine ray needs a package more.", hint="pip install 'layoutllm-tool[ray]'"
        ) from error
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
    if address is None:  # Ray Data's own tasks take a core beside the actors'
        options |= {"num_cpus": max(workers + 1, os.cpu_count() or 1), "include_dashboard": False}
    else:
        options["address"] = address
    ours = not ray.is_initialized()
    try:
        if ours:
            ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise LayoutLLMError(
            f"Ray can't be reached: {error}.", hint="Check --ray-address or RAY_ADDRESS."
        ) from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    return ray, ours
