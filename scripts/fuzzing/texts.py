"""Hostile texts: JSON bodies, lists of a batch, names of files, tasks and plans; valid ones with odd values
put in.

Each maker takes a ``random.Random`` and gives the door it is for and the bytes; the same state gives the
same.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from scripts.fuzzing import pictures
from scripts.fuzzing.injuries import damaged

DOCUMENT = "<document>"
"""Stands for the id of a document that the service has."""
_MOST_SCALED = 3_000_000
"""Bytes of a part that was repeated."""
_BOX = [100, 100, 300, 120]
_COT = {
    "question": "What is the total?",
    "analysis": {"kind": "key-value", "operation": "extraction", "key": "Total"},
    "areas": [{"page": 1, "box": _BOX, "lines": [0]}], "formation": {"relation": "right of", "key": "Total"},
    "answer": "12.50", "confidence": 0.5,
    "evidence": [{"page": 1, "box": _BOX, "text": "12.50", "words": [[0, 1]]}], "signals": {"margin": 0.5},
}  # fmt: skip
_CORRECTIONS = (
    {"step": "area", "page": 1, "boxes": [_BOX], "avoid": [_BOX], "spatial": "bottom left"},
    {"step": "analysis", "text": "Total", "kind": "table"},
    {"step": "answer", "expected_type": "money", "wrong": ["12.50"]},
)  # fmt: skip
_LINE = [{"text": "Total", "box": _BOX, "confidence": 1.0}, {"text": "12.50", "box": [310, 100, 400, 120]}]


def odd(r: random.Random) -> Any:
    """A value that few expect where another stood."""
    plain = (
        None,
        True,
        False,
        0,
        -1,
        0.5,
        -0.0,
        1e308,
        float("nan"),
        float("inf"),
        10**23,
        -(10**400),
        2**63,
    )
    short = (
        "",
        " ",
        "\0",
        "\ud800",
        "a\udfffb",
        "\u202etxt",
        "\x9b31m",
        "{total}",
        "{{",
        "\u0130",
        "\u0661\u0662",
    )
    long = ("x" * r.choice((300, 5000, 100_000)), " " * 9000, "1" * 5000, "ab, " * 2000, "../../etc/passwd")
    lists = ([], [[]], [0] * r.choice((3, 5000)), [list(_BOX) for _ in range(300)], nested(r))
    keys = ({}, {"": None}, {"$ref": "#"}, {"a" * 9000: 1}, {str(n): n for n in range(3000)})
    return r.choice((*plain, *short, *long, *lists, *keys))


def nested(r: random.Random) -> Any:
    value: Any = 1
    for _ in range(r.choice((5, 50, 150))):
        value = [value] if r.random() < 0.5 else {"a": value}
    return value


def changed(value: Any, r: random.Random, *, times: int | None = None) -> Any:
    """A copy with none to three of its parts replaced, left out, doubled or joined by others."""
    value = json.loads(json.dumps(value))  # no two parts of it are one object
    for _ in range(r.choice((0, 0, 1, 1, 2, 3)) if times is None else times):
        places = list(_places(value))
        if not places:
            return odd(r)
        holder, key = r.choice(places)
        r.choice(_CHANGES)(holder, key, r)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        yield value, key
        yield from _places(value[key])


def _replace(holder: Any, key: Any, r: random.Random) -> None:
    holder[key] = odd(r)


def _scale(holder: Any, key: Any, r: random.Random) -> None:
    """Another value of the same kind."""
    old = holder[key]
    number = isinstance(old, int | float) and not isinstance(old, bool)
    if number:
        holder[key] = r.choice((0, 1, 2, 50, 999.9, 1000, 1001, 10**6, -1))
    elif isinstance(old, str | list) and len(text := json.dumps(old)) < _MOST_SCALED:
        holder[key] = json.loads(json.dumps(old * min(r.choice((2, 60)), _MOST_SCALED // len(text))))


def _remove(holder: Any, key: Any, r: random.Random) -> None:
    del holder[key]


def _join(holder: Any, key: Any, r: random.Random) -> None:
    if isinstance(holder, dict):
        holder[r.choice(("extra", "", "page", "__class__", "\ud83d"))] = odd(r)
    else:
        holder.insert(0, odd(r))


_CHANGES: tuple[Callable[[Any, Any, random.Random], None], ...] = (
    _replace,
    _replace,
    _scale,
    _scale,
    _remove,
    _join,
)


def _raw(value: Any, r: random.Random) -> bytes:
    """As JSON; at times with what no encoder writes."""
    text = json.dumps(value).encode()
    chance = r.random()
    if chance < 0.06:
        hole = (
            b"[" * r.choice((500, 100_000)),
            b'{"a":' * 50_000,
            b"1" * r.choice((5000, 10**6)),
            b"1e999999",
            b'"\\ud800"',
            b"\xff",
        )
        return text.replace(b"1", r.choice(hole), 1)
    if chance < 0.09:
        return b"{" + b",".join(b'"%d":0' % n for n in range(r.choice((10, 200_000)))) + b"," + text[1:]
    return damaged(text, r, header=len(text)) if chance < 0.15 else text


# -- JSON ----------------------------------------------------------------------------------------------------


def body(r: random.Random) -> tuple[str, bytes]:
    """A request of the service or the review page, or the arguments of the tool."""
    door, make = r.choice((("ask", _ask), ("pages", _pages), ("review", _review), ("tool", _tool)))
    return door, _raw(changed(make(r), r), r)


def _ask(r: random.Random) -> Any:
    asked: dict[str, Any] = {"question": r.choice(("What is the total?", "Who is the vendor?")), "page": 1}
    asked |= (
        {"document": DOCUMENT}
        if r.random() < 0.7
        else {"data": base64.b64encode(pictures.drawn("PNG", r)).decode()}
    )
    if r.random() < 0.5:
        asked["correction"] = r.choice(_CORRECTIONS)
    return asked | ({"previous": _COT} if r.random() < 0.5 else {})


def _pages(r: random.Random) -> Any:
    lines = [_LINE] * r.choice((1, 2, 20, 20, 1500))
    page = {
        "number": 1,
        "width": 800,
        "height": 1000,
        "text_source": "ocr",
        "notices": ["turned"],
        "lines": lines,
    }
    if r.random() < 0.3:
        page["image"] = base64.b64encode(pictures.png(r)).decode()
    return {"pages": [page | {"number": n} for n in range(1, r.choice((2, 2, 3, 12)))]}


def _review(r: random.Random) -> Any:
    return r.choice(
        (
            {"accept": True},
            {"answer": "12.50"},
            {"absent": True},
            *({"correction": one} for one in _CORRECTIONS),
        )
    )


def _tool(r: random.Random) -> Any:
    return {
        "document": "letter.pdf",
        "question": "What is the total?",
        "page": 1,
        "correction": r.choice(_CORRECTIONS),
    }


# -- lists and names -----------------------------------------------------------------------------------------

_NAMES = (
    "good.pdf", "good.png", "broken.pdf", "absent.pdf", "..", ".", "/", "/etc/passwd", "../../../etc/passwd",
    "/dev/zero", "/proc/self/mem", "", " ", "\0", "a\nb.pdf", "\x1b[31mred.pdf", "\ud800.pdf", "\udcff.pdf",
    "é" * 300, "x" * 5000, "a/" * 3000, "memory://none/a.pdf", "memory://", "file:///etc/passwd",
    "webhdfs://127.0.0.1:1/a.pdf", "hdfs://127.0.0.1:1/a", "https://127.0.0.1/a.pdf", "https://[::1]/a",
    "https://[", "http://127.0.0.1:1/a", "zip://a::memory://b", "s3://", "s3://bucket/a.pdf",
    "abfs://x@127.0.0.1/a", "github://a:b@/c", "data:image/png;base64,AAAA", "nope://x", "://", "C:\\a.pdf",
    "~root/a", "fifo.pdf", "good.pdf/x",
)  # fmt: skip
_PAGES = (
    None,
    None,
    1,
    1,
    2,
    0,
    -1,
    "1",
    " 2 ",
    "x",
    1.5,
    True,
    10**23,
    "9" * 5000,
    "\u00b2",
    "\u0661",
    [],
    {},
)


GOOD_ROWS = {"jsonl": b'{"document": "good.pdf", "page": 1}\n', "csv": b"document,page\ngood.pdf,1\n"}


def listing(r: random.Random) -> tuple[str, bytes]:
    """A JSONL or CSV list of good and odd rows, or the names of a folder's files, NUL between them."""
    door = r.choice(("jsonl", "jsonl", "csv", "folder"))
    rows = [{"document": r.choice(_NAMES), "page": r.choice(_PAGES)} for _ in range(r.randint(1, 5))]
    if door == "folder":
        names = (row["document"].encode("utf-8", "surrogatepass").replace(b"/", b"_")[:240] for row in rows)
        return door, b"\0".join(
            r.choice((b"%s.pdf", b"%s.pdf", b"\xff%s.png", b"%s\x80.tif")) % name for name in names
        )
    if door == "csv":
        lines = [
            f"{_quoted(row['document'], r)},{row['page'] or ''}".encode("utf-8", "surrogatepass")
            for row in rows
        ]
    else:
        lines = [_raw(changed(row, r, times=r.choice((0, 0, 1))), r) for row in rows]
    data = GOOD_ROWS[door] + b"\n".join(lines)
    return door, damaged(data, r, header=len(data)) if r.random() < 0.1 else data


