"""The same batch through a local Ray of two workers gives the same rows, and keeps the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.batch.worker import MakeReader
from layoutllm_tool.batch.store import Store
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import fill
from tests.graphs.batch.test_run import SETTINGS, run

pytest.importorskip("ray.data", reason="the extra `ray` is not installed")


def _results(out: Path) -> list[list[dict[str, Any] | None]]:
    with Store.open(out) as store:
        return [[field.result for field in store.fields(given.key)] for given in store.inputs()]


@pytest.mark.slow
def test_ray_gives_the_same_rows(tmp_path: Path) -> None:
    from layoutllm_graphs.batch.ray import on_ray

    source, make = fill(tmp_path / "in", 7), FakeReader
    reader: MakeReader = make
    here, _ = run(source, tmp_path / "here")
    there, tally = run(source, tmp_path / "ray", workers=on_ray(reader, SETTINGS, workers=2))
    assert there == here and tally.answered == 11
    assert _results(tmp_path / "ray") == _results(tmp_path / "here")
