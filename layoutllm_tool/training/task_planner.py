"""Trains the task planner's adapter: a task in words -> the lines of its plan.

    python -m layoutllm_tool.training.task_planner --state FILE --out FILE --pages 500 --rate-pages 500

The tasks were written by hand (``tasks/*.jsonl``), by authors who saw none of the tasks that it is measured
on (``tests/data/tasks``). A step's ten tasks are packed behind one head; every task is seen once before any
is seen again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import count
from random import Random

from safetensors.torch import save_file

from layoutllm_tool.model.page_text import plain
from layoutllm_tool.model.task_planner import LONGEST_PLAN, PLAN_HEAD
from layoutllm_tool.training.text_model import Asked, eight_bits, run_options, train

TASKS_A_STEP = 10


def tasks() -> list[Asked]:
    """All tasks with their plans, in the files' order."""
    folder = files(__package__).joinpath("tasks")
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".jsonl")), key=lambda p: p.name)
    entries = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    return [(plain(entry["task"]), entry["plan"]) for entry in entries]


def packs(known: Sequence[Asked], seed: int) -> Iterator[tuple[str, list[Asked]]]:
    """Endless, the same for a seed."""
    for turn in count():
        order = Random(f"task planner/{seed}/{turn}").sample(known, len(known))
        for start in range(0, len(order), TASKS_A_STEP):
            yield PLAN_HEAD, order[start : start + TASKS_A_STEP]


def main(arguments: list[str] | None = None) -> None:
    options = run_options(__doc__).parse_args(arguments)
    weights = train(options, packs(tasks(), options.seed), LONGEST_PLAN)
    save_file(eight_bits(weights), options.out, metadata={"pages": str(options.pages)})


if __name__ == "__main__":
    main()