def _quoted(name: str, r: random.Random) -> str:
    return r.choice((name, '"' + name.replace('"', '""') + '"', '"' + name))


# -- tasks ---------------------------------------------------------------------------------------------------

_WORDS = (
    "total", "vendor", "date", "invoice number", "on page 2", "and", ",", ";", "the sum of", "must equal",
    "all", "items", '"PO No."', "?", "What is the", "if any", "(optional)", "a@b.c", "12.50", "\n- ", "\n1. ",
    ":", "Extract", "between", "each", "{vendor}", "\u2018x\u2019", "\u201c", '"', "'", "…", "\u202e",
    "page 99999999999",
)  # fmt: skip
_SCHEMA = {
    "type": "object",
    "required": ["total"],
    "$defs": {
        "Party": {"type": "object", "properties": {"name": {"type": "string", "description": "Who it is"}}}
    },
    "properties": {
        "total": {"type": "number", "title": "Total due"},
        "date": {"type": ["string", "null"], "format": "date"},
        "seller": {"$ref": "#/$defs/Party"},
        "paid": {"enum": ["yes", "no"]},
        "items": {"type": "array", "items": {"type": "object", "properties": {"amount": {"type": "number"}}}},
    },
}
_PLAN = {
    "questions": [
        {"name": "total", "text": "What is the total?", "type": "money", "page": 1},
        {"name": "net", "text": "What is the net sum?", "required": False},
        {"name": "who", "text": "Who wrote {total}?", "choices": ["A", "B"]},
        {"name": "items", "text": "All amounts?", "is_list": True},
    ],
    "constraints": [
        {"kind": "sum", "terms": ["items"], "total": "total"},
        {"kind": "ordered", "terms": ["net", "total"]},
    ],
}


