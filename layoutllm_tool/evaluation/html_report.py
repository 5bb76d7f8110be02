"""The error report: one HTML file that loads nothing, every question with its page, worst errors first.

All text from documents, data sets and the model is escaped, pictures are data URLs, and the file's own policy
forbids scripts and requests. Pages are shrunk: large print can be read, small print can't.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.evaluation.results import ScoredAnswer, Summary

SIDE = 1000
"""Pixels of a picture's longer side."""
_QUALITY = 60
_FRAME = Path(__file__).with_suffix(".html")


class Pictures:
    """Shrunk pictures of the pages seen, as JPEG: some 50 kB a page, kept while a set is asked."""

    def __init__(self, side: int = SIDE) -> None:
        self.side = side
        self._styles: dict[tuple[str, int], str] = {}

    def keep(self, name: str, document: Document) -> None:
        """Keep the pictures of a document under its questions' name of it."""
        for page in document.pages:
            if page.image is not None:
                image = page.image.convert("RGB")
                image.thumbnail((self.side, self.side))
                out = io.BytesIO()
                image.save(out, "JPEG", quality=_QUALITY)
                data = base64.b64encode(out.getvalue()).decode("ascii")
                url, shape = f"data:image/jpeg;base64,{data}", f"{image.width}/{image.height}"
                self._styles[name, page.number] = f"background-image:url({url});aspect-ratio:{shape}"

    def style(self, name: str, page: int) -> str:
        """CSS that shows the picture; "" where the page had none."""
        return self._styles.get((name, page), "")


def write_report(
    answers: Sequence[ScoredAnswer], path: Path, pictures: Pictures, *, title: str, limit: int = 200
) -> Path:
    """Write to ``path``, an .html file or a folder (-> ``report.html`` in it); gives the file's path."""
    file = path if path.suffix.lower() in (".html", ".htm") else path / "report.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(html(answers, pictures, title=title, limit=limit), encoding="utf-8")
    return file


def worst_first(answers: Sequence[ScoredAnswer]) -> list[ScoredAnswer]:
    """Wrong ones by falling confidence, then right ones by rising confidence."""
    return sorted(answers, key=lambda one: (one.right, one.confidence if one.right else -one.confidence))


def html(answers: Sequence[ScoredAnswer], pictures: Pictures, *, title: str, limit: int = 200) -> str:
    """``limit`` questions, each picture once however many of them stand on it."""
    shown = worst_first(answers)[: max(limit, 0)]
    places = {(one.document, one.page or 1): f"p{number}" for number, one in enumerate(shown)}
    styles = [f".{name}{{{pictures.style(*place)}}}" for place, name in places.items()]
    sections = [_section(n, one, places[one.document, one.page or 1]) for n, one in enumerate(shown, start=1)]
    frame = _FRAME.read_text(encoding="utf-8").split("@HERE@")
    before, middle, after = (part.replace("@TITLE@", escape(title)) for part in frame)
    body = "\n".join([f"<p>{escape(_head(answers, len(shown)))}</p>", *sections])
    return "".join([before, *styles, middle, body, after])


def _head(answers: Sequence[ScoredAnswer], shown: int) -> str:
    if not answers:
        return "Nothing was asked."
    found = Summary.of(answers)
    return (
        f"{found.questions} questions, {shown} of them here: wrong ones first, the most confident at the top."
        f" ANLS {found.anls:.3f}, right {found.right:.1%}, calibration error {found.ece:.3f}."
    )


def _section(number: int, one: ScoredAnswer, picture: str) -> str:
    facts = {escape(name): escape(text) for name, text in _facts(one).items() if text}
    cells = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in facts.items())
    verdict = "error" if one.failed else "right" if one.right else "wrong"
    colour = "right" if verdict == "right" else "wrong"
    head = f'<h2>{number}. <span class="{colour}">{verdict}</span> {escape(one.question)}</h2>'
    page = f'<div class="page {picture}">{_overlay(one)}</div>'
    return f"<section>{page}<div>{head}<table>{cells}</table></div></section>"


def _facts(one: ScoredAnswer) -> dict[str, str]:
    nothing = "(none: an error)" if one.failed else "(not in the document)"
    iou = "unknown" if one.iou is None else f"{one.iou:.2f}"
    hit = "unknown" if one.area_hit is None else "yes" if one.area_hit else "no"
    return {
        "answer": nothing if one.answer is None else one.answer,
        "gold": " | ".join(one.gold) if one.gold else "(not in the document)",
        "confidence": f"{one.confidence:.2f}",
        "score": f"ANLS {one.anls:.2f}" + ("" if one.rouge is None else f", ROUGE-L {one.rouge:.2f}"),
        "place": f"area holds the gold: {hit}; IoU of the boxes: {iou}",
        **{name.replace("_", " "): text for name, text in one.steps.items()},
        "untuned": one.baseline or "",
        "document": f"{one.document}, page {one.page or 1}, field {one.field}",
    }


def _overlay(one: ScoredAnswer) -> str:
    """The three boxes over the picture, whose axes both run to 1000."""
    drawn = "".join(
        f'<rect class="{name}" x="{int(x0)}" y="{int(y0)}" width="{int(x1 - x0)}" height="{int(y1 - y0)}"/>'
        for name, place in (("area", one.area), ("gold", one.gold_box), ("answer", one.box))
        for x0, y0, x1, y1 in ([place] if place else [])
    )
    return f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none">{drawn}</svg>'
