"""The seven pre-training tasks: literal instructions on a page made by hand, round trips, sources, the
mixture.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.errors import DocumentNotFound, DocumentUnreadable, RecipeError, TrainingError
from layoutllm_tool.training.data import digest
from layoutllm_tool.training.pretraining import document
from layoutllm_tool.training.pretraining import region as regions
from layoutllm_tool.training.pretraining import segment as segments
from layoutllm_tool.training.pretraining.drawn import Drawn
from layoutllm_tool.training.pretraining.files import picture, spread
from layoutllm_tool.training.pretraining.known import (
    MOST_TOKENS,
    MOST_WORDS,
    PAGE_TOKENS,
    QUESTIONS,
    Cell,
    Grid,
    Known,
    Region,
    cut,
    tokens,
)
from layoutllm_tool.training.pretraining.mixture import WEIGHTS, PretrainingMixture
from layoutllm_tool.training.pretraining.papers import Papers, parse
from layoutllm_tool.training.pretraining.publaynet import PubLayNet
from layoutllm_tool.training.pretraining.pubtabnet import PubTabNet, slots
from layoutllm_tool.training.pretraining.wikitables import WikiTables
from layoutllm_tool.training.recipe import shares_of
from layoutllm_tool.training.schema import TASKS, Example, Instruction
from tests.paths import DATA

needs_data = pytest.mark.skipif(
    not (DATA / "papers").is_dir(), reason="the data sets are not beside the repository"
)
LEVELS = {
    "DDD": "document", "TLR": "document", "DLA": "region", "TU": "region",
    "MVLM": "segment", "MPI": "segment", "GLI": "segment",
}  # fmt: skip
BOX = re.compile(r"\[(\d+), (\d+), (\d+), (\d+)\]")


def line(text: str, x: int, y: int) -> Line:
    """Words ten units a letter, twenty high, with ten between them."""
    words = []
    for word in text.split():
        words.append(Word(word, Box(x, y, x + 10 * len(word), y + 20)))
        x += 10 * len(word) + 10
    return Line(tuple(words))


def hand_made() -> Known:
    """A heading, two fields, a table of 3 x 2 with a head, a figure without text."""
    texts = [("REPORT", 400, 40), ("Date: 3 May", 50, 100), ("No. 10", 700, 100)]
    cells = [("Item", 50, 400), ("Price", 500, 400), ("Pen", 50, 440), ("1.20", 500, 440), ("Ink", 50, 480)]
    lines = tuple(line(*at) for at in (*texts, *cells))
    grid = Grid(
        3,
        2,
        tuple(
            Cell(n // 2, n % 2, cells[n][0], lines[3 + n].box, lines=(3 + n,)) if n < 5 else Cell(2, 1, "")
            for n in range(6)
        ),
        head=1,
    )
    found = (
        Region("title", lines[0].box, (0,)),
        Region("form field", lines[1].box, (1,), "Date"),
        Region("form field", lines[2].box, (2,), "No."),
        Region("figure", Box(600, 700, 900, 950)),
        Region("table", Box.union(x.box for x in lines[3:]), tuple(range(3, 8))),
    )
    return Known("hand/0", Page(1, 1000, 1000, lines), "report", found, grid, "REPORT", (("Date", "3 May"),))


def many(ask: object, count: int = 60) -> list[Instruction]:
    """What a task yields over many seeds."""
    found = []
    for seed in range(count):
        got = ask(Random(seed))  # type: ignore[operator]
        found += got if isinstance(got, list) else [got] if got else []
    return found


def answer(found: list[Instruction], question: str) -> Instruction:
    return next(one for one in found if one.question == question)


def test_every_task_has_at_least_five_phrasings() -> None:
    for level in ("document", "region", "segment"):
        assert QUESTIONS[level]
        assert all(len(set(forms)) >= 5 for forms in QUESTIONS[level].values())


def test_ddd_says_what_is_where_and_keeps_to_its_length() -> None:
    known = hand_made()
    found = [document.ddd(known, Random(seed)) for seed in range(40)]
    assert len({one.answer for one in found}) > 30 and len({one.question for one in found}) >= 5
    for one in found:
        assert one.task == "DDD" and len(one.answer.split()) <= 120
        assert "report" in one.answer and "one figure" in one.answer and "at the bottom right" in one.answer
        assert "three rows and two columns" in one.answer and '"3 May"' in one.answer
    short = document.describe(known, Random(1), 40)
    assert len(short.split()) <= 40 and short.endswith(".")


def test_places_in_words() -> None:
    for box, words in (
        (Box(0, 0, 10, 10), "top left"), (Box(450, 450, 550, 550), "middle"), (Box(900, 400, 1000, 600),
        "right"),
        (Box(400, 990, 600, 1000), "bottom"), (Box(990, 990, 1000, 1000), "bottom right"), (Box(400, 0, 600,
        9), "top"),
    ):  # fmt: skip
        assert document.place(box) == words


def test_tlr_writes_the_papers_form_and_json_and_markdown() -> None:
    known = hand_made()
    plain = document.write(known.lines[:2], "plain")
    assert plain == "<{400, 40, 460, 60}, {REPORT}>\n<{50, 100, 160, 120}, {Date: 3 May}>"
    assert (
        document.write([line("a|b", 1, 2)], "markdown")
        == "| box | text |\n| --- | --- |\n| 1, 2, 31, 22 | a\\|b |"
    )
    back = json.loads(document.write(known.lines, "json"))
    assert [(row["box"], row["text"]) for row in back] == [(x.box.as_list(), x.text) for x in known.lines]


def test_tlr_of_a_part_is_what_its_question_names() -> None:
    """Every part is checked against the page from the question alone."""
    lines = tuple(line(f"row {n} of the page", 30 + n % 3, 20 + 30 * n) for n in range(30))
    known = Known("hand/1", Page(1, 1000, 1000, lines), "list")
    named = Counter[str]()
    for one in many(lambda rng: document.tlr(known, rng), 120):
        assert tokens(one.answer) <= MOST_TOKENS
        texts = re.findall(r"row \d+ of the page", one.answer)
        if area := BOX.search(one.question):
            box = Box(*map(float, area.groups()))
            named["area"] += 1
            assert texts == [x.text for x in lines if box.intersection(x.box) > 0]
        elif start := re.search(r'beginning with "(.*?)"', one.question):
            named["from"] += 1
            assert texts[0] == start[1]
        else:
            way = re.search(r"the (first|last)(?: (\d+))? lines?", one.question)
            assert way is not None
            size = int(way[2] or 1)
            named[way[1]] += 1
            assert texts == [x.text for x in (lines[:size] if way[1] == "first" else lines[-size:])]
    assert set(named) == {"area", "from", "first", "last"}
    few = replace(known, page=Page(1, 1000, 1000, lines[:3]))
    whole = many(lambda rng: document.tlr(few, rng))
    assert all("the document" in one.question and one.answer.count("of the page") == 3 for one in whole)


def test_dla_asks_both_ways() -> None:
    known = hand_made()
    found = many(lambda rng: regions.dla(known, rng))
    figure = answer(found, "Where can we find the figure?")
    assert (figure.answer, figure.lines) == ("[600, 700, 900, 950]", ())
    assert (
        answer(found, "What is the document layout type for the [600, 700, 900, 950] area?").answer
        == "figure"
    )
    field = answer(found, 'Where can we find the form field "Date"?')
    assert (field.answer, field.lines) == ("[50, 100, 160, 120]", (1,))
    assert not any("topmost form field" in one.question for one in found)  # both stand equally high
    two = replace(known, regions=(*known.regions, Region("figure", Box(0, 800, 100, 950))))
    found = many(lambda rng: regions.dla(two, rng))
    assert answer(found, "Locate the topmost figure.").answer == "[600, 700, 900, 950]"
    assert answer(found, "Where are all the figures?").answer == "[600, 700, 900, 950]\n[0, 800, 100, 950]"
    assert not any(one.question == "Where can we find the figure?" for one in found)


def test_dla_claims_nothing_of_a_page_whose_regions_are_not_all_known() -> None:
    found = many(lambda rng: regions.dla(replace(hand_made(), complete=False), rng))
    assert not any("figure" in one.question for one in found) and any(
        '"Date"' in one.question for one in found
    )
    same = replace(hand_made(), regions=(Region("table", Box(1, 1, 9, 9)), Region("list", Box(1, 1, 9, 9))))
    assert not any(one.answer in ("table", "list") for one in many(lambda rng: regions.dla(same, rng)))


def test_tu_reads_size_rows_columns_cells_and_head() -> None:
    found = many(lambda rng: regions.tu(hand_made(), rng), 200)
    for question, said, lines in (
        ("How many rows and columns does the table have?", "3 rows and 2 columns", ()),
        ("List the values in the row 2.", "Pen | 1.20", ()),
        ("List the values in the row 3.", "Ink | (empty)", ()),
        ("List the values in the column 2.", "Price | 1.20 | (empty)", ()),
        ("What are the column headers of the table?", "Item | Price", ()),
        ("What is the content of the cell in row 2, column 2?", "1.20", (6,)),
        ("What are the coordinates of the cell in row 2, column 1?", "[50, 440, 80, 460]", (5,)),
        ('In which row and column is the cell "Pen"?', "row 2, column 1", ()),
    ):
        one = answer(found, question)
        assert (one.task, one.answer, one.lines) == ("TU", said, lines)
    assert regions.tu(replace(hand_made(), grid=None), Random(0)) == []


def test_a_cell_that_spans_belongs_to_each_of_its_rows_and_columns() -> None:
    grid = Grid(2, 2, (Cell(0, 0, "both", columns=2), Cell(1, 0, "a"), Cell(1, 1, "b")))
    assert [c.text for c in grid.column(1)] == ["both", "b"] and [c.text for c in grid.row(0)] == ["both"]


def test_mvlm_asks_for_the_words_it_hides() -> None:
    lines = tuple(line(f"alpha{n} beta{n} gamma{n} delta{n} eps{n}", 30, 20 + 30 * n) for n in range(12))
    known = Known("hand/2", Page(1, 1000, 1000, lines), "list")
    for seed in range(40):
        asked, mask = segments.mvlm(known, Random(seed), 4)
        assert len(asked) == 4 and len(set(mask)) == len(mask) and list(mask) == sorted(mask)
        assert 0 < len(mask) <= 0.15 * 60
        assert asked[0].answer.split() == [lines[i].words[j].text for i, j in mask]
        hidden = {lines[i].words[j].text for i, j in mask}
        for one in asked[1:]:
            assert set(one.answer.split()) <= hidden and not hidden & set(re.findall(r"\w+", one.question))
            if area := BOX.search(one.question):
                (at,) = one.lines
                assert lines[at].box.as_list() == [int(v) for v in area.groups()]
                assert one.answer.split() == [lines[i].words[j].text for i, j in mask if i == at]
    assert segments.mvlm(replace(known, page=Page(1, 9, 9, lines[:1])), Random(0), 4) == ([], ())


def test_mpi_gives_the_true_boxes_of_the_lines_that_lost_theirs() -> None:
    known = hand_made()
    for seed in range(40):
        asked, unplaced = segments.mpi(known, Random(seed), 3)
        assert 1 <= len(unplaced) <= len(known.lines) // 3
        assert asked[0].answer == "\n".join(
            f"{known.lines[i].text}, {known.lines[i].box.as_list()}" for i in unplaced
        )
        for one in asked[1:]:
            (at,) = (i for i in unplaced if f'"{known.lines[i].text}"' in one.question)
            assert one.answer == str(known.lines[at].box.as_list())
    twice = Known(
        "x/0", Page(1, 9, 9, (line("same", 1, 1), line("same", 1, 50), line("same", 1, 90))), "list"
    )
    assert segments.mpi(twice, Random(0), 3) == ([], ())


@pytest.mark.parametrize(
    ("angle", "word"), [(n * 45, word) for n, word in enumerate(segments.DIRECTIONS)] + [(20, "right"), (-20,
    "right"), (25, "bottom right")]
)  # fmt: skip
def test_directions_go_by_the_angle_between_centres(angle: float, word: str) -> None:
    x, y = (500 + 200 * f(math.radians(angle)) for f in (math.cos, math.sin))
    found, distance = segments.between(Box(480, 490, 520, 510), Box(x - 20, y - 10, x + 20, y + 10))
    assert found == word and abs(distance - 200) <= 1


def test_gli_measures_from_centre_to_centre() -> None:
    known = hand_made()
    found = many(lambda rng: segments.gli(known, rng), 200)
    one = answer(found, 'What is the direction and distance from "Date: 3 May" to "No. 10"?')
    assert (one.answer, one.lines) == ("right, 625", (1, 2))
    assert answer(found, 'What is the direction and distance from "Item" to "Pen"?').answer == "bottom, 40"
    alone = replace(known, page=Page(1, 9, 9, known.lines[:1]))
    assert segments.gli(alone, Random(0)) is None


def test_a_long_page_is_cut_to_a_run_of_lines_and_what_is_known_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("layoutllm_tool.training.pretraining.known.PAGE_TOKENS", 100)
    lines = tuple(line(f"item {n}", 30, 9 * n) for n in range(100))
    grid = Grid(100, 1, tuple(Cell(n, 0, x.text, x.box, lines=(n,)) for n, x in enumerate(lines)))
    found = (*(Region("list", lines[n].box, (n,)) for n in range(100)), Region("figure", Box(1, 1, 9, 9)))
    known = Known("hand/3", Page(1, 1000, 1000, lines), "list", found, grid)
    starts = set()
    for seed in range(20):
        part = cut(known, Random(seed))
        assert (
            part.grid is None and sum(tokens(x.text) + 1 for x in part.lines) <= 100 and len(part.lines) > 15
        )
        assert all(part.lines[r.lines[0]].box == r.box for r in part.regions if r.lines)
        assert sum(bool(r.lines) for r in part.regions) == len(part.lines) and len(part.regions) == 101
        starts.add(part.lines[0].text)
    assert len(starts) > 10
    monkeypatch.setattr("layoutllm_tool.training.pretraining.known.PAGE_TOKENS", 1000)
    assert cut(known, Random(0)) == known


def test_a_cells_words_share_its_box() -> None:
    (one,) = spread("ab cdef", Box(100, 10, 170, 20))
    assert [(w.text, w.box.as_list()) for w in one.words] == [
        ("ab", [100, 10, 120, 20]),
        ("cdef", [130, 10, 170, 20]),
    ]
    rows = list(spread("one two three four", Box(0, 0, 100, 40), 2))
    assert [r.text for r in rows] == ["one two", "three four"] and rows[1].box.y0 == 20
    assert [r.text for r in spread("alone", Box(0, 0, 9, 9), 3)] == ["alone"]


def test_structures_with_spans() -> None:
    html = ["<thead>", "<tr>", "<td", ' rowspan="2"', ">", "</td>", "<td", ' colspan="2"', ">", "</td>",
        "</tr>",
            "<tr>", "<td>", "</td>", "<td>", "</td>", "</tr>", "</thead>"]  # fmt: skip
    assert [(s.row, s.column, s.rows, s.columns) for s in slots(html)] == [
        (0, 0, 2, 1), (0, 1, 1, 2), (1, 1, 1, 1), (1, 2, 1, 1)
    ]  # fmt: skip
    with pytest.raises(ValueError, match="unequal"):
        slots(["<tr>", "<td>", "</td>", "<td>", "</td>", "</tr>", "<tr>", "<td>", "</td>", "</tr>"])
    with pytest.raises(ValueError, match="cells"):
        slots(["<tr>", "<td", ' rowspan="999"', ' colspan="999"', ">", "</td>", "</tr>"])


def test_folders_that_are_not_there_or_broken_are_errors_that_say_so(tmp_path: Path) -> None:
    for source in (Papers, PubLayNet, PubTabNet, WikiTables):
        with pytest.raises(DocumentNotFound, match="Give the folder of"):
            source(tmp_path)
    with pytest.raises(DocumentNotFound, match="holds papers"):
        PretrainingMixture(tmp_path / "none")
    (tmp_path / "samples.json").write_text('{"images": [{"id": 1}]}')
    with pytest.raises(DocumentUnreadable, match="COCO"):
        PubLayNet(tmp_path)
    (tmp_path / "t.jsonl").write_text(
        '{"filename": "x.png", "html": {"structure": {"tokens": []}, "cells": []}}\n'
    )
    with pytest.raises(DocumentUnreadable, match="table 0"):
        PubTabNet(tmp_path).item(0, Random(0))
    (tmp_path / "wikitables.jsonl.gz").write_bytes(gzip.compress(b'{"rows": [["a"], ["b", "c"]]}\n')[:-9])
    with pytest.raises(DocumentUnreadable, match="damaged"):
        WikiTables(tmp_path)
    (tmp_path / "wikitables.jsonl.gz").write_bytes(gzip.compress(b'{"rows": [["a"], ["b", "c"]]}\n'))
    with pytest.raises(DocumentUnreadable, match="unequal"):
        WikiTables(tmp_path).item(0, Random(0))
    for row in ("word\t1\t2", "w\t9\t0\t1\t5\t0\t0\t0\tf\ttitle", "w\t0\t0\t1\t5\t0\t0\t0\tf\tscript"):
        with pytest.raises(DocumentUnreadable, match="line 1"):
            parse(row, "x")
    (tmp_path / "outside.jpg").write_bytes(b"no picture")
    with pytest.raises(DocumentUnreadable, match=r"outside\.jpg"):
        picture(tmp_path, "../../outside.jpg")  # a name never leads out of its folder


def test_weights_and_levels_contradict_themselves_loudly() -> None:
    with pytest.raises(RecipeError, match="weight"):
        shares_of(WEIGHTS, {"papers": -1})
    with pytest.raises(RecipeError, match="levels"):
        PretrainingMixture(levels=(0, 4, 4))
    with pytest.raises(RecipeError, match="no source has words"):
        PretrainingMixture(weights={"drawn": 0})
    with pytest.raises(RecipeError, match="no source knows regions"):
        PretrainingMixture(receipts=lambda _: hand_made().page, weights={"drawn": 0})


def check(example: Example) -> None:
    """What the schema and the limits promise."""
    lines = example.page.lines or ()
    tasks = {one.task for one in example.questions if isinstance(one, Instruction)}
    assert example.questions and all(isinstance(one, Instruction) for one in example.questions)
    assert sum(tokens(x.text) + 1 for x in lines) <= PAGE_TOKENS
    assert bool(example.masked) == ("MVLM" in tasks) and bool(example.unplaced) == ("MPI" in tasks)
    assert not (example.masked or example.unplaced) or len(tasks) == 1
    assert all(lines[i].words[j] for i, j in example.masked) and all(lines[i] for i in example.unplaced)
    for one in example.questions:
        assert one.answer and one.question.strip() and len(one.answer.split()) <= MOST_WORDS
        assert all(0 <= i < len(lines) for i in one.lines) and len(set(one.lines)) == len(one.lines)
        for box in BOX.findall(one.answer):
            x0, y0, x1, y1 = map(int, box)
            assert 0 <= x0 <= x1 <= 1000 and 0 <= y0 <= y1 <= 1000


def test_drawn_pages_alone_make_a_mixture_of_the_index() -> None:
    mixture = PretrainingMixture(seed=3)
    found = [mixture(n) for n in range(12)]
    for example in found:
        check(example)
    kinds = Counter("masked" if e.masked else "unplaced" if e.unplaced else "whole" for e in found[:10])
    assert kinds == {"whole": 6, "masked": 2, "unplaced": 2}
    again = PretrainingMixture(seed=3)
    assert [again(n) for n in (11, 4)] == [found[11], found[4]]
    assert again(2).page.image is not None
    assert digest(mixture, 4) == digest(again, 4) != digest(PretrainingMixture(seed=4), 4)
    assert len(digest(mixture, 2)) == 64


def test_a_drawn_field_is_named_only_where_its_key_stands_once() -> None:
    for seed in range(12):
        known = Drawn()(Random(seed))
        text = " ".join(x.text for x in known.lines).casefold()
        for one in known.regions:
            assert one.lines and one.box == Box.union(known.lines[i].box for i in one.lines)
            assert not one.name or one.kind == "table cell" or text.count(one.name.casefold()) == 1


def test_pages_that_say_too_little_end_in_an_error_not_in_a_loop() -> None:
    bare = Page(1, 100, 100, (line("one", 1, 1),))
    mixture = PretrainingMixture(receipts=lambda _: bare, weights={"drawn": 1e-9, "receipts": 1})
    with pytest.raises(TrainingError, match="receipts"):
        [mixture(n) for n in range(20)]


@needs_data
def test_papers_have_lines_and_connected_regions() -> None:
    papers = Papers(DATA / "papers")
    assert len(papers) >= 90
    kinds = Counter[str]()
    for number in range(0, len(papers), 12):
        known = papers.item(number, Random(0))
        kinds.update(r.kind for r in known.regions)
        assert known.page.image is not None and not any("##LT" in x.text for x in known.lines)
        for one in known.regions:
            assert not one.lines or one.box == Box.union(known.lines[i].box for i in one.lines)
        owned = [i for one in known.regions for i in one.lines]
        assert len(owned) == len(set(owned)) >= 0.9 * len(known.lines)
    assert kinds["paragraph"] > 5 and len(kinds) >= 5
    assert "figure" in {r.kind for r in papers.item(1, Random(0)).regions}


@needs_data
def test_publaynet_is_pictures_with_boxes() -> None:
    source = PubLayNet(DATA / "publaynet")
    found = [source.item(n, Random(0)) for n in range(len(source))]
    assert len(found) == 20 and sum(len(k.regions) for k in found) == 193
    assert all(k.page.lines == () and k.page.image is not None and k.lines == () for k in found)
    assert {r.kind for k in found for r in k.regions} == {"text block", "title", "list", "table", "figure"}


@needs_data
def test_pubtabnet_gives_the_grid_its_html_says() -> None:
    source = PubTabNet(DATA / "pubtabnet")
    first = source.item(0, Random(0))
    assert first.grid is not None and (first.grid.rows, first.grid.columns, first.grid.head) == (28, 4, 1)
    assert [c.text for c in first.grid.row(0)] == ["Variable", "Hazard ratio", "95 % CI", "p value*"]
    assert [c.text for c in first.grid.row(1)] == ["Age (median)", "", "", "0.716"]
    for number in range(len(source)):
        known = source.item(number, Random(0))
        assert known.grid is not None
        for cell in known.grid.cells:
            assert " ".join(known.lines[i].text for i in cell.lines) == (cell.text if cell.box else "")


@needs_data
def test_wikitables_are_drawn_where_the_grid_says() -> None:
    source = WikiTables(DATA / "tables")
    assert len(source) == 2108
    for seed in range(12):
        known = source(Random(seed))
        grid = known.grid
        assert (
            grid is not None and len(grid.cells) == grid.rows * grid.columns and known.page.image is not None
        )
        for cell in grid.cells:
            assert " ".join(known.lines[i].text for i in cell.lines) == cell.text
            for other in grid.cells:
                if cell.box and other.box and cell != other:
                    assert cell.box.intersection(other.box) == 0
                    assert other.row <= cell.row or other.box.y0 >= cell.box.y1
                    assert other.column <= cell.column or other.box.x0 >= cell.box.x1
        ink = known.page.image
        for word in known.page.words[:20]:
            darkest = min(ink.crop(word.box.to_pixels(ink.width, ink.height)).tobytes())
            assert darkest < 128, word
    assert source(Random(3)) == source(Random(3))


@needs_data
@pytest.mark.slow
def test_the_whole_mixture_keeps_levels_sources_and_limits() -> None:
    from layoutllm_tool.training import receipts

    scans = DATA / "receipts"
    mixture = PretrainingMixture(DATA, lambda number: receipts.dataset_page(scans, number), seed=2)
    tasks, names = Counter[str](), Counter[str]()
    for index in range(150):
        example = mixture(index)
        check(example)
        names[example.source.split("/")[0]] += 1
        assert not example.source.startswith("receipts/4")  # 400-499 are held out
        tasks.update(one.task for one in example.questions if isinstance(one, Instruction))
    levels = Counter[str]()
    for task in TASKS:
        levels[LEVELS[task]] += tasks[task]
    assert 3.4 < levels["region"] / levels["document"] < 4.6, levels
    assert 3.4 < levels["segment"] / levels["document"] < 4.6, levels
    third = levels["segment"] / 3
    assert all(0.7 * third < tasks[task] < 1.3 * third for task in ("MVLM", "MPI", "GLI")), tasks
    assert (
        tasks["TU"] > 0.15 * levels["region"] and min(tasks["DDD"], tasks["TLR"]) > 0.25 * levels["document"]
    )
    assert set(names) == {"factory", "papers", "publaynet", "pubtabnet", "wikitables", "receipts"}
    assert 0.15 < names["papers"] / 150 < 0.35 and 0.04 < names["receipts"] / 150 < 0.18, names
