"""The error report: one HTML file, nothing loaded from elsewhere, every question with its page, worst errors first.

Everything that comes from documents, data sets and the model is escaped, the pictures are data URLs, and the file's own
policy forbids scripts and requests. Pages are shown as read, shrunk; what stands on them can be read, small print can't.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.rows import Row, Summary

SIDE = 1000
"""Pixels of a picture's longer side."""
_QUALITY = 60
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1200px;padding:0 1em;color:#222}
section{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:1.5em;border-top:1px solid #ccc;padding:1.2em 0}
h1{font-size:1.5em} h2{font-size:1.05em;margin:0 0 .6em} th{text-align:left;vertical-align:top;padding-right:1em;color:#666;font-weight:normal}
td{overflow-wrap:anywhere;white-space:pre-wrap} .wrong{color:#b3261e} .right{color:#1b6e2f}
.page{position:relative;background-size:100% 100%;border:1px solid #ddd;align-self:start} svg{position:absolute;inset:0;width:100%;height:100%}
rect{fill:none;stroke-width:2;vector-effect:non-scaling-stroke} .area{stroke:#1f77b4} .gold{stroke:#2ca02c;stroke-dasharray:6 3} .answer{stroke:#d62728}
.key span{margin-right:1.5em} .key .area{color:#1f77b4} .key .gold{color:#2ca02c} .key .answer{color:#d62728}
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Pictures:
    """Shrunk pictures of the pages seen, as JPEG: kept while a set is asked, some 50 kB a page."""

    def __init__(self, side: int = SIDE) -> None:
        self.side = side
        self._found: dict[tuple[str, int], tuple[bytes, int, int]] = {}

    def keep(self, name: str, document: Document) -> None:
        """The pictures of a document under the name that its questions have."""
        for page in document.pages:
            if page.image is not None:
                image = page.image.convert("RGB")
                image.thumbnail((self.side, self.side))
                out = io.BytesIO()
                image.save(out, "JPEG", quality=_QUALITY)
                self._found[name, page.number] = (out.getvalue(), image.width, image.height)

    def get(self, name: str, page: int) -> tuple[bytes, int, int] | None:
        """(JPEG, width, height); None where the page had no picture."""
        return self._found.get((name, page))


def write_pages(rows: Sequence[Row], path: Path, pictures: Pictures, *, title: str, limit: int = 200) -> Path:
    """Writes the report to ``path``, a file ending in .html or a folder (-> ``report.html`` in it); gives the file's path."""
    file = path if path.suffix.lower() in (".html", ".htm") else path / "report.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page_report(rows, pictures, title=title, limit=limit), encoding="utf-8")
    return file


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """Wrong ones by falling confidence, then right ones by rising confidence."""
    return sorted(rows, key=lambda row: (row.right, row.confidence if row.right else -row.confidence))


def page_report(rows: Sequence[Row], pictures: Pictures, *, title: str, limit: int = 200) -> str:
    """The HTML. ``limit`` questions are shown, each picture once however many of them stand on it."""
    shown = worst_first(rows)[: max(limit, 0)]
    places = {(row.document, row.page or 1): f"p{number}" for number, row in enumerate(shown)}
    styles = [_picture_style(name, found) for place, name in places.items() if (found := pictures.get(*place))]
    sections = [_section(number, row, places[row.document, row.page or 1]) for number, row in enumerate(shown, start=1)]
    return "\n".join(
        (
            "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">', f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}{''.join(styles)}</style>", "</head>", "<body>", f"<h1>{escape(title)}</h1>",
            *_head(rows, len(shown)), *sections, "</body>", "</html>", "",
        )
    )  # fmt: skip


def _head(rows: Sequence[Row], shown: int) -> list[str]:
    if not rows:
        return ["<p>Nothing was asked.</p>"]
    found = Summary.of(rows)
    said = (
        f"{found.questions} questions, {shown} of them here: wrong ones first, the most confident at the top. ANLS "
        f"{found.anls:.3f}, right {found.right:.1%}, calibration error {found.ece:.3f}."
    )
    key = '<span class="area">&#9645; area</span><span class="gold">&#9645; gold</span><span class="answer">&#9645; answer</span>'
    return [f"<p>{escape(said)}</p>", f'<p class="key">{key}</p>']


def _picture_style(name: str, found: tuple[bytes, int, int]) -> str:
    data, width, height = found
    text = base64.b64encode(data).decode("ascii")
    return f".{name}{{background-image:url(data:image/jpeg;base64,{text});aspect-ratio:{width}/{height}}}"


def _section(number: int, row: Row, picture: str) -> str:
    verdict = "error" if row.failed else "right" if row.right else "wrong"
    answer = "(none: an error)" if row.failed else "(not in the document)" if row.answer is None else row.answer
    facts = {
        "answer": answer,
        "gold": " | ".join(row.gold) if row.gold else "(not in the document)",
        "confidence": f"{row.confidence:.2f}",
        "score": f"ANLS {row.anls:.2f}" + ("" if row.rouge is None else f", ROUGE-L {row.rouge:.2f}"),
        "place": _place(row),
        **{name.replace("_", " "): text for name, text in row.steps.items()},
        **({} if row.baseline is None else {"untuned": row.baseline}),
        "document": f"{row.document}, page {row.page or 1}, field {row.field}",
    }
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items())
    colour = "right" if verdict == "right" else "wrong"
    head = f'<h2>{number}. <span class="{colour}">{verdict}</span> {escape(row.question)}</h2>'
    return (
        f'<section><div class="page {picture}">{_overlay(row)}</div><div>{head}<table>{cells}</table></div></section>'
    )


def _place(row: Row) -> str:
    iou = "unknown" if row.iou is None else f"{row.iou:.2f}"
    hit = "unknown" if row.area_hit is None else "yes" if row.area_hit else "no"
    return f"area holds the gold: {hit}; IoU of the boxes: {iou}"


def _overlay(row: Row) -> str:
    """The three boxes over the picture, whose axes both run to 1000."""
    drawn = "".join(
        f'<rect class="{name}" x="{int(box[0])}" y="{int(box[1])}" width="{int(box[2] - box[0])}" height="{int(box[3] - box[1])}"/>'
        for name, box in (("area", row.area), ("gold", row.gold_box), ("answer", row.box))
        if box
    )
    return f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none">{drawn}</svg>'
