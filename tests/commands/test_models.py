"""``layoutllm models`` from its arguments to its exit code, and ``--weights`` with a registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layoutllm_graphs.batch.review import review_field
from layoutllm_graphs.batch.runner import Batch, here, reader_identity
from layoutllm_graphs.batch.worker import Settings
from layoutllm_graphs.review import ReviewDecision
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.sources import open_document
from layoutllm_tool.batch.store import Store
from layoutllm_tool.cli import main
from layoutllm_tool.commands import batch
from layoutllm_tool.commands import models as command
from layoutllm_tool.errors import RegistryError
from layoutllm_tool.registry import Registry, models
from layoutllm_tool.testing import FakeReader
from tests.batch_pages import invoice
from tests.registries import BAD, GOLD, SHIPPED, Readers, validation, weights


@pytest.fixture(autouse=True)
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Readers:
    readers = Readers()
    monkeypatch.setattr(models, "PACKAGED", weights(tmp_path / "packaged", {}, seed=99))
    monkeypatch.setattr(command, "make_reader", readers)
    monkeypatch.setattr(command, "_recognition", lambda: "none is needed")
    return readers


@pytest.fixture
def place(tmp_path: Path) -> Path:
    assert (
        main(["models", "set-validation", str(validation(tmp_path)), "--registry", str(tmp_path / "models")])
        == 0
    )
    return tmp_path / "models"


def call(name: str, *arguments: object, registry: Path) -> int:
    return main(["models", name, *map(str, arguments), "--registry", str(registry)])


def listed(place: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert call("list", "--json", registry=place) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_set_promote_list_and_rollback(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("set-validation", tmp_path / "list.jsonl", registry=place) == 0
    assert capsys.readouterr().out.startswith("validation set: 8 questions on 2 documents, ")
    assert call("promote", weights(tmp_path / "a", SHIPPED), registry=place) == 0
    assert call("promote", weights(tmp_path / "b", seed=7), registry=place) == 0
    first, second = (line.split()[1].rstrip(":") for line in capsys.readouterr().out.splitlines())
    found = listed(place, capsys)
    assert found["current"] == second == Registry(place).current
    assert [(m["id"], m["state"], m["anls"], m["against"]) for m in found["models"]] == [
        ("shipped", "", None, None), (first, "promoted", 0.75, 0.75), (second, "current", 1.0, 0.75),
    ]  # fmt: skip
    assert found["models"][2]["facts"]["seed"] == "7"
    assert call("list", registry=place) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if "*" in line] == [["*", second]]
    assert call("rollback", registry=place) == 0
    assert capsys.readouterr().out == f"current: {first}, in place of {second}\n"
    assert call("rollback", registry=place) == 0 and call("rollback", registry=place) == 2
    assert "nothing to go back to" in capsys.readouterr().err


def test_a_refusal_says_both_scores_and_what_became_worse(
    tmp_path: Path, make: Readers, capsys: pytest.CaptureFixture[str]
) -> None:
    gold: dict[str, str | None] = {f"field {number}\x1b[31m?": f"value {number}" for number in range(9)}
    place = tmp_path / "models"
    assert call("set-validation", validation(tmp_path, gold), registry=place) == 0
    make.shipped = gold
    assert call("promote", weights(tmp_path / "bad", dict.fromkeys(gold)), registry=place) == 3
    first, *lines = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith("refused ") and "ANLS 0.0000 against 1.0000 of shipped" in first
    assert "right 0 against 18 of 18, refused 18 against 0" in first
    assert len(lines) == 11 and '0.png: field 0 [31m? "value 0" became no answer (-1.00)' in lines[0]
    assert lines[-1].startswith("  and 8 more") and not any("\x1b" in line for line in lines)
    assert listed(place, capsys)["current"] == "shipped"
    assert call("promote", tmp_path / "bad", "--tolerance", "1", registry=place) == 0


def test_what_can_be_mended_is_one_line_and_2(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, arguments, registry, said in (
        ("list", [], tmp_path / "none", "is no registry"),
        ("promote", [tmp_path], place, "lacks config.json"),
        ("promote", [weights(tmp_path / "a"), "--tolerance", "2"], place, "tolerance"),
        ("set-validation", [tmp_path / "absent"], place, "can't be read"),
    ):
        capsys.readouterr()
        assert call(name, *arguments, registry=registry) == 2
        err = capsys.readouterr().err
        assert err.startswith("layoutllm: ") and said in err and err.count("\n") == 1
    for wrong in (["models"], ["models", "list"], ["models", "promote", "--registry", str(place)]):
        with pytest.raises(SystemExit, match="2"):
            main(wrong)


def test_a_damaged_current_model_is_listed_and_told(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("promote", weights(tmp_path / "a"), registry=place) == 0
    model = Registry(place).current
    (place / "models" / model / "config.json").write_text("{}")
    capsys.readouterr()
    assert call("list", registry=place) == 2
    out, err = capsys.readouterr()
    assert model in out and "config.json was changed" in err
    assert main(["ask", "x.png", "q?", "--weights", str(place)]) == 2


def test_one_reader_may_stand_for_both(place: Path, tmp_path: Path) -> None:
    reader = FakeReader(GOLD)
    options = ["models", "promote", str(weights(tmp_path / "a", BAD)), "--registry", str(place)]
    assert main(options, reader=reader) == 0 and len(reader.calls) == 16


# -- from a batch --------------------------------------------------------------------------------------------


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """A batch of three invoices; a person wrote one vendor, accepted one total, and said that another is
    not there.
    """
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(3):
        (source / f"{number:03}.pdf").write_bytes(invoice(number))
    reader = FakeReader()
    settings = Settings.of(
        ["vendor", "total"], model=reader_identity(reader), max_attempts=1, second_opinion=False
    )
    with Batch(batch_inputs(str(source)), out, settings) as made:
        made.run(here(reader, settings))
    replies: list[tuple[str, str, dict[str, Any]]] = [
        ("002.pdf", "total", {"absent": True}), ("001.pdf", "total", {"accept": True}),
        ("001.pdf", "vendor", {"answer": "Alpha"}), ("001.pdf", "vendor", {"answer": "Zeta"}),
    ]  # fmt: skip
    with Store.open(out) as store:
        keys = {Path(one.name).name: one.key for one in store.inputs()}
        for document, name, reply in replies:
            said = ReviewDecision.model_validate(reply)
            review_field(store, keys[document], name, said, reader=reader, opened=open_document)
    return out


def test_what_people_said_of_a_batch_may_be_the_set(reviewed: Path, tmp_path: Path) -> None:
    assert call("set-validation", reviewed, registry=tmp_path / "models") == 2, (
        "its documents lie somewhere else"
    )
    assert call("set-validation", reviewed, "--root", tmp_path, registry=tmp_path / "models") == 0
    made = Registry(tmp_path / "models").validation
    assert [(case.path.name, "total" in case.question, case.answers) for case in made.cases] == [
        ("001.pdf", True, ("1.50",)), ("001.pdf", False, ("Zeta",)), ("002.pdf", True, ()),
    ]  # fmt: skip


def test_a_batch_that_changed_or_was_not_reviewed_is_no_set(
    reviewed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in/001.pdf").write_bytes(invoice(2))
    assert call("set-validation", reviewed, "--root", tmp_path, registry=tmp_path / "models") == 2
    assert "001.pdf is not the document with the hash" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert call("set-validation", tmp_path / "empty", registry=tmp_path / "models") == 2
    Store.open(tmp_path / "empty", {"plan": {}}).close()
    assert call("set-validation", tmp_path / "empty", registry=tmp_path / "models") == 2
    assert "nobody has decided" in capsys.readouterr().err


# -- --weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command_line", [["ask", "DOCUMENT", "total?"], ["mcp"], ["run", "DOCUMENT", "--task", "total"]]
)
def test_weights_may_be_a_registry(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: list[str]
) -> None:
    """Every reader is made by LayoutLLMReader: what it takes for its weights is what the command asks
    with.
    """
    from layoutllm_tool import mcp_server
    from layoutllm_tool.readers import local

    assert call("promote", weights(tmp_path / "a"), registry=place) == 0
    seen = []

    def decoder(_model: object, folder: Path | None, _registered: bool, _int8: bool) -> Any:
        seen.append(folder)
        raise RegistryError("far enough")

    monkeypatch.setattr(local, "load_parts", decoder)
    monkeypatch.setattr(mcp_server, "serve_stdio", lambda _server: seen.append(None))
    made: list[object] = []
    monkeypatch.setattr(mcp_server, "create_server", lambda given, **_: made.append(given))
    document = str(tmp_path / "documents/0.png")
    code = main(
        [*(document if word == "DOCUMENT" else word for word in command_line), "--weights", str(place)]
    )
    if command_line == ["mcp"]:
        assert code == 0 and isinstance(made[0], local.LayoutLLMReader)
    else:
        assert seen == [place / "models" / Registry(place).current]


def test_all_of_a_batch_means_the_model_that_was_current_when_it_began(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("promote", weights(tmp_path / "a"), registry=place) == 0
    kept = place / "models" / Registry(place).current
    known: list[Path | None] = []

    def model(folder: Path | None) -> dict[str, str]:
        known.append(folder)
        return {"reader": "it"}

    def workers(options: Any, settings: Settings, _reader: object) -> Any:
        assert Registry(place).roll_back()[0] == "shipped"
        known.append(options.weights)
        return here(FakeReader(), settings)

    monkeypatch.setattr(batch, "_model", model)
    monkeypatch.setattr(batch, "_workers", workers)
    source = str(tmp_path / "documents")
    code = main(
        ["batch", source, "--task", "Extract the total", "-o", str(tmp_path / "out"), "--weights", str(place)]
    )
    assert code in (0, 3) and known == [kept, kept]


def test_a_list_names_documents_in_its_folder_or_in_a_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    rows = validation(tmp_path).read_text().replace('"document": "', '"document": "../')
    (outside / "list.jsonl").write_text(rows)
    assert call("set-validation", outside / "list.jsonl", registry=tmp_path / "models") == 2
    assert "lies outside" in capsys.readouterr().err and not (tmp_path / "models").exists()
    assert (
        call("set-validation", outside / "list.jsonl", "--root", tmp_path, registry=tmp_path / "models") == 0
    )
