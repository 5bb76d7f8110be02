"""The choice among a page's candidates: corrections hold, formed answers stay, what is chosen is shown in
all three steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from layoutllm_tool.cot import AnswerFormation, LayoutCoT, QuestionAnalysis
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.model import choosing
from layoutllm_tool.model.choosing import Chooser
from layoutllm_tool.model.fusion_head import SHIPPED as FUSION
from layoutllm_tool.model.fusion_head import FusionHead
from layoutllm_tool.model.grammar import Decoded, DecodingConstraints
from layoutllm_tool.model.option_features import NAMES
from layoutllm_tool.model.options import Asked, Option
from layoutllm_tool.model.page_index import Array, PageIndex
from layoutllm_tool.model.pair_head import SHIPPED, PairHead
from layoutllm_tool.model.processing import Window
from layoutllm_tool.model.text_model import Reply
from layoutllm_tool.model.text_opinion import Opinion, TextOpinion
from layoutllm_tool.readers.outcome import NUMBERS_SAID, best
from layoutllm_tool.testing import page_from_text
from layoutllm_tool.training.fusion_head import no_answer_bias, worth_of
from layoutllm_tool.training.pair_head import Row

PAGE = page_from_text("Name: Ada Byron\nDue date: 3 May 1990\nTotal due: 42.10\nSubtotal: 40.00")
FREE = DecodingConstraints()
WINDOW = Window(PAGE, tuple(range(len(PAGE.lines or ()))), (), (), (), (), ())
NONE = Decoded(
    QuestionAnalysis("key-value", "extraction", "Total"), (), AnswerFormation("none", ""), None, (),
    {"analysis": [-0.1], "area": [-0.5], "formation": [-0.1], "answer": []}, False, -0.4, 9, (-3.0,
    ) * len(PAGE.lines or ()),
)  # fmt: skip


@pytest.fixture(scope="module")
def chooser() -> Chooser:
    return Chooser(PairHead.load(SHIPPED), FusionHead.load(FUSION), None)


def chosen(
    chooser: Chooser, question: str, decoded: Decoded = NONE, limits: DecodingConstraints = FREE, **more: bool
) -> Decoded:
    return chooser.choose(chooser.index(PAGE), question, decoded, WINDOW, limits, **more)


def test_a_key_that_is_printed_is_answered_although_the_model_refused(chooser: Chooser) -> None:
    found = chosen(chooser, 'What is the "Total due"?')
    assert (
        found.answer == "42.10"
        and found.analysis.key == "Total due"
        and found.formation == AnswerFormation("right of", "Total due")
    )
    assert [WINDOW.lines[s] for s in found.segments] == [line for line, _ in found.words]
    assert found.chosen["option_odds"] > 0 > chosen(chooser, "Who is the landlord?").chosen["option_same"] - 1


class Says(TextOpinion):
    """Always sure of a part of the word "Byron"."""

    def ask(self, index: PageIndex, question: str, every: Sequence[Option], p: Array) -> Opinion:
        return Opinion.of(Reply("Byr", -0.01, (-20.0,)), [], index.layout)


def test_a_part_of_a_word_is_answered_and_not_again_once_it_was_called_wrong() -> None:
    asking = Chooser(PairHead.load(SHIPPED), FusionHead.load(FUSION), None, text=Says(sure=2.0))
    assert chosen(asking, "who is it?").answer == "Byr"
    limits = DecodingConstraints(wrong=frozenset({"byr"}))
    assert chosen(asking, "who is it?", limits=limits).answer != "Byr"


class Counts(TextOpinion):
    """Gives no opinion, and counts how often it is asked for one."""

    asked = 0

    def ask(self, index: PageIndex, question: str, every: Sequence[Option], p: Array) -> None:
        self.asked += 1


@pytest.mark.parametrize(
    ("question", "more", "times"),
    [
        ("how much was it?", {}, 1),
        ('What is the "Total due"?', {}, 0),
        ("how much was it?", {"text": False}, 0),
        ("how much was it?", {"forced": True}, 0),
    ],
)
def test_the_text_model_is_asked_what_must_be_understood(
    question: str, more: dict[str, bool], times: int
) -> None:
    counting = Counts(sure=2.0)
    asking = Chooser(PairHead.load(SHIPPED), FusionHead.load(FUSION), None, text=counting)
    chosen(asking, question, NONE, FREE, **more)
    assert counting.asked == times


@pytest.mark.parametrize(
    ("question", "numbers_said", "spoken"),
    [
        ("the payment to vendor 44", 0.0, True),
        ("the payment to vendor 44", 1.0, False),
        ('What is the "Total due"?', 0.0, False),
        ('What is the "due"?', 0.0, True),
        ('What is the "company"?', 0.0, True),
    ],
)
def test_printed_labels_and_the_questions_numbers_are_geometrys(
    question: str, numbers_said: float, spoken: bool
) -> None:
    rows = np.zeros((2, len(NAMES)), np.float32)
    rows[:, NAMES.index("numbers_said")] = numbers_said
    index = PageIndex.of(PAGE, None)
    asked, p = Asked.of(question, index, None), np.array([0.1, 0.9], np.float32)
    assert choosing.is_spoken(asked, index, p, rows) is spoken


@pytest.mark.parametrize(
    ("answer", "bare"),
    [
        ("\u00a3500.", "\u00a3500"),
        ("6.5 days.", "6.5 days"),
        ("35.9 %.", "35.9 %"),
        ('"Wexcombe DC"', "Wexcombe DC"),
        ("42.10,", "42.10"),
        ("Acme Ltd.", "Acme Ltd."),
        ("5 p.m.", "5 p.m."),
        ("no.", "no."),
        ('"A" or "B"', '"A" or "B"'),
        ('"', '"'),
    ],
)
def test_an_answer_is_without_its_sentences_signs(answer: str, bare: str) -> None:
    assert choosing._bare(answer) == bare


def test_a_corrections_limits_hold(chooser: Chooser) -> None:
    asked = 'What is the "Total due"?'
    assert chosen(chooser, asked, limits=DecodingConstraints(wrong=frozenset({"42.10"}))).answer != "42.10"
    lines = PAGE.lines or ()
    name = next(n for n, line in enumerate(lines) if "Ada" in line.text)
    there = chosen(chooser, asked, limits=DecodingConstraints(segments=(name,), answerable=True))
    assert {line for line, _ in there.words} == {name}
    assert (
        chosen(chooser, asked, limits=DecodingConstraints(allowed=frozenset({name}), answerable=True)).answer
        is not None
    )


def test_a_corrected_key_is_looked_for_in_place_of_the_questions(chooser: Chooser) -> None:
    mended = replace(NONE, analysis=QuestionAnalysis("key-value", "extraction", "Subtotal"))
    assert chosen(chooser, 'What is the "Total due"?', mended, forced=True).answer == "40.00"


def test_a_formed_answer_stays(chooser: Chooser) -> None:
    formed = replace(NONE, answer="yes", words=())
    assert chosen(chooser, "Is anything due?", formed) is formed


def test_capitals_change_nothing(chooser: Chooser) -> None:
    for question in ("What is the total due?", "name", "When is it due?", "subtotal please"):
        said = {chosen(chooser, case(question)).answer for case in (str, str.lower, str.upper, str.title)}
        assert len(said) == 1


def test_weights_of_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="features"):
        FusionHead(
            {
                name: np.zeros(3, np.float32)
                for name in ("mean", "deviation", "w1", "b1", "w2", "b2", "no_answer_bias")
            }
        )
    assert len(set(NAMES)) == len(NAMES)


def test_without_the_sentence_encoder_one_line_says_so_and_questions_are_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> Path:
        raise WeightsNotFound("the sentence encoder is not there.", hint="Run `layoutllm pull`.")

    monkeypatch.setattr(choosing, "sentence_encoder_folder", missing)
    found = Chooser.load()
    (record,) = caplog.records
    assert "layoutllm pull" in record.getMessage() and "\n" not in record.getMessage()
    assert chosen(found, 'What is the "Total due"?').answer == "42.10"


def cot(answer: str | None, sure: float) -> LayoutCoT:
    return LayoutCoT(
        "q", QuestionAnalysis("other", "extraction", ""), (), AnswerFormation("none", ""), answer, sure
    )


@pytest.mark.parametrize(
    ("copied", "word", "answer"),
    [("51.30", "RM51.30", "RM51.30"), ("70.00", "70.00-", "70.00-"), ("12", "12/2018", "12")],
)
def test_a_copied_part_of_a_word_keeps_sign_and_currency(copied: str, word: str, answer: str) -> None:
    assert choosing._with_signs(copied, word) == answer


def test_of_several_pages_none_counts_where_it_is_likelier_that_no_page_answers() -> None:
    assert best([cot("a", 0.6), cot(None, 0.9)]).answer == "a"
    doubtful = best([cot("a", 0.1), cot(None, 0.9), cot(None, 0.8)])
    assert doubtful.answer is None and doubtful.confidence == pytest.approx(0.9 * 0.9 * 0.8)
    assert best([cot("a", 0.1), cot("b", 0.2)]).answer == "b"
    assert best([cot(None, 0.7), cot(None, 0.4)]).confidence == 0.4


def test_of_several_pages_the_one_that_has_the_questions_number_counts() -> None:
    """A page of a long statement without row 44 is sure of another row."""
    wrong, right = cot("10.00", 0.9), replace(cot("44.00", 0.4), signals={NUMBERS_SAID: 1.0})
    assert best([wrong, right, cot(None, 0.5)]).answer == "44.00"
    assert best([wrong, replace(right, signals={}), cot(None, 0.5)]).answer == "10.00"
    assert best([wrong, right, cot(None, 0.95)]).answer is None


def test_an_option_is_worth_its_overlap_and_none_where_nothing_answers() -> None:
    layout = PageLayout(PAGE)
    words = tuple(word for word in layout.words if word.text in ("Ada", "Byron"))
    every = [Option(()), Option(words), Option(words[:1])]
    assert worth_of(every, words).tolist() == [0.0, 1.0, 0.5]
    assert worth_of(every, ()).tolist() == [1.0, 0.0, 0.0]


def test_none_is_weighed_by_whether_the_page_names_the_key() -> None:
    rows = [Row(np.zeros((2, 1), np.float32), np.array(worth, np.float32)) for worth in ([1, 0], [0, 1])]
    named, other = no_answer_bias(rows)  # half of them have no answer: more than people's questions
    assert 0 < named < other  # a blank field is commoner than a question beside the page
