"""Locating known values, and examples made of receipts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from layoutllm_tool.documents import align
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.training import receipts
from layoutllm_tool.training.keys import key_of, pairs
from layoutllm_tool.training.schema import QA
from layoutllm_tool.training.synthetic.questions import ABSENT, absent, lacks
from tests.training.pages import RECEIPTS, check, needs_receipts, page


def test_locates_a_misread_name() -> None:
    found = align.find("INDAH GIFT & HOME DECO", page("tan woon", "1NDAH G1FT & HOHE BECO", "JOHOR"))
    assert [p.answer for p in found] == ["1NDAH G1FT & HOHE BECO"]
    assert align.find("INDAH GIFT & HOME DECO", page("tan woon", "RESTORAN")) == []


def test_locates_an_address_over_lines_and_steps_over_a_stray_one() -> None:
    rows = (
        "SHOP",
        "NO.53 55,57 & S9, JALAN SAGU 18,",
        "TAMAN DAYA, | xx",
        "81100 JOHOR BAHRU,",
        "JOHOR.",
        "TEL 1",
    )
    found = align.find("NO.53 55,57 & 59, JALAN SAGU 18, TAMAN DAYA, 81100 JOHOR BAHRU, JOHOR.", page(*rows))
    assert found[0].answer == "NO.53 55,57 & S9, JALAN SAGU 18, TAMAN DAYA, 81100 JOHOR BAHRU, JOHOR."
    assert found[0].lines == (1, 2, 4, 5)


def test_a_value_may_begin_inside_a_word_but_not_inside_a_number() -> None:
    found = align.find("25/12/2018", page("A", "DATE:25/12/2018", "20:49"))
    assert found[0].answer == "25/12/2018" and found[0].start == 5
    assert [p.answer for p in align.find("9.00", page("19.00", "9.00", "9.001"), threshold=0.85)] == ["9.00"]
    assert align.find("60.30", page("RM69.75"), threshold=0.85) == []


def test_similarity_is_of_the_part_and_forgives_lookalikes() -> None:
    assert align.similarity("total", "the TOTAL: 5") == 1.0
    assert 0.75 < align.similarity("invoice", "lNV0ICE") < 1.0
    assert align.similarity("passport", "receipt") < 0.6
    assert align.similarity("", "x") == align.similarity("x", "") == 0.0


@pytest.mark.parametrize(
    ("rows", "answer", "line"),
    [
        (("PEN | 9.00", "SUBTOTAL | 9.00", "TOTAL | 9.00", "CASH | 9.00"), "9.00", 5),
        (("PEN | 9.00", "Total Excl GST | 9.00", "Rounded Total (RM): | 9.00", "CASH | 9.00"), "9.00", 5),
        (("PEN | 9.00", "TOTAL: 9,00", "CHANGE | 1.00"), "9,00", 2),
        (("PEN | 8.00", "TOTAL | 9.08", "CASH | 10.00"), "9.08", 3),
    ],
)
def test_the_total_is_the_one_beside_its_key(rows: tuple[str, ...], answer: str, line: int) -> None:
    place = receipts.field_places(page("SHOP", *rows), {"total": "RM 9.00"})["total"]
    assert (place.answer, place.words[0][0]) == (answer, line + 1)


def test_an_item_that_is_only_like_the_total_is_not_taken_for_it() -> None:
    assert receipts.field_places(page("PEN | 9.10", "CASH | 20.00"), {"total": "9.00"}) == {}


def test_keys_stand_inside_left_or_above() -> None:
    def relation(value: str, *rows: str) -> tuple[str, str]:
        at = page(*rows)
        formation = key_of(at, align.find(value, at)[0]).formation
        return formation.relation, formation.key

    assert relation("25/12/2018", "DATE:25/12/2018 8:13") == ("inside", "DATE")
    assert relation("9.00", "PEN", "Total (RM) : | RM 9.00") == ("right of", "Total (RM)")
    assert relation("4711", "INVOICE NO:", "4711") == ("below", "INVOICE NO")
    assert relation("4711", "4711 99") == ("inside", "")


def test_pairs_are_keys_that_stand_once() -> None:
    found = pairs(
        page("CASHIER: MANIS", "Total : | 9.00", "Change | 1.00", "CODE: | A", "CODE: | B", "12:30:05")
    )
    assert {(p.key, p.place.answer) for p in found} == {
        ("CASHIER", "MANIS"),
        ("Total", "9.00"),
        ("Change", "1.00"),
    }


def test_absent_fields_are_absent() -> None:
    from random import Random

    assert len(ABSENT) >= 120
    at = page("TEL: 07-3507405", "EMAIL a@b.co", "PASSP0RT N0 77")
    assert not lacks(at, ("phone number", "tel")) and not lacks(at, ("passport number", "passport no"))
    asked = absent(at, 60, Random(1))
    assert len(asked) > 40 and all(qa.answer is None for qa in asked)
    assert not {"phone number", "e-mail", "passport number"} & {qa.analysis.key.lower() for qa in asked}


@needs_receipts
def test_receipts_keep_the_schemas_promises_and_find_their_fields() -> None:
    numbers = range(0, 400, 20)
    found = list(receipts.examples(RECEIPTS, numbers, seed=1))
    whole = [example for example in found if "without" not in example.source]
    assert len(whole) == len(numbers)
    for example in found:
        check(example)
    located = Counter(
        name
        for number in numbers
        for name in receipts.field_places(
            receipts.dataset_page(RECEIPTS, number), receipts.entities(RECEIPTS, number)
        )
    )
    assert min(located[name] for name in receipts.FIELDS) >= 0.9 * len(numbers), located
    every = [qa for example in found for qa in example.qas]
    assert 0.17 < sum(qa.answer is None for qa in every) / len(every) < 0.28


@needs_receipts
def test_receipts_are_the_same_for_a_seed_and_lack_what_was_removed() -> None:
    def questions(seed: int) -> list[tuple[str, tuple[QA, ...]]]:
        return [(e.source, e.qas) for e in receipts.examples(RECEIPTS, range(4), seed=seed)]

    assert questions(1) == questions(1) != questions(2)
    without = [e for e in receipts.examples(RECEIPTS, range(30), seed=3) if "without-date" in e.source]
    assert without
    for example in without:
        assert not receipts._DATE.search(example.page.text)
        assert any(qa.analysis.key == "date" and qa.answer is None for qa in example.qas)


@needs_receipts
def test_step_one_does_not_give_away_whether_the_page_answers() -> None:
    """A field is asked for by the same kind, whether it stands on the page or was taken out."""
    found = list(receipts.examples(RECEIPTS, range(40), seed=3, bare=1.0))
    kinds: dict[tuple[str, bool], set[str]] = {}
    for qa in (qa for example in found for qa in example.qas if qa.analysis.key in receipts.FIELDS):
        kinds.setdefault((qa.analysis.key, qa.answer is None), set()).add(qa.analysis.kind)
    for field in receipts.FIELDS:
        assert kinds[field, True] == kinds[field, False]


def test_a_number_that_is_not_there_is_an_error_of_the_tree(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFound, match="entities"):
        next(receipts.examples(tmp_path, [7], seed=0, pages=lambda _: page("SHOP")))


@needs_receipts
def test_a_page_that_ocr_read_nothing_of_falls_back_on_the_datasets_lines() -> None:
    blank = Page(1, 10, 10, (), None, "tesseract")
    found = next(receipts.examples(RECEIPTS, [387], seed=0, pages=lambda _: blank))
    assert found.page.text_source == "given" and len(found.qas) >= 4
