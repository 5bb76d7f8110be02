"""Examples packed into files and read back without their sources."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box, Line, Page, Word
from layoutllm_tool.errors import DocumentNotFound, DocumentTooLarge, DocumentUnreadable, TrainingError
from layoutllm_tool.training import receipts, shards, synthetic
from layoutllm_tool.training.schema import QA, Example, Instruction
from layoutllm_tool.training.shards import MANIFEST, Shards, write_shards

RECEIPTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "receipts"
needs_receipts = pytest.mark.skipif(not RECEIPTS.is_dir(), reason="the SROIE receipts are not beside the repository")


def an_example(name: str = "made/1", *, image: bool = True, word: str = "9.00") -> Example:
    lines = (
        Line((Word("Total:", Box(10, 10.25, 90.5, 30), 0.93),)),
        Line((Word("RM", Box(100, 10, 130, 30)), Word(word, Box(140, 10, 180, 30), 0.5))),
        Line((Word("naïve “café” 日本", Box(10, 50, 300, 70)),)),
    )
    picture = Image.linear_gradient("L").resize((600, 900)) if image else None
    page = Page(1, 600, 900, lines, picture, "tesseract")
    asked = (
        QA("What is the total?", QuestionAnalysis("key-value", "extraction", "Total"), (0, 1), AnswerFormation("right of", "Total"), f"RM {word}", ((1, 0), (1, 1))),
        QA("What is the IBAN?", QuestionAnalysis("key-value", "extraction", "IBAN"), (), AnswerFormation("none", ""), None),
        Instruction("MVLM", "What is the <mask> text?", "naïve", (2,)),
    )  # fmt: skip
    return Example(name, page, asked, masked=((2, 0),), unplaced=(0, 2))


def same(found: Example, wanted: Example) -> None:
    """All but the picture, which is made smaller."""
    assert found.page.lines == wanted.page.lines and found.page.text_source == wanted.page.text_source
    assert replace(found, page=wanted.page) == wanted
    assert type(found.questions[0]) is type(wanted.questions[0])


def test_what_is_packed_comes_back_in_any_order(tmp_path: Path) -> None:
    wanted = [an_example(f"made/{n}", image=n != 3, word=f"{n}.00") for n in range(7)]
    contents = write_shards(iter(wanted), tmp_path, per_shard=3)
    packed = Shards(tmp_path)
    assert contents.count == len(packed) == 7 and len(list(tmp_path.glob("shard-*.zip"))) == 3
    for index in (6, 0, 3, 2, 5, 1, 4):
        same(packed(index), wanted[index])
    assert packed(9) == packed(2) and packed(3).page.image is None
    assert [e.source for e in packed] == [e.source for e in wanted]


def test_pictures_are_small_and_grey_and_still_the_page(tmp_path: Path) -> None:
    example = an_example()
    write_shards([example], tmp_path)
    page = Shards(tmp_path)(0).page
    assert page.image is not None and example.page.image is not None
    assert page.image.mode == "L" and page.image.size == (page.width, page.height) == (299, 448)
    before, after = (i.resize((8, 8)).tobytes() for i in (example.page.image, page.image))
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < 12


def test_a_small_picture_is_not_blown_up(tmp_path: Path) -> None:
    example = an_example()
    write_shards([replace(example, page=replace(example.page, image=Image.new("RGB", (40, 20)), width=40, height=20))], tmp_path)  # fmt: skip
    assert Shards(tmp_path)(0).page.width == 40


def test_the_same_examples_are_the_same_bytes(tmp_path: Path) -> None:
    drawn = list(synthetic.examples(seed=5, count=2))
    first = write_shards(drawn, tmp_path / "a", per_shard=1)
    second = write_shards(drawn, tmp_path / "b", per_shard=1)
    other = write_shards(reversed(drawn), tmp_path / "c", per_shard=1)
    assert first == second and first.digest == Shards(tmp_path / "b").digest != other.digest
    for name in (MANIFEST, "shard-00000.zip", "shard-00001.zip"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for found, example in zip(Shards(tmp_path / "a"), drawn, strict=True):
        same(found, example)


def test_worker_processes_can_be_given_one(tmp_path: Path) -> None:
    write_shards([an_example()], tmp_path)
    packed = Shards(tmp_path)
    assert pickle.loads(pickle.dumps(packed))(0) == packed(0)


def test_only_one_page_is_made_at_a_time(tmp_path: Path) -> None:
    """A shard on disk grows while the examples are still being drawn."""
    seen = []

    def source() -> Any:
        for n in range(6):
            seen.append(len(list(tmp_path.glob("*.zip"))))
            yield an_example(f"made/{n}", image=False)

    write_shards(source(), tmp_path, per_shard=2)
    assert seen == [0, 0, 1, 1, 2, 2]


def test_a_folder_is_filled_once(tmp_path: Path) -> None:
    write_shards([an_example()], tmp_path)
    with pytest.raises(TrainingError, match="already"):
        write_shards([an_example()], tmp_path)
    with pytest.raises(TrainingError, match="no example"):
        write_shards([], tmp_path / "new")
    with pytest.raises(TrainingError, match="at least one"):
        write_shards([an_example()], tmp_path / "new", per_shard=0)


def test_what_breaks_the_schema_is_not_packed(tmp_path: Path) -> None:
    example = an_example()
    asked = example.questions[0]
    assert isinstance(asked, QA)
    for wrong in (replace(asked, answer="RM 8.00"), replace(asked, lines=(0, 9)), replace(asked, answer=None), replace(asked, words=((1, 0),))):  # fmt: skip
        with pytest.raises(TrainingError, match="made/1 can't be packed"):
            write_shards([replace(example, questions=(wrong,))], tmp_path / "x")
    with pytest.raises(TrainingError, match="masked"):
        write_shards([replace(example, masked=((0, 4),))], tmp_path / "x")


def test_a_folder_of_something_else_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFound, match=MANIFEST):
        Shards(tmp_path)
    for text in ("[]", "{", "\xff", '{"format": "other"}', json.dumps({"format": shards.FORMAT, "count": True, "per_shard": 1, "sha256": []}),
                 json.dumps({"format": shards.FORMAT, "count": 5, "per_shard": 2, "sha256": ["a"]}), "[" * 100_000,
                 json.dumps({"format": "layoutllm-shards/9", "count": 1, "per_shard": 1, "sha256": ["a"]})):  # fmt: skip
        (tmp_path / MANIFEST).write_text(text, encoding="latin-1")
        with pytest.raises(DocumentUnreadable):
            Shards(tmp_path)


def test_a_missing_or_damaged_shard_is_an_error(tmp_path: Path) -> None:
    write_shards([an_example(f"made/{n}") for n in range(3)], tmp_path, per_shard=1)
    (tmp_path / "shard-00000.zip").unlink()
    data = bytearray((tmp_path / "shard-00001.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "shard-00001.zip").write_bytes(data)
    packed = Shards(tmp_path)
    with pytest.raises(DocumentNotFound, match="shard-00000"):
        packed(0)
    with pytest.raises(DocumentUnreadable, match="not the file"):
        packed(1)
    assert packed(2).source == "made/2"


def forge(folder: Path, change: Callable[[dict[str, Any]], Any], *, picture: bytes | None = None) -> Shards:
    """A shard with a right SHA-256 and wrong content: what somebody else could have made."""
    write_shards([an_example()], folder)
    path = folder / "shard-00000.zip"
    with zipfile.ZipFile(path) as archive:
        facts, image = json.loads(archive.read("00000.json")), archive.read("00000.webp")
    changed = change(facts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("00000.json", json.dumps(facts if changed is None else changed))
        archive.writestr("00000.webp", picture if picture is not None else image)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = [shards._sha256(path)]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return Shards(folder)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a list": lambda _: [1],
    "no lines": lambda f: f.pop("lines") and None,
    "an empty line": lambda f: f.update(lines=[[]]),
    "a box outside": lambda f: f["lines"][0][0].__setitem__(1, 5000),
    "a box of texts": lambda f: f["lines"][0][0].__setitem__(1, "1"),
    "a text that is none": lambda f: f["lines"][0][0].__setitem__(0, 7),
    "an unknown kind": lambda f: f["asked"][0].__setitem__(2, "poem"),
    "an unknown task": lambda f: f["asked"][2].__setitem__(0, "XYZ"),
    "an unknown relation": lambda f: f["asked"][0].__setitem__(6, "left of"),
    "a line that is not there": lambda f: f["asked"][0].__setitem__(5, [0, 99]),
    "a word that is not there": lambda f: f["asked"][0].__setitem__(9, [[1, 9]]),
    "an answer from elsewhere": lambda f: f["asked"][0].__setitem__(8, "RM 1.00"),
    "an unplaced line that is not there": lambda f: f.update(unplaced=[-1]),
    "a page of another size": lambda f: f["page"].__setitem__(1, 9),
    "a question of another shape": lambda f: f["asked"].append(["QA", "x"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_forged_page_is_an_error(tmp_path: Path, name: str) -> None:
    packed = forge(tmp_path, CHANGES[name])
    with pytest.raises(DocumentUnreadable, match="page 0"):
        packed(0)


def test_a_forged_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match="picture"):
        forge(tmp_path / "a", lambda _: None, picture=b"GIF89a")(0)
    with pytest.raises(DocumentUnreadable):
        forge(tmp_path / "b", lambda _: None, picture=b"RIFF\x10\x00\x00\x00WEBPVP8 \x00")(0)


def test_a_page_that_unpacks_to_too_much_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MOST_BYTES", 4_000)
    with pytest.raises(DocumentTooLarge, match="unpacks"):
        forge(tmp_path, lambda f: f.update(source="x" * 100_000))(0)


@needs_receipts
def test_receipts_fit_in_few_bytes(tmp_path: Path) -> None:
    wanted = list(receipts.examples(RECEIPTS, range(4), seed=1))
    write_shards(wanted, tmp_path)
    for found, example in zip(Shards(tmp_path), wanted, strict=True):
        same(found, example)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) / len(wanted) < 25_000
