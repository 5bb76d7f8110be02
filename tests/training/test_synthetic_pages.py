"""Pages drawn for training: what the schema promises, for every kind."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from random import Random
from statistics import fmean

import pytest

from layoutllm_tool.documents.align import normal
from layoutllm_tool.training import synthetic
from layoutllm_tool.training.schema import Example
from layoutllm_tool.training.synthetic import asking, build, grids, vocabulary
from layoutllm_tool.training.synthetic.build import KINDS
from layoutllm_tool.training.synthetic.canvas import Canvas, DrawnWord
from layoutllm_tool.training.synthetic.form_canvas import FormCanvas
from layoutllm_tool.training.synthetic.noise import misread, read, tilted
from layoutllm_tool.training.synthetic.questions import FIELD_FORMS, FORM, KEY_FORMS, spoken
from layoutllm_tool.training.synthetic.values import COUNTRIES, ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import THEMES
from tests.training.pages import check

KINDS_OF_VALUES = (
    "person", "company", "street", "town", "address", "date", "money", "code", "phone", "email", "time",
    "number",
    "percent", "phrase", "item", "word", "yesno", "city",
)  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> list[Example]:
    return list(synthetic.examples(seed=11, count=60))


def test_a_seed_gives_the_same_pages(pages: list[Example]) -> None:
    again = list(synthetic.examples(seed=11, count=5))
    assert again == pages[:5]
    for a, b in zip(again, pages, strict=False):
        assert a.page.image is not None and b.page.image is not None
        assert a.page.image.tobytes() == b.page.image.tobytes()
    assert next(synthetic.examples(seed=12, count=1)).page != pages[0].page


def test_every_question_keeps_the_schemas_promises(pages: list[Example]) -> None:
    for example in pages:
        assert 4 <= len(example.qas) <= 9
        assert len({qa.question for qa in example.qas}) == len(example.qas)
        check(example)


def test_kinds_relations_and_the_share_of_unanswerable(pages: list[Example]) -> None:
    assert {example.source.split("/")[1] for example in pages} == set(KINDS)
    every = [qa for example in pages for qa in example.qas]
    assert {qa.formation.relation for qa in every} == {"right of", "below", "inside", "top of page", "none"}
    assert 0.25 < sum(qa.answer is None for qa in every) / len(every) < 0.36
    assert sum(len({line for line, _ in qa.words}) > 1 for qa in every) >= 10


def test_the_key_is_printed_in_the_first_line_of_the_area(pages: list[Example]) -> None:
    for example in pages:
        for qa in example.qas:
            if qa.formation.key:
                assert qa.formation.key.split()[0] in (example.page.lines or ())[qa.lines[0]].text


def test_pages_are_short_and_drawn_fast(pages: list[Example]) -> None:
    words = sorted(len(example.page.words) for example in pages)
    assert words[0] >= 20 and words[-1] <= 360 and 50 <= words[len(words) // 2] <= 120
    start = time.process_time()
    list(synthetic.examples(seed=5, count=10))
    assert (time.process_time() - start) / 10 < 0.5


def test_where_a_word_stands_on_the_picture_there_is_ink() -> None:
    canvas = Canvas(400, 200, Random(1))
    span = canvas.text(20, 40, "Invoice No: 4711")
    for n in span:
        x0, y0, x1, y1 = map(round, canvas.words[n].box)
        assert min(canvas.image.crop((x0, y0, x1, y1)).tobytes()) < 100
    assert set(canvas.image.crop((0, 100, 400, 200)).tobytes()) == {255}
    assert [canvas.words[n].text for n in span] == ["Invoice", "No:", "4711"]


def test_noise_keeps_track_of_where_characters_came_from() -> None:
    words = [
        DrawnWord("DATE:", (10, 10, 60, 20)),
        DrawnWord("25/12", (60, 10, 99, 20), glued=True),
        DrawnWord("x", (300, 10, 310, 20)),
    ]
    reads = read(words, Random(3), rate=0.0, width=400, height=100)
    assert [r.word.text for r in reads] == ["DATE:25/12", "x"]
    assert reads[0].origin == (0,) * 5 + (1,) * 5
    assert misread("Total 100.00", Random(1), 0.0) == "Total 100.00"
    noisy = Counter(misread("TOTAL10.50", Random(n), 0.1) == "TOTAL10.50" for n in range(200))
    assert noisy[False] > 80 and noisy[True] > 20
    assert all(misread("i", Random(n), 1.0) for n in range(50))


def test_values_are_diverse_and_plain() -> None:
    for kind in KINDS_OF_VALUES:
        made = {ValueGenerator(Random(n)).make(kind) for n in range(200)}
        assert all(text and text == " ".join(text.split()) for text in made), kind
        assert len(made) >= (4 if kind == "yesno" else 40), kind
    assert len({ValueGenerator(Random(n)).country.code for n in range(200)}) == len(COUNTRIES)


def test_equal_keys_are_told_apart_by_place() -> None:
    rng = Random(1)
    canvas = Canvas(800, 1000, rng)
    for x, y, value in ((60, 100, "Anna"), (480, 100, "Ben")):
        canvas.add("Name:", canvas.text(x, y, "Name:"), canvas.text(x + 90, y, value))
    found = build.look(canvas, rng, kind="letter").found
    asked = {question: one.answer for one, (question, _) in asking.askable(found, canvas.facts, rng)}
    assert len(asked) == 2 and all("Name" in question for question in asked)
    for question, answer in asked.items():
        assert answer == {"left?": "Anna", "right?": "Ben"}[question.split()[-1]]


def test_equal_keys_of_which_one_is_blank_are_not_asked() -> None:
    rng = Random(1)
    canvas = Canvas(800, 1000, rng)
    canvas.add("Name:", canvas.text(60, 100, "Name:"), canvas.text(150, 100, "Anna"))
    canvas.add("Name:", canvas.text(60, 400, "Name:"), ())
    found = build.look(canvas, rng, kind="letter").found
    assert len(found) == 1 and asking.askable(found, canvas.facts, rng) == []


@pytest.fixture(scope="module")
def forms() -> list[synthetic.Drawn]:
    return [one for n in range(50) if (one := synthetic.drawn(11, n)).kind in THEMES]


def test_a_drawn_page_is_its_examples_page(pages: list[Example]) -> None:
    for number in (0, 7):
        one = synthetic.drawn(11, number)
        assert one.page == pages[number].page
        assert {qa.answer for qa in pages[number].qas if qa.answer} <= {found.answer for found in one.found}


def test_most_keys_of_business_forms_are_found_and_some_are_blank(forms: list[synthetic.Drawn]) -> None:
    assert len(forms) >= 15
    filled = sum(bool(fact.value) for one in forms for fact in one.facts)
    assert sum(len(one.found) for one in forms) > 0.8 * filled
    assert sum(len(one.blanks) for one in forms) > 0.1 * filled
    for one in forms:
        for found in one.found:
            assert not found.printed or found.printed.split()[0] in one.page.text


def test_questions_name_keys_as_the_page_has_them(pages: list[Example]) -> None:
    asked = [
        (e.page, qa) for e in pages for qa in e.qas if qa.question.startswith("What is the content in the")
    ]
    answered = [(page, qa) for page, qa in asked if qa.answer is not None and qa.formation.key]
    own = [f'"{qa.formation.key}' in qa.question for _, qa in answered]
    assert len(answered) > 60 and sum(own) > 0.7 * len(own)
    refused = [normal(qa.analysis.key) in normal(page.text) for page, qa in asked if qa.answer is None]
    assert sum(refused) > 0.33 * len(refused) > 3


def test_words_fall_apart_at_signs_and_stay_whole_in_what_they_say() -> None:
    words = [
        DrawnWord("7/15/84", (10, 10, 80, 20)),
        DrawnWord("$3,500", (90, 10, 150, 20)),
        DrawnWord("plain", (160, 10, 200, 20)),
    ]
    seen = set()
    for n in range(30):
        reads = read(words, Random(n), rate=0.0, width=400, height=100, loose=1.0)
        assert "".join(r.word.text for r in reads) == "7/15/84$3,500plain"
        assert all(len(r.origin) == len(r.word.text) for r in reads)
        seen.add(" ".join(r.word.text for r in reads))
    assert seen == {"7/ 15/ 84 $ 3, 500 plain", "7 /15 /84 $3 ,500 plain"}


def test_a_tilted_page_keeps_ink_under_its_words() -> None:
    canvas = Canvas(800, 300, Random(2))
    for x in (30, 300, 640):
        canvas.text(x, 120, "WORD")
    image, words = tilted(canvas.image, canvas.words, 0.01)
    assert words[0].box[1] < canvas.words[0].box[1] < words[2].box[1]
    for ink in words:
        assert min(image.crop(tuple(map(round, ink.box))).tobytes()) < 100  # type: ignore[arg-type]


def test_columns_of_one_row_are_asked_by_their_headers() -> None:
    for n in range(40):
        form = FormCanvas(Canvas(800, 1000, Random(n)), ValueGenerator(Random(n)), "media")
        grids.columns(form, 3)
        for fact in form.facts:
            if fact.printed and fact.value:
                ink = form.canvas.words
                assert ink[fact.value[0]].box[1] >= ink[fact.key[-1]].box[3] - 4
    assert all(len(fact.key) for fact in form.facts if fact.printed)


def test_every_key_of_every_theme_has_values() -> None:
    kinds = {kind for theme in THEMES.values() for _, kind in theme["fields"]} | {
        k for _, k in vocabulary.TYPED["sentences"]
    }
    for kind in kinds:
        made = {ValueGenerator(Random(n)).typed(kind) for n in range(60)}
        assert len(made) >= 4 and all(text.strip() == text != "" for text in made), kind
    for n in range(50):
        name = vocabulary.chosen("lab", Random(n), 1)[0][0]
        assert vocabulary.near(name, Random(n)) != ""


# -- wording -------------------------------------------------------------------------------------------------


def unanswered_by_wording(examples: Iterable[Example]) -> dict[str, float]:
    """Share of questions that nothing answers, of the commonest form, the other forms with a key, and those
    by meaning.
    """
    groups = {"plain": (FORM,), "keys": tuple({*KEY_FORMS} - {FORM, "{}?"}), "meaning": FIELD_FORMS}
    ways = {
        group: re.compile("|".join(re.escape(form).replace(r"\{\}", r'[^"]+') for form in forms))
        for group, forms in groups.items()
    }
    asked: dict[str, list[bool]] = {group: [] for group in groups}
    for example in examples:
        for qa in example.qas:
            for group, way in ways.items():
                if way.fullmatch(qa.question):
                    asked[group].append(qa.answer is None)
                    break
    assert all(len(found) > 50 for found in asked.values())
    return {group: fmean(found) for group, found in asked.items()}


def test_the_wording_of_a_question_does_not_tell_whether_the_page_answers() -> None:
    shares = unanswered_by_wording(synthetic.examples(seed=5, count=220))
    assert max(shares.values()) - min(shares.values()) < 0.2 and min(shares.values()) > 0.2


@pytest.mark.parametrize(
    ("key", "said"),
    [("Contract #", "contract number"), ("Inv. No.", "invoice number"), ("Qty", "quantity"), ("Order#",
    "order number"), ("Date", "date")],
)  # fmt: skip
def test_printed_keys_are_said_as_people_say_them(key: str, said: str) -> None:
    assert spoken(key) == said
