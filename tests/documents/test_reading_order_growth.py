"""Pages made to be slow: twice as many words are no more than about twice the work. Calls are counted, not
seconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.documents.reading_order import MAX_WORDS, MOST_CAREFUL, group_lines
from layoutllm_tool.documents.words import load_words
from layoutllm_tool.errors import DocumentTooLarge, DocumentUnreadable
from tests.graphs.reflection.checks.test_growth import calls

LONG = "abcdefghijklmnopqrstuvwx"
"""Enough letters for a row of running text."""


def word(text: str, x: float, y: float, width: float, height: float) -> Word:
    return Word(text, Box(x, y, min(x + width, 1000), min(y + height, 1000)))


def scattered(count: int) -> list[Word]:
    at = random.Random(1).uniform
    return [word(f"w{i}", at(0, 950), at(0, 985), at(5, 50), at(3, 15)) for i in range(count)]


def in_one_row(count: int) -> list[Word]:
    return [word("a", 1000 * i / count, 500, 900 / count, 10) for i in range(count)]


def in_one_row_apart(count: int) -> list[Word]:
    return [word("a", 1000 * i / count, 500, 100 / count, 0.1) for i in range(count)]


def on_one_spot(count: int) -> list[Word]:
    return [word("abc", 500, 500, 10, 10)] * count


def of_all_heights(count: int) -> list[Word]:
    at = random.Random(1).uniform
    heights = (2 ** at(-6, 8.5) for _ in range(count))
    return [word("abc", at(0, 900), 500 - height / 2, 50, height) for height in heights]


def gutters_that_move(count: int) -> list[Word]:
    """Two columns whose gutter is elsewhere every five rows."""
    rows = count // 2
    found = []
    for row in range(rows):
        gutter, y, height = 300 if row // 5 % 2 else 600, 1000 * row / rows, 600 / rows
        found += [word(LONG, 10, y, gutter - 20, height), word(LONG, gutter + 10, y, 980 - gutter, height)]
    return found


@pytest.mark.parametrize(
    "made", [scattered, in_one_row, in_one_row_apart, on_one_spot, of_all_heights, gutters_that_move]
)
def test_the_work_grows_with_the_words(made: Callable[[int], list[Word]]) -> None:
    def work(count: int) -> int:
        words = made(count)
        return calls(lambda: group_lines(words, width=1700, height=2200))

    small, large = work(1500), work(3000)
    assert large < 2.5 * small, (small, large)


@pytest.mark.parametrize("made", [scattered, gutters_that_move])
def test_a_page_that_is_too_full_for_columns_is_read_row_by_row(made: Callable[[int], list[Word]]) -> None:
    words = made(MOST_CAREFUL + 2)
    lines = group_lines(words, width=1700, height=2200)
    assert sorted((w.box, w.text) for line in lines for w in line.words) == sorted(
        (w.box, w.text) for w in words
    )
    if made is gutters_that_move:  # not all of the left column first
        assert [line.box.x0 < 100 for line in lines[:4]] == [True, False, True, False]


def test_too_many_words_are_refused_before_they_are_ordered() -> None:
    words = [Word("a", Box(0, 0, 1, 1))] * (MAX_WORDS + 1)
    with pytest.raises(DocumentTooLarge, match="20,001 words"):
        group_lines(words, width=100, height=100)
    entries = [{"text": "a " * (MAX_WORDS + 1), "box": [0, 0, 10, 10]}] + [
        {}
    ] * 10  # what follows is not looked at
    with pytest.raises(DocumentUnreadable, match="more than 20,000 words"):
        load_words({"words": entries, "width": 100, "height": 100})
