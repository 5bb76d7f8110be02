"""Readings kept by content: hits equal misses, damage is survived, writers don't meet, the folder stays
small.
"""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.ocr import ReadingCache, TesseractEngine, recognise_page
from layoutllm_tool.ocr.cache import Reading, reading_key
from tests.ocr_pictures import as_page, drawn, needs_tesseract

READING = Reading(90, -2.5, (Word("Größe", Box(1.25, 2, 3.5, 4), 0.75), Word("合計", Box(5, 5, 6, 6), None)))


class Counting:
    """An engine that counts its calls and says what its results depend on."""

    name = "counting"

    def __init__(self, fingerprint: str = "counting 1") -> None:
        self.fingerprint = fingerprint
        self.calls = 0

    def recognise(self, image: Image.Image, *, languages: Sequence[str] = ("eng",)) -> list[Word]:
        self.calls += 1
        # Enough of them that the page counts as read: few words are looked for a second time, with evened
        # contrast.
        return [Word("read", Box(10, 30 * i, 90, 30 * i + 20), 0.9) for i in range(30)]


@needs_tesseract
def test_a_hit_equals_the_miss_for_a_turned_page_and_from_disk(tmp_path: Path) -> None:
    page = as_page(drawn()[0].rotate(184, expand=True, fillcolor=255))
    engine = TesseractEngine(psms=(6,))
    missed = recognise_page(page, engine=engine, cache=ReadingCache(tmp_path))
    again = ReadingCache(tmp_path)
    for hit in (
        recognise_page(page, engine=engine, cache=again),
        recognise_page(page, engine=engine, cache=again),
    ):
        assert hit == missed
        assert hit.image is not None and missed.image is not None
        assert hit.image.tobytes() == missed.image.tobytes()
    assert len(missed.notices) == 2


def test_the_engine_is_asked_once_for_each_picture_engine_and_language() -> None:
    cache, engine = ReadingCache(), Counting()
    image = drawn()[0]
    first = recognise_page(as_page(image), engine=engine, cache=cache)
    assert recognise_page(as_page(image.copy()), engine=engine, cache=cache) == first
    assert engine.calls == 1
    recognise_page(as_page(image), engine=engine, languages=("deu",), cache=cache)
    recognise_page(as_page(image.resize((450, 320))), engine=engine, cache=cache)
    assert engine.calls == 3
    newer = Counting("counting 2")
    recognise_page(as_page(image), engine=newer, cache=cache)
    assert newer.calls == 1


def test_readings_survive_memory_and_disk(tmp_path: Path) -> None:
    assert Reading.from_json(json.loads(json.dumps(READING.to_json()))) == READING
    ReadingCache(tmp_path).put("a" * 64, READING)
    assert ReadingCache(tmp_path).get("a" * 64) == READING
    assert ReadingCache(tmp_path).get("b" * 64) is None
    assert ReadingCache().get("a" * 64) is None


def test_the_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    ReadingCache(tmp_path / "ocr").put("a" * 64, READING)
    for path in (tmp_path / "ocr", tmp_path / "ocr" / f"{'a' * 64}.json"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"null",
        b'{"turn": 0}',
        b'{"turn": 45, "skew": 0, "words": [], "legible": true}',
        b'{"turn": 0, "skew": 0, "words": [["a", [9, 9, 1, 1], 0.5]], "legible": true}',
        b"[" * 100_000,
    ],
)
def test_damaged_files_are_ignored_and_written_anew(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 64}.json"
    path.write_bytes(damage)
    assert ReadingCache(tmp_path).get("a" * 64) is None
    ReadingCache(tmp_path).put("a" * 64, READING)
    assert ReadingCache(tmp_path).get("a" * 64) == READING


def test_writers_and_readers_never_see_half_a_file(tmp_path: Path) -> None:
    key, wrong = "c" * 64, []
    long = Reading(words=READING.words * 500)
    ReadingCache(tmp_path).put(key, long)

    def work() -> None:
        for _ in range(20):
            ReadingCache(tmp_path).put(key, long)
            if ReadingCache(tmp_path).get(key) != long:
                wrong.append(key)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert [path.name for path in tmp_path.iterdir()] == [f"{key}.json"]


def test_memory_and_folder_stay_within_bounds(tmp_path: Path) -> None:
    size = len(json.dumps(READING.to_json(), ensure_ascii=False).encode())
    cache = ReadingCache(tmp_path, entries=2, max_bytes=3 * size)
    for name in "abcde":
        cache.put(name * 64, READING)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["c", "d", "e"]
    assert list(cache._memory) == ["d" * 64, "e" * 64]


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ReadingCache(tmp_path / "file" / "ocr")
    cache.put("a" * 64, READING)
    assert cache.get("a" * 64) == READING
    assert "could not be kept" in caplog.text


def test_keys_tell_pictures_apart_that_have_the_same_bytes() -> None:
    tall, wide = Image.new("L", (2, 8)), Image.new("L", (8, 2))
    keys = {
        reading_key(tall, "x", ("eng",)),
        reading_key(wide, "x", ("eng",)),
        reading_key(tall, "y", ("eng",)),
        reading_key(tall, "x", ("eng", "deu")),
        reading_key(tall, "x", ("deu", "eng")),
    }
    assert len(keys) == 5
