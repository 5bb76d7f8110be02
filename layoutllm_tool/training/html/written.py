"""Pages that a chat model writes, as in the paper: a prompt out, untrusted HTML in.

Models answer differently each time, so pages are kept as files (sanitised) and training reads the files.
Which model writes is the caller's business: ``write`` is any function from prompt to reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from layoutllm_tool.errors import DocumentError, DocumentUnreadable, TrainingError
from layoutllm_tool.training.html.data import PAGES
from layoutllm_tool.training.html.tree import MAX_CHARACTERS, Source, parse

_WRITTEN = PAGES["written"]
_FENCE = re.compile(r"```(?:html)?\s*\n(.*?)(?:```|\Z)", re.S | re.I)


def prompt(rng: Random) -> str:
    """What to ask a model for: a topic, two or three features of layout, and how facts are marked."""
    wanted = "; ".join(rng.sample(_WRITTEN["features"], rng.randint(2, 3)))
    return str(_WRITTEN["prompt"]).format(wanted=wanted, topic=rng.choice(_WRITTEN["topics"]))


def ask(write: Callable[[str], str], rng: Random) -> Source:
    """One page from the model, sanitised. DocumentError where the reply is no page."""
    reply = write(prompt(rng))
    if not isinstance(reply, str):
        raise DocumentUnreadable(
            f"the model gave a {type(reply).__name__}.", hint="write(prompt) gives the reply's text."
        )
    fenced = _FENCE.search(reply[: 2 * MAX_CHARACTERS])
    return parse(fenced[1] if fenced else reply)


def keep(write: Callable[[str], str], folder: Path, count: int, *, seed: int) -> Iterator[Path]:
    """Ask for ``count`` pages and keep them as ``<seed>-<number>.html``; pages already there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{seed}-{number:05d}.html"
        if not path.exists():
            try:
                source = ask(write, Random(f"html/written/{seed}/{number}"))
            except DocumentError:  # the next one may be better
                continue
            path.write_text(source.html(), encoding="utf-8")
        yield path


def kept(folder: Path) -> tuple[Path, ...]:
    """The pages in a folder by name; TrainingError where there is none."""
    found = tuple(sorted(path for path in folder.glob("*.html") if path.is_file()))
    if not found:
        hint = "Fill it with html.keep, or leave it out."
        raise TrainingError(f"no page (*.html) lies in {folder}.", hint=hint)
    return found


def read(path: Path) -> Source:
    """A kept page, checked again: a folder is no safer than a reply."""
    if path.stat().st_size > 4 * MAX_CHARACTERS:
        hint = "Take it out of the folder."
        raise DocumentUnreadable(f"{path.name} is larger than any page kept here.", hint=hint)
    return parse(path.read_text(encoding="utf-8", errors="replace"))
