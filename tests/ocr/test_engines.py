"""The engines themselves: what they raise, the environment they run in, how their results are put
together.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.errors import OCRError, OCRLanguageMissing, OCRNotInstalled, OCRTimeout
from layoutllm_tool.ocr import (
    RapidOCREngine,
    TesseractEngine,
    default_engine,
    rapid,
    recognise_page,
    tesseract,
)
from layoutllm_tool.ocr import recognise as module
from tests.ocr_pictures import as_page, drawn, expected_text, fresh, needs_rapidocr, needs_tesseract


@needs_tesseract
def test_a_missing_language_names_the_installed_ones() -> None:
    with pytest.raises(OCRLanguageMissing, match=r"'xyz'.*Installed: .*eng") as caught:
        TesseractEngine().recognise(drawn()[0], languages=("eng", "xyz"))
    assert "osd" not in caught.value.hint
    for languages in ((), ("--help",), ("eng+osd",)):
        with pytest.raises(OCRLanguageMissing):
            TesseractEngine().recognise(drawn()[0], languages=languages)


@needs_tesseract
def test_a_page_that_takes_too_long_is_a_timeout() -> None:
    with pytest.raises(OCRTimeout, match="longer than"):
        TesseractEngine(timeout=0.01).recognise(drawn()[0])


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A program in tesseract's place."""
    pytesseract = pytest.importorskip("pytesseract")
    program = folder / "tesseract"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(pytesseract.pytesseract, "tesseract_cmd", str(program))


@needs_tesseract
@pytest.mark.parametrize(("own", "expected"), [(None, "1"), ("3", "3")])
def test_tesseract_gets_one_thread_and_the_environment_stays(
    own: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "limit"
    stand_in(
        tmp_path, monkeypatch, f'printf %s "$OMP_THREAD_LIMIT" > {log}\nexec {shutil.which("tesseract")} "$@"'
    )
    monkeypatch.delenv("OMP_THREAD_LIMIT", raising=False)
    if own:
        monkeypatch.setenv("OMP_THREAD_LIMIT", own)
    assert TesseractEngine(psms=(6,)).recognise(drawn()[0])
    assert log.read_text() == expected
    assert os.environ.get("OMP_THREAD_LIMIT") == own


def test_a_failing_tesseract_says_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = (
        'case "$*" in *list-langs*) printf "Languages (1):\\neng\\n"; exit 0;; '
        '*version*) echo "tesseract 5.0.0"; exit 0;; esac'
    )
    stand_in(tmp_path, monkeypatch, f"{listing}\necho broken data >&2\nexit 3")
    with pytest.raises(OCRError, match="broken data"):
        TesseractEngine().recognise(drawn()[0])


@pytest.mark.parametrize(
    ("rapid_is_there", "tesseract_is_there", "languages", "expected"),
    [
        (True, True, ("eng",), "rapidocr"), (True, True, ("jpn", "eng"), "rapidocr"), (True, True, ("eng",
        "tha"), "tesseract"),
        (False, True, ("eng",), "tesseract"), (True, False, ("eng",), "rapidocr"), (True, False, ("tha",),
        "rapidocr"),
    ],
)  # fmt: skip
def test_rapidocr_reads_what_it_has_letters_for(
    rapid_is_there: bool,
    tesseract_is_there: bool,
    languages: tuple[str, ...],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "rapidocr_installed", lambda: rapid_is_there)
    monkeypatch.setattr(module, "tesseract_installed", lambda: tesseract_is_there)
    assert default_engine(languages).name == expected


def test_without_any_engine_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytesseract = pytest.importorskip("pytesseract")
    monkeypatch.setattr(pytesseract.pytesseract, "tesseract_cmd", "no-such-tesseract")
    with pytest.raises(OCRNotInstalled, match="apt-get install tesseract-ocr"):
        TesseractEngine().recognise(drawn()[0])
    monkeypatch.setattr(module, "rapidocr_installed", lambda: False)
    with pytest.raises(OCRNotInstalled, match="pip install rapidocr"):
        recognise_page(as_page(drawn()[0]))


@needs_rapidocr
@pytest.mark.slow
@pytest.mark.parametrize("degrees", [0, 90, 180])
def test_rapidocr_reads_words_whichever_way_up(degrees: int) -> None:
    image, boxes = drawn()
    engine = RapidOCREngine()
    page = recognise_page(as_page(image.rotate(degrees, expand=True)), engine=engine, cache=fresh())
    assert (page.width, page.height) == image.size
    found = {line.text: line.box.to_pixels(page.width, page.height) for line in page.lines or ()}
    assert {"4711", "120.50", "140.45", "25 December 2018"} <= set(found)
    assert found["25 December 2018"] == pytest.approx(boxes["25 December 2018"], abs=14)
    assert sum(len(line.words) for line in page.lines or ()) == sum(
        len(text.split()) for text in expected_text()
    )


@needs_rapidocr
def test_rapidocr_reads_a_picture_larger_than_where_it_looks_for_lines() -> None:
    small, boxes = drawn()
    large = small.resize((small.width * 2, small.height * 2))
    assert max(large.size) > rapid.DETECTED_AT > max(small.size)
    page = recognise_page(as_page(large), engine=RapidOCREngine(), cache=fresh())
    found = {line.text: line.box.to_pixels(*small.size) for line in page.lines or ()}
    assert set(expected_text()) <= set(found)
    assert found["25 December 2018"] == pytest.approx(boxes["25 December 2018"], abs=14)


@needs_rapidocr
def test_rapidocr_refuses_a_language_it_does_not_read() -> None:
    with pytest.raises(OCRLanguageMissing, match="'tha'"):
        RapidOCREngine().recognise(drawn()[0], languages=("eng", "tha"))


def test_of_two_readings_of_one_place_the_surer_is_kept() -> None:
    """One psm saw a speck where the other read the word; a neighbour that only touches stays."""
    word, speck = Word("120.50", Box(100, 100, 160, 120), 0.9), Word("1Z", Box(105, 98, 150, 122), 0.6)
    other, below = Word("RM", Box(70, 100, 102, 120), 0.8), Word("19.95", Box(100, 119, 160, 139), 0.9)
    kept = tesseract._surest([speck, other, word, below, word])
    assert sorted(w.text for w in kept) == ["120.50", "19.95", "RM"]


def rapid_result(text: str, parts: Sequence[tuple[str, float, list[list[int]]]] | None) -> SimpleNamespace:
    corners = [[0, 0], [100, 0], [100, 20], [0, 20]]
    return SimpleNamespace(txts=(text,), scores=(0.9,), boxes=[corners], word_results=(parts,))


def part(text: str, x0: int, x1: int) -> tuple[str, float, list[list[int]]]:
    return text, 0.8, [[x0, 2], [x1, 2], [x1, 18], [x0, 18]]


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ("DATE:28/02/2016", "DATE: 28/02/2016"), ("Date:2016/05/0114:11:20", "Date: 2016/05/01 14:11:20"),
        ("01/05/162:51", "01/05/16 2:51"), ("14/05/201812:14:08", "14/05/2018 12:14:08"), ("21/05/2018Time:",
        "21/05/2018 Time:"),
        ("01-Nov-2017_11:20:04AM", "01-Nov-2017 11:20:04AM"), ("No.:12", "No.: 12"), ("status:()Single",
        "status: () Single"),
        *((whole, whole) for whole in ("http://a.org", "12:30", "10.11.2017", "Total:", "1/2/2018", "4:3",
        "03-4567")),
    ],
)  # fmt: skip
def test_words_that_were_read_as_one_fall_apart(read: str, words: str) -> None:
    parts = rapid.apart(Word(read, Box(100, 10, 300, 30), 0.9))
    assert " ".join(part.text for part in parts) == words
    assert parts[0].box.x0 == 100 and parts[-1].box.x1 == 300 and {part.confidence for part in parts} == {0.9}
    assert all(a.box.x1 <= b.box.x0 + 20 and b.box.x0 < b.box.x1 for a, b in pairwise(parts))


