"""Show a run as it happens, on stderr: a row for each question. Read a person's replies in the terminal.

Text from pages reaches the terminal without control characters, and never as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from layoutllm_tool.messages import plain_line

VERDICTS = {
    "satisfied": "green",
    "needs_revision": "yellow",
    "failed": "red",
    "max_iterations_reached": "red",
    "grader_error": "yellow",
}
HELP = """\
  enter   the answer is right            a TEXT   the right answer, by hand
  -       the document does not say      k TEXT   look for this label instead
  w       the answer is wrong: read again, for another one      n   ask anew
  b X0 Y0 X1 Y1   look in this box (0-1000 from the page's top left)
  s WORDS   look there: "bottom left", "second"    t TYPE   the answer must be a date, money, number, ...
"""


class Watch:
    """Takes a run's events. A context manager: drawn live on a terminal, and not at all elsewhere."""

    def __init__(self, *, enabled: bool = True, read: Callable[[str], str] = input) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._rows: dict[str, dict[str, str]] = {}
        drawn = enabled and self._console.is_terminal
        self._live = Live(console=self._console, refresh_per_second=8) if drawn else None
        self._read = read

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def take(self, event: Mapping[str, Any]) -> None:
        """One event of the graphs' (layoutllm_graphs/events.py), or of the tool's."""
        match event.get("event"):
            case "plan":
                questions = event["plan"]["questions"]
                self._rows = {one["name"]: {"question": one["text"], "state": "waiting"} for one in questions}
            case "question":
                self._set(
                    event["name"], question=event["question"], state=f"asking, attempt {event['attempt']}"
                )
            case "verdict":
                self._set(event["name"], answer=_shown(event["answer"]), state=event["verdict"])
            case "correction":
                self._set(event["name"], state=f"correcting {event['correction']['step']} ({event['by']})")
        if self._live:
            self._live.update(self._table())

    def _set(self, name: str, **values: str) -> None:
        self._rows.setdefault(name, {}).update(values)

    def _table(self) -> Table:
        table = Table("question", "answer", "state", box=None, show_header=False)
        for row in self._rows.values():
            state = row.get("state", "")
            cells = (row.get("question", ""), row.get("answer", ""), state)
            styles = ("dim", "bold", VERDICTS.get(state, "cyan"))
            table.add_row(
                *(Text(plain_line(cell), style=style) for cell, style in zip(cells, styles, strict=True))
            )
        return table

    # -- a person's replies --------------------------------------------------------------------------------

    def reply(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Show a doubtful answer and read a reply until it is one. The end of input accepts."""
        if self._live:
            self._live.stop()
        say = self._console.print
        say(Text(plain_line(shown["question"]), style="cyan"))
        say(Text(f"  {plain_line(_shown(shown['answer']))}", style="bold"))
        for reason in shown["reasons"]:
            say(Text(f"  ! {plain_line(reason)}", style="yellow"))
        say(HELP)
        while True:
            try:
                found = parse(self._read("> "))
            except EOFError:
                return {"accept": True}
            if found is not None:
                return found
            say(HELP)


def parse(line: str) -> dict[str, Any] | None:
    """A line of the terminal as a reply; None where it is none."""
    letter, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    match letter:
        case "":
            return {"accept": True}
        case "-":
            return {"absent": True}
        case "w" | "n" if not rest:
            return {"wrong": True} if letter == "w" else {"again": True}
        case "a" if rest:
            return {"answer": rest}
        case "k" if rest:
            return {"correction": {"step": "analysis", "text": rest}}
        case "s" if rest:
            return _valid({"step": "area", "spatial": rest})
        case "t" if rest:
            return _valid({"step": "answer", "expected_type": rest})
        case "b" if rest:
            with suppress(ValueError):
                numbers = [float(number) for number in rest.replace(",", " ").split()]
                return _valid({"step": "area", "boxes": [numbers]})
    return None


def _valid(correction: dict[str, Any]) -> dict[str, Any] | None:
    from layoutllm_tool.cot import EXPECTED_TYPES, Correction
    from layoutllm_tool.errors import CorrectionError

    if correction.get("expected_type", "text") not in EXPECTED_TYPES:
        return None
    try:
        Correction.from_json(correction)
    except CorrectionError as error:
        sys.stderr.write(f"{error}\n")
        return None
    return {"correction": correction}


def _shown(answer: str | None) -> str:
    return "not in the document" if answer is None else answer
