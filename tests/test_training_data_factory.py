"""Pages drawn for training: what the schema promises, for every kind."""

from __future__ import annotations

import time
from collections import Counter
from random import Random

import pytest

from layoutllm_tool.training import factory
from layoutllm_tool.training.factory import asking, build
from layoutllm_tool.training.factory.build import KINDS
from layoutllm_tool.training.factory.noise import misread, read
from layoutllm_tool.training.factory.render import Canvas, Fact, Ink
from layoutllm_tool.training.factory.values import COUNTRIES, MAKERS, Maker
from layoutllm_tool.training.schema import Example
from tests.test_training_data import check


@pytest.fixture(scope="module")
def pages() -> list[Example]:
    return list(factory.examples(seed=11, count=60))


def test_a_seed_gives_the_same_pages(pages: list[Example]) -> None:
    again = list(factory.examples(seed=11, count=5))
    assert again == pages[:5]
    for a, b in zip(again, pages, strict=False):
        assert a.page.image is not None and b.page.image is not None
        assert a.page.image.tobytes() == b.page.image.tobytes()
    assert next(factory.examples(seed=12, count=1)).page != pages[0].page


def test_every_question_keeps_the_schemas_promises(pages: list[Example]) -> None:
    for example in pages:
        assert 4 <= len(example.questions) <= 9
        assert len({qa.question for qa in example.questions}) == len(example.questions)
        for qa in example.questions:
            check(example.page, qa)


def test_kinds_relations_and_the_share_of_unanswerable(pages: list[Example]) -> None:
    assert {example.source.split("/")[1] for example in pages} == set(KINDS)
    every = [qa for example in pages for qa in example.questions]
    assert {qa.formation.relation for qa in every} == {"right of", "below", "inside", "top of page", "none"}
    assert 0.15 < sum(qa.answer is None for qa in every) / len(every) < 0.30
    assert sum(len({line for line, _ in qa.words}) > 1 for qa in every) >= 10


def test_the_key_is_printed_in_the_first_line_of_the_area(pages: list[Example]) -> None:
    for example in pages:
        for qa in example.questions:
            if qa.formation.key:
                assert qa.formation.key.split()[0] in (example.page.lines or ())[qa.lines[0]].text


def test_pages_are_short_and_drawn_fast(pages: list[Example]) -> None:
    words = sorted(len(example.page.words) for example in pages)
    assert words[0] >= 20 and words[-1] <= 220 and 50 <= words[len(words) // 2] <= 120
    start = time.process_time()
    list(factory.examples(seed=5, count=10))
    assert (time.process_time() - start) / 10 < 0.5


def test_where_a_word_stands_on_the_picture_there_is_ink() -> None:
    canvas = Canvas(400, 200, Random(1))
    span = canvas.text(20, 40, "Invoice No: 4711")
    for n in span:
        x0, y0, x1, y1 = map(round, canvas.inks[n].box)
        assert min(canvas.image.crop((x0, y0, x1, y1)).tobytes()) < 100
    assert set(canvas.image.crop((0, 100, 400, 200)).tobytes()) == {255}
    assert [canvas.inks[n].text for n in span] == ["Invoice", "No:", "4711"]


def test_noise_keeps_track_of_where_characters_came_from() -> None:
    inks = [Ink("DATE:", (10, 10, 60, 20)), Ink("25/12", (60, 10, 99, 20), glued=True), Ink("x", (300, 10, 310, 20))]
    reads = read(inks, Random(3), rate=0.0, width=400, height=100)
    assert [r.word.text for r in reads] == ["DATE:25/12", "x"]
    assert reads[0].origin == (0,) * 5 + (1,) * 5
    assert misread("Total 100.00", Random(1), 0.0) == "Total 100.00"
    noisy = Counter(misread("TOTAL10.50", Random(n), 0.1) == "TOTAL10.50" for n in range(200))
    assert noisy[False] > 80 and noisy[True] > 20
    assert all(misread("i", Random(n), 1.0) for n in range(50))


def test_values_are_diverse_and_plain() -> None:
    for kind in MAKERS:
        made = {Maker(Random(n)).make(kind) for n in range(200)}
        assert all(text and text == " ".join(text.split()) for text in made), kind
        assert len(made) >= (4 if kind == "yesno" else 40), kind
    assert len({Maker(Random(n)).country for n in range(200)}) == len(COUNTRIES)


def test_equal_keys_are_told_apart_by_place() -> None:
    rng = Random(1)
    canvas = Canvas(800, 1000, rng)
    facts = [
        Fact("Name:", canvas.text(x, y, "Name:"), canvas.text(x + 90, y, value))
        for x, y, value in ((60, 100, "Anna"), (480, 100, "Ben"))
    ]
    found = build.look(canvas, facts, rng, kind="letter").found
    asked = {question: one.answer for one, (question, _) in asking.askable(found, facts, rng)}
    assert len(asked) == 2 and all("Name" in question for question in asked)
    for question, answer in asked.items():
        assert answer == {"left?": "Anna", "right?": "Ben"}[question.split()[-1]]


def test_equal_keys_of_which_one_is_blank_are_not_asked() -> None:
    rng = Random(1)
    canvas = Canvas(800, 1000, rng)
    facts = [
        Fact("Name:", canvas.text(60, 100, "Name:"), canvas.text(150, 100, "Anna")),
        Fact("Name:", canvas.text(60, 400, "Name:"), ()),
    ]
    found = build.look(canvas, facts, rng, kind="letter").found
    assert len(found) == 1 and asking.askable(found, facts, rng) == []
