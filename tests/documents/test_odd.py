"""Awkward files: each gives pages or one of our errors with a hint, in time. Real ones, and ones damaged
here.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layoutllm_tool.documents import Access, Document, Limits, load_document
from layoutllm_tool.errors import DocumentEncrypted, DocumentError
from tests.paths import DATA
from tests.pdfs import make_pdf, text

ODD = DATA / "odd"
ACCESS = Access.anywhere()
FEW_PAGES = 3
"""Drawn of each document here: the rest of a book teaches nothing new."""


def attempt(source: Path | bytes) -> Document | DocumentError:
    """As a careful caller would: the whole document, else its first pages."""
    try:
        return load_document(source, access=ACCESS, limits=Limits(max_pages=FEW_PAGES, page_seconds=20))
    except DocumentError as error:
        if "pages=" not in error.hint:
            return error
    return load_document(source, access=ACCESS, pages=range(1, FEW_PAGES + 1))


def outcome(result: Document | DocumentError) -> str:
    if isinstance(result, DocumentError):
        return f"{type(result).__name__}: {result}"
    page = result.pages[0]
    lines = "to be recognised" if page.lines is None else f"{len(page.lines)} lines from the text layer"
    notices = "; ".join(map(str, page.notices))
    return f"{len(result.pages)} pages; {page.width}x{page.height}, {lines} {notices}"


@pytest.mark.slow
@pytest.mark.skipif(not ODD.is_dir(), reason="the shared data folder is absent")
def test_every_odd_file_has_an_outcome() -> None:
    slowest = 0.0
    encrypted = set()
    for path in sorted(ODD.iterdir()):
        began = time.monotonic()
        result = attempt(path)
        seconds = time.monotonic() - began
        print(f"{path.name[:44]:44} {seconds:5.2f} s  {outcome(result)}")
        slowest = max(slowest, seconds)
        if isinstance(result, DocumentError):
            assert result.hint and isinstance(result, DocumentEncrypted), result
            encrypted.add(path.name)
            continue
        for page in result.pages:
            assert page.image is not None and page.image.size == (page.width, page.height)
            assert page.image.mode in ("RGB", "L") and 0 < page.width * page.height <= Limits().max_pixels
            assert (page.text_source == "pdf") == (page.lines is not None)
    assert encrypted == {"2206.01062_pg3.pdf", "password.pdf"}
    assert slowest < 60


def damaged(data: bytes, seed: int) -> Iterator[bytes]:
    """Cut off, with bytes changed, with a piece missing, doubled, or blanked."""
    chance = random.Random(seed)
    for _ in range(12):
        start, stop = sorted(chance.sample(range(len(data)), 2))
        yield data[:start]
        yield data[:start] + data[stop:]
        yield data[:stop] + data[start:]
        yield data[:start] + bytes(stop - start) + data[stop:]
        changed = bytearray(data)
        for place in chance.sample(range(len(data)), min(30, len(data))):
            changed[place] = chance.randrange(256)
        yield bytes(changed)


def _samples() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    kinds = ("PNG", "TIFF", "JPEG", "GIF", "WEBP", "BMP", "JPEG2000", "PPM", "AVIF")
    samples = {"PDF": make_pdf(text("Total: 9.00", 72, 700), text("Page two", 72, 700))}
    for kind in kinds:
        file = io.BytesIO()
        noise.save(file, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
        samples[kind] = file.getvalue()
    if (heic := ODD / "DA-1p.heic").is_file():
        samples["HEIC"] = heic.read_bytes()
    return samples


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged TIFF tags
@pytest.mark.parametrize(("kind", "data"), _samples().items(), ids=_samples().keys())
def test_damage_gives_pages_or_our_errors(kind: str, data: bytes) -> None:
    refused = 0
    for bad in damaged(data, seed=len(data)):
        try:
            load_document(bad, limits=Limits(max_pixels=20_000_000, page_seconds=2))
        except DocumentError as error:
            assert error.hint
            refused += 1
    assert refused, f"no damage to a {kind} file was noticed"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["multi_page.pdf", "ocr_test_rotated_90.pdf", "amt_handbook_sample.pdf"])
def test_damage_to_real_pdfs(name: str) -> None:
    if not (path := ODD / name).is_file():
        pytest.skip("the shared data folder is absent")
    for bad in list(damaged(path.read_bytes(), seed=3))[:25]:
        try:
            load_document(bad, pages=[1], limits=Limits(page_seconds=5))
        except DocumentError as error:
            assert error.hint
