"""SROIE 2019 receipts, task 3: the four questions in the paper's form, on pictures or the data set's words.

Two layouts are read: the published one (``img/*.jpg``, ``entities/*.txt`` or ``key/*.json``, ``box/*.txt`` or
``.csv``), and the numbered copy that ``training.receipts`` reads (``images``, ``lines``, ``entities``). Its
receipts 400-499 of the copy are never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from layoutllm_tool.documents.geometry import Page, box_of
from layoutllm_tool.documents.words import load_words
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.evaluation.datasets.files import (
    around,
    pairs,
    picture_size,
    read_json,
    read_text,
    reading,
)
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item, spread
from layoutllm_tool.training.receipts import FIELDS, FORM, dataset_page, entities, field_places

Words = Callable[[], list[Page]]
HELD_OUT = range(400, 500)
_PICTURES = (".jpg", ".jpeg", ".png")


def items(
    data: Path,
    *,
    numbers: Sequence[int] = HELD_OUT,
    limit: int | None = None,
    ocr: bool = True,
) -> list[Item]:
    """Receipts, ``limit`` of them evenly spaced, with a question for every labelled field.

    ``numbers`` choose among the numbered copy's. Without ``ocr`` the words are the data set's.
    DocumentNotFound, DocumentUnreadable.
    """
    if not (data / "img").is_dir():
        return [_numbered(data, number, ocr) for number in spread(numbers, limit)]
    pictures = sorted(path for path in (data / "img").iterdir() if path.suffix.lower() in _PICTURES)
    if not pictures:
        raise DocumentNotFound(f"{data}/img holds no pictures.", hint='Give the folder that holds "img".')
    return [_published(data, picture, ocr) for picture in spread(pictures, limit)]


def _numbered(data: Path, number: int, ocr: bool) -> Item:
    fields, page = entities(data, number), dataset_page(data, number)
    return _item(image(data, number), f"{number:03d}", fields, page, None if ocr else lambda: [page])


def image(data: Path, number: int) -> Path:
    return data / "images" / f"{number:03d}.jpg"


def _published(data: Path, picture: Path, ocr: bool) -> Item:
    fields, lines = _fields(data, picture.stem), _beside(data, picture.stem, "box/{}.txt", "box/{}.csv")
    page = _page(lines, picture) if lines else None
    return _item(picture, picture.stem, fields, page, None if ocr else partial(_words, page, picture))


def _words(page: Page | None, picture: Path) -> list[Page]:
    if page is None:
        raise DocumentNotFound(f"{picture.name!r} has no words.", hint='They lie in "box"; or give --ocr.')
    return [page]


def _item(picture: Path, name: str, fields: dict[str, str], page: Page | None, words: Words | None) -> Item:
    """With gold boxes by the data set's own lines, for fields that text recognition loses."""
    places = field_places(page, fields) if page else {}
    boxes = {field: (box_of(page, place.words),) for field, place in places.items()} if page else {}
    questions = tuple(
        Question(f"receipts/{name}", field, FORM.format(field), (fields[field],), boxes.get(field, ()))
        for field in FIELDS
        if field in fields
    )
    return Item(picture, questions, words)


def _page(file: Path, picture: Path) -> Page:
    """Lines ``x1,y1,x2,y2,x3,y3,x4,y4,text`` in pixels; the text may hold commas. Others are left out."""
    lines = []
    with reading(repr(file.name)):
        for row in read_text(file).splitlines():
            *corners, text = row.split(",", 8)
            if len(corners) == 8 and text.strip():
                lines.append({"text": text, "box": around(pairs([float(corner) for corner in corners]))})
    return load_words({"lines": lines}, [picture_size(picture)])[0]


def _fields(data: Path, stem: str) -> dict[str, str]:
    file = _beside(data, stem, "entities/{}.txt", "entities/{}.json", "key/{}.json", "key/{}.txt")
    if file is None:
        raise DocumentNotFound(f"{stem!r} has no labels.", hint=f"They lie in {data}/entities as JSON.")
    found = read_json(file)
    with reading(repr(file.name)):
        texts = {name: found[name] for name in FIELDS if isinstance(found.get(name), str)}
        return {name: text for name, text in texts.items() if text.strip()}


def _beside(data: Path, stem: str, *forms: str) -> Path | None:
    return next((path for form in forms if (path := data / form.format(stem)).is_file()), None)
