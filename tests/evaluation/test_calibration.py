"""Fitting the confidence: signs, held-out documents, and what both are for."""

from __future__ import annotations

import math
import random

import pytest

from layoutllm_tool.evaluation.calibration import SIGNS, fit_checked, fit_confidence, fit_rows
from layoutllm_tool.evaluation.results import ScoredAnswer
from layoutllm_tool.readers.confidence import BIAS, confidence, features


def drawn(count: int, noise: int, seed: str) -> tuple[list[dict[str, float]], list[bool], list[str]]:
    """One signal that says something, many that say nothing, documents of five questions."""
    rng = random.Random(f"calibration/{seed}")
    signals = [
        {"true": rng.gauss(0, 1)} | {f"noise{n}": rng.gauss(0, 1) for n in range(noise)} for _ in range(count)
    ]
    right = [rng.random() < confidence({"true": 2.0}, found) for found in signals]
    return signals, right, [f"page-{i // 5}" for i in range(count)]


def test_a_signal_against_its_sign_is_left_out_and_the_others_take_its_place() -> None:
    signals, right, _ = drawn(400, 1, "signs")
    told = fit_confidence(signals, right, signs={"true": 1})
    assert told == fit_confidence(signals, right)
    held = fit_confidence(signals, right, signs={"true": -1})
    assert "true" not in held and "noise0" in held
    assert set(
        fit_confidence(signals, right, signs={"true": -1, "noise0": -1 if held["noise0"] > 0 else 1})
    ) == {BIAS}


def test_the_quality_is_that_of_documents_left_out() -> None:
    """With as many signals as outcomes the fit knows its own rows by heart; the quality must not."""
    signals, right, documents = drawn(60, 60, "heart")
    fitted, quality = fit_checked(signals, right, documents)
    assert quality is not None and quality.outcomes == 60
    many, truth, _ = drawn(3000, 60, "others")
    from layoutllm_tool.evaluation.confidence_metrics import auroc

    by_heart = auroc(
        [confidence(fit_confidence(signals, right, penalty=0.3), found) for found in signals], right
    )
    elsewhere = auroc([confidence(fitted, found) for found in many], truth)
    assert by_heart > 0.99
    assert abs(quality.separation - elsewhere) < abs(by_heart - elsewhere)


def test_checked_confidence_is_calibrated_on_other_outcomes() -> None:
    from layoutllm_tool.evaluation.confidence_metrics import calibration_error

    signals, right, documents = drawn(150, 30, "few")
    others, truth, _ = drawn(4000, 30, "check")
    checked, _ = fit_checked(signals, right, documents)
    plain = fit_confidence(signals, right, penalty=0.3)
    errors = [calibration_error([confidence(c, found) for found in others], truth) for c in (checked, plain)]
    assert errors[0] < errors[1] / 1.5 and errors[0] < 0.1


def test_few_documents_are_fitted_but_not_checked() -> None:
    signals, right, _ = drawn(40, 1, "one")
    fitted, quality = fit_checked(signals, right, ["page"] * 40)
    assert quality is None and fitted == fit_confidence(signals, right)


def test_fitting_is_the_same_again() -> None:
    data = drawn(100, 3, "again")
    assert fit_checked(*data) == fit_checked(*data)


def row(number: int, *, right: bool, failed: bool = False) -> ScoredAnswer:
    return ScoredAnswer(
        f"page-{number % 7}", "f", "q", ("a",), None if failed else "a", float(right), float(right), right,
        0.5, 0.1,
        signals={} if failed else {"answer_logprob": -0.1 if right else -3.0 - number % 3,
        "none_logprob": -9.0, "length": float(right)},
        failed=failed,
    )  # fmt: skip


def test_rows_say_what_they_were_worth_and_errors_are_no_outcomes() -> None:
    rows = [row(i, right=bool(i % 2)) for i in range(40)]
    fitted = fit_rows(rows)
    assert fitted["held_out"]["answer"]["separation"] == pytest.approx(1.0)
    assert fitted["held_out"]["answer"]["outcomes"] == 40
    assert "length" not in fitted["answer"]  # it tells pages apart, not right from wrong
    assert fit_rows([*rows, row(1, right=False, failed=True)]) == fitted


def test_every_sign_is_of_a_signal_that_there_is() -> None:
    from layoutllm_tool.readers import confidence as signals_table

    for signs in SIGNS.values():
        for name in signs:
            head, _, tail = name.rpartition("_")
            known = f"``{name}``" in (signals_table.__doc__ or "")
            assert known or (tail in ("logprob", "worst") and f"``{head}_" in (signals_table.__doc__ or ""))


def test_probabilities_stand_beside_their_logarithms() -> None:
    found = features({"answer_logprob": math.log(0.25), "ocr": 0.5, "area_worst": math.nan})
    assert found == {"answer_logprob": math.log(0.25), "p(answer_logprob)": pytest.approx(0.25),
        "ocr": 0.5} | {
        "area_worst": 0.0, "p(area_worst)": 1.0
    }  # fmt: skip
    # Right as often as the probability says: a weight on the logarithm alone rates -3 and -30 too
    # differently.
    rng = random.Random("probabilities")
    signals = [{"answer_logprob": -rng.expovariate(0.3)} for _ in range(2000)]
    right = [rng.random() < 0.1 + 0.8 * math.exp(row["answer_logprob"]) for row in signals]
    fitted = fit_confidence(signals, right, signs={"answer_logprob": 1})
    assert fitted["p(answer_logprob)"] > 1
    assert abs(confidence(fitted, {"answer_logprob": -3.0}) - 0.14) < 0.05
    assert abs(confidence(fitted, {"answer_logprob": -9.0}) - 0.1) < 0.05
    assert "p(answer_logprob)" not in fit_confidence(
        signals, [not hit for hit in right], signs={"answer_logprob": 1}
    )
