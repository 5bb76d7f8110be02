"""ROUGE-L, mAP, refusals, reliability and risk over coverage: known numbers by hand, laws by property."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layoutllm_tool.evaluation import confidence_metrics, metrics, results
from layoutllm_tool.evaluation.results import ScoredAnswer, Summary

OUTCOMES = st.lists(
    st.tuples(st.sampled_from((0.1, 0.35, 0.6, 0.95)), st.booleans()), min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("said", "golds", "score"),
    [
        ("the cat sat", ["The cat, sat."], 1.0),
        ("police killed the gunman", ["police kill the gunman"], 0.75),  # P = R = 3/4
        ("the gunman kill police", ["police kill the gunman"], 0.5),  # only "the gunman" is in order
        ("a b", ["a b c d"], (1 + 1.44) * 1.0 * 0.5 / (0.5 + 1.44 * 1.0)),
        ("a b c d", ["a b"], (1 + 1.44) * 0.5 * 1.0 / (1.0 + 1.44 * 0.5)),
        ("a b", ["x", "a b c d", "b"], (1 + 1.44) * 1.0 * 1.0 / (1.0 + 1.44)),  # best precision, best recall
        ("nothing", ["alike"], 0.0),
        (None, ["x"], 0.0),
        ("...", ["!"], 1.0),
        ("x", ["!"], 0.0),
    ],
)
def test_rouge_l(said: str | None, golds: list[str], score: float) -> None:
    assert metrics.rouge_l(said, golds) == pytest.approx(score)


def test_rouge_l_needs_a_gold() -> None:
    with pytest.raises(ValueError, match="gold"):
        metrics.rouge_l("a", [])


def test_map_by_hand() -> None:
    assert metrics.mean_average_precision([(0.9, 1.0), (0.8, 1.0)], 2) == pytest.approx(1.0)
    assert metrics.mean_average_precision([(0.9, 1.0)], 2) == pytest.approx(0.5)  # one was not answered
    # IoU .72 is right at .50, .55, .60, .65, .70: five of ten thresholds.
    assert metrics.mean_average_precision([(0.9, 0.72)], 1) == pytest.approx(0.5)
    # right, wrong, right of two wanted: 1/2 * 1 + 1/2 * 2/3
    assert metrics.mean_average_precision([(0.9, 1.0), (0.8, 0.0), (0.7, 1.0)], 2) == pytest.approx(5 / 6)
    # wrong first: precision 1/2 at the only hit
    assert metrics.mean_average_precision([(0.9, 0.0), (0.8, 1.0)], 1) == pytest.approx(0.5)
    # the better precision that comes later counts for what is before it: hits at 2 and 3 of 3 -> 2/3
    # throughout
    assert metrics.mean_average_precision([(0.9, 0.0), (0.8, 1.0), (0.7, 1.0)], 2) == pytest.approx(2 / 3)
    assert metrics.mean_average_precision([], 3) == 0.0
    assert metrics.mean_average_precision([(0.9, 0.0)], 0) is None


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.sampled_from((0.2, 0.5, 0.9)), st.floats(0, 1)), max_size=8), st.randoms())
def test_map_does_not_depend_on_the_order_of_equals(found: list[tuple[float, float]], rng: object) -> None:
    wanted = len(found) + 1
    score = metrics.mean_average_precision(found, wanted)
    assert score == pytest.approx(metrics.mean_average_precision(found[::-1], wanted))
    assert score is not None and 0.0 <= score <= len(found) / wanted + 1e-9


def test_refusals_by_hand() -> None:
    answers = [None, None, "x", None, "y", "z"]
    answerable = [False, False, False, True, True, True]
    found = metrics.Refusals.of(answerable, answers)
    assert [found.precision, found.recall, found.f1] == pytest.approx([2 / 3, 2 / 3, 2 / 3])
    assert metrics.Refusals.of([True], ["x"]).f1 == metrics.Refusals.of([False], ["x"]).precision == 0.0


def test_reliability_by_hand() -> None:
    first, last = confidence_metrics.reliability([0.11, 0.19, 0.95, 1.0], [False, True, True, True])
    assert (first.low, first.high, first.count, first.right) == (0.1, 0.2, 2, 0.5)
    assert first.confidence == pytest.approx(0.15)
    assert (last.count, last.right, last.high) == (2, 1.0, 1.0)


@settings(deadline=None)  # a busy machine is no failure
@given(OUTCOMES)
def test_reliability_sums_up_to_the_calibration_error(outcomes: list[tuple[float, bool]]) -> None:
    sure, right = [s for s, _ in outcomes], [r for _, r in outcomes]
    bins = confidence_metrics.reliability(sure, right)
    gap = sum(b.count * abs(b.confidence - b.right) for b in bins) / len(outcomes)
    assert gap == pytest.approx(confidence_metrics.calibration_error(sure, right))


def test_risk_coverage_by_hand() -> None:
    points = confidence_metrics.risk_coverage([0.9, 0.2, 0.8, 0.5], [True, False, False, True])
    assert points == [(0.25, 0.0), (0.5, 0.5), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]
    assert confidence_metrics.aurc([0.9, 0.2, 0.8, 0.5], [True, False, False, True]) == pytest.approx(
        (0 + 0.5 + 1 / 3 + 0.5) / 4
    )
    assert confidence_metrics.coverage_at(points, 0.34) == 0.75
    assert confidence_metrics.coverage_at([(0.5, 0.2), (1.0, 0.4)], 0.1) == 0.0
    tied = confidence_metrics.risk_coverage([0.5, 0.5], [True, False])
    assert tied == [(0.5, 0.5), (1.0, 0.5)]
    with pytest.raises(ValueError, match="at least one"):
        confidence_metrics.aurc([], [])


@settings(deadline=None)  # a busy machine is no failure
@given(OUTCOMES)
def test_risk_coverage_laws(outcomes: list[tuple[float, bool]]) -> None:
    sure, right = [s for s, _ in outcomes], [r for _, r in outcomes]
    points = confidence_metrics.risk_coverage(sure, right)
    wrong = right.count(False) / len(right)
    assert len(points) == len(right) and points[-1] == pytest.approx((1.0, wrong))
    back = confidence_metrics.risk_coverage(sure[::-1], right[::-1])
    assert [risk for _, risk in points] == pytest.approx([risk for _, risk in back])
    ideal = confidence_metrics.aurc([float(r) for r in right], right)
    assert ideal <= confidence_metrics.aurc(sure, right) + 1e-9


def row(
    answer: str | None, gold: tuple[str, ...], sure: float, *, iou: float | None = None, failed: bool = False
) -> ScoredAnswer:
    right = answer is None if not gold else answer in gold
    box = [0, 0, 10, 10] if answer else None
    return ScoredAnswer(
        "d", "f", "q", gold, answer, float(right), 0.0, right and not failed, sure, 0.1, iou=iou, box=box,
        failed=failed, kind="table" if gold else "key-value",
    )  # fmt: skip


def test_a_summary_of_answers_refusals_and_errors() -> None:
    made = [
        row("a", ("a",), 0.9, iou=1.0), row(None, ("a",), 0.3, iou=0.0), row(None, (), 0.8), row("z", (),
        0.95),
        row(None, (), 0.0, failed=True),
    ]  # fmt: skip
    found = Summary.of(made)
    # Two refusals, one of them right; three questions without an answer, the error counts as not refused.
    assert found.refusal == {"precision": 0.5, "recall": pytest.approx(1 / 3), "f1": pytest.approx(0.4)}
    # The box of "z" is wrong and ranked first, one of the two known places was never boxed.
    assert found.map == pytest.approx(0.5 * 0.5)
    assert Summary.of(made[:2]).refusal is None
    kinds = results.by_kind(made)
    assert list(kinds) == ["answered", "none", "table", "key-value"]
    assert kinds["answered"].questions == 2 and kinds["none"].questions == 3
