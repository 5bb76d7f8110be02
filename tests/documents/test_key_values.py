"""Keys and their values by geometry: what is offered, what the rule takes, what the pair head takes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.documents.key_value_features import NAMES, features
from layoutllm_tool.documents.key_values import by_rule, candidates
from layoutllm_tool.documents.page_layout import PageLayout
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.documents.search import as_printed, find
from layoutllm_tool.model.pair_head import SHIPPED, PairHead
from tests.paths import DATA, ROOT

WORDINGS = ROOT / "layoutllm_tool" / "training" / "synthetic" / "wordings"
SETS = ROOT / "tests" / "data"
HEAD = PairHead.load(SHIPPED)


def placed(*texts: tuple[str, float, float]) -> PageLayout:
    """Texts with their left ends and tops; eight units a character, lines sixteen high, on a square page of
    1000.
    """
    words = []
    for text, x, y in texts:
        words += [
            Word(match[0], Box(x + 8 * match.start(), y, x + 8 * match.end(), y + 16), None)
            for match in re.finditer(r"\S+", text)
        ]
    return PageLayout(
        Page(1, 1000, 1000, tuple(group_lines(words, width=1000, height=1000)), text_source="given")
    )


def offered(layout: PageLayout, key: str) -> list[str]:
    return [c.text for match in find(layout, key) for c in candidates(layout, match.words)]


def ruled(layout: PageLayout, key: str) -> str | None:
    chosen = by_rule(layout, [c for match in find(layout, key) for c in candidates(layout, match.words)])
    return chosen.text if chosen else None


def headed(layout: PageLayout, key: str) -> str | None:
    scored = HEAD.score(layout, find(layout, key))
    return None if scored.best is None else scored.found[scored.best].text


FORM = placed(
    ("Name: Ada Byron", 50, 50), ("Date: 3 May 1990", 400, 50),
    ("Address:", 50, 100), ("12 Long Street", 200, 100), ("Durham DH1 3EJ", 200, 120),
    ("Account No.", 50, 180), ("Branch", 300, 180), ("00-4711", 50, 200), ("York", 300, 200),
    ("[x]", 50, 260), ("Married", 80, 260), ("[]", 200, 260), ("Single", 230, 260),
    ("Remarks:", 50, 320), ("none", 200, 320), ("Phone:", 50, 345), ("0191 555", 200, 345),
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Name", "Ada Byron"), ("name:", "Ada Byron"), ("Date", "3 May 1990"), ("Address",
        "12 Long Street Durham DH1 3EJ"),
        ("Account No.", "00-4711"), ("Branch", "York"), ("Remarks", "none"), ("Phone", "0191 555"),
    ],
)  # fmt: skip
def test_values_beside_and_below_and_wrapped(key: str, value: str) -> None:
    assert value in offered(FORM, key)
    assert ruled(FORM, key) == value and headed(FORM, key) == value


def test_a_mark_left_of_its_label_is_offered() -> None:
    assert "[x]" in offered(FORM, "Married") and "[]" in offered(FORM, "Single")


def test_a_value_ends_before_the_next_key() -> None:
    layout = placed(("Name: Ada Byron Date of birth: 1815", 50, 50))
    found = offered(layout, "Name")
    assert "Ada Byron" in found and not any(text.endswith("birth:") for text in found)


def test_a_key_without_anything_near_has_no_candidates() -> None:
    layout = placed(("Signature:", 50, 50), ("Page 1", 50, 900))
    assert (
        offered(layout, "Signature") == []
        and ruled(layout, "Signature") is None
        and headed(layout, "Signature") is None
    )


def test_a_text_is_found_whatever_its_case_and_signs() -> None:
    for text in ("account no", "ACCOUNT NO.:", "Account  No"):
        (match,) = find(FORM, text)
        assert match.score == 1 and [word.text for word in match.words] == ["Account", "No."]


def test_a_text_is_found_nearly_only_where_it_is_not_found() -> None:
    (match,) = find(FORM, "Acccount Na")
    assert [word.text for word in match.words] == ["Account", "No."] and 0.8 <= match.score < 1
    assert find(FORM, "Passport") == [] and find(FORM, "...") == []


def test_a_text_goes_on_below_itself() -> None:
    layout = placed(("Date of", 50, 50), ("3 May", 300, 58), ("delivery", 50, 68))
    (match,) = find(layout, "Date of delivery")
    assert [word.text for word in match.words] == ["Date", "of", "delivery"]


def test_every_place_of_a_text_is_found() -> None:
    layout = placed(("Total: 1.00", 50, 50), ("Total: 2.00", 50, 90), ("Subtotal: 3.00", 50, 130))
    assert len(find(layout, "Total")) == 2


def test_a_value_glued_to_its_key() -> None:
    layout = placed(("TO:Mary", 50, 50))
    (match,) = find(layout, "TO")
    assert [word.text for word in match.words] == ["TO:Mary"]


word = st.builds(
    lambda text, x, y, w, h: Word(text, Box(x, y, min(x + w, 1000), min(y + h, 1000)), None),
    st.text("ab:1. x", min_size=1, max_size=6).filter(str.strip), st.floats(0, 990), st.floats(0, 990),
    st.floats(0, 200), st.floats(0, 60),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(word, max_size=25), st.integers(1, 3000), st.integers(1, 3000))
def test_any_page_is_looked_at_to_its_end(words: list[Word], width: int, height: int) -> None:
    """Boxes without size, words on top of each other: it ends, and all that is offered stands on the page."""
    page = Page(1, width, height, tuple(Line((one,)) for one in words), text_source="given")
    layout = PageLayout(page)
    for one in layout.words[:6]:
        assert len({w.id for w in layout.row_of(one)}) == len(layout.row_of(one))
        found = candidates(layout, (one,))
        assert all(one.id not in c.ids and c.words for c in found)
        rows = np.array(features(layout, found, scores=[1.0] * len(found), rule=by_rule(layout, found)))
        assert rows.size == len(found) * len(NAMES) and np.isfinite(rows).all()


def test_the_pair_heads_probabilities_sum_to_one() -> None:
    scored = HEAD.score(FORM, find(FORM, "Name"))
    assert scored.features.shape == (len(scored.found), len(NAMES))
    assert np.exp(scored.logprobs).sum() == pytest.approx(1, abs=1e-4)


def test_a_pair_head_of_other_features_is_refused() -> None:
    from safetensors.numpy import load_file

    tensors = load_file(SHIPPED)
    with pytest.raises(ValueError, match="features"):
        PairHead(tensors | {"mean": tensors["mean"][:-1]})


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "naf").is_dir(), reason="the shared data folder is absent")
def test_real_forms_have_pairs_on_their_pages() -> None:
    from layoutllm_tool.training.naf import forms

    pairs = blanks = 0
    for form, _ in zip(forms(DATA / "naf"), range(40), strict=False):
        words = {
            (i, j): w.text for i, line in enumerate(form.page.lines or ()) for j, w in enumerate(line.words)
        }
        for pair in form.pairs:
            said = " ".join(words[at] for at in sorted(pair.words))
            assert sorted(said.split()) == sorted(pair.value.split()) and pair.key
        pairs, blanks = pairs + len(form.pairs), blanks + len(form.blanks)
    assert pairs > 100 and blanks > 20


@pytest.mark.slow
def test_a_pair_head_learns_from_drawn_pages(tmp_path: Path) -> None:
    from layoutllm_tool.training.pair_head import main

    assert main(["--pages", "25", "--out", str(tmp_path / "head.safetensors")]) == 0
    small = PairHead.load(tmp_path / "head.safetensors")
    scored = small.score(FORM, find(FORM, "Name"))
    assert scored.best is not None and scored.found[scored.best].text == "Ada Byron"


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "forms").is_dir(), reason="the shared data folder is absent")
def test_the_pair_head_on_forms_that_it_never_saw() -> None:
    from layoutllm_tool.evaluation.key_values import score

    scores = list(score(DATA / "forms", HEAD))
    assert len(scores) == 1708
    assert sum(one.pair_head for one in scores) / len(scores) >= 0.77


@pytest.mark.parametrize("written", [str, str.lower, str.upper, str.title])
@pytest.mark.parametrize(
    "question",
    ['What is the "date of birth"?', "how much is the invoice total due", "dob? ", "wie groß ist straße"],
)
def test_the_capitals_of_a_question_are_the_pages(question: str, written: Callable[[str], str]) -> None:
    text = "INVOICE no. 3\nInvoice Total due\nDATE OF BIRTH\nDOB\nThe end. invoice Invoice"
    assert as_printed(written(question), text) == as_printed(question, text)


def test_a_question_keeps_small_words_small_but_where_a_key_is_quoted() -> None:
    text = "DATE OF BIRTH\nOF INTEREST"
    assert as_printed('what is the rate OF interest and the "date of birth"?', text) == (
        'What is the rate of INTEREST and the "DATE OF BIRTH"?'
    )


# -- the sets ------------------------------------------------------------------------------------------------


def spelt(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()


def trained() -> set[str]:
    found = set()
    for path in sorted(WORDINGS.glob("*.toml")):
        for entries in tomllib.loads(path.read_text(encoding="utf-8")).values():
            for entry in entries:
                found |= {
                    spelt(text) for name in ("questions", "questions_en") for text in entry.get(name, ())
                }
    return found


def test_no_wording_of_the_sets_is_trained_on() -> None:
    known = trained()
    assert len(known) > 7000
    asked = [json.loads(line) for line in (SETS / "wording" / "questions.jsonl").read_text().splitlines()]
    texts = [text for one in asked for text in one["wordings"]]
    for part in ("open", "sealed"):
        lines = (SETS / "everyday" / part / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        texts += [json.loads(line)["question"] for line in lines]
    assert len(texts) == 832 and not [text for text in texts if spelt(text) in known]


SPOTS = st.tuples(st.integers(0, 30), st.integers(0, 6))


@given(lines=st.lists(st.lists(SPOTS, min_size=1, max_size=6), min_size=1, max_size=6))
@settings(deadline=None)
def test_rows_end_however_the_words_of_a_line_stand(lines: list[list[tuple[int, int]]]) -> None:
    """Once a line from right to left made a row without an end."""
    page = Page(1, 1000, 1000, tuple(
        Line(tuple(Word(f"w{x}", Box(30 * x, 30 * y, 30 * x + 25, 30 * y + 20), None) for x, y in line))
        for line in lines
    ), text_source="given")  # fmt: skip
    layout = PageLayout(page)
    rows = [word.id for row in layout.rows for word in row]
    assert sorted(rows) == sorted(layout.by_id)
    assert all(word.id in {w.id for w in layout.row_of(word)} for word in layout.words)
    assert candidates(layout, (layout.words[0],)) is not None
