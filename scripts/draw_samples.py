"""Draw the sample documents: ``python -m scripts.draw_samples``. Needs the Liberation fonts.

No training data is drawn with this: the model never saw these pages, nor others of their making.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from layoutllm_tool.samples import INVOICE, LETTER

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT = 1240, 1754
"""Pixels: A4 at 150 dpi."""
LEFT, RIGHT = 110, 1130
INK, GREY, ACCENT = (34, 34, 38), (110, 110, 116), (24, 78, 99)

ITEMS = (
    ("Espresso beans, 1 kg", 6, 18.50),
    ("Filter papers, box of 100", 4, 3.20),
    ("Grinder service, on site", 1, 85.00),
    ("Descaling powder, 500 g", 3, 7.90),
)
VAT = 0.20
DETAILS = (
    ("Invoice number", "HC-2024-0318"),
    ("Invoice date", "14 March 2024"),
    ("Due date", "13 April 2024"),
    ("Purchase order", "PO 77162"),
)
BANK = (
    ("Bank", "Harbour Savings Bank"),
    ("IBAN", "GB41 HSBX 4022 1907 5533 60"),
    ("Payment reference", "HC-2024-0318"),
)
LETTER_PAGES = (
    (
        ("Northgate Housing Association", 18),
        ("12 Mill Lane, Northgate NG4 2QT", 10),
        ("", 10),
        ("Date: 2 May 2024", 11),
        ("Our reference: NHA/3391/B", 11),
        ("", 11),
        ("Dear Ms Okafor,", 11),
        ("", 11),
        ("Thank you for your application for a tenancy at 8 Weaver Court. We are glad", 11),
        ("to offer you the flat from 1 July 2024. The monthly rent is 640.00 and the", 11),
        ("deposit is 960.00. Please sign page 2 and return it by 20 May 2024.", 11),
        ("", 11),
        ("Yours sincerely,", 11),
        ("Daniel Price", 11),
        ("Lettings Officer", 11),
        ("Telephone: 01632 960 417", 11),
    ),
    (
        ("Acceptance of tenancy", 18),
        ("", 10),
        ("Tenant: Amara Okafor", 11),
        ("Property: 8 Weaver Court, Northgate NG4 7BD", 11),
        ("Start of tenancy: 1 July 2024", 11),
        ("Notice period: two months", 11),
        ("Keys handed over: 28 June 2024, 10:30", 11),
        ("", 11),
        ("Signature: ______________________", 11),
    ),
)
"""Pages of (line, size in points)."""


def draw_invoice() -> Image:
    """The invoice with the paper's grain and the faint grey of a scan, the same each time."""
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (WIDTH, HEIGHT), (252, 251, 248))
    draw = ImageDraw.Draw(page)
    _head(draw)
    _parties(draw)
    y = _table(draw, 640)
    _totals(draw, y + 20)
    _foot(draw)
    return _scanned(page)


def money(value: float) -> str:
    return f"{value:,.2f}"


def total() -> float:
    return round(sum(count * price for _, count, price in ITEMS) * (1 + VAT), 2)


def _head(draw: ImageDraw) -> None:
    draw.ellipse((LEFT, 100, LEFT + 76, 176), fill=ACCENT)
    draw.text((LEFT + 38, 138), "HC", (255, 255, 255), _font(34, bold=True), anchor="mm")
    draw.text((LEFT + 100, 112), "Harbour Coffee Supplies Ltd", ACCENT, _font(34, bold=True))
    draw.text((LEFT + 100, 154), "27 Quay Street, Whitby YO21 1DN", GREY, _font(20))
    draw.text((RIGHT, 112), "INVOICE", INK, _font(44, bold=True), anchor="ra")
    draw.line((LEFT, 210, RIGHT, 210), ACCENT, 3)


def _parties(draw: ImageDraw) -> None:
    draw.text((LEFT, 262), "Bill to", GREY, _font(20))
    address = ("The Reading Room Cafe", "Attn. Miriam Solberg", "5 Chapel Row", "Durham DH1 3EJ")
    for index, line in enumerate(address):
        draw.text((LEFT, 296 + 32 * index), line, INK, _font(24, bold=index == 0))
    for index, (key, value) in enumerate(DETAILS):
        y = 262 + 40 * index
        draw.text((690, y), f"{key}:", GREY, _font(24))
        draw.text((920, y), value, INK, _font(24))
    draw.text((LEFT, 500), "Delivered on 11 March 2024 by van. Thank you for your order.", INK, _font(22))


