"""Every way to hand in a document, told apart by content; what is not one is named."""

from __future__ import annotations

import base64
import hashlib
import io
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from layoutllm_tool.documents import Access, Limits, load_document
from layoutllm_tool.errors import (
    DocumentError,
    DocumentNotFound,
    DocumentTooLarge,
    DocumentUnreadable,
    PageOutOfRange,
)
from tests.pdfs import make_pdf, text

PDF = make_pdf(text("Hello", 72, 700))


def picture(kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, kind)
    return file.getvalue()


def test_every_kind_of_source_gives_the_same_document(tmp_path: Path) -> None:
    data = picture()
    (tmp_path / "scan.pdf").write_bytes(data)  # a name that lies
    plain = base64.b64encode(data).decode()
    sources = [
        data,
        bytearray(data),
        plain,
        "\n".join(plain[i : i + 76] for i in range(0, len(plain), 76)),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        f"data:image/png;base64,{plain}",
        f"DATA:;base64,{plain}",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in data),
        tmp_path / "scan.pdf",
        str(tmp_path / "scan.pdf"),
        "scan.pdf",
    ]
    for source in sources:
        document = load_document(source, access=Access(roots=(tmp_path,)))  # type: ignore[arg-type]
        assert document.sha256 == hashlib.sha256(data).hexdigest()
        assert [(page.number, page.width, page.height) for page in document.pages] == [(1, 256, 256)]
        assert load_document(document) is document


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP"])
def test_base64_of_every_type(kind: str) -> None:
    assert load_document(base64.b64encode(picture(kind)).decode()).pages[0].width == 256


def test_base64_of_a_pdf() -> None:
    assert load_document(base64.b64encode(PDF).decode()).pages[0].text == "Hello"


def test_paths_that_look_like_base64_stay_paths(tmp_path: Path) -> None:
    name = "Invoices/2024/January/Customer/Statement/of/Account"
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(PDF)
    access = Access(roots=(tmp_path,))
    assert load_document(name, access=access).name == "Account"
    with pytest.raises(DocumentNotFound):
        load_document(f"{name}Nr5", access=access)


def test_pictures_are_hashed_by_what_they_show() -> None:
    one, same, other = Image.new("L", (20, 30), 9), Image.new("L", (20, 30), 9), Image.new("L", (30, 20), 9)
    assert load_document(one).sha256 == load_document(same).sha256 != load_document(other).sha256
    red, blue = Image.new("P", (9, 9), 0), Image.new("P", (9, 9), 0)
    red.putpalette([255, 0, 0])
    blue.putpalette([0, 0, 255])
    assert load_document(red).sha256 != load_document(blue).sha256
    one.putpixel((0, 0), 200)
    page = load_document(same).pages[0]
    same.putpixel((0, 0), 200)
    assert page.image is not None and page.image.getpixel((0, 0)) == 9  # a copy: later changes don't reach it


def _zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>" * 50)
        archive.writestr(name, "<x/>")
    return file.getvalue()


OTHERS = {
    "Word": _zip("word/document.xml"),
    "Excel": _zip("xl/workbook.xml"),
    "PowerPoint": _zip("ppt/presentation.xml"),
    "archive": _zip("holiday.jpg"),
    "old Office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
    "HTML": b"<!DOCTYPE html><html><body>Total 9.00</body></html>",
    "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "plain text": "Rechnung über 9 €".encode(),
    "empty": b"",
    "an empty file": bytes(300),
    "unknown type": bytes(range(1, 255)),
}


@pytest.mark.parametrize(("words", "data"), OTHERS.items(), ids=OTHERS.keys())
def test_other_types_are_named_and_what_to_do(words: str, data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match=words) as caught:
        load_document(data)
    assert "Convert it to PDF" in caught.value.hint and caught.value.caller_can_fix


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png;base64,", "data:image/png;base64,*", "data:image/png;base64,A"]
)
def test_damaged_data_urls(url: str) -> None:
    with pytest.raises(DocumentUnreadable, match="data: URL"):
        load_document(url)


def test_bytes_limit_whatever_the_source() -> None:
    plain = base64.b64encode(picture()).decode()
    for source in (picture(), plain, f"data:;base64,{plain}"):
        with pytest.raises(DocumentTooLarge):
            load_document(source, limits=Limits(max_bytes=50))


def test_page_numbers() -> None:
    assert load_document(PDF, pages=[1, 1]).pages[0].number == 1
    for numbers in ([0], [2], [-1], []):
        with pytest.raises(PageOutOfRange, match="1 to 1"):
            load_document(PDF, pages=numbers)
        with pytest.raises(PageOutOfRange, match="1 to 1"):
            load_document(picture(), pages=numbers)


def test_what_is_no_source_at_all() -> None:
    for source in (3, None, [b"a"], {"path": "a"}):
        with pytest.raises(DocumentUnreadable, match="no document"):
            load_document(source)  # type: ignore[arg-type]


def test_text_that_is_nearly_base64_is_looked_at_once() -> None:
    """In steps of the pattern's engine, by the clock of this process: twice the text takes about twice as
    long.
    """

    def seconds(blanks: int) -> float:
        text = base64.b64encode(b"%PDF-1.7\n" + b"x" * 60).decode().rstrip("=") + " " * blanks + "!"
        begun = time.process_time()
        with pytest.raises(DocumentError):
            load_document(text)
        return time.process_time() - begun

    seconds(10)
    assert seconds(400_000) < 40 * max(seconds(25_000), 0.01)


def test_a_data_url_of_percent_signs_is_refused_before_it_is_undone() -> None:
    with pytest.raises(DocumentTooLarge):
        load_document("data:," + "%41" * 1_500_000)
    assert load_document("data:image/png;base64," + quote(base64.b64encode(picture()).decode())).pages
