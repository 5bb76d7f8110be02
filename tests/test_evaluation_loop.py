"""The workflow beside a single call, counted by hand on pages made from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from layoutllm_tool.evaluation import loop, report
from layoutllm_tool.evaluation.asking import Item
from layoutllm_tool.evaluation.remembering import Remembering
from layoutllm_tool.evaluation.rows import Question
from layoutllm_tool.testing import FakeReader, document_from_text

LETTER = document_from_text(f"Vendor:   Acme GmbH{' ' * 40}Page 1\n\n\n\nVendor:   Zeta AG", name="letter.pdf")
ITEMS = [
    Item(
        LETTER,
        (
            Question("letter", "value", "What is the vendor at the bottom left?", ("Zeta AG",)),
            Question("letter", "value", "What is the vendor?", ("Acme GmbH",)),
        ),
    )
]


def compared(**options: object) -> loop.Comparison:
    once = loop.deal(FakeReader(), ITEMS, rounds=1, second_look=False)
    return loop.Comparison(tuple(once), tuple(loop.deal(FakeReader(), ITEMS, **options)))  # type: ignore[arg-type]


def test_what_is_mended_and_what_it_costs() -> None:
    found = compared()
    assert [dealt.row.right for dealt in found.once] == [False, True]
    assert [dealt.row.right for dealt in found.loop] == [True, True]
    assert (found.changed(False, True), found.changed(True, False)) == (1, 0)
    assert loop.Pass.of(found.once).calls == 1 and loop.Pass.of(found.loop).calls == 1.5
    assert found.once[0].flagged and not found.loop[0].flagged
    assert found.wrong_flagged == found.right_flagged == 0


def test_without_the_check_that_sees_it_nothing_is_mended() -> None:
    found = compared(without=("spatial",))
    assert found.changed(False, True) == 0


def test_a_pass_from_memory_is_the_same_and_asks_nothing_again() -> None:
    fake = FakeReader()
    reader = Remembering(fake)
    first = loop.deal(reader, ITEMS)
    asked = len(fake.calls)
    again, fresh = loop.deal(reader, ITEMS), loop.deal(FakeReader(), ITEMS)
    assert asked == 3 and len(fake.calls) == asked
    for one, other, plain in zip(first, again, fresh, strict=True):
        assert (one.calls, one.flagged, one.row.answer) == (plain.calls, plain.flagged, plain.row.answer)
        assert (other.calls, other.flagged, other.row.answer) == (plain.calls, plain.flagged, plain.row.answer)


def test_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    found = compared()
    console = Console(width=120)
    console.print(report.loop_table(found))
    console.print(report.checks_table({"all": found, "spatial": compared(without=("spatial",))}))
    said = capsys.readouterr().out
    assert "1 of 1" in said and "0 of 1" in said and "spatial" in said


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from layoutllm_tool.evaluation import sets
    from layoutllm_tool.evaluation.command import main

    chosen = sets.Set("", lambda _choice: ITEMS)
    monkeypatch.setitem(sets.SETS, "drawn", chosen)
    out = tmp_path / "rows.json"
    assert main(["drawn", "--each-check", "--json", str(out)], make=lambda _weights: FakeReader()) == 0
    said = capsys.readouterr().out
    assert "wrong -> right" in said and "What each check is worth" in said and out.is_file()
