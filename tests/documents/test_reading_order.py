"""Lines and reading order: synthetic pages, then receipts, forms and papers where the data is at hand."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from layoutllm_tool.documents.geometry import Box, Line, Word
from layoutllm_tool.documents.reading_order import group_lines
from tests.paths import DATA

WIDTH, HEIGHT = 850, 1100
LONG = "a longer row of ordinary words that shows how far the page is turned"


def row(x: float, y: float, *texts: str, h: float = 12, space: float = 5) -> list[Word]:
    """Words side by side in pixels, six a letter."""
    words = []
    for text in texts:
        end = x + 6 * len(text)
        words.append(Word(text, Box.from_pixels(x, y, end, y + h, width=WIDTH, height=HEIGHT)))
        x = end + space
    return words


def texts(lines: Sequence[Line]) -> list[str]:
    return [line.text for line in lines]


def grouped(words: Sequence[Word]) -> list[str]:
    return texts(group_lines(words, width=WIDTH, height=HEIGHT))


def turned(words: Sequence[Word], degrees: float) -> list[Word]:
    """Word centres turned about the page's centre, boxes upright, as OCR boxes of a skewed page stand."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    found = []
    for word in words:
        x0, y0, x1, y1 = word.box.to_pixels(WIDTH, HEIGHT)
        dx, dy = (x0 + x1) / 2 - WIDTH / 2, (y0 + y1) / 2 - HEIGHT / 2
        x, y = WIDTH / 2 + dx * cos - dy * sin, HEIGHT / 2 + dx * sin + dy * cos
        w, h = (x1 - x0) / 2, (y1 - y0) / 2
        found.append(Word(word.text, Box.from_pixels(x - w, y - h, x + w, y + h, width=WIDTH, height=HEIGHT)))
    return found


def form() -> list[Word]:
    rows = [
        ("Name:", "Ada Lovelace"),
        ("Date of birth:", "10 December 1815"),
        ("Occupation:", "Mathematician"),
    ]
    return [
        w
        for i, (k, v) in enumerate(rows)
        for w in row(60, 100 + 22 * i, *k.split()) + row(400, 101 + 22 * i, *v.split())
    ]


FORM = ["Name:", "Ada Lovelace", "Date of birth:", "10 December 1815", "Occupation:", "Mathematician"]


def column(x: float, y: float, name: str, rows: int) -> list[Word]:
    filler = (
        "the quick brown fox jumps over the lazy dog again",
        "and a second row of words runs across the column",
    )
    return [w for i in range(rows) for w in row(x, y + 16 * i, f"{name}{i}", *filler[i % 2].split())]


def test_nothing_gives_nothing() -> None:
    assert group_lines([], width=WIDTH, height=HEIGHT) == []


def test_key_and_value_in_another_column_are_two_lines_read_across() -> None:
    assert grouped(form()) == FORM


def test_ordinary_spacing_never_splits_and_two_prices_do() -> None:
    words = row(50, 100, "2", "x", "Nasi", "Lemak", space=11) + row(300, 100, "5.00") + row(350, 100, "10.00")
    assert grouped(words) == ["2 x Nasi Lemak", "5.00", "10.00"]


def test_punctuation_and_word_heights_keep_their_row() -> None:
    low = Box.from_pixels(102, 108, 105, 112, width=WIDTH, height=HEIGHT)
    words = [
        *row(60, 100, "TOTAL", h=14),
        Word(".", low),
        *row(112, 97, "BIG", h=20),
        *row(60, 124, "next", "row"),
    ]
    assert grouped(words) == ["TOTAL . BIG", "next row"]


def test_a_tall_mark_beside_two_rows_does_not_join_them() -> None:
    mark = Word("|", Box.from_pixels(20, 95, 26, 180, width=WIDTH, height=HEIGHT))
    assert [t for t in grouped([mark, *form()]) if t != "|"] == FORM


@pytest.mark.parametrize("degrees", [-5, -2, 2, 5])
def test_skew_changes_nothing(degrees: float) -> None:
    words = form() + row(60, 200, *LONG.split())
    assert grouped(turned(words, degrees)) == grouped(words)


@pytest.mark.parametrize("shift", [0, 7])
@pytest.mark.parametrize("gutter", [14, 40])
def test_columns_of_text_are_read_one_after_the_other(shift: float, gutter: float) -> None:
    """Also with a gutter no wider than a wide space, and with rows that don't stand level."""
    title = row(200, 40, "A", "title", "across", "both", "of", "the", "columns", "of", "the", "page", h=18)
    left, right = column(60, 100, "left", 9), column(0, 100 + shift, "right", 8)
    edge = max(w.box.x1 for w in left) * WIDTH / 1000 + gutter
    right = [
        w
        for y in range(8)
        for w in row(edge, 100 + shift + 16 * y, *(x.text for x in right[y * 11 : y * 11 + 11]))
    ]
    found = grouped([*right, *left, *title])
    starts = [text.split()[0] for text in found]
    assert starts == ["A", *(f"left{i}" for i in range(9)), *(f"right{i}" for i in range(8))]


def test_three_columns_are_read_one_after_the_other() -> None:
    def narrow(x: float, name: str) -> list[Word]:
        return [
            w
            for i in range(6)
            for w in row(x, 100 + 16 * i, f"{name}{i}", "newspaper", "columns", "run", "down")
        ]

    found = grouped([*narrow(640, "c"), *narrow(40, "a"), *narrow(340, "b")])
    assert [text.split()[0] for text in found] == [f"{name}{i}" for name in "abc" for i in range(6)]


