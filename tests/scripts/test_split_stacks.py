"""Stacks of the documents in tests/data, split again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest

from layoutllm_tool.testing import page_from_text
from scripts.split_stacks import Scores, Source, main, stack


def test_scores_count_boundaries_and_whole_documents() -> None:
    pages = tuple(page_from_text(f"{name}\nPage {n} of 2") for name in ("Plums", "Pears") for n in (1, 2))
    drawn = [Source("a", "x", pages[:2], "letter"), Source("b", "x", pages[2:])]
    scores = Scores()
    scores.add(drawn, stack(drawn, Random(0), mixed=True, one_size=True)[1])
    assert (scores.found, scores.given, scores.right, scores.whole, scores.kinds) == (1, 1, 1, 2, [False])


@pytest.mark.slow
def test_stacks_of_everyday_documents(tmp_path: Path) -> None:
    assert main(["--seeds", "0-4", "--part", "all", "--json", str(tmp_path / "scores.json")]) == 0
    found = json.loads((tmp_path / "scores.json").read_text())
    precision, recall = map(float, re.findall(r"(?:precision|recall) ([\d.]+)", found["all"]))
    assert precision >= 0.85 and recall >= 0.9
