"""Words handed in: every accepted form, boxes in the right frame, and errors that name the entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool.documents import Access, load_words
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.errors import DocumentNotAllowed, DocumentUnreadable
from tests.paths import DATA

TOTAL = {"text": "Total", "box": [20, 10, 60, 20]}
NINE = {"text": "9.00", "bbox": [70, 10, 100, 20]}
SIZE = {"width": 200, "height": 100}

FORMS: dict[str, Any] = {
    "words": SIZE | {"words": [TOTAL, NINE]},
    "lines": SIZE | {"lines": [TOTAL, NINE]},
    "FUNSD": SIZE | {"form": [{"words": [TOTAL], "label": "question"}, {"words": [NINE]}]},
    "pages": {"pages": [SIZE | {"words": [TOTAL, NINE]}]},
    "list of pages": [SIZE | {"words": [TOTAL, NINE]}],
    "relative": SIZE
    | {
        "unit": "relative",
        "words": [TOTAL | {"box": [100, 100, 300, 200]}, NINE | {"bbox": [350, 100, 500, 200]}],
    },
    "other names": SIZE
    | {"words": [{"text": "Total", "bounding_box": [20, 10, 60, 20]}, NINE, {"text": " ", "box": None}]},
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS.keys())
def test_forms(data: Any, tmp_path: Path) -> None:
    (page,) = load_words(data)
    assert [word.text for word in page.words] == ["Total", "9.00"]
    assert [word.box.as_list() for word in page.words] == [[100, 100, 300, 200], [350, 100, 500, 200]]
    assert (page.width, page.height, page.text_source, page.image) == (200, 100, "given", None)
    (tmp_path / "words.json").write_text(json.dumps(data), encoding="utf-8")
    assert load_words(tmp_path / "words.json", access=Access(roots=(tmp_path,))) == [page]


def test_a_plain_list_takes_the_pictures_size() -> None:
    (page,) = load_words([TOTAL, NINE], [(200, 100)])
    assert page.words[0].box.as_list() == [100, 100, 300, 200]
    first, second = load_words([[TOTAL], [NINE]], [(200, 100), (100, 100)])
    assert (first.number, second.number) == (1, 2) and second.words[0].box.as_list() == [700, 100, 1000, 200]


def test_own_size_is_the_boxes_frame_and_the_pictures_size_is_the_pages() -> None:
    (page,) = load_words(SIZE | {"words": [TOTAL]}, [(400, 200)])
    assert page.words[0].box.as_list() == [100, 100, 300, 200] and (page.width, page.height) == (400, 200)


def test_a_line_is_cut_in_proportion_to_its_characters() -> None:
    (page,) = load_words(SIZE | {"lines": [{"text": "ab a  cd", "box": [0, 0, 80, 10]}]})
    assert [word.text for word in page.words] == ["ab", "a", "cd"]
    assert [[word.box.x0, word.box.x1] for word in page.words] == [[0, 100], [150, 200], [300, 400]]


WRONG: list[tuple[Any, str]] = [
    (3, "a int"),
    ({"pages": []}, "list of pages"),
    ({"pages": [3]}, "page 1 is a int"),
    ({}, "size"),
    (SIZE | {}, "neither words nor lines"),
    (SIZE | {"words": [], "lines": []}, "words and lines"),
    (SIZE | {"words": {}}, "page 1, words is a dict"),
    (SIZE | {"words": [TOTAL, {"box": [0, 0, 1, 1]}]}, r"words\[1\] has no text"),
    (SIZE | {"words": [{"text": "a"}]}, r"words\[0\] has no box"),
    (SIZE | {"words": [{"text": "a", "box": [0, 0, 1]}]}, "not four numbers"),
    (SIZE | {"words": [{"text": "a", "box": [0, 0, 1, float("nan")]}]}, "not four numbers"),
    (SIZE | {"words": [{"text": "a", "box": [0, 0, 1, True]}]}, "not four numbers"),
    (SIZE | {"words": [{"text": "a", "box": [0, 0, 900, 10]}]}, "200 x 100"),
    (SIZE | {"form": [{"text": "a"}]}, r"form\[0\], words is null"),
    (SIZE | {"form": [[]]}, r"form\[0\] is a list"),
    (SIZE | {"unit": "points", "words": []}, "'points'"),
    ({"width": 0, "height": 10, "words": []}, "width 0"),
    ({"width": 10, "words": []}, "height None"),
]


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_wrong_entries_are_named(data: Any, message: str) -> None:
    with pytest.raises(DocumentUnreadable, match=message) as caught:
        load_words(data)
    assert caught.value.hint


def test_page_counts_must_agree() -> None:
    with pytest.raises(DocumentUnreadable, match="1 pages, but the document has 2"):
        load_words([TOTAL], [(200, 100)] * 2)


def test_files(tmp_path: Path) -> None:
    access = Access(roots=(tmp_path,))
    for content in ("{", "[" * 100_000, "\xff"):
        (tmp_path / "bad.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(DocumentUnreadable, match="not JSON"):
            load_words(tmp_path / "bad.json", access=access)
    with pytest.raises(DocumentNotAllowed):
        load_words("/etc/passwd", access=access)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is absent")
def test_real_annotations() -> None:
    access = Access.anywhere()
    (receipt,) = load_words(DATA / "receipts" / "lines" / "000.json", access=access)
    assert "TAN WOON YANN" in receipt.text and (receipt.width, receipt.height) == (463, 1013)
    form = next(iter(sorted((DATA / "forms" / "annotations").glob("*.json"))))
    (page,) = load_words(form, [(2000, 2000)], access=access)
    assert len(page.words) > 20


@pytest.mark.parametrize("wrong", [float("inf"), float("nan"), 10**400, -1, 1001])
def test_a_box_of_any_wrong_number_says_so(wrong: float) -> None:
    with pytest.raises(ValueError, match="a box is"):
        Box(0, 0, wrong, 5)