def test_rapidocr_parts_become_words_and_lines_without_parts_are_shared_out() -> None:
    """Beside ideographs RapidOCR cuts numbers into digits; where its parts don't fit the text they are not
    used.
    """
    result = rapid_result(
        "合計 12", [part("合", 0, 20), part("計", 20, 40), part("1", 60, 70), part("2", 70, 80)]
    )
    words = list(rapid._words(result, 1000, 1000))
    assert [(w.text, w.box.as_list()) for w in words] == [("合計", [0, 2, 40, 18]), ("12", [60, 2, 80, 18])]
    for parts in (None, [part("something", 0, 50), part("else", 50, 100)]):
        words = list(rapid._words(rapid_result("ab cdef gh", parts), 1000, 1000))
        assert [(w.text, w.box.as_list()) for w in words] == [
            ("ab", [0, 0, 20, 20]),
            ("cdef", [30, 0, 70, 20]),
            ("gh", [80, 0, 100, 20]),
        ]
    assert list(rapid._words(SimpleNamespace(txts=None, boxes=None), 10, 10)) == []


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ("Total 110. 00", "Total 110.00"),
        ("RM 12 .50", "RM 12.50"),
        ("On page 3. 12 items", "On page 3. 12 items"),
        ("Rooms 4 12", "Rooms 4 12"),
    ],
)
def test_cents_are_not_torn_off(read: str, words: str) -> None:
    parts = [part(text, 20 * at, 20 * at + 18) for at, text in enumerate(read.split())]
    found = list(rapid._words(rapid_result(read, parts), 1000, 1000))
    assert " ".join(word.text for word in found) == words
    assert max(word.box.x1 for word in found) == parts[-1][2][1][0]


@pytest.mark.parametrize("dark", [False, True])
def test_a_tall_box_is_drawn_in_to_the_ink(dark: bool) -> None:
    paper, ink = (0, 255) if dark else (255, 0)
    grey = np.full((100, 200), paper, np.uint8)
    grey[40:60, 20:80] = ink
    grey[22, 30] = ink  # a speck above
    assert rapid.tight(Box(100, 200, 400, 800), grey).as_list() == [100, 400, 400, 600]
    empty = Box(500, 200, 900, 800)
    assert rapid.tight(empty, grey) == empty