def _table(draw: ImageDraw, y: int) -> int:
    """Item, quantity, unit price, amount. -> where it ends."""
    columns = (LEFT + 12, 760, 930, RIGHT - 12)
    draw.rectangle((LEFT, y - 44, RIGHT, y + 2), fill=ACCENT)
    for x, title, anchor in zip(
        columns, ("Description", "Qty", "Unit price", "Amount"), ("ls", *["rs"] * 3), strict=True
    ):
        draw.text((x, y - 12), title, (255, 255, 255), _font(22, bold=True), anchor=anchor)
    for name, count, price in ITEMS:
        y += 54
        cells = (name, str(count), money(price), money(count * price))
        for x, cell, anchor in zip(columns, cells, ("ls", "rs", "rs", "rs"), strict=True):
            draw.text((x, y - 14), cell, INK, _font(24), anchor=anchor)
        draw.line((LEFT, y + 6, RIGHT, y + 6), (205, 205, 205), 1)
    return y


def _totals(draw: ImageDraw, y: int) -> None:
    whole = total()
    net = sum(count * price for _, count, price in ITEMS)
    rows = (
        ("Subtotal", money(net)),
        (f"VAT {VAT:.0%}", money(whole - net)),
        ("Total due (GBP)", money(whole)),
    )
    for index, (key, value) in enumerate(rows):
        font = _font(28 if index == 2 else 24, bold=index == 2)
        draw.text((700, y + 46 * (index + 1)), key, INK, font, anchor="ls")
        draw.text((RIGHT - 12, y + 46 * (index + 1)), value, INK, font, anchor="rs")
    draw.line((700, y + 103, RIGHT, y + 103), INK, 2)


def _foot(draw: ImageDraw) -> None:
    draw.text((LEFT, 1270), "Payment details", ACCENT, _font(24, bold=True))
    for index, (key, value) in enumerate(BANK):
        draw.text((LEFT, 1316 + 36 * index), f"{key}:", GREY, _font(22))
        draw.text((LEFT + 230, 1316 + 36 * index), value, INK, _font(22))
    draw.text(
        (LEFT, 1480), "Please pay within 30 days. Late payments bear interest of 4% a year.", INK, _font(20)
    )
    draw.line((LEFT, 1600, RIGHT, 1600), GREY, 1)
    line = "Registered in England 0459 2217   ·   VAT GB 318 4406 71   ·   accounts@harbourcoffee.example"
    draw.text((WIDTH // 2, 1630), line, GREY, _font(18), anchor="ma")


def _scanned(page: Image) -> Image:
    """Softened, with grain, in 64 greys: what a desk scanner makes of it."""
    from PIL import Image, ImageFilter

    soft = page.convert("L").filter(ImageFilter.GaussianBlur(0.6))
    grain = Image.frombytes("L", (WIDTH // 4, HEIGHT // 4), Random(7).randbytes((WIDTH // 4) * (HEIGHT // 4)))
    grain = grain.resize(page.size).point([112 + value // 8 for value in range(256)])
    mixed = Image.blend(soft, grain, 0.06)
    return mixed.point([min(round((v - 6) * 1.06) // 4 * 4, 252) if v > 6 else 0 for v in range(256)])


def letter() -> bytes:
    """A PDF written by hand: two pages of text in Helvetica, with a text layer and no pictures."""
    font = (
        "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica "
        "/Encoding /WinAnsiEncoding >> >> >>"
    )
    kids = " ".join(f"{3 + 2 * index} 0 R" for index in range(len(LETTER_PAGES)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(LETTER_PAGES)} >>",
    ]
    for index, lines in enumerate(LETTER_PAGES):
        content = _page_content(lines)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources {font} /Contents {4 + 2 * index} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    return _pdf_file(objects)


def _page_content(lines: Sequence[tuple[str, int]]) -> str:
    y, parts = 760, []
    for text, size in lines:
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        parts.append(f"BT /F1 {size} Tf 1 0 0 1 72 {y} Tm ({escaped}) Tj ET")
        y -= 2 * size
    return "\n".join(parts)


def _pdf_file(objects: Sequence[str]) -> bytes:
    """Objects 1, 2, ... with the table that says where each begins; the first is the catalogue."""
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode("ascii")
    rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    tail = f"xref\n0 {count}\n0000000000 65535 f \n{rows}trailer\n<< /Size {count} /Root 1 0 R >>\n"
    return data + f"{tail}startxref\n{len(data)}\n%%EOF\n".encode("ascii")


def _font(size: int, *, bold: bool = False) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(f"LiberationSans-{'Bold' if bold else 'Regular'}.ttf", size)


def main(invoice: Path = INVOICE, letter_path: Path = LETTER) -> None:
    """Write both files."""
    draw_invoice().save(invoice, optimize=True, dpi=(150, 150))
    letter_path.write_bytes(letter())


if __name__ == "__main__":
    main()
