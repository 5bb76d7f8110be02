"""The fuzz command: what it throws does no harm, and what would do harm is seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scripts.fuzz import main, roots, table
from scripts.fuzzing import doors, watch
from scripts.fuzzing.outcomes import ANSWERED, Input, Outcome
from scripts.fuzzing.watch import Report, Seen, fuzz

_COUNTS = {"pdf": 15, "tiff": 25, "png": 25, "webp": 40, "picture": 80, "json": 25, "rows": 25, "plans": 60}
_EATER = "import time; kept = b'x' * 600_000_000; time.sleep(600)"


@pytest.mark.parametrize("kind", doors.KINDS)
def test_an_input_is_known_by_its_number(kind: str) -> None:
    before = [doors.made(kind, 7, n) for n in range(60)]
    assert list(reversed(before)) == [doors.made(kind, 7, n) for n in reversed(range(60))]
    assert len({one.data for one in before} | {doors.made(kind, 8, 0).data}) > 30
    assert max(len(one.data) for one in before) < 20_000_000, (
        "what is sent is small, what it unpacks to need not be"
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", doors.KINDS)
def test_hostile_inputs_do_no_harm(kind: str) -> None:
    report = fuzz(kind, 0, indices=range(_COUNTS[kind]), slack=20)
    assert not report.failures, roots([report], whole=True)
    assert report.inputs == _COUNTS[kind] and report.deep >= 0.3 * report.inputs, table([report])
    assert report.answered > 0, table([report])


def _harmful(given: Input) -> Outcome:
    """One harm after another, by the input's size; the fifth is none."""
    match len(given.data):
        case 0:
            raise KeyError("a bug")
        case 1:
            time.sleep(600)
        case 2:
            subprocess.run([sys.executable, "-c", _EATER], check=False)
        case 3:
            os.kill(os.getpid(), signal.SIGKILL)
    return ANSWERED


def _numbered(kind: str, seed: int, index: int) -> Input:
    """The hang has no time at all, the others all they need."""
    return Input("all", b"x" * index, 0.0 if index == 1 else 1e6)


@pytest.mark.parametrize(
    ("index", "root"),
    [(0, "KeyError"), (1, "later than"), (2, "more than"), (3, "the process ended with -9"), (4, "")],
)
def test_harm_is_seen(index: int, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_BYTES", 500_000_000)
    report = fuzz("pdf", 0, indices=[index, 4], through=_harmful, make=_numbered)
    assert [seen.root[: len(root)] for _, seen in report.failures] == ([root] if root else [])
    assert report.inputs == 2 and report.answered == 2 - len(report.failures), "the one behind it is answered"
    assert not [one for one in psutil.Process().children(recursive=True) if _EATER in one.cmdline()]


def test_the_smallest_input_of_each_root_is_told() -> None:
    report = Report("pdf")
    for index, (root, size) in enumerate([("a", 90), ("b", 9), ("a", 10), ("", 5)]):
        report.count(index, Seen("answered", deep=True, root=root, size=size))
    told = ["2 x a; smallest pdf:2, 10 bytes", "1 x b; smallest pdf:1, 9 bytes"]
    assert [line.strip() for line in roots([report]).splitlines()] == told
    assert table([report]).splitlines()[1].split()[:6] == ["pdf", "4", "100%", "1", "0", "3"]


def test_one_input_is_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", "picture:3", "--seed", "5", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"Input(door={doors.made('picture', 5, 3).door!r}" in told
    assert not list(tmp_path.iterdir())
