"""Hostile inputs made by program, thrown at the doors of the package for so many minutes: python -m scripts.fuzz --minutes 30

No input may end in anything but an answer or an error of the package's tree, take more than 2 GB with all processes that it starts, or
more than twice its deadline. Input number i of a kind is the same for the same seed: ``--replay pdf:17`` runs one again and prints all.
Failing inputs, the smallest of each root, are kept in out/fuzz/.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.fuzzing.doors import KINDS, made
from scripts.fuzzing.watch import Failure, Report, fuzz


def main(arguments: list[str] | None = None) -> int:
    """0 where nothing failed, else 1."""
    options = _parser().parse_args(arguments)
    if options.replay:
        kind, _, index = options.replay.partition(":")
        reports = [fuzz(kind, options.seed, indices=iter([int(index)]))]
        sys.stdout.write(f"{made(kind, options.seed, int(index))!r:.3000}\n")
    else:
        reports = _run(options)
    for report in reports:
        _keep(report, options.seed, options.out)
    sys.stdout.write(f"{table(reports)}\n{roots(reports, whole=bool(options.replay))}")
    return 1 if any(report.failures for report in reports) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="for all kinds together (default: 30)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="kinds at once (default: 1)")
    parser.add_argument("--replay", metavar="KIND:INDEX", help="run this input alone")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    return parser


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
    """A line a kind. "deep": the share that got past the check of its header."""
    lines = [
        f"{'kind':8} {'inputs':>7} {'deep':>5} {'answered':>8} {'refused':>7} {'failures':>8} {'slowest':>9} {'memory':>8}"
    ]
    for one in reports:
        deep = 100 * one.deep / max(one.inputs, 1)
        lines.append(f"{one.kind:8} {one.inputs:7} {deep:4.0f}% {one.answered:8} {one.refused:7} {len(one.failures):8} {one.slowest[0]:7.1f} s {one.largest[0] / 1e6:5.0f} MB")  # fmt: skip
    said = [f"{one.kind}: {', '.join(f'{count} {name}' for name, count in one.said.most_common())}" for one in reports]
    return "\n".join([*lines, "", *said])


def roots(reports: list[Report], *, whole: bool = False) -> str:
    """Failures by root, each with its smallest input."""
    lines = []
    for kind, root, failures in _by_root(reports):
        least = min(failures, key=lambda one: one.bytes)
        lines.append(f"{len(failures):5} x {root}; smallest {kind}:{least.index}, {least.bytes} bytes")
        lines += [least.detail] if whole else []
    return "".join(f"{line}\n" for line in lines)


def _by_root(reports: list[Report]) -> list[tuple[str, str, list[Failure]]]:
    found: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for report in reports:
        for failure in report.failures:
            found[report.kind, failure.root].append(failure)
    return sorted(((kind, root, failures) for (kind, root), failures in found.items()), key=lambda one: -len(one[2]))


def _keep(report: Report, seed: int, out: Path) -> None:
    """The smallest input of each root, and beside it what happened."""
    for kind, root, failures in _by_root([report]):
        least = min(failures, key=lambda one: one.bytes)
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"{kind}-{seed}-{least.index}"
        file.with_suffix(".bin").write_bytes(made(kind, seed, least.index).data)
        file.with_suffix(".txt").write_text(f"{root}\n\n{least.detail}\n", encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    raise SystemExit(main())
