"""The README is true: its Python runs, its help is the command's own, its links and make targets exist.

The package's own reader is replaced by a fake with real text recognition, so that this takes seconds; the answers that the
README shows are those of the page, whoever reads it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from layoutllm_tool.cli import build_parser
from layoutllm_tool.ocr import TesseractEngine
from layoutllm_tool.testing import FakeReader

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
PYTHON = [body for language, body in BLOCKS if language == "python"]
HELP = [re.fullmatch(r"\$ (layoutllm .*--help)\n(.*)", body, re.S) for _, body in BLOCKS if " --help\n" in body]


def promised(block: str) -> list[str]:
    """What a block says it prints: comments after ``print(...)``, and lines of comment below everything."""
    return re.findall(r"^(?:\s*print\(.*\)  )?# (.+)$", block, re.M)


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_blocks_run_and_print_what_they_say(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = FakeReader(ocr=TesseractEngine())
    for name in (
        "layoutllm_tool.default_reader",
        "layoutllm_tool.readers.local.default_reader",
    ):  # found first, then patched
        monkeypatch.setattr(name, lambda: reader)
    monkeypatch.chdir(ROOT)
    exec(compile(PYTHON[number], f"README.md, Python block {number + 1}", "exec"), {"__name__": "__readme__"})
    printed = capsys.readouterr().out.splitlines()
    for line in promised(PYTHON[number]):
        assert line in printed


def test_most_blocks_promise_something() -> None:
    assert len(PYTHON) >= 6 and sum(bool(promised(block)) for block in PYTHON) >= len(PYTHON) - 1


def test_help_is_the_commands_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert HELP
    for shown in HELP:
        assert shown, "a block of help holds one command and its output"
        with pytest.raises(SystemExit):
            build_parser().parse_args(shown[1].split()[1:])
        assert capsys.readouterr().out.split() == shown[2].split()


def test_commands_and_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"alone"}:
        assert re.search(rf"^{target}:.*## ", makefile, re.M), target
    usage = build_parser().format_help()
    for command in set(re.findall(r"`?layoutllm ([a-z]+)\b", README)):
        assert re.search(rf"^    {command}\b", usage, re.M), command


def test_paths_and_links_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    paths = re.findall(r"\b(?:layoutllm_tool|graphs|tests)/[\w./-]*\w", README)
    for path in {*links, *paths} - {"layoutllm_tool/weights/smol"}:
        assert (ROOT / path).exists(), path
