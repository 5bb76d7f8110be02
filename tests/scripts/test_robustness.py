"""Every file of a folder ends in a row: an answer, an error, a crash or a time-out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.protocols import Reader
from layoutllm_tool.testing import FakeReader, document_from_text
from scripts import robustness

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source


class Trouble(FakeReader):
    """Does what a file's name says, in a process of its own."""

    def load(self, source: Source, *, words: Sequence[Page] | None = None) -> Document:
        assert isinstance(source, Document)
        if "hang" in source.name:
            time.sleep(60)
        if "die" in source.name:
            os._exit(7)
        if "bug" in source.name:
            raise ZeroDivisionError("a bug")
        text = "Title of this document:   Minutes" if "good" in source.name else "nothing"
        return super().load(document_from_text(text), words=words)


@dataclass(frozen=True)
class Unready:
    def __call__(self) -> Reader:
        raise RuntimeError("no weights here")


def test_files_end_in_a_row_each(tmp_path: Path) -> None:
    names = ("a_bug.png", "b_die.png", "c_hang.png", "d_good.png", "e_else.png")
    for name in names:
        Image.new("L", (40, 40), 255).save(tmp_path / name)
    (tmp_path / "f.pdf").write_bytes(b"%PDF-1.4 broken")
    outcomes = list(robustness.examine(sorted(tmp_path.iterdir()), Trouble, page_seconds=4.0))
    assert [o.kind for o in outcomes] == ["crash", "crash", "time-out", "answer", "none", "error"]
    details = [o.detail for o in outcomes]
    assert "ZeroDivisionError" in details[0] and "exit code 7" in details[1] and details[3] == "Minutes"
    assert details[5].startswith("DocumentUnreadable")
    assert [o.failed for o in outcomes] == [True, True, True, False, False, False]


def test_a_missing_reader_is_no_files_fault(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(RuntimeError, match="no weights here"):
        list(robustness.examine([tmp_path / "a.png"], Unready()))


def test_first_pages_of_short_and_long_files(tmp_path: Path) -> None:
    pictures = [Image.new("L", (40, 40), 40 * i) for i in range(4)]
    pictures[0].save(tmp_path / "one.png")
    pictures[0].save(tmp_path / "four.tiff", save_all=True, append_images=pictures[1:])
    assert [len(robustness.first_pages(tmp_path / name).pages) for name in ("one.png", "four.tiff")] == [1, 2]


def test_the_command_fails_on_a_crash(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("L", (40, 40), 255).save(tmp_path / "in/bug.png")
    arguments = [str(tmp_path / "in"), "--json", str(tmp_path / "out.json")]
    assert robustness.main(arguments, factory=Trouble) == 1
    assert [o["kind"] for o in json.loads((tmp_path / "out.json").read_text())] == ["crash"]
    (tmp_path / "in/bug.png").rename(tmp_path / "in/good.png")
    assert robustness.main(arguments, factory=Trouble) == 0
