"""PDF pages: what is drawn and what is read from the text layer agree, and a layer that lies is not
believed.
"""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from layoutllm_tool.documents import Limits, Page, load_document
from layoutllm_tool.errors import DocumentEncrypted, DocumentTooLarge, DocumentUnreadable, PageOutOfRange
from tests.paths import DATA
from tests.pdfs import grey_picture, make_pdf, stream, text

ODD = DATA / "odd"
needs_odd = pytest.mark.skipif(not ODD.is_dir(), reason="the shared data folder is absent")
SENTENCE = "Total amount due within thirty days"


def first_page(data: bytes) -> Page:
    return load_document(data).pages[0]


def ink(page: Page) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of what is drawn, in pixels."""
    assert page.image is not None
    ys, xs = np.nonzero(np.asarray(page.image.convert("L")) < 200)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def test_words_lines_and_picture_of_a_born_digital_page() -> None:
    page = first_page(make_pdf(text("Invoice 42", 72, 700) + text("Total: 9.00", 72, 600)))
    assert [line.text for line in page.lines or ()] == ["Invoice 42", "Total: 9.00"]
    assert page.text_source == "pdf" and page.notices == ()
    assert page.image is not None and page.image.size == (page.width, page.height) == (1545, 2000)
    assert page.image.mode == "L"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", ["", "/CropBox [50 400 400 780]", "/CropBox [-100 300 300 900]"])
def test_boxes_lie_on_the_ink(rotation: int, crop: str) -> None:
    page = first_page(
        make_pdf(text("Hxg", 72, 650), page=f"/MediaBox [0 0 612 792] {crop} /Rotate {rotation}")
    )
    assert [word.text for word in page.words] == ["Hxg"]
    drawn, read = ink(page), page.words[0].box.to_pixels(page.width, page.height)
    assert all(abs(a - b) <= 4 for a, b in zip(drawn, read, strict=True)), (drawn, read)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_sideways_pages_are_turned_upright(rotation: int) -> None:
    page = first_page(make_pdf(text(SENTENCE, 72, 700), page=f"/MediaBox [0 0 612 792] /Rotate {rotation}"))
    assert [line.text for line in page.lines or ()] == [SENTENCE]
    assert page.height > page.width and "turned by" in page.notices[0].text
    assert ink(page)[2] - ink(page)[0] > 5 * (ink(page)[3] - ink(page)[1])


def test_pages_that_are_turned_for_good_reason_stay() -> None:
    """Landscape pages are often written sideways and turned by /Rotate."""
    sideways = f"BT /F1 18 Tf 0 1 -1 0 300 72 Tm ({SENTENCE}) Tj ET"
    page = first_page(make_pdf(sideways, page="/MediaBox [0 0 612 792] /Rotate 90"))
    assert page.notices == () and page.width > page.height and page.text == SENTENCE


HIDDEN = {
    "invisible mode": text(SENTENCE, 72, 600, before="3 Tr"),
    "clip mode": text(SENTENCE, 72, 600, before="7 Tr"),
    "white on white": text(SENTENCE, 72, 600, before="1 1 1 rg"),
    "white on black": "0 g 60 590 500 40 re f\n" + text(SENTENCE, 72, 600, before="0 g"),
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())
def test_layers_with_hidden_text_go_to_recognition(hidden: str) -> None:
    page = first_page(make_pdf(text("What people see", 72, 700) + hidden))
    assert page.lines is None and page.text_source == ""
    assert "can't be seen" in page.notices[0].text


def test_white_text_on_a_dark_ground_is_seen() -> None:
    page = first_page(make_pdf("0 g 60 590 500 40 re f\n" + text(SENTENCE, 72, 600, before="1 1 1 rg")))
    assert page.text == SENTENCE


def test_text_under_a_scan_is_hidden_and_text_over_a_picture_is_not() -> None:
    noise = random.Random(1).randbytes(100 * 100)
    draw = "q 612 0 0 792 0 0 cm /Im Do Q\n"
    scan = make_pdf(text(SENTENCE, 72, 600) + draw, extra=[grey_picture(100, 100, noise)])
    assert "can't be seen" in first_page(scan).notices[0].text
    letterhead = make_pdf(
        draw + text(SENTENCE, 72, 600), extra=[grey_picture(100, 100, bytes([230]) * 10_000)]
    )
    assert first_page(letterhead).text == SENTENCE


def test_a_scan_with_a_stamp_goes_to_recognition() -> None:
    pixels = bytes(255 if (x // 3 + y // 5) % 3 else 0 for y in range(200) for x in range(150))
    draw = "q 560 0 0 700 20 20 cm /Im Do Q\n"
    page = first_page(
        make_pdf(draw + text("RECEIVED 3 MAY", 72, 740), extra=[grey_picture(150, 200, pixels)])
    )
    assert page.lines is None and "stand on" in page.notices[0].text


def test_senseless_characters_go_to_recognition() -> None:
    shuffled = first_page(
        make_pdf(text("WRWDO DPRXQW GXH ZLWKLQ WKLUWB GDBV WRWDO SDBPHQW", 72, 700, size=12))
    )
    assert shuffled.lines is None and "no words" in shuffled.notices[0].text
    undecoded = first_page(make_pdf(text("\\(cid:12\\)\\(cid:7\\)", 72, 700)))
    assert undecoded.lines is None and "no known meaning" in undecoded.notices[0].text


def test_text_off_the_page_is_left_out() -> None:
    page = first_page(make_pdf(text(SENTENCE, 72, 700) + text("Printed 02/23/01", 72, -40)))
    assert page.text == SENTENCE


def test_blank_pages_and_pages_without_a_layer() -> None:
    blank = first_page(make_pdf(""))
    assert blank.lines == () and blank.text_source == "pdf"
    drawn = first_page(make_pdf("0 g 100 100 200 300 re f"))
    assert drawn.lines is None and drawn.notices == ()


def test_filled_form_fields_are_drawn_and_read() -> None:
    look = stream(b"BT /F1 12 Tf 2 6 Td (Filled42) Tj ET", "/Type /XObject /Subtype /Form /BBox [0 0 200 20]")
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (Filled42) /F 4"
        b" /Rect [200 500 400 520] /AP << /N 100 0 R >> >>"
    )
    look = look.replace(
        b"/BBox",
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> /BBox",
    )
    data = make_pdf(
        text("Name:", 72, 500),
        page="/MediaBox [0 0 612 792] /Annots [101 0 R]",
        catalog="/AcroForm << /Fields [101 0 R] >>",
        extra=[look, field],
    )
    page = first_page(data)
    assert [word.text for word in page.words] == ["Name:", "Filled42"]
    assert abs(page.words[1].box.x0 - 1000 * 202 / 612) < 5
    assert ink(page)[2] > 0.35 * page.width


def test_only_the_chosen_pages_are_drawn() -> None:
    many = make_pdf(*(text(f"Page {n}", 72, 700) for n in range(1, 61)))
    with pytest.raises(DocumentTooLarge, match=r"60 pages.*pages="):
        load_document(many)
    document = load_document(many, pages=[59, 2])
    assert [page.number for page in document.pages] == [59, 2]
    assert document.page(59).text == "Page 59"
    with pytest.raises(PageOutOfRange, match="1 to 60"):
        load_document(many, pages=[61])
    with pytest.raises(DocumentTooLarge):
        load_document(many, pages=range(1, 60))


def test_drawing_gives_up_after_the_limit() -> None:
    stars = "".join(f"{i % 600} 0 m {(i * 7) % 600} 700 l S\n" for i in range(20_000))
    with pytest.raises(DocumentTooLarge, match="takes longer"):
        load_document(make_pdf(stars), limits=Limits(page_seconds=0.01))


@pytest.mark.parametrize("box", ["0 0 20000 20000", "0 0 3 14000", "0 0 0.2 0.2"])
def test_strange_page_sizes_stay_within_bounds(box: str) -> None:
    page = first_page(make_pdf("", page=f"/MediaBox [{box}]"))
    assert 1 <= page.width * page.height <= 16_000_000


def test_broken_files_say_so() -> None:
    with pytest.raises(DocumentUnreadable, match="print it to a new PDF"):
        load_document(b"%PDF-1.7\nnothing of the kind")
    with pytest.raises(DocumentUnreadable):
        load_document(make_pdf())


def test_threads_may_load_at_the_same_time() -> None:
    data = make_pdf(*(text(f"Page {n} {SENTENCE}", 72, 700) for n in range(4)))
    texts: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: texts.append([page.text for page in load_document(data).pages]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [[f"Page {n} {SENTENCE}" for n in range(4)]] * 4


@needs_odd
def test_the_invisible_wrong_layer_goes_to_recognition() -> None:
    page = first_page((ODD / "invisible_text_layer.pdf").read_bytes())
    assert page.lines is None and "can't be seen" in page.notices[0].text


@needs_odd
def test_encrypted_files_ask_for_the_password() -> None:
    data = (ODD / "password.pdf").read_bytes()
    with pytest.raises(DocumentEncrypted, match="needs a password"):
        load_document(data)
    with pytest.raises(DocumentEncrypted, match="does not open with this password"):
        load_document(data, password="surely not this one")
