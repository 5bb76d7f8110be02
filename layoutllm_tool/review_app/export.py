"""Write a batch as one HTML file: the review page with its data and pictures, read-only, bounded in size."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layoutllm_tool.batch.sources import ANYWHERE, Places
from layoutllm_tool.batch.store import Field, Input, Store
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.protocols import Reader
from layoutllm_tool.review_app.pages import Pages

STATIC = Path(__file__).parent / "static"
MOST_BYTES = 40_000_000
"""Of pictures; documents beyond it keep their answers and lose their pictures, and the page says so."""


def export(
    folder: Path,
    place: Path,
    reader: Callable[[], Reader] | None = None,
    *,
    most: int = MOST_BYTES,
    places: Places = ANYWHERE,
) -> list[str]:
    """Write the file. Returns a line for each page without a picture: over the bound, or it can't be opened.

    ``reader()`` turns pages that were scanned the wrong way round; without it they have no picture.
    Only documents in ``places`` are opened, whatever the store says.
    """
    data: dict[str, Any] = {"fields": [], "pictures": {}}
    left, missing = most, []
    with Store.open(folder) as store:
        pages, seen = Pages(store, reader, places=places), set()
        for source in store.inputs():
            if source.key in seen:
                continue
            seen.add(source.key)
            fields = store.fields(source.key)
            data["fields"] += [_whole(field, source) for field in fields]
            for number in sorted({field.answer["page"] or source.page or 1 for field in fields}):
                try:
                    picture = _picture(pages, source.key, number, left)
                except LayoutLLMError as error:
                    missing.append(f"page {number} of {source.name}: {error}")
                    continue
                left -= len(picture)
                url = f"data:image/webp;base64,{base64.b64encode(picture).decode()}"
                data["pictures"][f"{source.key}/{number}"] = url
    data["missing"] = len(missing)
    try:
        place.write_text(_page(data), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise LayoutLLMError(
            f"{place} can't be written: {error.strerror}.", hint="Is its folder there?"
        ) from error
    return missing


def _picture(pages: Pages, key: str, number: int, left: int) -> bytes:
    picture = pages.picture(key, number, 1100) if left > 0 else b""
    if not picture or len(picture) > left:
        raise LayoutLLMError("the file would become too large.")
    return picture


def _whole(field: Field, source: Input) -> dict[str, Any]:
    name = source.name.rsplit("/", 1)[-1]
    return field.answer | {
        "key": field.key,
        "document": name,
        "waiting": field.pending_review,
        "asked": source.page,
    }


def _page(data: dict[str, Any]) -> str:
    """The page's own parts, inlined. In JSON, < is written as an escape: no text in it can end the script."""
    shown = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    style, script = ((STATIC / name).read_text(encoding="utf-8") for name in ("style.css", "app.js"))
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    head, body = page.split('<link rel="stylesheet" href="static/style.css">')
    body = body.replace('<script type="module" src="static/app.js"></script>', "")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
    inside = f'<script type="application/json" id="data">{shown}</script>'
    inside += f'<script type="module">{script}</script>'
    return f"{head}{meta}<style>{style}</style>{body.replace('</body>', inside + '</body>')}"
