"""LayoutCoT from HTML (paper section 3.2): pages of templates or of a chat model, read back.

Needs the extra ``html`` (WeasyPrint) when a page is rendered, not when this is imported.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from layoutllm_tool.errors import DocumentUnreadable
from layoutllm_tool.training.html.marks import marked
from layoutllm_tool.training.html.read_back import questions
from layoutllm_tool.training.html.render import Paper, render, require
from layoutllm_tool.training.html.templates import page
from layoutllm_tool.training.html.tree import Source, parse
from layoutllm_tool.training.html.written import ask, keep, kept, prompt, read
from layoutllm_tool.training.schema import QA, Example

__all__ = ["ask", "example", "from_source", "keep", "kept", "parse", "prompt", "require", "written_example"]

_LEAST = 3
"""Questions worth a page."""


def example(seed: int, number: int) -> Example:
    """A page of the templates with its questions. TrainingError without WeasyPrint."""
    for attempt in range(20):
        rng = Random(f"html/{seed}/{number}/{attempt}")
        html, paper = page(rng)
        try:
            found = from_source(parse(html), f"html/{number}", rng, paper=paper)
        except DocumentUnreadable:  # a column of narrow paper may be taken for turned text
            continue
        if len(found.questions) >= _LEAST:
            return found
    raise RuntimeError(f"no page came out of 20 for seed {seed}, number {number}")


def written_example(path: Path, *, seed: int) -> Example:
    """A page that a model wrote, rendered in a process of its own. DocumentError where it is no use."""
    rng = Random(f"html/read/{seed}/{path.stem}")
    found = from_source(read(path), f"html/written/{path.stem}", rng, isolated=True)
    if not found.questions:
        hint = "Take it out of the folder."
        raise DocumentUnreadable(f"nothing can be asked about {path.name}.", hint=hint)
    return found


def from_source(
    source: Source, name: str, rng: Random, *, paper: Paper | None = None, isolated: bool = False
) -> Example:
    """The rendered page and what can be asked about it (perhaps nothing). ``isolated``: see render.py."""
    facts = marked(source)
    rendered = render(facts.source.html(), paper or Paper(), isolated=isolated)
    asked: tuple[QA, ...] = questions(facts, rendered, rng, most=rng.randint(4, 8))
    return Example(name, rendered.page, asked)
