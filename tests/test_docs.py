"""What README.md, docs/ and examples/ say is true: Python blocks run and print what they promise, help texts
are the command's own, options, links, folders and make targets exist.

Blocks run in a folder of the reader's own that holds the two samples and one receipt. The package's reader is
replaced by a fake with real text recognition, so that this takes seconds; the answers shown are those of the
page, whoever reads it.
"""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layoutllm_graphs import context
from layoutllm_graphs.context import Context
from layoutllm_graphs.testing import ScriptedChatModel, call_tool
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool import Word, samples
from layoutllm_tool.cli import build_parser, main
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.ocr import TesseractEngine
from layoutllm_tool.testing import FakeReader
from tests.paths import ROOT

NAMES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
README = PAGES["README.md"]
BLOCKS = [
    (name, language, body)
    for name, text in PAGES.items()
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
]
PYTHON = [(name, body) for name, language, body in BLOCKS if language == "python"]
HELP = [body for _, _, body in BLOCKS if " --help\n" in body]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
Captured = pytest.CaptureFixture[str]


def promised(block: str) -> list[str]:
    """Return what a block says it prints: comments after ``print(...)``, and whole lines of comment."""
    return re.findall(r"^(?:\s*print\(.*\)  )?# (.+)$", block, re.M)


class ReadOnce(TesseractEngine):
    """Text recognition that keeps what it read: the same page is in most blocks."""

    known: dict[bytes, list[Word]] = {}

    def recognise(self, image: Image.Image, *, languages: Sequence[str] = ("eng",)) -> list[Word]:
        pixels = image.tobytes()
        if pixels not in self.known:
            self.known[pixels] = super().recognise(image, languages=languages)
        return self.known[pixels]


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder with the samples and a receipt of SROIE; no model; a chat model that needs no key."""
    reader = FakeReader(ocr=ReadOnce())
    context._own_tool.cache_clear()  # made for another working directory
    for module in (
        "layoutllm_tool",
        "layoutllm_tool.readers.local",
    ):  # the first takes the name from the second
        monkeypatch.setattr(f"{module}.default_reader", lambda: reader)
    asked = call_tool("ask_document", document="letter.pdf", question="What is the notice period?")
    model = ScriptedChatModel(turns=[asked, "The notice period is two months."])
    monkeypatch.setattr("langchain.chat_models.init_chat_model", lambda _name: model)
    for name in ("invoice.png", "letter.pdf"):
        shutil.copy(samples.path(name), tmp_path)
    monkeypatch.delenv("DATA", raising=False)
    _make_receipt(tmp_path / "ICDAR-2019-SROIE" / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _make_receipt(data: Path) -> None:
    for folder in ("img", "box", "key"):
        (data / folder).mkdir(parents=True)
    Image.new("RGB", (40, 60), "white").save(data / "img/000.jpg")
    (data / "box/000.csv").write_text("1,2,30,2,30,9,1,9,TOTAL, 9.00\n")
    (data / "key/000.json").write_text(json.dumps({"total": "9.00"}))


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[f"{page}-{i}" for i, (page, _) in enumerate(PYTHON)])
def test_python_blocks_print_what_they_say(page: str, block: str, capsys: Captured) -> None:
    exec(compile(block, page, "exec", dont_inherit=True), {"__name__": "__docs__"})
    printed = capsys.readouterr().out.splitlines()
    for line in promised(block):
        assert line in printed


def test_most_blocks_promise_something() -> None:
    assert len(PYTHON) >= 7 and sum(bool(promised(block)) for _, block in PYTHON) >= len(PYTHON) - 1


SAID = {
    "agent": ["Tool:  two months (page 2, confidence 1.00)", "Agent: You have to give two months' notice."],
    "batch": ["a.png invoice_number HC-2024-0318 satisfied", "b.png invoice_number None failed 'b.png' is"],
    "chat_model_reader": ['Answer: "12.50"'],
    "extract": ["2024-04-13", "description='Grinder service, on site' quantity=1 amount=85.0", "'111.00'"],
    "own_check": ["PO 77162 needs_revision 'PO 77162' does not begin with HC-", "HC-2024-0318 satisfied"],
    "own_graph": ["What is the invoice number? -> accepted: HC-2024-0318", "-> to be looked at by a person"],
    "workflow_with_person": ["Doubtful: subtotal 100.00", "subtotal 100.00 satisfied by person"],
}


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path, capsys: Captured) -> None:
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    for said in SAID[path.stem]:
        assert said in printed


def test_samples_are_found_by_name() -> None:
    assert samples.path("invoice.png").is_file() and samples.path("letter.pdf").is_file()
    with pytest.raises(DocumentNotFound, match=r"invoice\.png"):
        samples.path("../secret.pdf")


def test_receipts_laid_out_by_docs_data_are_read(own_folder: Path) -> None:
    from layoutllm_tool.training.receipts import dataset_page, entities

    (block,) = [block for page, block in PYTHON if page == "docs/data.md"]
    exec(compile(block, "docs/data.md", "exec"), {"__name__": "__docs__"})
    receipts = own_folder / "data" / "receipts"
    assert entities(receipts, 0) == {"total": "9.00"}
    assert [word.text for word in dataset_page(receipts, 0).words] == ["TOTAL,", "9.00"]


def test_help_is_the_commands_own(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert HELP
    for shown in HELP:
        command, _, text = shown.partition("\n")  # a block of help holds one command and its output
        with pytest.raises(SystemExit):
            build_parser().parse_args(command.removeprefix("$ layoutllm ").split())
        assert capsys.readouterr().out.split() == text.split()


def commands() -> list[tuple[str, ...]]:
    """Return the words of every ``layoutllm ...`` that stands in a code span, or after ``$`` in a block."""
    found = [span for text in PAGES.values() for span in re.findall(r"`(layoutllm [^`\n]+)`", text)]
    found += [line for _, _, body in BLOCKS for line in re.findall(r"^\$ (layoutllm .+)$", body, re.M)]
    return sorted({tuple(shlex.split(command, comments=True)[1:]) for command in found})


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_and_their_options_exist(command: tuple[str, ...], capsys: Captured) -> None:
    nested = command[0] in ("eval", "models") and len(command) > 1
    with pytest.raises(SystemExit) as end:
        main([*command[: 2 if nested else 1], "--help"])
    assert end.value.code == 0, capsys.readouterr().err
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", capsys.readouterr().out))
    assert {word for word in command if re.fullmatch(r"--?[a-z][\w-]*", word)} <= known


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for text in PAGES.values():
        for target in set(re.findall(r"[`$] ?make ([a-z]+)\b", text)):
            assert re.search(rf"^{target}:.*## ", makefile, re.M), target


@pytest.mark.parametrize("page", PAGES)
def test_paths_and_links_exist(page: str) -> None:
    text = PAGES[page]
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)|<img src=\"([^\"]+)\"", text)
    for link in {"".join(link) for link in links}:
        assert (ROOT / page).parent.joinpath(link).exists(), link
    for path in set(re.findall(r"\b(?:layoutllm_tool|graphs|tests|examples|scripts)/[\w./-]*\w", text)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_links_to_headings_lead_to_one(page: str) -> None:
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", PAGES[page]):
        path = (ROOT / page).parent.joinpath(target) if target else ROOT / page
        titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
        assert heading in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_settings_of_the_workflow_exist(page: str) -> None:
    for settings in re.findall(r"\bContext\(([^)]*)\)", PAGES[page]):
        for name in re.findall(r"(\w+)=", settings):
            assert name in Context.__dataclass_fields__


def test_every_folder_has_its_line() -> None:
    shown = PAGES["docs/architecture.md"]
    files = [*ROOT.glob("layoutllm_tool/*/*.py"), *ROOT.glob("graphs/layoutllm_graphs/*/*.py")]
    folders = {f"`{file.parent.relative_to(ROOT).as_posix()}/`" for file in files}
    assert folders <= set(re.findall(r"`[\w/]+/`", shown))


def test_tests_that_hold_a_promise_exist() -> None:
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    named = set(re.findall(r"`(test_\w+)`", PAGES["docs/safety.md"]))
    assert named and not {name for name in named if not any(f"def {name}(" in test for test in tests)}


def test_the_workflow_is_drawn_as_it_is() -> None:
    assert make_graph().get_graph().draw_mermaid(with_styles=False).strip() in PAGES["docs/workflow.md"]


def test_readme_is_short() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150 and len(README.split()) <= 1500
    assert [line for line in lines if len(line) > 100] == []
    assert "make demo" in README and "make test" in README


def test_no_page_names_data_that_a_reader_lacks() -> None:
    said: dict[str, Any] = {page: re.findall(r"\S*shared/\S*", text) for page, text in PAGES.items()}
    assert not any(said.values()), said
