"""Pages as the review page and its export show them: the way up that they were read, and no more of them
than were asked about.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from layoutllm_graphs.batch.review import review_field
from layoutllm_graphs.batch.runner import Batch, here
from layoutllm_graphs.batch.worker import Settings, WorkResult
from layoutllm_graphs.review import ReviewDecision
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.store import Store
from layoutllm_tool.commands import view
from layoutllm_tool.documents import Access, Document, load_document
from layoutllm_tool.documents.geometry import Box, Word
from layoutllm_tool.errors import OCRError
from layoutllm_tool.ocr import recognise_page
from layoutllm_tool.review_app.export import export
from layoutllm_tool.review_app.pages import Pages
from layoutllm_tool.testing import FakeOCR, FakeReader
from tests.pdfs import make_pdf, text

SETTINGS = Settings.of("What is the total?", model={"reader": "fake"}, max_attempts=1, second_opinion=False)
SIZE = (600, 400)


def words(image: Image.Image) -> list[Word]:
    """Sure of itself where the black corner is at the top left, and a guess where the page is turned."""
    upright = (
        image.width > image.height and image.convert("L").getpixel((20, 20)) < 100  # type: ignore[operator]
    )
    given = [("Total:", Box(100, 500, 200, 550)), ("12.50", Box(300, 500, 400, 550))]
    return [Word(said, box, 0.99 if upright else 0.3) for said, box in given]


class Turning(FakeReader):
    """Reads pictures as the real one does, by whatever engine."""

    def load(self, source: Any, *, words: Any = None) -> Document:
        document = load_document(source, access=Access.anywhere())
        return replace(
            document, pages=tuple(recognise_page(page, engine=self.ocr) for page in document.pages)
        )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A page that lies as it is read, and the same on its side."""
    image = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(image).rectangle((0, 0, 60, 60), fill="black")
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in" / "level.png")
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "in" / "side.png")
    carry_out(tmp_path / "in", tmp_path / "out")
    return tmp_path / "out"


def carry_out(source: Path, out: Path, **options: Any) -> None:
    with Batch(batch_inputs(str(source), **options), out, SETTINGS) as batch:
        batch.run(here(Turning(ocr=FakeOCR(words)), SETTINGS))


def size(picture: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(picture)).size


def keys(store: Store) -> dict[str, str]:
    return {Path(source.name).stem: source.key for source in store.inputs()}


def test_a_batch_knows_which_pages_it_turned(out: Path) -> None:
    with Store.open(out) as store:
        known = {name: store.document(key) for name, key in keys(store).items()}
        assert {name: done.rotated_pages for name, done in known.items() if done} == {
            "level": [],
            "side": [1],
        }
        for done in known.values():
            assert done and done.status == "done"
            assert WorkResult.from_json(json.loads(json.dumps(asdict(WorkResult(done))))).document == done


def test_a_page_is_shown_the_way_up_that_it_was_read(out: Path) -> None:
    ocr = FakeOCR(words)
    with Store.open(out) as store:
        pages, key = Pages(store, lambda: Turning(ocr=ocr)), keys(store)
        assert size(pages.picture(key["level"], 1)) == SIZE and ocr.calls == 0  # no need to read it
        assert size(pages.picture(key["side"], 1)) == SIZE and ocr.calls > 0
        assert pages.lines(key["side"], 1)["lines"][1]["box"] == [300, 500, 400, 550]
        assert pages.lines(key["side"], 1)["width"] == SIZE[0]
        box = store.fields(key["side"])[0].answer["box"]
        assert box == [300, 500, 400, 550]
        with pytest.raises(OCRError, match="nothing here reads"):
            Pages(store).picture(key["side"], 1)


def test_an_export_shows_pages_that_were_turned_upright(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser, file = argparse.ArgumentParser(), tmp_path / "run.html"
    view.add_to(parser.add_subparsers())
    options = parser.parse_args(["view", str(out), "--export", str(file), "--root", str(tmp_path)])
    assert options.run(options, Turning(ocr=FakeOCR(words))) == 0 and not capsys.readouterr().err
    pictures = [
        base64.b64decode(found)
        for found in re.findall(r"data:image/webp;base64,([\w+/=]+)", file.read_text())
    ]
    assert [size(picture) for picture in pictures] == [SIZE, SIZE]
    (missing,) = export(out, file)  # nobody can turn it: rather no picture than boxes that lie elsewhere
    assert missing.startswith("page 1 of ") and "side.png" in missing


def test_a_store_that_does_not_know_has_its_pages_read(out: Path, tmp_path: Path) -> None:
    with Store.open(out) as store:
        store._connection.execute("ALTER TABLE documents DROP COLUMN turned")
    ocr = FakeOCR(words)
    with Store.open(out) as store:
        pages, key = Pages(store, lambda: Turning(ocr=ocr)), keys(store)
        done = store.document(key["side"])
        assert done and done.rotated_pages is None and done.status == "done"
        assert size(pages.picture(key["side"], 1)) == SIZE
        store.put(done, store.fields(key["side"]))
    assert export(out, tmp_path / "run.html", lambda: Turning(ocr=ocr)) == []


def test_one_page_of_a_long_document_is_shown_and_reviewed(tmp_path: Path) -> None:
    """More pages than may be taken at once: the batch looked at one of them."""
    page = text("Total:", 72, 650) + text("3.50", 200, 650)
    (tmp_path / "long.pdf").write_bytes(
        make_pdf(*[text("page", 72, 700)] * 2, page, *[text("page", 72, 700)] * 57)
    )
    carry_out(tmp_path / "long.pdf", tmp_path / "out", page=3)
    with Store.open(tmp_path / "out") as store:
        (key,) = keys(store).values()
        pages = Pages(store, FakeReader)
        assert (
            size(pages.picture(key, 3)) > (100, 100) and "Total:" in pages.lines(key, 3)["lines"][0]["text"]
        )
        assert size(pages.picture(key, 60)) > (100, 100)
        assert [page.number for page in pages.document(key).pages] == [3]
        word = ReviewDecision.model_validate(
            {"correction": {"step": "area", "page": 3, "boxes": [[0, 0, 1000, 1000]]}}
        )
        (field,) = review_field(
            store, key, "total", word, reader=FakeReader(), opened=lambda _: pages.document(key)
        )
        assert (field.answer["answer"], field.answer["page"], field.answer["by"]) == ("3.50", 3, "person")
    assert export(tmp_path / "out", tmp_path / "run.html") == []
