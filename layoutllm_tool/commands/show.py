"""Answers as people and programs read them on a terminal: rich text, or one JSON array.

A page's text is untrusted: it reaches the terminal without control characters, and never as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.drawing import COLOURS
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.messages import plain_line
from layoutllm_tool.printable import printable

if TYPE_CHECKING:
    from rich.text import Text

PIPED = 10_000
"""Characters of a line where no terminal shows it: nothing is wrapped."""
MOST_DOUBTS = 20
"""Lines that tell what is doubtful."""


def as_json(cots: Sequence[LayoutCoT], document: Document) -> str:
    """One array, an object a question. Boxes are [x0, y0, x1, y1], 0-1000 from the page's top left corner.

    ``page_size`` is [width, height] in pixels, upright. ``original``: see ``LayoutCoT.on_original``.
    """
    return json_text([_record(cot, document) for cot in cots])


def json_text(data: Any) -> str:
    """For stdout: invisible characters are escaped, and all but ASCII where stdout can't take them."""
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    text = json.dumps(data, ensure_ascii=not unicode, indent=2)
    return "\n".join(map(printable, text.split("\n"))) + "\n"


def tell_doubts(found: Iterable[tuple[str, str]], total: int) -> None:
    """A line on stderr for each of the first few, and their number beyond that."""
    for name, why in islice(found, MOST_DOUBTS):
        sys.stderr.write(plain_line(f"layoutllm: {name}: {why or 'doubtful'}") + "\n")
    if total > MOST_DOUBTS:
        sys.stderr.write(f"layoutllm: {total - MOST_DOUBTS:,} more are doubtful\n")


def _record(cot: LayoutCoT, document: Document) -> dict[str, Any]:
    whole = cot.to_json()
    page = document.page(cot.page) if cot.page is not None else None
    names = ("question", "answer", "page", "box", "area", "confidence", "steps")
    more = {"page_size": [page.width, page.height] if page else None, "original": cot.on_original(document)}
    return {name: whole[name] for name in names} | more | {"notices": document.notices}


def show(cots: Sequence[LayoutCoT]) -> None:
    """Print question, answer, place and the three steps. Several questions are numbered as in the picture."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    for number, cot in enumerate(cots, start=1):
        if number > 1:
            console.print()
        for line in _lines(cot, number if len(cots) > 1 else None):
            console.print(line, soft_wrap=not console.is_terminal)


def _lines(cot: LayoutCoT, number: int | None) -> Iterator[Text]:
    from rich.text import Text

    label, colour = (f"{number}  ", COLOURS[(number - 1) % len(COLOURS)]) if number else ("", "cyan")
    yield Text(label + plain_line(cot.question), style=colour)
    if cot.answer is None:
        yield Text("  not in the document", style="italic yellow")
    else:
        yield Text(f"  {plain_line(cot.answer)}", style="bold")
    yield Text(f"  {_place(cot)}", style="dim")
    for index, (name, text) in enumerate(cot.steps.items(), start=1):
        title = f"    {index} {name.replace('_', ' ').capitalize()}: "
        yield Text.assemble((title, "dim"), plain_line(text))


def _place(cot: LayoutCoT) -> str:
    page = f"page {cot.page}, " if cot.page is not None else ""
    box = cot.box or cot.area
    where = f"{'box' if cot.box else 'area'} {box.as_list()}, " if box else ""
    return f"{page}{where}confidence {cot.confidence:.2f}"