def test_the_aspect_ratio_counts() -> None:
    """The same boxes: words apart on a wide page, together on a narrow one."""
    words = [Word("a", Box(0, 0, 100, 20)), Word("b", Box(120, 0, 220, 20))]
    assert texts(group_lines(words, width=400, height=1000)) == ["a b"]
    assert texts(group_lines(words, width=2000, height=1000)) == ["a", "b"]


coordinate = st.floats(0, 1000, allow_nan=False)
boxes = st.tuples(coordinate, coordinate, coordinate, coordinate).map(
    lambda c: Box(min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
word_like = st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(1, 9)).map(
    lambda t: Box(t[0] * 23, t[1] * 16, t[0] * 23 + t[2] * 7, t[1] * 16 + 12)
)
some_words = st.lists(
    st.builds(Word, st.sampled_from(["a", "paragraph", "12.50", "|", "合計"]), boxes | word_like), max_size=60
)


@settings(max_examples=150, deadline=None)
@given(some_words, st.integers(1, 3000), st.integers(1, 3000), st.randoms(use_true_random=False))
def test_no_word_is_lost_or_doubled_and_the_order_given_does_not_matter(
    words: list[Word], width: int, height: int, rng: random.Random
) -> None:
    lines = group_lines(words, width=width, height=height)
    assert Counter(w for line in lines for w in line.words) == Counter(words)
    shuffled = list(words)
    rng.shuffle(shuffled)
    assert group_lines(shuffled, width=width, height=height) == lines


def test_the_same_word_object_twice_stays_twice() -> None:
    word = row(10, 10, "twice")[0]
    assert sum(len(line.words) for line in group_lines([word, word], width=WIDTH, height=HEIGHT)) == 2


# Real pages


def needs(folder: str) -> Path:
    if not (DATA / folder).is_dir():
        pytest.skip(f"needs the documents of shared/data/{folder}")
    return DATA / folder


def split(text: str, box: Sequence[float], width: int, height: int) -> Iterator[Word]:
    """A line's words, its width shared out by letters."""
    x0, y0, x1, y1 = box
    letter, at = (x1 - x0) / len(text), 0
    for part in text.split(" "):
        if part:
            yield Word(
                part,
                Box.from_pixels(
                    x0 + at * letter, y0, x0 + (at + len(part)) * letter, y1, width=width, height=height
                ),
            )
        at += len(part) + 1


def test_receipt_lines_come_back_as_they_were() -> None:
    kept = total = 0
    for path in sorted((needs("receipts") / "lines").glob("*.json"))[::25]:
        page = json.loads(path.read_text())
        gold = [line for line in page["lines"] if line["text"].strip()]
        words = [w for line in gold for w in split(line["text"], line["box"], page["width"], page["height"])]
        found = Counter(texts(group_lines(words, width=page["width"], height=page["height"])))
        kept += sum((Counter(" ".join(line["text"].split()) for line in gold) & found).values())
        total += len(gold)
    assert kept / total > 0.8


def row_links(entities: dict[int, dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """Linked key and value that stand on one row with nothing between them."""
    boxes = {i: e["box"] for i, e in entities.items() if e["words"]}
    for a, b in {tuple(link) for e in entities.values() for link in e["linking"]}:
        if a not in boxes or b not in boxes:
            continue
        (_, ay0, ax1, ay1), (bx0, by0, _, by1) = boxes[a], boxes[b]
        level = min(ay1, by1) - max(ay0, by0) >= 0.5 * min(ay1 - ay0, by1 - by0)
        top, bottom = min(ay0, by0), max(ay1, by1)
        between = any(
            i not in (a, b) and x0 >= ax1 - 3 and x1 <= bx0 + 3 and y0 < bottom and y1 > top
            for i, (x0, y0, x1, y1) in boxes.items()
        )
        if level and bx0 >= ax1 and not between:
            yield a, b


def test_key_and_value_on_one_row_of_a_form_are_neighbours() -> None:
    near = total = 0
    for path in sorted((needs("forms") / "annotations").glob("*.json"))[::6]:
        with Image.open(path.parents[1] / "images" / f"{path.stem}.png") as image:
            width, height = image.size
        entities = {e["id"]: e for e in json.loads(path.read_text())["form"]}
        owned = [
            (Word(w["text"], Box.from_pixels(*w["box"], width=width, height=height)), e["id"])
            for e in entities.values()
            for w in e["words"]
        ]
        owner = {id(word): entity for word, entity in owned}
        lines = group_lines([word for word, _ in owned], width=width, height=height)
        steps = {frozenset(pair) for pair in pairwise(owner[id(w)] for line in lines for w in line.words)}
        links = list(row_links(entities))
        total += len(links)
        near += sum(frozenset(link) in steps for link in links)
    assert total > 100
    assert near / total > 0.95


@pytest.mark.parametrize("paper", ["10.tar_1701.04170*", "202.tar_1709.03604*", "253.tar_1809.00537*"])
def test_two_column_papers_are_read_column_after_column(paper: str) -> None:
    """After what spans both columns, rows of text change sides once (the gutter is the middle of the
    page).
    """
    (path,) = needs("papers").glob(f"{paper}.txt.gz")
    with Image.open(path.with_name(path.name.replace(".txt.gz", ".jpg"))) as image:
        width, height = image.size
    with gzip.open(path, "rt", encoding="utf-8") as text:
        rows = [line.rstrip("\n").split("\t") for line in text]
    words = [Word(r[0], Box(*map(float, r[1:5]))) for r in rows if r[9] in {"paragraph", "reference"}]
    lines = [line.box for line in group_lines(words, width=width, height=height) if len(line.words) >= 5]
    sides = [
        "both" if box.x0 < 490 and box.x1 > 510 else "left" if box.x1 < 510 else "right" for box in lines
    ]
    assert [side for side, _ in groupby(sides) if side != "both"] == ["left", "right"]
    assert sides.count("both") <= 2
