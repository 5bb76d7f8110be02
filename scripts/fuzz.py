"""Hostile inputs made by program, thrown at the package's doors: python -m scripts.fuzz --minutes 30

No input may end in anything but an answer or an error of the package's tree, take more than 2 GB with all
processes that it starts, or more than twice its deadline. Input number i of a kind is the same for the same
seed: ``--replay pdf:17`` runs one again and prints all. Of each root, the smallest failing input is kept in
out/fuzz/.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.fuzzing.doors import KINDS, made
from scripts.fuzzing.watch import Report, fuzz

_TITLES = ("kind", "inputs", "deep", "answered", "refused", "failures", "slowest", "memory")


def main(arguments: list[str] | None = None) -> int:
    """0 where nothing failed, else 1."""
    options = _parser().parse_args(arguments)
    reports = _replayed(options) if options.replay else _run(options)
    sys.stdout.write(f"{table(reports)}\n{roots(reports, whole=bool(options.replay))}")
    for report in reports:
        _keep(report, options.seed, options.out)
    return 1 if any(report.failures for report in reports) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="for all kinds together (default: 30)")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=", ".join(KINDS)
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="kinds at once (default: 1)")
    parser.add_argument("--replay", metavar="KIND:INDEX", help="run this input alone")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    return parser


def _replayed(options: argparse.Namespace) -> list[Report]:
    kind, _, index = options.replay.partition(":")
    sys.stdout.write(f"{made(kind, options.seed, int(index))!r:.3000}\n")
    return [fuzz(kind, options.seed, indices=[int(index)])]


def _run(options: argparse.Namespace) -> list[Report]:
    """Every kind gets the same share of the time."""
    share = options.minutes * 60 / math.ceil(len(options.kinds) / options.jobs)

    def one(kind: str) -> Report:
        report = fuzz(kind, options.seed, indices=itertools.count(), until=time.monotonic() + share)
        sys.stderr.write(f"{kind}: {report.inputs} inputs, {len(report.failures)} failures\n")
        return report

    with ThreadPoolExecutor(options.jobs) as threads:
        return list(threads.map(one, options.kinds))


def table(reports: list[Report]) -> str:
    """A line a kind, then its outcomes by class. "deep": the share that got past the check of its header."""
    lines = ["".join(f"{title:>10}" for title in _TITLES)]
    for one in reports:
        refused = one.inputs - one.answered - len(one.failures)
        counts = (f"{100 * one.deep // max(one.inputs, 1)}%", one.answered, refused, len(one.failures))
        row = (one.kind, one.inputs, *counts, f"{one.slowest:.1f} s", f"{one.largest / 1e6:.0f} MB")
        lines.append("".join(f"{value:>10}" for value in row))
    said = [
        f"{one.kind}: {', '.join(f'{count} {name}' for name, count in one.said.most_common())}"
        for one in reports
    ]
    return "\n".join([*lines, "", *said])


def roots(reports: list[Report], *, whole: bool = False) -> str:
    """Failures by root, each with its smallest input; ``whole``: and with its traceback."""
    lines = []
    for report in reports:
        for root, failures in report.by_root().items():
            index, seen = failures[0]
            lines.append(f"{len(failures):6} x {root}; smallest {report.kind}:{index}, {seen.size} bytes")
            lines += [seen.detail] if whole else []
    return "".join(f"{line}\n" for line in lines)


def _keep(report: Report, seed: int, out: Path) -> None:
    """The smallest input of each root, and beside it what happened."""
    for root, failures in report.by_root().items():
        index, seen = failures[0]
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"{report.kind}-{seed}-{index}"
        file.with_suffix(".bin").write_bytes(made(report.kind, seed, index).data)
        told = f"{root}\n\n{seen.detail}\n".encode(errors="backslashreplace")
        file.with_suffix(".txt").write_bytes(told)


if __name__ == "__main__":
    raise SystemExit(main())
