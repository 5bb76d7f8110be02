"""Runs that are cut off, wait for people, or are watched: the real SQLite checkpointer, a real kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.context import Context
from layoutllm_graphs.runs import carry_out, checkpoints, thread_of
from layoutllm_graphs.state import Request
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.cli import main
from layoutllm_tool.commands.live import Watch, parse
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool
from tests.graphs.postgres import postgres
from tests.graphs.test_serde import resend
from tests.paths import ROOT

VENDORS = document_from_text(
    f"Vendor:   Acme GmbH{' ' * 40}Page 1\n\n\n\nVendor:   Zeta AG", name="letter.pdf"
)
WHERE = "What is the vendor at the bottom left?"

_KILLED = """
import os, signal, sys
from pathlib import Path
from layoutllm_graphs.planning.plan import Plan, PlannedQuestion
from layoutllm_graphs.runs import carry_out, checkpoints
from layoutllm_graphs.context import Context
from layoutllm_graphs.workflow import build_workflow
from layoutllm_tool.testing import FakeReader, document_from_text
from layoutllm_tool.tool import LayoutLLMTool

place, log, deadly = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

class Mortal(FakeReader):
    def ask(self, document, question, **options):
        with log.open("a") as file:
            file.write(question + "\\n")
        if question == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().ask(document, question, **options)

invoice = document_from_text("Number:   4711\\nTotal:    12.50\\nDate:     1 May 2020", name="invoice.pdf")
names = {"number": "text", "total": "money", "date": "date"}
# Each needs the one before it, so that the one which kills comes when others are done.
texts = ["What is the number?", "What is the total? {number}", "What is the date? {total}"]
plan = Plan(questions=[PlannedQuestion(name=n, text=t, type=y) for (n, y), t in zip(names.items(), texts)])
with checkpoints(place) as saver:
    graph = build_workflow().compile(checkpointer=saver)
    tool = LayoutLLMTool(reader=Mortal(), documents={"invoice.pdf": invoice})
    outcome = carry_out(
        graph, {"document": "invoice.pdf", "task": plan.model_dump(mode="json")}, thread="1",
        context=Context(tool=tool),
    )
print([answer["answer"] for answer in outcome["answers"]])
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _KILLED, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "deadly", ["What is the number?", "What is the total? 4711", "What is the date? 12.50"]
)
def test_a_killed_run_goes_on_without_asking_again(tmp_path: Path, deadly: str) -> None:
    _kill_and_go_on(str(tmp_path / "runs.sqlite"), tmp_path / "asked.txt", deadly)


@pytest.mark.slow
def test_a_killed_run_goes_on_from_postgres(tmp_path: Path) -> None:
    with postgres(tmp_path) as url:
        _kill_and_go_on(url, tmp_path / "asked.txt", "What is the total? 4711")


def _kill_and_go_on(place: str, log: Path, deadly: str) -> None:
    killed = _run(place, str(log), deadly)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = log.read_text().splitlines()
    done = _run(place, str(log), "never")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['4711', '12.50', '1 May 2020']"
    asked = log.read_text().splitlines()
    questions = ["What is the number?", "What is the total? 4711", "What is the date? 12.50"]
    assert before[-1] == deadly
    assert asked == [
        *questions[: len(before)],
        *questions[len(before) - 1 :],
    ]  # only the one that was cut off, twice


def test_two_hundred_documents_that_wait_for_a_person_take_little_room(tmp_path: Path) -> None:
    place, count = tmp_path / "runs.sqlite", 200
    tool = LayoutLLMTool(reader=FakeReader(), documents={"letter.pdf": VENDORS})
    context = Context(tool=tool, max_attempts=1, review=True, second_opinion=False)
    request = Request(document="letter.pdf", task=[WHERE], page=None)
    with checkpoints(place) as saver:
        graph = build_workflow().compile(checkpointer=saver)
        for number in range(count):
            carry_out(graph, request, thread=str(number), context=context)
        waiting = graph.get_state({"configurable": {"thread_id": "199"}})
        assert waiting.interrupts and waiting.interrupts[0].value["kind"] == "review"
    sizes = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert sizes / count < 20_000, f"{sizes / count:.0f} bytes a document"


def test_what_waits_comes_back_as_it_stands_and_goes_on_with_a_reply(tmp_path: Path) -> None:
    tool = LayoutLLMTool(reader=FakeReader(), documents={"letter.pdf": VENDORS})
    context = Context(tool=tool, max_attempts=1, review=True, second_opinion=False)
    request = Request(document="letter.pdf", task=[WHERE], page=None)
    with checkpoints(tmp_path / "runs.sqlite") as saver:
        graph = build_workflow().compile(checkpointer=saver)
        parked = carry_out(graph, request, thread="1", context=context)
        assert (
            parked["answers"][0]["verdict"] != "satisfied" and parked["answers"][0]["answer"] == "Acme GmbH"
        )
        shown: list[dict[str, Any]] = []

        def reply(value: dict[str, Any]) -> dict[str, Any]:
            shown.append(value)
            return {"correction": {"step": "area", "spatial": "bottom"}}

        done = carry_out(graph, request, thread="1", context=context, reply=reply)
    assert [value["name"] for value in shown] == [done["answers"][0]["name"]]
    assert (done["answers"][0]["answer"], done["answers"][0]["by"]) == ("Zeta AG", "person")


