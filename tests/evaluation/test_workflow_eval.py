"""The workflow beside a single call, counted by hand on pages made from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from layoutllm_tool.evaluation import report
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item
from layoutllm_tool.evaluation.workflow_eval import Comparison, ask_workflow, summary
from layoutllm_tool.testing import FakeReader, document_from_text

TEXT = f"Vendor:   Acme GmbH{' ' * 40}Page 1\n\n\n\nVendor:   Zeta AG"
LETTER = document_from_text(TEXT, name="letter.pdf")
ITEMS = [
    Item(
        LETTER,
        (
            Question("letter", "value", "What is the vendor at the bottom left?", ("Zeta AG",)),
            Question("letter", "value", "What is the vendor?", ("Acme GmbH",)),
        ),
    )
]


def compared(**options: object) -> Comparison:
    once = ask_workflow(FakeReader(), ITEMS, max_attempts=1, second_opinion=False)
    flow = ask_workflow(FakeReader(), ITEMS, **options)  # type: ignore[arg-type]
    return Comparison(tuple(once), tuple(flow))


def test_what_is_mended_and_what_it_costs() -> None:
    found = compared()
    assert [one.scored.right for one in found.once] == [False, True]
    assert [one.scored.right for one in found.workflow] == [True, True]
    assert (found.changed(False, True), found.changed(True, False)) == (1, 0)
    assert summary(found.once)[1] == 1 and summary(found.workflow)[1] == 1.5
    assert found.once[0].flagged and not found.workflow[0].flagged
    assert found.flagged(right=False) == found.flagged(right=True) == 0


def test_without_the_check_that_sees_it_nothing_is_mended() -> None:
    found = compared(disabled_checks=("spatial",))
    assert found.changed(False, True) == 0


def test_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    found = compared()
    console = Console(width=120)
    console.print(report.workflow_table(found))
    console.print(report.checks_table({"all": found, "spatial": compared(disabled_checks=("spatial",))}))
    said = capsys.readouterr().out
    assert "1 of 1" in said and "0 of 1" in said and "spatial" in said


def test_the_command(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from layoutllm_tool.evaluation import datasets
    from layoutllm_tool.evaluation.command import main

    monkeypatch.setitem(datasets.DATASETS, "synthetic", datasets.Dataset("", lambda: ITEMS))
    out = tmp_path / "rows.json"
    assert main(["synthetic", "--each-check", "--json", str(out)], make=lambda _weights: FakeReader()) == 0
    said = capsys.readouterr().out
    assert "wrong -> right" in said and "What each check is worth" in said and out.is_file()
