"""Pictures of every kind come out upright, with eight bits, whole, or not at all."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFile

from layoutllm_tool.documents import Limits, Page, load_document
from layoutllm_tool.documents.parsing import ParseRequest, parse
from layoutllm_tool.errors import DocumentTooLarge, DocumentUnreadable, PageOutOfRange
from tests.paths import DATA

ODD = DATA / "odd"
needs_odd = pytest.mark.skipif(not ODD.is_dir(), reason="the shared data folder is absent")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def corner(size: tuple[int, int] = (60, 40), mode: str = "RGB") -> Image.Image:
    """White with a black square at the top left."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((0, 0, 9, 9), fill="black")
    return image.convert(mode)


def only_page(data: bytes | Image.Image) -> Page:
    (page,) = load_document(data).pages
    assert page.image is not None and page.image.size == (page.width, page.height)
    assert page.image.mode in ("RGB", "L") and page.lines is None
    return page


def grey(page: Page, x: int, y: int) -> int:
    assert page.image is not None
    value = page.image.convert("L").getpixel((x, y))
    assert isinstance(value, int)
    return value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF"])
def test_formats(kind: str) -> None:
    page = only_page(saved(corner(), kind))
    assert (page.width, page.height) == (60, 40)
    assert grey(page, 4, 4) < 40 and grey(page, 50, 30) > 215


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "RGB", "I;16", "I", "F", "YCbCr", "HSV", "LAB"]
)
def test_modes(mode: str) -> None:
    if mode in ("I;16", "I"):
        image = Image.fromarray(np.asarray(corner(mode="L")).astype(np.uint16) * 257).convert(mode)
    elif mode == "F":
        image = Image.fromarray(np.asarray(corner(mode="L")).astype(np.float32) / 255)
    else:
        image = corner(mode=mode)
    assert image.mode == mode
    page = only_page(image)
    assert grey(page, 4, 4) < 10 and grey(page, 50, 30) > 245


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("top", [65535, 4095])
def test_sixteen_bits_are_scaled_not_clipped(kind: str, top: int) -> None:
    steps = np.linspace(0, top, 256).astype(np.uint16).reshape(1, -1).repeat(4, axis=0)
    page = only_page(saved(Image.fromarray(steps), kind))
    assert page.image is not None
    found = np.asarray(page.image)[0].astype(int)
    assert page.image.mode == "L" and np.abs(found - np.arange(256)).max() <= 1


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    clear.putpixel((3, 3), (0, 0, 0, 255))
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([0, 0, 0, 0, 0, 0])
    palette.putpixel((3, 3), 1)
    for data in (
        saved(clear, "PNG"),
        saved(palette, "PNG", transparency=0),
        saved(palette, "GIF", transparency=0),
    ):
        page = only_page(data)
        assert (grey(page, 3, 3), grey(page, 10, 10)) == (0, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "black"), [(1, (4, 4)), (3, (55, 35)), (6, (35, 4)), (8, (4, 55)), (2, (55, 4))]
)
def test_exif_rotation_is_applied_once(kind: str, orientation: int, black: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    page = only_page(saved(corner(), kind, exif=exif))
    assert (page.width, page.height) == ((40, 60) if orientation in (6, 8) else (60, 40))
    assert grey(page, *black) < 60


def test_inverted_cmyk_of_photo_programs() -> None:
    assert grey(only_page(saved(corner(mode="CMYK"), "JPEG")), 50, 30) > 245


def test_every_page_of_a_tiff_and_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("L", (30 + n, 20), 10 * n) for n in range(5)]
    tiff = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert [(page.number, page.width) for page in load_document(tiff).pages] == [
        (n + 1, 30 + n) for n in range(5)
    ]
    assert [page.number for page in load_document(tiff, pages=[4, 2]).pages] == [4, 2]
    assert grey(load_document(tiff, pages=[4]).pages[0], 0, 0) == 30
    with pytest.raises(PageOutOfRange, match="1 to 5"):
        load_document(tiff, pages=[6])
    with pytest.raises(DocumentTooLarge, match="pages="):
        load_document(tiff, limits=Limits(max_pages=4))
    for kind in ("GIF", "WEBP", "PNG"):
        same = [Image.new("L", (30, 20), 50 * n) for n in range(3)]
        page = only_page(saved(same[0], kind, save_all=True, append_images=same[1:]))
        assert "animation of 3 frames" in page.notices[0].text and grey(page, 0, 0) < 10


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_picture_is_no_picture(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (120, 90), dtype=np.uint8))
    data = saved(noise, kind)
    with pytest.raises(DocumentUnreadable):
        load_document(data[: int(len(data) * share)])


def test_leave_to_read_truncated_files_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ImageFile, "LOAD_TRUNCATED_IMAGES", True
    )  # in this process, not in the one that opens files
    with pytest.raises(DocumentUnreadable):
        load_document(saved(corner(), "PNG")[:-60])


def test_bombs_are_refused_before_they_go_off() -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\1\0\0\0\0"
    crc = __import__("zlib").crc32(header[12:]).to_bytes(4, "big")
    with pytest.raises(DocumentTooLarge, match="pixels"):
        load_document(header + crc + b"\0\0\0\0IDAT" + bytes(50))
    with pytest.raises(DocumentTooLarge, match="pixels"):
        load_document(saved(corner(), "PNG"), limits=Limits(max_pixels=2000))
    with pytest.raises(DocumentTooLarge, match="pixels"):
        load_document(corner(), limits=Limits(max_pixels=2000))


@needs_odd
def test_heic() -> None:
    pytest.importorskip("pillow_heif")
    page = only_page((ODD / "DA-1p.heic").read_bytes())
    assert (page.width, page.height) == (595, 842) and grey(page, 2, 2) > 240


@needs_odd
def test_heic_without_the_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DocumentUnreadable, match="pip install pillow-heif"):
        list(parse((ODD / "DA-1p.heic").read_bytes(), ParseRequest("a.heic", None, Limits())))
