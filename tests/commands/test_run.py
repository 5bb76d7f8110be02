"""`layoutllm run` with a JSON Schema: tables row by row, the typed record, and what is doubtful in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool.cli import main
from layoutllm_tool.commands.show import tell_doubts
from layoutllm_tool.errors import OCRTimeout
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import ORDER, items, order
from tests.graphs.test_escalation import reply, seeing

Captured = pytest.CaptureFixture[str]


def run(folder: Path, document: bytes, schema: dict[str, Any], *options: str) -> int:
    (folder / "a.pdf").write_bytes(document)
    (folder / "schema.json").write_text(json.dumps(schema))
    command = ["run", str(folder / "a.pdf"), "--schema", str(folder / "schema.json"), *options]
    return main([*command, "--checkpoints", str(folder / "runs.sqlite")], reader=FakeReader())


def test_answers_rows_and_the_record(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    assert run(tmp_path, order(2), ORDER) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out[shown.out.index("\n{\n") :]) == {
        "vendor": "Shop 2", "total": 10.5, "items": items(2),
    }  # fmt: skip
    assert re.search(r"description\W+quantity\W+amount", shown.out) and "3 rows" in shown.out
    assert re.search(r"1\W+Widget B\W+2\W+3\.50\W*\n", shown.out) and not shown.err


def test_one_object_holds_it_all(tmp_path: Path, capsys: Captured) -> None:
    assert run(tmp_path, order(2), ORDER, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["record"]["items"] == items(2)
    assert (
        found["fields"]["/items/1/amount"]["text"]
        == found["answers"][2]["rows"][1]["amount"]["text"]
        == "3.50"
    )


def test_what_is_doubtful_in_the_record_is_named_and_makes_it_3(tmp_path: Path, capsys: Captured) -> None:
    assert run(tmp_path, order(4, damaged=True), ORDER, "--json") == 3
    shown = capsys.readouterr()
    assert shown.err == "layoutllm: /items/1/amount: '1.5.0' is not understood as a number.\n"
    assert json.loads(shown.out)["record"]["items"][1]["amount"] is None


def test_a_value_less_sure_than_asked_is_doubtful(tmp_path: Path, capsys: Captured) -> None:
    assert run(tmp_path, order(2), ORDER, "--json", "--min-confidence", "0.97") == 3
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 11 and lines[2].startswith("layoutllm: /items/0/description: The confidence is 0.95")
    assert {one["verdict"] for one in json.loads(shown.out)["answers"]} == {"failed"}
    assert run(tmp_path, order(2), ORDER, "--json", "--min-confidence", "0.93") == 3
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["/vendor:", "/total:"]


def test_an_answer_less_sure_than_asked_is_doubtful_without_a_schema(
    tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "a.pdf").write_bytes(order(2))
    command = ["run", str(tmp_path / "a.pdf"), "--task", "What is the total of the widgets?", "--json"]
    command += ["--checkpoints", str(tmp_path / "runs.sqlite")]
    assert main(command, reader=FakeReader()) == 0 and not capsys.readouterr().err
    assert main([*command, "--min-confidence", "1"], reader=FakeReader()) == 3
    assert re.fullmatch(r"layoutllm: \w+: The confidence is 0\.\d+, under 1\.00\.\n", capsys.readouterr().err)


@pytest.mark.parametrize("given", ["1.01", "-0.1", "nan", "much"])
def test_a_confidence_is_from_0_to_1(given: str, tmp_path: Path, capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, order(2), ORDER, "--min-confidence", given)
    assert "is no number from 0 to 1" in capsys.readouterr().err


def test_a_count_stands_for_what_is_doubtful_beyond_twenty(capsys: Captured) -> None:
    tell_doubts(((f"/a/{number}", "one\x1b[2J\nline") for number in range(1, 1033)), 1032)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["layoutllm: /a/1: one [2J line", "layoutllm: /a/2: one [2J line"]
    assert len(lines) == 21 and lines[-1] == "layoutllm: 1,012 more are doubtful"


ASKED = "What is the total of the widgets?"


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A chat model that finds nothing, whatever its name; the names that it was asked for by."""
    named: list[str] = []

    def make(name: str) -> Any:
        named.append(name)
        return seeing(reply([], None))

    monkeypatch.setattr("langchain.chat_models.init_chat_model", make)
    return named


def test_doubtful_answers_go_to_the_chat_model_that_is_named(
    tmp_path: Path, capsys: Captured, chat: list[str]
) -> None:
    (tmp_path / "a.pdf").write_bytes(order(2))
    command = ["run", str(tmp_path / "a.pdf"), "--task", ASKED, "--min-confidence", "1"]
    command += ["--checkpoints", str(tmp_path / "runs.sqlite"), "--escalate", "some:model"]
    assert main([*command, "--json"], reader=FakeReader()) == 3
    found = json.loads(capsys.readouterr().out)
    (name,) = [answer["name"] for answer in found["answers"]]
    assert found["escalation"] == {"asked": [name], "replaced": [], "share": 1.0, "left": []}
    assert found["usage"]["scripted-1"]["input_tokens"] == 100 and chat == ["some:model"]
    assert main(command, reader=FakeReader()) == 3
    told = capsys.readouterr().err
    assert "layoutllm: asked the chat model 1 (100%) of the questions, took 0 answers\n" in told
    assert "layoutllm: scripted-1: 100 tokens in, 10 out\n" in told


@pytest.mark.parametrize("command", [["run"], ["batch", "-o", "out"]])
def test_a_chat_model_that_nobody_has_is_an_error(
    command: list[str], tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "a.pdf").write_bytes(order(2))
    name, *more = command
    more = [str(tmp_path / one) if one == "out" else one for one in more]
    more += ["--checkpoints", str(tmp_path / "runs.sqlite")] if name == "run" else []
    called = [name, str(tmp_path / "a.pdf"), "--task", ASKED, *more, "--escalate", "nobody:model"]
    assert main(called, reader=FakeReader()) == 1
    assert "there is no chat model 'nobody:model'" in capsys.readouterr().err


def test_a_batch_escalates_and_says_whose_an_answer_is(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say(_: str, segments: Any) -> str:
        return reply([segments["Total:"], segments["10.50"]], "10.50", "Total")

    monkeypatch.setattr("langchain.chat_models.init_chat_model", lambda _: seeing(say))
    (tmp_path / "a.pdf").write_bytes(order(2))
    command = ["batch", str(tmp_path / "a.pdf"), "--task", "What is the total?", "-o", str(tmp_path / "out")]
    refusing = FakeReader({"What is the total?": OCRTimeout("too slow.")})
    assert main([*command, "--escalate", "some:model", "--no-second-opinion"], reader=refusing) == 0
    (row,) = map(json.loads, (tmp_path / "out" / "fields.jsonl").read_text().splitlines())
    assert (row["value"], row["by"], row["verdict"]) == ("10.50", "chat model", "satisfied")
