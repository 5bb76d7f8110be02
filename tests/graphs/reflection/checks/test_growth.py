"""Pages made to be slow: twice as many lines that all hold the key are no more than about twice the work.
Calls are counted, not seconds.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from layoutllm_graphs.reflection.checks import CHECKS, Check
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.columns import column_of
from layoutllm_tool.cot import AnswerFormation, Area, Evidence, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Document, Line, Page, Word
from layoutllm_tool.documents.key_places import MOST_KEY_LINES, places
from layoutllm_tool.documents.line_items import read_tables
from layoutllm_tool.documents.spatial import lines_at
from tests.graphs.reflection.attempts import attempt, rule

SMALL, LARGE = 300, 600
TEXTS = ("Total: {}.50", "Total 12.50", "Total", "Total first left total")


def calls(work: Callable[[], Any]) -> int:
    """Of functions, the built-in ones among them."""
    count = 0

    def note(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def page_of(count: int, text: str, columns: int) -> Document:
    """So many lines side by side and below one another."""
    rows = -(-count // columns)
    lines = [
        _line(text.format(i).split(), i % columns / columns, i // columns / rows, 1 / columns, 1 / rows)
        for i in range(count)
    ]
    return Document("page", "0", (Page(1, 800, 1000, tuple(lines), text_source="given"),))


def _line(words: list[str], x: float, y: float, width: float, height: float) -> Line:
    step = width / len(words)
    boxes = [
        Box(*(1000 * v for v in (x + i * step, y, x + (i + 0.9) * step, y + 0.9 * height)))
        for i in range(len(words))
    ]
    return Line(tuple(Word(word, box) for word, box in zip(words, boxes, strict=True)))


def answered(
    answer: str | None, evidence: tuple[Evidence, ...] = (), areas: tuple[Area, ...] = ()
) -> LayoutCoT:
    analysis = QuestionAnalysis("key-value", "extraction", "Total")
    return LayoutCoT(
        "What is the total?", analysis, areas, AnswerFormation("right of", "Total"), answer, 0.3, evidence
    )


def nothing_found(page: Document) -> CheckInput:
    return attempt(page, answered(None), text='What is the "Total"?', type="money")


def found_elsewhere(page: Document) -> CheckInput:
    question = 'What is the second "Total" below the "left total" on the left?'
    return attempt(
        page, answered("12.50", areas=(Area(1, Box(0, 0, 1, 1), (0,)),)), text=question, type="money"
    )


def many_values(page: Document) -> CheckInput:
    lines = page.pages[0].lines or ()
    answer = "; ".join(f"{i}.51" for i in range(len(lines)))
    return attempt(page, answered(answer), text='What are the "Total"s?', type="money", is_list=True)


def many_places(page: Document) -> CheckInput:
    lines = page.pages[0].lines or ()
    evidence = tuple(Evidence(1, line.box, line.text, ((i, 0),)) for i, line in enumerate(lines))
    answer = "; ".join(f"{i}.51 x" for i in range(len(lines)))
    return attempt(page, answered(answer, evidence), text='What are the "Total"s?', type="date", is_list=True)


def constrained(page: Document) -> CheckInput:
    rules = (
        rule("equal", "total", "b"),
        rule("sum", "b", "c", total="total"),
        rule("ordered", "b", "total", "c"),
    )
    everywhere = (Area(1, Box(0, 0, 1000, 1000), ()),)
    others = {"b": answered("3.00", areas=everywhere), "c": answered("2.00", areas=everywhere)}
    return attempt(page, answered("99.00"), constraints=rules, others=others)


def _all(check: Check, tried: CheckInput) -> None:
    list(check(tried))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("made", [nothing_found, found_elsewhere, many_values, many_places, constrained])
def test_a_check_grows_with_the_page(made: Callable[[Document], CheckInput], check: Check) -> None:
    for text in TEXTS:
        for columns in (1, 2, None):
            small, large = (made(page_of(n, text, columns or n)) for n in (SMALL, LARGE))
            before, after = (calls(partial(_all, check, tried)) for tried in (small, large))
            assert after < 2.4 * before + 200, (text, columns, before, after)


def test_a_column_grows_with_the_page() -> None:
    def found(rows: int, columns: int) -> int:
        page = page_of(rows * columns, "{}.50", columns)
        first = (page.pages[0].lines or ())[0]
        cot = answered("0.50", (Evidence(1, first.box, first.text, ((0, 0),)),))
        given = attempt(page, cot, is_list=True, type="money")
        return calls(lambda: column_of(given))

    assert found(400, 2) < 2.4 * found(200, 2)


def test_above_and_below_grow_with_the_page() -> None:
    small, large = (page_of(n, "Total", 1).pages[0] for n in (SMALL, LARGE))
    assert calls(lambda: lines_at(large, "below", "Total")) < 2.4 * calls(
        lambda: lines_at(small, "below", "Total")
    )


def test_a_line_knows_its_box_and_stays_what_it_was() -> None:
    words = (Word("Total", Box(10, 10, 60, 20)), Word("9.00", Box(70, 11, 90, 21)))
    line = Line(words)
    assert line.box is line.box and line.box == Box(10, 10, 90, 21)
    assert line == Line(words) and hash(line) == hash(Line(words)) and repr(line) == f"Line(words={words!r})"
    again = pickle.loads(pickle.dumps(line))
    assert again == line and again.box == line.box


def test_a_key_in_more_places_than_are_looked_at_names_the_best_of_them() -> None:
    """The whole key counts before half of it, wherever it stands."""
    half, whole = (
        page_of(3 * MOST_KEY_LINES, "Total {}", 1).pages[0],
        _line(["Net", "Total", "5.00"], 0, 0, 1, 0.001),
    )
    page = Page(1, 800, 1000, (*(half.lines or ()), whole), text_source="given")
    found = list(places(page, "Net Total"))
    assert len({place.key_line for place in found}) == MOST_KEY_LINES
    assert [place.text for place in found if place.share == 1.0 and place.relation == "inside"] == ["5.00"]
    assert [place.key_line for place in found] == sorted(place.key_line for place in found)


@pytest.mark.parametrize("columns", [SMALL, LARGE])
def test_a_row_of_very_many_cells_is_no_table(columns: int) -> None:
    """Two rows, each cell between those of the other: all pairs would be compared."""
    rows = [
        [Box(x + shift, y, x + shift + 0.1, y + 0.1) for x in range(999)] for y, shift in ((0, 0), (0.2, 0.5))
    ]
    lines = tuple(Line((Word("x", box),)) for row in rows for box in row[:columns])
    page = Page(1, 1000, 1000, lines, text_source="given")
    assert read_tables([page]) == []
    assert calls(lambda: read_tables([page])) < 1500 * len(lines)


@pytest.mark.parametrize("text", ["Item Qty", "Item {}.50", "{} x 3.50", "Item", "Total 7.50", "{}.50"])
@pytest.mark.parametrize("columns", [1, 2])
def test_reading_tables_grows_with_the_page(text: str, columns: int) -> None:
    small, large = (
        calls(partial(read_tables, page_of(count, text, columns).pages)) for count in (SMALL, LARGE)
    )
    assert large < 2.6 * small + 500