def test_threads_are_of_the_content_and_the_task() -> None:
    one = Request(document="a.pdf", task=["What is x?"], page=None)
    assert thread_of("00", one) == thread_of("00", {**one, "document": "moved.pdf"})
    assert len({thread_of("00", one), thread_of("11", one), thread_of("00", {**one, "page": 2})}) == 3


def test_postgres_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langgraph.checkpoint.postgres", None)
    with (
        pytest.raises(LayoutLLMError, match=r"layoutllm-tool\[postgres\]"),
        checkpoints("postgres://nowhere/none"),
    ):
        pass


def test_a_postgres_that_is_not_there_is_told() -> None:
    with pytest.raises(LayoutLLMError, match="can't be reached"), checkpoints("postgres://127.0.0.1:1/none"):
        pass


# -- the command line ----------------------------------------------------------------------------------------


@pytest.fixture
def invoice(tmp_path: Path) -> Path:
    """A file; its words are a FakeReader's."""
    from PIL import Image

    Image.new("L", (200, 100), "white").save(tmp_path / "invoice.png")
    return tmp_path / "invoice.png"


class _Reading(FakeReader):
    """Reads every picture as the same letter."""

    def load(self, source: Any, *, words: Any = None) -> Any:
        from dataclasses import replace

        return replace(VENDORS, sha256=source.sha256)


def test_run_prints_json_and_says_by_its_code_whether_all_is_well(
    invoice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "runs.sqlite")
    command = ["run", str(invoice), "--json", "--checkpoints", place]
    assert main([*command, "--task", WHERE], reader=_Reading()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answers"][0]["answer"] == "Zeta AG" and found["plan"]["questions"]
    assert main([*command, "--task", "What is the vendor\u202e at the bottom left?"], reader=_Reading()) in (
        0,
        3,
    )
    assert "\u202e" not in capsys.readouterr().out
    assert main([*command, "--task", WHERE, "--once"], reader=_Reading()) == 3
    assert json.loads(capsys.readouterr().out)["answers"][0]["reasons"]


def test_run_takes_a_schema_and_shows_a_table(
    invoice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(
        json.dumps({"type": "object", "properties": {"vendor": {"type": "string", "title": "Vendor"}}})
    )
    main(
        ["run", str(invoice), "--schema", str(schema), "--checkpoints", str(tmp_path / "r.sqlite")],
        reader=_Reading(),
    )
    assert "vendor" in capsys.readouterr().out
    for broken in ("{", "[" * 100_000, '{"properties": {"a\\ud800": {}}}'):
        schema.write_text(broken)
        assert main(["run", str(invoice), "--schema", str(schema)], reader=_Reading()) == 2
        assert "no JSON file" in capsys.readouterr().err


def test_a_person_replies_in_the_terminal() -> None:
    lines = iter(["what?", "b 0 700 1000 1000"])
    shown = {"question": WHERE, "answer": "Acme\x1b[31m", "reasons": ["not at the bottom"], "kind": "review"}
    reply = Watch(read=lambda _prompt: next(lines)).reply(shown)
    assert reply == {"correction": {"step": "area", "boxes": [[0, 700, 1000, 1000]]}}


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("", {"accept": True}), ("-", {"absent": True}), ("a 12.50", {"answer": "12.50"}),
        ("k Amount due", {"correction": {"step": "analysis", "text": "Amount due"}}),
        ("s bottom left", {"correction": {"step": "area", "spatial": "bottom left"}}), ("s somewhere", None),
        ("t money", {"correction": {"step": "answer", "expected_type": "money"}}), ("t colour", None),
        ("b 1 2", None), ("w", {"wrong": True}), ("n", {"again": True}), ("w now", None),
        ("b x", None), ("a", None), ("zzz", None),
    ],
)  # fmt: skip
def test_lines_of_the_terminal(line: str, reply: Any) -> None:
    assert parse(line) == reply


def test_a_run_goes_on_with_its_own_document_whatever_its_checkpoint_names(
    invoice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(invoice.read_bytes())
    place, opened = str(tmp_path / "runs.sqlite"), []

    class Noting(_Reading):
        def load(self, source: Any, *, words: Any = None) -> Any:
            opened.append(getattr(source, "name", source))
            return super().load(source, words=words)

        def ask(self, *given: Any, **options: Any) -> Any:
            if len(opened) < 3:
                raise OSError("no power")
            return super().ask(*given, **options)

    command = ["run", str(invoice), "--json", "--checkpoints", place, "--task", WHERE]
    main(command, reader=Noting())
    assert "no power" in capsys.readouterr().err
    resend(tmp_path, lambda job: {**job, "document": str(secret)})
    main(command, reader=Noting())
    assert "secret.png" not in opened
    assert "there is no document" in json.loads(capsys.readouterr().out)["answers"][0]["error"]
