"""The same batch through a local Ray of two workers gives the same rows, and parks the same threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphs.batch import RUNS
from graphs.batch_desk import MakeReader
from graphs.runs import checkpoints
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import fill
from tests.test_batch_run import SETTINGS, run

pytest.importorskip("ray.data", reason="the extra `ray` is not installed")


def _threads(out: Path) -> set[str]:
    with checkpoints(out / RUNS) as saver:
        return {known.config["configurable"]["thread_id"] for known in saver.list(None)}


@pytest.mark.slow
def test_ray_gives_the_same_rows(tmp_path: Path) -> None:
    from graphs.batch_ray import on_ray

    source, make = fill(tmp_path / "in", 7), FakeReader
    reader: MakeReader = make
    here, _ = run(source, tmp_path / "here")
    there, tally = run(source, tmp_path / "ray", workers=on_ray(reader, SETTINGS, workers=2))
    assert there == here and tally.answered == 11
    assert _threads(tmp_path / "ray") == _threads(tmp_path / "here") != set()
