"""A batch as one HTML file to send to somebody: the review page with its data and pictures inside, read-only, bounded in size."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

from layoutllm_tool.batch.store import Field, Store
from layoutllm_tool.errors import LayoutLLMError

STATIC = Path(__file__).parent / "static"
MOST_BYTES = 40_000_000
"""Of pictures; documents beyond it keep their answers and lose their pictures, and the page says so."""


def export(folder: Path, place: Path, *, most: int = MOST_BYTES) -> int:
    """Writes the file; the number of pages whose picture is missing (over the bound, or the document can't be opened)."""
    from layoutllm_tool.web.pages import Pages

    data: dict[str, Any] = {"fields": [], "pictures": {}, "missing": 0}
    left = most
    with Store.open(folder) as store:
        pages, seen = Pages(store), set()
        for source in store.inputs():
            if source.key in seen:
                continue
            seen.add(source.key)
            fields = store.fields(source.key)
            data["fields"] += [_whole(field, source.name) for field in fields]
            for number in sorted({field.answer["page"] for field in fields if field.answer["page"]} or {1}):
                try:
                    picture = pages.picture(source.key, number, 1100) if left > 0 else b""
                except LayoutLLMError:
                    picture = b""
                if picture and len(picture) <= left:
                    left -= len(picture)
                    url = f"data:image/webp;base64,{base64.b64encode(picture).decode()}"
                    data["pictures"][f"{source.key}/{number}"] = url
                else:
                    data["missing"] += 1
    try:
        place.write_text(_page(data), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise LayoutLLMError(f"{place} can't be written: {error.strerror}.", hint="Is its folder there?") from error
    return int(data["missing"])


def _whole(field: Field, document: str) -> dict[str, Any]:
    return {**field.answer, "key": field.key, "document": document.rsplit("/", 1)[-1], "waiting": field.waiting}


def _page(data: dict[str, Any]) -> str:
    """The page's own parts, inlined. In JSON, < is written as an escape: no text in it can end the script."""
    told = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    style, script = ((STATIC / name).read_text(encoding="utf-8") for name in ("style.css", "app.js"))
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    head, body = page.split('<link rel="stylesheet" href="static/style.css">')
    body = body.replace('<script type="module" src="static/app.js"></script>', "")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
    inside = f'<script type="application/json" id="data">{told}</script><script type="module">{script}</script>'
    return f"{head}{meta}<style>{style}</style>{body.replace('</body>', inside + '</body>')}"
