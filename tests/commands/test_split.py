"""`layoutllm split`: page ranges and kinds as JSON, and the record of each document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from layoutllm_tool.cli import main
from layoutllm_tool.testing import FakeReader
from tests.pdfs import make_pdf, text

Captured = pytest.CaptureFixture[str]
KINDS = '[order]\ntitles = ["order"]\nschema = "order.json"\n[note]\ntitles = ["note"]\n'
PAGES = (["ORDER", "Total: 12.50", "Page 1 of 1"], ["NOTE", "Page 1 of 1"], ["Plums", "Page 1 of 1"])


def page(lines: Sequence[str]) -> str:
    return "".join(text(line, 72, 700 - 60 * row) for row, line in enumerate(lines))


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    (tmp_path / "stack.pdf").write_bytes(make_pdf(*map(page, PAGES)))
    (tmp_path / "kinds.toml").write_text(KINDS)
    schema = {"type": "object", "properties": {"total": {"type": "number"}, "weight": {"type": "number"}}}
    (tmp_path / "order.json").write_text(json.dumps(schema | {"required": ["weight"]}))
    return tmp_path


def split(folder: Path, *options: str) -> int:
    return main(["split", str(folder / "stack.pdf"), *options], reader=FakeReader())


def test_ranges_and_kinds(stack: Path, capsys: Captured) -> None:
    assert split(stack, "--kinds", str(stack / "kinds.toml")) == 3
    shown = capsys.readouterr()
    found = [(part["first"], part["last"], part["kind"]) for part in json.loads(shown.out)]
    assert found == [(1, 1, "order"), (2, 2, "note"), (3, 3, None)]
    assert shown.err == "layoutllm: page 3: Of no kind that is known.\n"


def test_each_document_is_read_by_its_schema(stack: Path, capsys: Captured) -> None:
    assert split(stack, "--kinds", str(stack / "kinds.toml"), "--extract") == 3
    shown = capsys.readouterr()
    order, note, _ = json.loads(shown.out)
    assert order["record"] == {"total": 12.5, "weight": None} and "record" not in note
    assert "layoutllm: page 1: /weight: " in shown.err


@pytest.mark.parametrize("options", [["--extract"], ["--kinds", "none.toml"], ["--kinds", "order.json"]])
def test_what_holds_no_kinds_is_one_line(
    options: list[str], stack: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stack)
    assert split(stack, *options) == 2
    assert capsys.readouterr().err.count("\n") == 1