def task(r: random.Random) -> tuple[str, bytes]:
    """A task in words, fields, a JSON Schema, a plan, or a plan that a chat model proposes; as JSON."""
    door, make = r.choice(
        (("words", _sentence), ("fields", _fields), ("schema", _schema), ("plan", _plan), ("model", _plan))
    )
    return door, json.dumps(make(r)).encode()


def _sentence(r: random.Random) -> str:
    parts = [r.choice(_WORDS) for _ in range(r.choice((1, 4, 10, 300)))]
    if r.random() < 0.25:
        unit = r.choice((" ", "\t", "a ", ", ", "and ", "(", '"', "- ", "1.", "page ", "\u00a0", "\n"))
        parts.insert(r.randrange(len(parts)), unit * r.choice((50, 900, 9500)))
    return r.choice((" ", " ", "")).join(parts)[: r.choice((9_900, 9_900, 20_000))]


def _fields(r: random.Random) -> Any:
    return changed(
        [
            _sentence(r)[:200] if r.random() < 0.5 else r.choice(_WORDS)
            for _ in range(r.choice((1, 3, 30, 250)))
        ],
        r,
    )


def _schema(r: random.Random) -> Any:
    schema = changed(_SCHEMA, r)
    for _ in range(r.choice((0, 0, 3, 13, 200))):
        schema = {
            "type": "object",
            "properties": {
                "a": schema,
                "b": {"$ref": r.choice(("#", "#/properties/a", "#/$defs/Party", "#/x~1y"))},
            },
        }
    return schema


def _plan(r: random.Random) -> Any:
    plan = changed(_PLAN, r)
    if r.random() < 0.2 and isinstance(plan, dict):
        count = r.choice((20, 150, 250))
        plan["questions"] = [
            {"name": f"q{n}", "text": f"What is {{q{r.randrange(count)}}}?"} for n in range(count)
        ]
    return plan
