"""Hostile PDFs: a small document with one to three features that cost a parser much or that contradict themselves, then damaged.

``pdf`` takes a ``random.Random`` and gives a file; the same state gives the same file.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.fuzzing.injuries import INTEGERS, damaged, samples

_NUMBERS = (*INTEGERS, -1, -(2**31), 0.5, 1e9, 1e38, -0.001)
_FILTERS = ("FlateDecode", "LZWDecode", "ASCIIHexDecode", "ASCII85Decode", "RunLengthDecode", "DCTDecode", "JPXDecode", "JBIG2Decode", "CCITTFaxDecode", "Crypt")  # fmt: skip
_OPERATORS = ("q", "Q", "W n", "f", "S", "BT", "ET", "T*", "1 0 0 1 9 9 cm", "(x) Tj", "[(a) -9e9 (b)] TJ", "/F1 1e9 Tf", "/F1 0 Tf", "9e9 w",
    "[0.001 0.001] 0 d 0 0 m 9e5 9e5 l S", "0 0 m 1 1 2 2 3 3 c", "0 0 9e9 9e9 re f", "/X0 Do", "/P0 scn", "sh", "BI /W 9 /H 9 ID x EI", "1e38 Tc")  # fmt: skip


@dataclass
class _Pdf:
    """Objects from 10 on, what the page draws, and entries of page and resources."""

    r: random.Random
    objects: dict[int, bytes] = field(default_factory=dict)
    content: list[str] = field(default_factory=lambda: ["BT /F1 18 Tf 72 700 Td (Total: 12.50) Tj ET"])
    page: list[str] = field(default_factory=lambda: ["/MediaBox [0 0 612 792]"])
    resources: list[str] = field(default_factory=list)
    catalog: list[str] = field(default_factory=list)
    trailer: str = "/Root 1 0 R"
    kids: list[str] = field(default_factory=lambda: ["3 0 R"])
    count: int = 1

    def add(self, body: str | bytes) -> int:
        number = 10 + len(self.objects)
        self.objects[number] = body.encode("latin-1") if isinstance(body, str) else body
        return number

    def stream(self, data: bytes, entries: str = "") -> int:
        return self.add(f"<< /Length {len(data)} {entries} >>\nstream\n".encode() + data + b"\nendstream")

    def packed(self, data: bytes, entries: str = "", times: int = 1) -> int:
        for _ in range(times):
            data = zlib.compress(data, 9)
        return self.stream(data, f"{entries} /Filter [{'/FlateDecode ' * times}]")


def pdf(r: random.Random) -> bytes:
    """A document of the features below, or a real one, damaged."""
    known = samples((".pdf",))
    if known and r.random() < 0.25:
        return damaged(r.choice(known), r, header=2000)
    made = _Pdf(r)
    for feature in r.sample(_FEATURES, r.choice((1, 1, 2, 3))):
        feature(made)
    data = _written(made)
    return damaged(data, r, header=len(data)) if r.random() < 0.4 else data


def _written(made: _Pdf) -> bytes:
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    content = "\n".join(made.content).encode("latin-1", "replace")
    bodies = {
        1: f"<< /Type /Catalog /Pages 2 0 R {' '.join(made.catalog)} >>",
        2: f"<< /Type /Pages /Kids [{' '.join(made.kids)}] /Count {made.count} >>",
        3: f"<< /Type /Page /Parent 2 0 R {' '.join(made.page)} /Contents 4 0 R /Resources << /Font << /F1 {font} >> {' '.join(made.resources)} >> >>",
    }  # fmt: skip
    objects = {number: body.encode("latin-1") for number, body in bodies.items()}
    objects[4] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
    return _with_table(objects | made.objects, made.trailer.encode(), made.r)


def _with_table(objects: dict[int, bytes], trailer: bytes, r: random.Random) -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    if r.random() < 0.5:  # else the reader has to search for the objects
        start, wrong = len(out), r.choice((0, 0, 0, 1, 17))
        out += b"xref\n0 %d\n" % r.choice((max(places) + 1, max(places) + 1, 2**31 - 1, 0))
        out += b"".join(b"%010d 00000 n \n" % (places.get(n, 0) + wrong) for n in range(max(places) + 1))
        previous = b"/Prev %d" % start if r.random() < 0.2 else b""
        return bytes(
            out + b"trailer << %s /Size %d %s >>\nstartxref\n%d\n%%%%EOF" % (trailer, len(places), previous, start)
        )
    return bytes(out + b"trailer << %s >>\n%%%%EOF\n" % trailer)


# -- features -----------------------------------------------------------------------------------------------------------


def _nested_forms(made: _Pdf) -> None:
    """Each draws the next so many times; at times the last draws the first."""
    wide, deep = made.r.choice(((1, 500), (2, 5), (3, 12), (10, 14), (10, 3))), 0
    first = 10 + len(made.objects)
    for deep in range(wide[1]):
        below = first + deep + 1 if deep + 1 < wide[1] else made.r.choice((first, 3, 9999))
        form = f"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /X {below} 0 R >> >>"
        made.stream(b"/X Do " * wide[0] if deep + 1 < wide[1] else b"0 0 9 9 re f /X Do", form)
    made.resources.append(f"/XObject << /X0 {first} 0 R >>")
    made.content.append("/X0 Do")


def _page_tree(made: _Pdf) -> None:
    """Pages that are their own parents, many kids that are one page, deep trees, counts that lie."""
    made.kids = made.r.choice(
        (["2 0 R"], ["3 0 R", "2 0 R"], ["3 0 R"] * 60, ["3 0 R"] * 20_000, ["9999 0 R", "3 0 R"], ["1 0 R"])
    )
    if made.r.random() < 0.3:
        made.kids = [f"{made.add('<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [3 0 R] >>')} 0 R"] * 3
    made.count = made.r.choice((len(made.kids), 1, 0, -1, 10**6, 2**31 - 1))


def _sizes(made: _Pdf) -> None:
    box = [str(made.r.choice((0, 1, 612, 14_400, *_NUMBERS))) for _ in range(4)]
    made.page[0] = f"/MediaBox [{' '.join(box)}]" if made.r.random() < 0.7 else "/MediaBox [0 0 14400 14400]"
    odd = (
        f"/CropBox [{' '.join(reversed(box))}]",
        "/UserUnit 1e6",
        "/Rotate 45",
        "/Rotate -90",
        "/Rotate 1e9",
        "/Rotate 3 0 R",
    )
    made.page += made.r.sample(odd, 2)


def _many_pages(made: _Pdf) -> None:
    made.count = made.r.choice((4, 50, 2000))
    made.kids = ["3 0 R"] * made.count
    made.page[0] = f"/MediaBox [0 0 {made.r.choice((612, 14_400))} {made.r.choice((792, 14_400))}]"


def _bomb(made: _Pdf) -> None:
    """A stream that unpacks to much, once or several times over, as the page's content, a form or a map."""
    what = made.r.choice((b"0 0 9 9 re f ", b"(x) Tj ", b"\0", b"q ", b"<<"))
    data = what * (made.r.choice((10**5, 10**6, 60 * 10**6)) // len(what))
    number = made.packed(
        data, made.r.choice(("", "/Type /XObject /Subtype /Form /BBox [0 0 9 9]")), made.r.choice((1, 1, 2))
    )
    made.page.append(f"/Contents [{f'{number} 0 R ' * made.r.choice((1, 20))}]")
    made.resources.append(f"/XObject << /X0 {number} 0 R >>")


def _object_stream(made: _Pdf) -> None:
    count = made.r.choice((1, 1000, 10**6))
    numbers = b" ".join(b"%d 0" % (1000 + n) for n in range(min(count, 50_000)))
    made.packed(numbers + b" << /A 1 >> " * 10, f"/Type /ObjStm /N {made.r.choice((count, -1, 2**31 - 1))} /First {made.r.choice((len(numbers), 0, 2**31))}")  # fmt: skip
    made.packed(bytes(made.r.choice((100, 10**7))), f"/Type /XRef /W [1 {made.r.choice((2, 8, 255))} 1] /Size {made.r.choice(INTEGERS)} /Root 1 0 R /Index [0 {made.r.choice(INTEGERS)}]")  # fmt: skip


def _image(made: _Pdf) -> None:
    """Sizes, depths and colours that don't fit the data, behind one to three filters."""
    filters = made.r.sample(_FILTERS, made.r.choice((1, 1, 2, 3)))
    width, height, bits = made.r.choice((1, 100, 20_000, *INTEGERS)), made.r.choice((1, 100, 20_000, *INTEGERS)), made.r.choice((0, 1, 3, 8, 16, 255))  # fmt: skip
    space = made.r.choice(("/DeviceRGB", "/DeviceGray", "/DeviceN", "[/Indexed /DeviceRGB 255 <00>]", "[/ICCBased 3 0 R]", "/Pattern", "[/Indexed [/Indexed /DeviceRGB 9 <>] 9 <>]"))  # fmt: skip
    data = zlib.compress(bytes(10**6), 9) if filters[0] == "FlateDecode" else made.r.randbytes(made.r.choice((10, 500)))
    mask = made.r.choice(
        ("", f"/SMask {10 + len(made.objects)} 0 R", "/Mask [0 9]", "/ImageMask true", "/Decode [9 -9]")
    )
    number = made.stream(data, f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent {bits} /ColorSpace {space} /Filter [{' '.join(f'/{f}' for f in filters)}] {mask}")  # fmt: skip
    made.resources.append(f"/XObject << /X0 {number} 0 R >>")
    made.content += ["q 600 0 0 700 0 0 cm /X0 Do Q"] * made.r.choice((1, 1, 40))


def _font(made: _Pdf) -> None:
    """Maps that lie or don't end, widths without end, a Type 3 font whose glyphs draw themselves."""
    rule = made.r.choice(
        ("<00> <ff> <d800>", "<00> <ffffffff> <0041>", "<41> <41> <" + "0041" * 5000 + ">", "<ff> <00> <41>")
    )
    mapped = made.packed(f"begincmap 1 begincodespacerange <00> <ff> endcodespacerange {made.r.choice((1, 10**9))} beginbfrange {rule} endbfrange endcmap".encode())  # fmt: skip
    me = 10 + len(made.objects)
    glyph = made.stream(b"9 0 0 0 9 9 d1 BT /F2 9 Tf (aaaa) Tj ET", f"/Resources << /Font << /F2 {me + 1} 0 R >> >>")
    odd = made.r.choice(("/Widths [1e38 -1 0]", f"/Widths [{'500 ' * 5000}]", "/FirstChar -9 /LastChar 2147483647", "/Encoding << /Differences [0 /a 2147483647 /b] >>"))  # fmt: skip
    kind = made.r.choice((f"/Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /CharProcs << /a {glyph} 0 R >> /Encoding << /Differences [97 /a] >> /Resources << /Font << /F2 {me + 1} 0 R >> >>", "/TrueType /BaseFont /Arial", f"/Type0 /Encoding /Identity-H /DescendantFonts [{me + 1} 0 R]"))  # fmt: skip
    number = made.add(f"<< /Type /Font /Subtype {kind} /ToUnicode {mapped} 0 R {odd} >>")
    made.page.append(f"/Resources << /Font << /F2 {number} 0 R >> >>")
    text = made.r.choice(("aaaa", "\x00\x01\xff", "lots of words " * 400))
    made.content += [f"BT /F2 {made.r.choice((12, 0, 1e-9, 1e9))} Tf 72 {y} Td ({text}) Tj ET" for y in range(0, made.r.choice((12, 700)), 6)]  # fmt: skip


def _words(made: _Pdf) -> None:
    """Scattered words, thousands of them at times, which reading order has to sort."""
    for _ in range(made.r.choice((50, 500, 4000))):
        x, y, size = made.r.uniform(-99, 700), made.r.uniform(-99, 900), made.r.choice((1, 8, 12, 90))
        made.content.append(f"BT /F1 {size} Tf {made.r.choice(('1 0 0 1', '0 1 -1 0', '.7 .7 -.7 .7'))} {x:.0f} {y:.0f} Tm (w{size}) Tj ET")  # fmt: skip


def _annotations(made: _Pdf) -> None:
    made.catalog.append("/AcroForm << /Fields [30 0 R 10 0 R] /NeedAppearances true /XFA (x) >> /OpenAction << /S /JavaScript /JS (while(1);) >>")  # fmt: skip
    look = made.stream(b"/X0 Do 0 0 9 9 re f", "/Type /XObject /Subtype /Form /BBox [0 0 1e9 0]")
    field = f"/Subtype /Widget /FT {made.r.choice(('/Tx', '/Btn', '/Ch', '/Sig'))} /T (a) /V {made.r.choice(('(v)', '3 0 R', '[(a)]'))}"
    number = made.add(f"<< /Type /Annot {made.r.choice((field, '/Subtype /Ink /InkList [[0]]', '/Subtype /Stamp'))} /Rect [0 0 {made.r.choice(_NUMBERS)} 99] /AP << /N {look} 0 R >> /Parent {10 + len(made.objects)} 0 R /Kids [{10 + len(made.objects)} 0 R] /F 4 >>")  # fmt: skip
    made.page.append(f"/Annots [{f'{number} 0 R ' * made.r.choice((1, 3, 5000))}]")


def _paint(made: _Pdf) -> None:
    """Patterns that tile a page with hardly anything, shadings of functions that are costly or their own parts."""
    tile = made.stream(b"/P0 scn 0 0 1 1 re f", f"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep {made.r.choice((1, 0.001, 0, -1))} /YStep 0.001 /Resources << /Pattern << /P0 {10 + len(made.objects)} 0 R >> >>")  # fmt: skip
    code = made.stream(
        b"{ " + b"dup mul " * made.r.choice((1, 3000)) + b"}", "/FunctionType 4 /Domain [0 1 0 1] /Range [0 1]"
    )
    shade = made.add(f"<< /PatternType 2 /Shading << /ShadingType {made.r.randint(0, 8)} /ColorSpace /DeviceGray /Function {code} 0 R /Coords [0 0 {made.r.choice(_NUMBERS)} 0 9 9] /Extend [true true] >> >>")  # fmt: skip
    made.resources.append(f"/Pattern << /P0 {tile} 0 R /P1 {shade} 0 R >>")
    made.content.append(f"/Pattern cs /P{made.r.randrange(2)} scn 0 0 612 792 re f " * made.r.choice((1, 20)))


def _operators(made: _Pdf) -> None:
    made.content += [made.r.choice(_OPERATORS) for _ in range(made.r.choice((5, 100, 20_000)))]


def _nesting(made: _Pdf) -> None:
    """Arrays and dictionaries within one another, far deeper than any document has them."""
    deep = made.r.choice((30, 600, 20_000))
    made.page.append(
        "/Odd "
        + made.r.choice(("[" * deep + "]" * deep, "<< /A " * deep + "1" + " >>" * deep, "(" * deep + ")" * deep))
    )


def _encryption(made: _Pdf) -> None:
    number = made.add(f"<< /Filter /Standard /V {made.r.choice((1, 2, 4, 5, 9))} /R {made.r.choice((2, 3, 4, 6))} /Length {made.r.choice(INTEGERS)} /O <{'00' * 32}> /U <{'11' * 32}> /P -4 >>")  # fmt: skip
    made.trailer += f" /Encrypt {number} 0 R /ID [<00> <00>]"


_FEATURES: tuple[Callable[[_Pdf], None], ...] = (
    _nested_forms, _page_tree, _sizes, _many_pages, _bomb, _object_stream, _image, _image, _font, _words, _annotations, _paint,
    _operators, _nesting, _encryption,
)  # fmt: skip
