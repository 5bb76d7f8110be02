"""`layoutllm plan`, an edit by hand, and `layoutllm run --plan`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from layoutllm_tool.cli import main
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import ORDER, items, order

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.pdf").write_bytes(order(2))
    (tmp_path / "order.json").write_text(json.dumps(ORDER))
    return tmp_path


def carried_out(folder: Path, *options: str) -> int:
    command = ["run", str(folder / "a.pdf"), "--json", "--checkpoints", str(folder / "runs.sqlite")]
    return main([*command, *options], reader=FakeReader())


def test_a_plan_is_written_edited_and_run(folder: Path, capsys: Captured) -> None:
    file = folder / "plan.yaml"
    asked = ["plan", str(folder / "a.pdf"), "--task", "Extract the vendor. Summarise it.", "-o", str(file)]
    assert main(asked) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("1. vendor (name): ") and shown.err.startswith('layoutllm: Left out: "Summ')
    edited = file.read_text().replace("name: vendor", "name: shop")
    edited = re.sub("text: .*company.*", "text: What is the vendor?", edited, count=1)
    more = "questions:\n- name: paid\n  text: What is the total?\n  type: money\n"
    edited = edited.replace("questions:\n- ", f"{more}- ", 1)
    file.write_text(f"{edited}operations:\n- {{name: twice, op: sum, of: [paid, paid]}}\n")
    assert carried_out(folder, "--plan", str(file)) == 3  # the refused part
    answers = {a["name"]: a["answer"] for a in json.loads(capsys.readouterr().out)["answers"]}
    assert list(answers) == ["paid", "shop", "twice"]
    assert (answers["paid"], answers["shop"], answers["twice"]) == ("10.50", "Shop 2", "21.00")


def test_a_schemas_plan_gives_the_record(folder: Path, capsys: Captured) -> None:
    assert main(["plan", str(folder / "a.pdf"), "--schema", str(folder / "order.json")]) == 0
    (folder / "plan.yaml").write_text(capsys.readouterr().out)
    assert carried_out(folder, "--plan", str(folder / "plan.yaml")) == 0
    assert json.loads(capsys.readouterr().out)["record"] == {
        "vendor": "Shop 2", "total": 10.5, "items": items(2),
    }  # fmt: skip


def test_a_file_that_is_there_is_kept(folder: Path, capsys: Captured) -> None:
    file = folder / "plan.yaml"
    file.write_text("mine")
    assert main(["plan", str(folder / "a.pdf"), "--task", "vendor", "-o", str(file)]) == 2
    assert "exists" in capsys.readouterr().err and file.read_text() == "mine"


def test_what_can_not_be_planned_or_run_says_why(folder: Path, capsys: Captured) -> None:
    assert main(["plan", str(folder / "b.pdf"), "--task", "vendor"]) == 2
    assert main(["plan", str(folder / "a.pdf"), "--task", "What is the vendor on page 7?"]) == 2
    assert "has no page 7" in capsys.readouterr().err
    assert carried_out(folder, "--plan", str(folder / "none.yaml")) == 2
    assert "none.yaml can't be read: No such file" in capsys.readouterr().err
    (folder / "plan.yaml").write_text("questions:\n- name: a b\n  text: What?\n")
    assert carried_out(folder, "--plan", str(folder / "plan.yaml")) == 2
    assert "plan.yaml, line 2: question 'a b', name: String should match" in capsys.readouterr().err


def test_an_answer_of_the_last_run_is_changed(folder: Path, capsys: Captured) -> None:
    (folder / "plan.yaml").write_text(
        "questions:\n- name: key\n  text: What is the label?\n"
        "- name: value\n  text: What is the {key}?\n- name: total\n  text: What is the total?\n"
    )
    asked = ["--plan", str(folder / "plan.yaml")]
    assert carried_out(folder, *asked, "--amend", "key", "a vendor") == 2
    assert "no run to amend" in capsys.readouterr().err
    carried_out(folder, *asked)
    capsys.readouterr()
    carried_out(folder, *asked, "--amend", "key", "a vendor")
    answers = {a["name"]: (a["answer"], a["by"]) for a in json.loads(capsys.readouterr().out)["answers"]}
    assert answers["key"] == ("vendor", "person") and answers["value"] == ("Shop 2", "reader")
    assert carried_out(folder, *asked, "--amend", "key", "what") == 2
    assert "the reply for key is none. Replies: enter the answer is right" in capsys.readouterr().err
