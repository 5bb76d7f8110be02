"""Packs of tasks: every task once a turn, the same for a seed, none that plays the chat's turns."""

import json
from itertools import islice

from layoutllm_tool.training.task_planner import TASKS_A_STEP, packs, tasks
from tests.paths import ROOT


def test_every_task_is_seen_once_a_turn_and_the_same_for_a_seed() -> None:
    known = [(f"task {n}", f"field: {n}") for n in range(3 * TASKS_A_STEP - 4)]
    turns = [pack for _, pack in islice(packs(known, 7), 6)]
    for turn in (turns[:3], turns[3:]):
        assert sorted(task for pack in turn for task in pack) == sorted(known)
    assert turns[:3] != turns[3:] and turns == [pack for _, pack in islice(packs(known, 7), 6)]


def test_the_tasks_are_many_none_comes_twice_and_none_is_of_those_that_are_measured() -> None:
    learned = [task for task, _ in tasks()]
    assert len(learned) > 1_500 and len(set(learned)) == len(learned)
    measured = [
        entry["task"]
        for path in (ROOT / "tests/data/tasks").glob("*.json")
        for entry in json.loads(path.read_text())
    ]
    assert measured and {*map(str.casefold, learned)}.isdisjoint(map(str.casefold, measured))
    assert not any("<|" in task for task in learned)
