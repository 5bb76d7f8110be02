"""Hostile PDFs: small documents with features that cost a parser much or contradict themselves, then damaged.

``pdf`` takes a ``random.Random`` and gives a file; the same state gives the same file.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.fuzzing.injuries import INTEGERS, damaged, samples

_NUMBERS = (*INTEGERS, -1, -(2**31), 0.5, 1e9, 1e38, -0.001)
_FILTERS = (
    *("FlateDecode", "LZWDecode", "ASCIIHexDecode", "ASCII85Decode", "RunLengthDecode"),
    *("DCTDecode", "JPXDecode", "JBIG2Decode", "CCITTFaxDecode", "Crypt"),
)
_SPACES = (
    "/DeviceRGB",
    "/DeviceGray",
    "/DeviceN",
    "[/Indexed /DeviceRGB 255 <00>]",
    "[/ICCBased 3 0 R]",
    "/Pattern",
)
_OPERATORS = (
    *(
        "q",
        "Q",
        "W n",
        "f",
        "S",
        "BT",
        "ET",
        "T*",
        "1 0 0 1 9 9 cm",
        "(x) Tj",
        "[(a) -9e9 (b)] TJ",
        "/F1 1e9 Tf",
    ),
    *(
        "/F1 0 Tf",
        "9e9 w",
        "0 0 9e9 9e9 re f",
        "/X0 Do",
        "[0.001 0.001] 0 d 0 0 m 9e5 9e5 l S",
        "/P0 scn",
        "sh",
    ),
    *("0 0 m 1 1 2 2 3 3 c", "BI /W 9 /H 9 ID x EI", "1e38 Tc"),
)
_FORM = "/Type /XObject /Subtype /Form /BBox [0 0 612 792]"
_FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


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

    @property
    def next(self) -> int:
        return 10 + len(self.objects)

    def add(self, body: str | bytes) -> int:
        self.objects[self.next] = body.encode("latin-1") if isinstance(body, str) else body
        return self.next - 1

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
    content = "\n".join(made.content).encode("latin-1", "replace")
    resources = f"<< /Font << /F1 {_FONT} >> {' '.join(made.resources)} >>"
    bodies = {
        1: f"<< /Type /Catalog /Pages 2 0 R {' '.join(made.catalog)} >>",
        2: f"<< /Type /Pages /Kids [{' '.join(made.kids)}] /Count {made.count} >>",
        3: f"<< /Type /Page /Parent 2 0 R {' '.join(made.page)} /Contents 4 0 R /Resources {resources} >>",
    }
    objects = {number: body.encode("latin-1") for number, body in bodies.items()}
    objects[4] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
    return _with_table(objects | made.objects, made.trailer.encode(), made.r)


def _with_table(objects: dict[int, bytes], trailer: bytes, r: random.Random) -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, wrong = len(out), r.choice((0, 0, 0, 1, 17))
    if r.random() < 0.5:  # the reader has to search for the objects
        return bytes(out + b"trailer << %s >>\n%%%%EOF\n" % trailer)
    out += b"xref\n0 %d\n" % r.choice((max(places) + 1, max(places) + 1, 2**31 - 1, 0))
    out += b"".join(b"%010d 00000 n \n" % (places.get(n, 0) + wrong) for n in range(max(places) + 1))
    loop = b"/Prev %d" % start if r.random() < 0.2 else b""
    return bytes(
        out + b"trailer << %s /Size %d %s >>\nstartxref\n%d\n%%%%EOF" % (trailer, len(places), loop, start)
    )


# -- features ------------------------------------------------------------------------------------------------


def _nested_forms(made: _Pdf) -> None:
    """Each draws the next so many times; at times the last draws the first."""
    wide, deep = made.r.choice(((1, 500), (2, 5), (3, 12), (10, 14), (10, 3)))
    first = made.next
    for level in range(1, deep + 1):
        below = first + level if level < deep else made.r.choice((first, 3, 9999))
        draws = b"/X Do " * wide if level < deep else b"0 0 9 9 re f /X Do"
        made.stream(draws, f"{_FORM} /Resources << /XObject << /X {below} 0 R >> >>")
    _draw(made, first)


def _draw(made: _Pdf, number: int, times: int = 1) -> None:
    made.resources.append(f"/XObject << /X0 {number} 0 R >>")
    made.content += ["q 600 0 0 700 0 0 cm /X0 Do Q"] * times


def _page_tree(made: _Pdf) -> None:
    """Pages that are their own parents, many kids that are one page, counts that lie."""
    loops = (["2 0 R"], ["3 0 R", "2 0 R"], ["9999 0 R", "3 0 R"], ["1 0 R"])
    made.kids = made.r.choice((*loops, ["3 0 R"] * 60, ["3 0 R"] * 20_000))
    if made.r.random() < 0.3:
        made.kids = [f"{made.add('<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [3 0 R] >>')} 0 R"] * 3
    made.count = made.r.choice((len(made.kids), 1, 0, -1, 10**6, 2**31 - 1))


def _sizes(made: _Pdf) -> None:
    box = [str(made.r.choice((0, 1, 612, 14_400, *_NUMBERS))) for _ in range(4)]
    made.page[0] = f"/MediaBox [{' '.join(box)}]" if made.r.random() < 0.7 else "/MediaBox [0 0 14400 14400]"
    odd = ("/UserUnit 1e6", "/Rotate 45", "/Rotate -90", "/Rotate 1e9", "/Rotate 3 0 R")
    made.page += made.r.sample((*odd, f"/CropBox [{' '.join(reversed(box))}]"), 2)


def _many_pages(made: _Pdf) -> None:
    made.count = made.r.choice((4, 50, 2000))
    made.kids = ["3 0 R"] * made.count
    made.page[0] = f"/MediaBox [0 0 {made.r.choice((612, 14_400))} {made.r.choice((792, 14_400))}]"


def _bomb(made: _Pdf) -> None:
    """A stream that unpacks to much, once or several times over, as the page's content and as a form."""
    what = made.r.choice((b"0 0 9 9 re f ", b"(x) Tj ", b"\0", b"q ", b"<<"))
    data = what * (made.r.choice((10**5, 10**6, 60 * 10**6)) // len(what))
    number = made.packed(data, made.r.choice(("", _FORM)), made.r.choice((1, 1, 2)))
    made.page.append(f"/Contents [{f'{number} 0 R ' * made.r.choice((1, 20))}]")
    _draw(made, number)


def _object_stream(made: _Pdf) -> None:
    """Objects within a stream, and a stream for a cross-reference table, whose numbers don't fit."""
    count, first = made.r.choice((1, 1000, 10**6, -1, 2**31 - 1)), made.r.choice((9, 0, 2**31))
    numbers = b" ".join(b"%d 0" % (1000 + n) for n in range(min(max(count, 1), 50_000)))
    made.packed(numbers + b" << /A 1 >> " * 10, f"/Type /ObjStm /N {count} /First {first}")
    size, most, width = made.r.choice(INTEGERS), made.r.choice(INTEGERS), made.r.choice((2, 8, 255))
    entries = f"/Type /XRef /W [1 {width} 1] /Size {size} /Root 1 0 R /Index [0 {most}]"
    made.packed(bytes(made.r.choice((100, 10**7))), entries)


def _image(made: _Pdf) -> None:
    """Sizes, depths and colours that don't fit the data, behind one to three filters."""
    r = made.r
    filters = r.sample(_FILTERS, r.choice((1, 1, 2, 3)))
    width, height = (r.choice((1, 100, 20_000, *INTEGERS)) for _ in range(2))
    mask = r.choice(("", f"/SMask {made.next} 0 R", "/Mask [0 9]", "/ImageMask true", "/Decode [9 -9]"))
    entries = f"/Width {width} /Height {height} /BitsPerComponent {r.choice((0, 1, 3, 8, 16, 255))} {mask}"
    entries += f" /ColorSpace {r.choice(_SPACES)} /Filter [{' '.join(f'/{name}' for name in filters)}]"
    data = zlib.compress(bytes(10**6), 9) if filters[0] == "FlateDecode" else r.randbytes(r.choice((10, 500)))
    _draw(made, made.stream(data, f"/Type /XObject /Subtype /Image {entries}"), r.choice((1, 1, 40)))


def _font(made: _Pdf) -> None:
    """Maps that lie or don't end, widths without end, a Type 3 font whose glyphs draw themselves."""
    r, font = made.r, made.next + 2
    long = "<41> <41> <" + "0041" * 5000 + ">"
    rule = r.choice(("<00> <ff> <d800>", "<00> <ffffffff> <0041>", "<ff> <00> <41>", long))
    ranges = f"1 begincodespacerange <00> <ff> endcodespacerange {r.choice((1, 10**9))} beginbfrange {rule}"
    mapped = made.packed(f"begincmap {ranges} endbfrange endcmap".encode())
    own = f"/Resources << /Font << /F2 {font} 0 R >> >>"
    glyph = made.stream(b"9 0 0 0 9 9 d1 BT /F2 9 Tf (aaaa) Tj ET", own)
    drawn = f"/CharProcs << /a {glyph} 0 R >> /Encoding << /Differences [97 /a] >> {own}"
    itself = f"/Type0 /Encoding /Identity-H /DescendantFonts [{font} 0 R]"
    kind = r.choice(
        (
            f"/Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] {drawn}",
            "/TrueType /BaseFont /Arial",
            itself,
        )
    )
    odd = r.choice(
        ("/Widths [1e38 -1 0]", f"/Widths [{'500 ' * 5000}]", "/FirstChar -9 /LastChar 2147483647")
    )
    made.add(f"<< /Type /Font /Subtype {kind} /ToUnicode {mapped} 0 R {odd} >>")
    made.page.append(f"/Resources << /Font << /F2 {font} 0 R >> >>")
    text, size = r.choice(("aaaa", "\x00\x01\xff", "lots of words " * 400)), r.choice((12, 0, 1e-9, 1e9))
    made.content += [f"BT /F2 {size} Tf 72 {y} Td ({text}) Tj ET" for y in range(0, r.choice((12, 700)), 6)]


def _words(made: _Pdf) -> None:
    """Scattered words, thousands of them at times, which reading order has to sort."""
    for _ in range(made.r.choice((50, 500, 4000))):
        x, y, size = made.r.uniform(-99, 700), made.r.uniform(-99, 900), made.r.choice((1, 8, 12, 90))
        turn = made.r.choice(("1 0 0 1", "0 1 -1 0", ".7 .7 -.7 .7"))
        made.content.append(f"BT /F1 {size} Tf {turn} {x:.0f} {y:.0f} Tm (w{size}) Tj ET")


def _annotations(made: _Pdf) -> None:
    """Fields that are their own parents, looks that draw themselves, scripts."""
    script = "/OpenAction << /S /JavaScript /JS (while(1);) >>"
    made.catalog.append(f"/AcroForm << /Fields [30 0 R 10 0 R] /NeedAppearances true /XFA (x) >> {script}")
    look, me = made.stream(b"/X0 Do 0 0 9 9 re f", f"{_FORM} /BBox [0 0 1e9 0]"), made.next
    field = (
        f"/Widget /FT {made.r.choice(('/Tx', '/Btn', '/Ch', '/Sig'))} /T (a) "
        f"/V {made.r.choice(('(v)', '3 0 R'))}"
    )
    kind = made.r.choice((field, field, "/Ink /InkList [[0]]", "/Stamp"))
    where = (
        f"/Rect [0 0 {made.r.choice(_NUMBERS)} 99] /AP << /N {look} 0 R >> /Parent {me} 0 R /Kids [{me} 0 R]"
    )
    made.add(f"<< /Type /Annot /Subtype {kind} {where} /F 4 >>")
    made.page.append(f"/Annots [{f'{me} 0 R ' * made.r.choice((1, 3, 5000))}]")


def _paint(made: _Pdf) -> None:
    """Patterns that tile a page with hardly anything, shadings of costly functions."""
    r = made.r
    steps = (
        f"/XStep {r.choice((1, 0.001, 0, -1))} /YStep 0.001 "
        f"/Resources << /Pattern << /P0 {made.next} 0 R >> >>"
    )
    entries = f"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] {steps}"
    tile = made.stream(b"/P0 scn 0 0 1 1 re f", entries)
    program = b"{ " + b"dup mul " * r.choice((1, 3000)) + b"}"
    code = made.stream(program, "/FunctionType 4 /Domain [0 1 0 1] /Range [0 1]")
    where = f"/Coords [0 0 {r.choice(_NUMBERS)} 0 9 9] /Extend [true true]"
    shading = f"/ShadingType {r.randint(0, 8)} /ColorSpace /DeviceGray /Function {code} 0 R {where}"
    shade = made.add(f"<< /PatternType 2 /Shading << {shading} >> >>")
    made.resources.append(f"/Pattern << /P0 {tile} 0 R /P1 {shade} 0 R >>")
    made.content.append(f"/Pattern cs /P{r.randrange(2)} scn 0 0 612 792 re f " * r.choice((1, 20)))


def _operators(made: _Pdf) -> None:
    made.content += [made.r.choice(_OPERATORS) for _ in range(made.r.choice((5, 100, 20_000)))]


def _nesting(made: _Pdf) -> None:
    """Arrays, dictionaries or texts within one another, far deeper than any document has them."""
    deep = made.r.choice((30, 600, 20_000))
    begin, end = made.r.choice((("[", "]"), ("<< /A ", " >>"), ("(", ")")))
    made.page.append(f"/Odd {begin * deep}{end * deep}")


def _encryption(made: _Pdf) -> None:
    way = (
        f"/V {made.r.choice((1, 2, 4, 5, 9))} /R {made.r.choice((2, 3, 4, 6))} "
        f"/Length {made.r.choice(INTEGERS)}"
    )
    number = made.add(f"<< /Filter /Standard {way} /O <{'00' * 32}> /U <{'11' * 32}> /P -4 >>")
    made.trailer += f" /Encrypt {number} 0 R /ID [<00> <00>]"


_FEATURES: tuple[Callable[[_Pdf], None], ...] = (
    *(_nested_forms, _page_tree, _sizes, _many_pages, _bomb, _object_stream, _image, _image, _font, _words),
    *(_annotations, _paint, _operators, _nesting, _encryption),
)
