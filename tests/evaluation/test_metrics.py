"""Scores and calibration as values: known numbers by hand, laws by property."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layoutllm_tool.cot import Area
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.evaluation import confidence_metrics, metrics
from layoutllm_tool.evaluation.calibration import fit_confidence, fit_no_answer_bias, fit_rows
from layoutllm_tool.evaluation.results import ScoredAnswer
from layoutllm_tool.readers.confidence import BIAS, confidence, sigmoid
from layoutllm_tool.testing import page_from_text

WORDS = st.text(alphabet="abcDE 12.,-()", max_size=12)


@pytest.mark.parametrize(
    ("said", "golds", "score"),
    [
        ("ACME Ltd", ["acme ltd"], 1.0),
        ("  12.50 ", ["12.50"], 1.0),
        ("12.5", ["12.50"], 0.8),
        ("ab", ["abcd"], 0.0),  # NL is exactly 0.5: no credit
        ("abc", ["abcde"], 0.6),
        (None, ["x"], 0.0),
        ("9 May", ["nothing like it", "9 may"], 1.0),
    ],
)
def test_anls(said: str | None, golds: list[str], score: float) -> None:
    assert metrics.anls(said, golds) == pytest.approx(score)


def test_anls_blind_ignores_punctuation_only_when_asked() -> None:
    assert metrics.anls("12/10/98", ["12 /10 /98"], blind=True) == 1.0
    assert metrics.anls("12/10/98", ["12 /10 /98"]) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="gold"):
        metrics.anls("a", [])


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3), WORDS)
def test_anls_laws(said: str, golds: list[str], other: str) -> None:
    score = metrics.anls(said, golds)
    assert score == 0.0 or 0.5 < score <= 1.0
    assert metrics.anls(said.upper(), golds) == metrics.anls(f" {said}\t", golds) == score
    assert metrics.anls(said, [*golds, other]) >= score
    assert metrics.anls(golds[0], golds) == 1.0


PAGE = page_from_text(
    "ACME Trading\n12 High Street\nOld Town\nSubtotal:   9.00\nTotal:      9.00\nDate:       25/12/2018"
)


def area(*lines: int, box: Box | None = None) -> Area:
    found = PAGE.lines or ()
    return Area(1, box or Box.union(found[i].box for i in lines), lines)


def test_area_hits_by_line_or_by_box() -> None:
    total = next(i for i, line in enumerate(PAGE.lines or ()) if line.text == "9.00" and line.box.y0 > 600)
    date = next(i for i, line in enumerate(PAGE.lines or ()) if "2018" in line.text)
    assert metrics.area_hit([area(total)], PAGE, ["9.00"]) is True
    assert metrics.area_hit([area(date)], PAGE, ["9.00"]) is False
    assert metrics.area_hit([], PAGE, ["9.00"]) is False
    around = area(date, box=Box(0, 400, 1000, 700))
    assert (
        metrics.area_hit([around], PAGE, ["9.00"]) is True
    )  # another line is named, but the box lies around the value
    assert metrics.area_hit([Area(2, around.box, (total,))], PAGE, ["9.00"]) is False  # right box, wrong page


def test_area_hit_wants_every_line_of_the_answer() -> None:
    assert metrics.area_hit([area(1, 2)], PAGE, ["12 High Street Old Town"]) is True
    small = Box(0, 0, 10, 10)
    assert metrics.area_hit([area(1, box=small)], PAGE, ["12 High Street Old Town"]) is False


def test_area_hit_falls_back_on_the_gold_boxes() -> None:
    gold = Box(500, 100, 700, 200)
    assert metrics.area_hit([area(0)], PAGE, ["unheard of"]) is None
    assert metrics.area_hit([area(0, box=Box(450, 0, 1000, 300))], PAGE, ["unheard of"], boxes=[gold]) is True
    assert metrics.area_hit([area(0, box=Box(0, 500, 100, 600))], PAGE, ["unheard of"], boxes=[gold]) is False


def test_iou_takes_the_best_of_equal_places() -> None:
    boxes = [line.box for line in PAGE.lines or () if line.text == "9.00"]
    assert len(boxes) == 2
    assert [metrics.box_iou(box, PAGE, ["9.00"]) for box in boxes] == [1.0, 1.0]
    assert metrics.box_iou(None, PAGE, ["9.00"]) == 0.0
    assert metrics.box_iou(boxes[0], PAGE, ["unheard of"]) is None


def test_calibration_error_by_hand() -> None:
    assert confidence_metrics.calibration_error(
        [0.9, 0.9, 0.9, 0.9], [True, True, True, False]
    ) == pytest.approx(0.15)
    assert confidence_metrics.calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert confidence_metrics.calibration_error([1.0, 0.0], [False, True]) == 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
@settings(deadline=None)  # the first example imports scikit-learn
def test_auroc_counts_pairs(pairs: list[tuple[float, bool]]) -> None:
    scores, right = [s for s, _ in pairs], [r for _, r in pairs]
    good, bad = [s for s, r in pairs if r], [s for s, r in pairs if not r]
    found = confidence_metrics.auroc(scores, right)
    if not good or not bad:
        assert math.isnan(found)
        return
    won = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    assert found == pytest.approx(won / (len(good) * len(bad)))
    assert confidence_metrics.auroc([-s for s in scores], right) == pytest.approx(1 - found)
    assert 0 <= confidence_metrics.calibration_error(scores, right) <= 1


# -- confidence ----------------------------------------------------------------------------------------------


@given(st.floats(-800, 800))
def test_sigmoid_is_symmetric_and_never_overflows(value: float) -> None:
    assert 0 <= sigmoid(value) <= 1
    assert sigmoid(value) + sigmoid(-value) == pytest.approx(1)


def test_confidence_of_missing_and_unknown_signals() -> None:
    coefficients = {BIAS: 1.0, "a": 2.0, "b": -1.0}
    assert confidence({}, {"a": 3.0}) == 0.5
    assert confidence(coefficients, {}) == pytest.approx(sigmoid(1.0))
    assert confidence(coefficients, {"a": 1.0, "b": 1.0, "c": 99.0}) == pytest.approx(sigmoid(2.0))
    assert confidence(coefficients, {"a": math.inf, "b": math.nan}) == pytest.approx(sigmoid(1.0))


def test_fit_finds_the_law_that_made_the_data() -> None:
    rng, true = random.Random(0), {"a": 2.0, "b": -1.0, BIAS: 0.5}
    signals = [{"a": rng.gauss(0, 1), "b": rng.gauss(3, 2), "same": 7.0} for _ in range(4000)]
    right = [rng.random() < confidence(true, found) for found in signals]
    fitted = fit_confidence(signals, right)
    assert set(fitted) == {"a", "b", BIAS}  # what never varies says nothing
    assert fitted["a"] == pytest.approx(2.0, abs=0.2)
    assert fitted["b"] == pytest.approx(-1.0, abs=0.1)
    sure = [confidence(fitted, found) for found in signals]
    assert confidence_metrics.calibration_error(sure, right) < 0.03


def test_fit_of_one_kind_only_stays_under_certainty() -> None:
    fitted = fit_confidence([{"a": float(i)} for i in range(8)], [True] * 8)
    assert 0.8 < confidence(fitted, {"a": 4.0}) < 0.95
    separable = fit_confidence([{"a": float(i)} for i in range(8)], [i > 3 for i in range(8)])
    assert all(math.isfinite(v) for v in separable.values())
    assert confidence(separable, {"a": 0.0}) < 0.3 < 0.7 < confidence(separable, {"a": 7.0})
    with pytest.raises(ValueError, match="at least one"):
        fit_confidence([], [])


def row(answer: str | None, *, gold: str = "", none: float = 0.5, good: bool = True) -> ScoredAnswer:
    anls = float(answer is None) if not gold else float(good and answer is not None)
    return ScoredAnswer(
        "d", "f", "q", (gold,) if gold else (), answer, anls, anls, anls >= 0.5, 0.5, 0.1,
        signals={"none_logprob": math.log(none), "x": float(good)},
    )  # fmt: skip


def test_bias_of_none_goes_where_the_rows_score_best() -> None:
    too_eager = [row("a", none=0.3), row("b", none=0.25), row("c", gold="c", none=0.05), row(None, none=0.8)]
    shift = fit_no_answer_bias(too_eager)
    assert (
        math.log(0.75 / 0.25) < shift < math.log(0.95 / 0.05)
    )  # the two wrong answers fall silent, the right one stays
    assert fit_no_answer_bias(too_eager, before=1.0) == pytest.approx(shift + 1.0)
    shy = [row(None, gold="c", none=0.6), row("c", gold="c", none=0.1), row(None, none=0.9)]
    assert -math.log(0.9 / 0.1) < fit_no_answer_bias(shy) < -math.log(0.6 / 0.4)
    assert fit_no_answer_bias([row("c", gold="c", none=0.01), row(None, none=0.99)]) == 0.0
    assert (
        fit_no_answer_bias([row(None, none=0.4), row("c", gold="c", none=0.3)]) == 0.0
    )  # none won though under one half


def test_fit_rows_keeps_answers_and_none_apart() -> None:
    rows = [row("a", gold="a", good=i % 2 == 0) for i in range(20)] + [
        row(None, gold="a" * (i % 2)) for i in range(20)
    ]
    fitted = fit_rows(rows)
    assert set(fitted) == {"answer", "none", "no_answer_bias", "key_present_bias"}
    assert fitted["answer"]["x"] > 0
    assert "none" not in fit_rows(rows[:20])


def test_the_bias_of_named_keys_is_fitted_on_their_own_rows() -> None:
    def named(found: ScoredAnswer, value: float) -> ScoredAnswer:
        return replace(found, signals={**found.signals, "named": value})

    loud = [named(row("a", none=0.3), 0.0), named(row("c", gold="c", none=0.05), 0.0)]
    shy = [named(row(None, gold="c", none=0.6), 1.0), named(row("c", gold="c", none=0.1), 1.0)]
    fitted = fit_rows(loud + shy)
    assert fitted["no_answer_bias"] == fit_no_answer_bias(loud) > 0
    assert fitted["no_answer_bias"] + fitted["key_present_bias"] == pytest.approx(fit_no_answer_bias(shy))
    assert fit_no_answer_bias(shy) < 0
    assert fit_rows([row("a")], key_present_bias=-0.5)["key_present_bias"] == -0.5
