"""The refusal set, plots and the error report, with a reader that needs no model."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.evaluation import plots, results, runs
from layoutllm_tool.evaluation.datasets import synthetic, unanswerable
from layoutllm_tool.evaluation.html_report import Pictures, html, worst_first, write_report
from layoutllm_tool.evaluation.results import ScoredAnswer
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.training import receipts as source
from layoutllm_tool.training.synthetic.questions import lacks
from tests.evaluation.test_command import needs_data, run
from tests.paths import DATA

NASTY = '<script>alert("x")</script>&amp;\'</td></style>'


def row(answer: str | None, gold: tuple[str, ...], sure: float, name: str = "d/1") -> ScoredAnswer:
    right = answer is None if not gold else answer in gold
    return ScoredAnswer(
        name, "value", "What is it?", gold, answer, float(right), 0.0, right, sure, 0.1, page=1, box=[10, 20,
        110, 40],
        area=[0, 10, 200, 50], gold_box=[500, 20, 600, 40],
        steps={"question_analysis": "A key-value question."},
    )  # fmt: skip


# -- refusals ------------------------------------------------------------------------------------------------


def test_drawn_forms_are_balanced_and_no_development_pages() -> None:
    found, again, other = (
        unanswerable.form_items(5),
        unanswerable.form_items(5),
        unanswerable.form_items(5, seed=1),
    )
    assert [item.questions for item in found] == [item.questions for item in again]
    assert len(found) == 5 and [i.questions for i in found] != [i.questions for i in other]
    for item in found:
        silent = [q for q in item.questions if not q.gold]
        assert 2 * len(silent) == len(item.questions) > 0
        assert all(q.field == "none" for q in silent)
    assert not {q.text for i in found for q in i.questions} <= {
        q.text for i in synthetic.items(pages=5) for q in i.questions
    }


@needs_data
def test_receipts_lack_what_is_asked() -> None:
    found = unanswerable.receipt_items(DATA / "receipts", (400, 401, 402))
    assert found == unanswerable.receipt_items(DATA / "receipts", (400, 401, 402)) and found
    for item in found:
        number = int(item.questions[0].document[-3:])
        page = FakeReader().load(item.path).pages[0]
        still = source.field_places(page, source.entities(DATA / "receipts", number))
        silent = {q.text for q in item.questions if not q.gold}
        assert 2 * len(silent) == len(item.questions)
        assert all(not lacks(page, q.gold) for q in item.questions if q.gold)
        for name in source.FIELDS:
            if silent & {source.FORM.format(name), *source.PARAPHRASES[name]}:
                assert name not in still or still[name].score < 0.85


def test_refusal_command_prints_both_halves(tmp_path: Path) -> None:
    code, said = run("refusal", "--pages", 4, "--json", tmp_path / "rows.json", reader=FakeReader())
    assert code == 0
    assert "Refusals" in said and "precision" in said and "F1" in said
    kept = results.read(tmp_path / "rows.json")
    assert sum(not r.gold for r in kept) * 2 == len(kept)
    scores = json.loads((tmp_path / "rows.json").read_text())["summary"]["all"]["refusal"]
    assert 0 <= scores["f1"] <= 1 and set(scores) == {"precision", "recall", "f1"}


@needs_data
def test_refusal_command_with_receipts() -> None:
    code, said = run("refusal", "--pages", 2, "--data", DATA, "--limit", 2, reader=FakeReader())
    assert code == 0 and {"forms", "receipts", "both"} <= set(re.findall(r"^ *(\w+) ", said, re.MULTILINE))


# -- report --------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_worst_confident_errors_come_first() -> None:
    made = [row("a", ("a",), 0.9), row("x", ("a",), 0.2), row("y", ("a",), 0.8), row("a", ("a",), 0.4)]
    assert [(r.right, r.confidence) for r in worst_first(made)] == [
        (False, 0.8),
        (False, 0.2),
        (True, 0.4),
        (True, 0.9),
    ]


def test_report_escapes_everything() -> None:
    nasty = ScoredAnswer(
        NASTY,
        NASTY,
        NASTY,
        (NASTY,),
        NASTY,
        0.0,
        0.0,
        False,
        0.7,
        0.1,
        steps={NASTY: NASTY},
        baseline=NASTY,
        page=1,
    )
    plain = html([row("x", ("a",), 0.7)], Pictures(), title="t")
    text = html([nasty], Pictures(), title=NASTY)
    assert "<script" not in text and text.count("</style>") == plain.count("</style>") == 1
    parsed = Tags(text)
    assert set(parsed.tags) <= {*Tags(plain).tags} and NASTY in parsed.text
    assert "default-src 'none'" in text


def test_report_shows_each_page_once_with_three_boxes() -> None:
    document = document_from_text("Total:   9.00")
    page = document.pages[0].__class__(1, 600, 300, (), Image.new("RGB", (600, 300), "white"))
    pictures = Pictures(side=120)
    pictures.keep("d/1", document.__class__("d", "d", (page,)))
    text = html([row("x", ("a",), 0.7), row("y", ("a",), 0.6)], pictures, title="t")
    assert text.count("data:image/jpeg;base64,") == 1 and "aspect-ratio:120/60" in text
    assert (
        text.count('<rect class="area"')
        == text.count('<rect class="gold"')
        == text.count('<rect class="answer"')
        == 2
    )
    assert '<rect class="gold" x="500" y="20" width="100" height="20"/>' in text
    assert len(re.findall('<div class="page p1">', text)) == 2
    assert html([row("x", ("a",), 0.7)] * 5, pictures, title="t", limit=2).count("<section>") == 2
    assert "Nothing was asked" in html([], pictures, title="t")


@pytest.mark.parametrize("name", ["out", "out/own.html"])
def test_report_and_rows_of_a_command(tmp_path: Path, name: str) -> None:
    code, said = run(
        "synthetic", "--pages", 2, "--report", tmp_path / name, "--report-limit", 3, reader=FakeReader()
    )
    file = tmp_path / ("out/report.html" if name == "out" else name)
    assert code == 0 and file.name in said
    text = file.read_text(encoding="utf-8")
    assert text.count("<section>") == 3 and "question analysis" in text and "data:image/jpeg" in text


# -- plots ---------------------------------------------------------------------------------------------------


def test_plots_of_a_command(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra plots) is not installed")
    code, _ = run("synthetic", "--pages", 2, "--plots", tmp_path / "plots", reader=FakeReader())
    assert code == 0
    for name in ("reliability", "risk_coverage", "fields"):
        with Image.open(tmp_path / f"plots/{name}.png") as image:
            assert image.width > 500 and len(image.convert("L").getcolors() or ()) > 10


def test_plots_hold_what_the_curves_say() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra plots) is not installed")
    made = [row("a", ("a",), 0.95), row("x", ("a",), 0.92), row("a", ("a",), 0.3), row(None, (), 0.1)]
    bars = plots.reliability_figure(made).axes[0].patches
    assert [round(bar.get_height(), 3) for bar in bars] == [1.0, 1.0, 0.5]  # type: ignore[attr-defined]
    line = plots.risk_figure(made).axes[0].lines[0]
    assert list(line.get_ydata()) == [0.0, 0.5, pytest.approx(1 / 3), 0.25]  # type: ignore[arg-type]
    labels = plots.field_figure([row("a", ("a",), 0.9)]).axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["value (1)", "all (1)"]
    assert plots.draw([], Path("nowhere")) == []


def test_names_of_fields_are_no_formulas(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra plots) is not installed")
    made = [ScoredAnswer("d", r"$\frac{1}$ \\ ^_", "q", ("a",), "a", 1.0, 1.0, True, 0.5, 0.1)]
    assert len(plots.draw(made, tmp_path)) == 3


def test_missing_matplotlib_is_told_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "find_spec", lambda name: None if name == "matplotlib" else True)
    with pytest.raises(LayoutLLMError, match=r"layoutllm-tool\[plots\]"):
        runs.require("matplotlib", "plots")
    reader = FakeReader()
    assert run("synthetic", "--pages", 1, "--plots", tmp_path, reader=reader)[0] == 2
    assert reader.calls == []


def test_a_report_lies_where_it_was_wanted(tmp_path: Path) -> None:
    assert write_report([], tmp_path / "a.HTM", Pictures(), title="t") == tmp_path / "a.HTM"
    assert write_report([], tmp_path / "b", Pictures(), title="t") == tmp_path / "b/report.html"
