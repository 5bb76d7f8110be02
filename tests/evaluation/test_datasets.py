"""Data sets in their published forms, written here in small; what does not have the form is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layoutllm_tool.errors import DocumentError, DocumentNotAllowed, DocumentNotFound, DocumentUnreadable
from layoutllm_tool.evaluation.datasets import cord, docvqa, files, sroie, visualmrc
from layoutllm_tool.evaluation.run import Item, ask_all
from layoutllm_tool.testing import FakeReader
from tests.evaluation.test_command import run


def picture(path: Path, size: tuple[int, int] = (400, 800)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 255).save(path)


def write(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")


def text_of(item: Item) -> str:
    assert item.words is not None
    return "\n".join(page.text for page in item.words())


# -- CORD ----------------------------------------------------------------------------------------------------


def cord_line(category: str, group: int, *words: str, y: int, sub: int = 0, key: str = "") -> dict[str, Any]:
    def word(text: str, x: int, is_key: int) -> dict[str, Any]:
        quad = {"x1": x, "y1": y, "x2": x + 60, "y2": y, "x3": x + 60, "y3": y + 20, "x4": x, "y4": y + 20}
        return {"quad": quad, "is_key": is_key, "row_id": y, "text": text}

    found = [word(key, 10, 1)] if key else []
    found += [word(text, 100 + 70 * i, 0) for i, text in enumerate(words)]
    return {"words": found, "category": category, "group_id": group, "sub_group_id": sub}


CORD = {
    "meta": {"version": "2.0.0", "split": "test", "image_id": 0, "image_size": {"width": 400, "height": 800}},
    "valid_line": [
        cord_line("menu.nm", 3, "Nasi", "Goreng", y=40),
        cord_line("menu.nm", 3, "Spesial", y=70),
        cord_line("menu.price", 3, "25,000", y=40),
        cord_line("menu.price", 4, "9,000", y=100),
        cord_line("menu.etc", 4, "extra", y=130),
        cord_line("total.total_price", 6, "34,000", y=200, key="TOTAL"),
        cord_line("total.cashprice", 6, y=240, key="CASH"),
    ],
    "roi": {}, "repeating_symbol": [], "dontcare": [],
}  # fmt: skip


def cord_folder(folder: Path) -> None:
    write(folder / "test/json/receipt_00000.json", CORD)
    picture(folder / "test/image/receipt_00000.png")


def cord_export(folder: Path) -> None:
    picture(folder / "test/receipt_00000.png")
    write(
        folder / "test/metadata.jsonl",
        json.dumps({"file_name": "receipt_00000.png", "ground_truth": json.dumps(CORD | {"gt_parse": {}})})
        + "\n",
    )


@pytest.mark.parametrize("made", [cord_folder, cord_export])
def test_cord_asks_for_what_occurs_once(tmp_path: Path, made: Callable[[Path], None]) -> None:
    made(tmp_path)
    (item,) = cord.items(tmp_path)
    assert [(q.field, q.text, q.gold) for q in item.questions] == [
        ("name of menu", 'What is the "name of menu" in the given receipt?', ("Nasi Goreng Spesial",)),
        ("total price", 'What is the "total price" in the given receipt?', ("34,000",)),
    ]
    assert item.questions[1].boxes[0].as_list() == [250, 250, 400, 275]  # without the key
    assert "TOTAL" in text_of(item) and "extra" in text_of(item)
    assert cord.items(tmp_path, ocr=True)[0].words is None


def test_cord_has_fifteen_types_of_different_names() -> None:
    assert len(cord.NAMES) == len(set(cord.NAMES.values())) == 15


# -- DocVQA --------------------------------------------------------------------------------------------------

DOCVQA: dict[str, Any] = {
    "dataset_name": "docvqa", "dataset_version": "1.0", "dataset_split": "val",
    "data": [
        {"questionId": 1, "question": "What is the total?", "image": "documents/xnbl0037_1.png", "docId": 5,
         "ucsf_document_id": "xnbl0037", "ucsf_document_page_no": "1", "answers": ["9.00", "$9.00"],
         "data_split": "val"},
        {"questionId": 2, "question": "Who is it from?", "image": "documents/xnbl0037_1.png", "docId": 5,
         "ucsf_document_id": "xnbl0037", "ucsf_document_page_no": "1", "answers": ["ACME"],
         "data_split": "val",
         "question_types": ["form", "layout"]},
    ],
}  # fmt: skip


def read_api(x: float, y: float, text: str) -> dict[str, Any]:
    corners = [x, y, x + 100, y, x + 100, y + 30, x, y + 30]
    word = {"boundingBox": corners, "text": text, "confidence": "Low"}
    return {"boundingBox": corners, "text": text, "words": [word]}


LINES = [read_api(20, 40, "ACME"), read_api(20, 100, "Total:"), read_api(300, 100, "9.00")]
VERSION_2 = {
    "status": "Succeeded",
    "recognitionResults": [
        {
            "page": 1,
            "clockwiseOrientation": 0.1,
            "width": 800,
            "height": 1600,
            "unit": "pixel",
            "lines": LINES,
        }
    ],
}
VERSION_3 = {"analyzeResult": {"readResults": [{"page": 1, "width": 800, "height": 1600, "lines": LINES}]}}


@pytest.mark.parametrize(
    ("questions", "pictures", "ocr", "read"),
    [
        ("val_v1.0.json", "documents", "ocr_results", VERSION_2),
        ("val/val_v1.0.json", "val/documents", "val/ocr_results", VERSION_2),
        ("spdocvqa_qas/val_v1.0_withQT.json", "spdocvqa_images", "spdocvqa_ocr", VERSION_3),
    ],
)
def test_docvqa_in_its_packings(tmp_path: Path, questions: str, pictures: str, ocr: str, read: Any) -> None:
    write(tmp_path / questions, DOCVQA)
    picture(tmp_path / pictures / "xnbl0037_1.png")
    write(tmp_path / ocr / "xnbl0037_1.json", read)
    (item,) = docvqa.items(tmp_path)
    assert [(q.field, q.gold) for q in item.questions] == [
        ("question", ("9.00", "$9.00")),
        ("form", ("ACME",)),
    ]
    assert item.words is not None
    (page,) = item.words()
    assert (page.width, page.height) == (400, 800)
    assert next(word.box.as_list() for word in page.words if word.text == "9.00") == [375, 62, 500, 81]
    outcome = ask_all(FakeReader(), [item])
    assert outcome.answers[0].answer == "9.00" and outcome.answers[0].right
    assert docvqa.items(tmp_path, ocr=True)[0].words is None


def test_docvqa_without_answers_or_words(tmp_path: Path) -> None:
    bare = {
        "data": [{key: value for key, value in entry.items() if key != "answers"} for entry in DOCVQA["data"]]
    }
    write(tmp_path / "test_v1.0.json", bare)
    with pytest.raises(DocumentUnreadable, match="no answers"):
        docvqa.items(tmp_path, split="test")
    write(tmp_path / "val_v1.0.json", DOCVQA)
    picture(tmp_path / "documents/xnbl0037_1.png")
    outcome = ask_all(FakeReader(), docvqa.items(tmp_path))
    assert "DocumentNotFound" in outcome.errors[0] and [row.failed for row in outcome.answers] == [True, True]


# -- VisualMRC -----------------------------------------------------------------------------------------------


def region(number: str, y: int, text: str) -> dict[str, Any]:
    words = [
        {"word": word, "confidence": 90, "bbox": {"x": 20 + 80 * i, "y": y, "width": 70, "height": 20}}
        for i, word in enumerate(text.split())
    ]
    shape = {"x": 20, "y": y, "width": 300, "height": 20}
    return {"id": number, "structure": "Paragraph/Body", "shape": shape, "ocr_info": words}


VISUALMRC = {
    "id": "00001", "url": "https://example.org", "screenshot_filename": "s/1.png",
    "image_filename": "00001.png",
    "bounding_boxes": [region("a", 40, "Bees make honey"), region("b", 100, "Wax too"),
                       {"id": "c", "structure": "Image", "shape": {"x": 0, "y": 300, "width": 90,
                       "height": 90}}],
    "qa_data": [{"question": {"text": "What do bees make?"},
                 "answer": {"text": "Bees make honey and wax.", "relevant": ["a", "b"]}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "data"), [("test.jsonl", json.dumps(VISUALMRC) + "\n\n"), ("data/test.json", [VISUALMRC])]
)
def test_visualmrc_is_scored_by_rouge(tmp_path: Path, file: str, data: Any) -> None:
    write(tmp_path / file, data)
    picture(tmp_path / "images/00001.png")
    (item,) = visualmrc.items(tmp_path)
    (question,) = item.questions
    assert question.measure == "rouge" and question.gold == ("Bees make honey and wax.",)
    assert question.boxes[0].as_list() == [50, 50, 800, 150]
    assert text_of(item).splitlines() == ["Bees make honey", "Wax too"]
    reader = FakeReader({question.text: "honey and wax"})
    row = ask_all(reader, [item]).answers[0]
    assert row.rouge == pytest.approx(2.44 * 0.6 / (0.6 + 1.44)) and row.right and row.anls < 0.6


# -- SROIE ---------------------------------------------------------------------------------------------------

SROIE = "72,25,326,25,326,64,72,64,ACME, TRADING\r\n10,100,200,100,200,120,10,120,TOTAL: 9.00\r\nbroken\r\n"
FIELDS = {"company": "ACME, TRADING", "date": "", "total": "9.00"}


@pytest.mark.parametrize(
    ("labels", "box"), [("entities/{}.txt", "box/{}.txt"), ("key/{}.json", "box/{}.csv")]
)
def test_sroie_as_published(tmp_path: Path, labels: str, box: str) -> None:
    picture(tmp_path / "img/X51005255805.jpg")
    write(tmp_path / labels.format("X51005255805"), FIELDS)
    write(tmp_path / box.format("X51005255805"), SROIE)
    (item,) = sroie.items(tmp_path, ocr=False)
    assert [(q.field, q.gold) for q in item.questions] == [
        ("company", ("ACME, TRADING",)),
        ("total", ("9.00",)),
    ]
    assert "ACME, TRADING" in text_of(item)
    assert item.questions[0].boxes[0].as_list() == [180, 31, 815, 80]
    code, said = run("sroie", "--data", tmp_path)
    assert code == 0 and "company" in said and "1 documents, pictures read" in said


def test_sroie_without_words(tmp_path: Path) -> None:
    picture(tmp_path / "img/X1.jpg")
    write(tmp_path / "entities/X1.txt", FIELDS)
    assert sroie.items(tmp_path)[0].words is None
    outcome = ask_all(FakeReader(), sroie.items(tmp_path, ocr=False))
    assert "--ocr" in outcome.errors[0]
    (tmp_path / "entities/X1.txt").unlink()
    with pytest.raises(DocumentNotFound, match="labels"):
        sroie.items(tmp_path)


def test_numbered_receipts_with_their_own_words(tmp_path: Path) -> None:
    for folder, ending in (("images", "jpg"), ("lines", "json"), ("entities", "json")):
        (tmp_path / folder).mkdir()
        if ending == "jpg":
            picture(tmp_path / "images/400.jpg")
    write(
        tmp_path / "lines/400.json",
        {"width": 400, "height": 800, "lines": [{"text": "TOTAL 9.00", "box": [9, 9, 99, 29]}]},
    )
    write(tmp_path / "entities/400.json", {"total": "9.00"})
    assert sroie.items(tmp_path, numbers=(400,))[0].words is None
    assert text_of(sroie.items(tmp_path, numbers=(400,), ocr=False)[0]) == "TOTAL 9.00"


# -- what is not as it should be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("test.jsonl", "not json\n"),
        ("test.jsonl", "[1]\n"),
        ("test.json", {"data": 3}),
        ("test.json", [VISUALMRC | {"bounding_boxes": [{"id": "a"}]}]),
        ("test.json", [VISUALMRC | {"qa_data": [{"question": "?", "answer": 1}]}]),
        ("test.json", [VISUALMRC | {"image_filename": "missing.png"}]),
        ("test.json", "[" * 200_000),
    ],
)
def test_what_has_another_form_is_told(tmp_path: Path, name: str, data: Any) -> None:
    write(tmp_path / name, data)
    picture(tmp_path / "images/00001.png")
    with pytest.raises((DocumentUnreadable, DocumentNotFound)):
        visualmrc.items(tmp_path)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "images/../../secret.png"])
def test_a_data_set_names_its_own_files_only(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "secret.png")
    write(tmp_path / "set/test.json", [VISUALMRC | {"image_filename": name}])
    with pytest.raises(DocumentNotAllowed):
        visualmrc.items(tmp_path / "set")
    write(tmp_path / "set/val_v1.0.json", {"data": [DOCVQA["data"][0] | {"image": name}]})
    with pytest.raises(DocumentNotAllowed):
        docvqa.items(tmp_path / "set")


@pytest.mark.parametrize("load", [cord.items, docvqa.items, visualmrc.items])
def test_an_empty_folder(tmp_path: Path, load: Callable[[Path], list[Item]]) -> None:
    with pytest.raises(DocumentNotFound):
        load(tmp_path)


def test_pictures_that_lie_on_their_side_or_are_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert files.picture_size(tmp_path / "a.jpg") == (20, 30)
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DocumentError):
        files.picture_size(tmp_path / "b.png")


@pytest.mark.parametrize("name", ["cord", "docvqa", "visualmrc"])
def test_every_set_has_its_command(tmp_path: Path, name: str) -> None:
    cord_folder(tmp_path / "cord")
    write(tmp_path / "docvqa/val_v1.0.json", DOCVQA)
    picture(tmp_path / "docvqa/documents/xnbl0037_1.png")
    write(tmp_path / "docvqa/ocr_results/xnbl0037_1.json", VERSION_2)
    write(tmp_path / "visualmrc/test.jsonl", json.dumps(VISUALMRC))
    picture(tmp_path / "visualmrc/images/00001.png")
    code, said = run(name, "--data", tmp_path, "--limit", 1, reader=FakeReader())
    assert code == 0 and f"{name}: 1 documents, words given" in said and "Errors: none" in said
    assert ("ROUGE-L" in said) == (name == "visualmrc")
