"""LayoutCoT from HTML (paper section 3.2): pages of templates, rendered and read back.

Needs the extra ``html`` (WeasyPrint) when a page is rendered, not when this is imported.
"""

from __future__ import annotations

from random import Random

from layoutllm_tool.errors import DocumentUnreadable
from layoutllm_tool.training.html.marks import marked
from layoutllm_tool.training.html.read_back import questions
from layoutllm_tool.training.html.render import Paper, render, require
from layoutllm_tool.training.html.templates import page
from layoutllm_tool.training.schema import Example

__all__ = ["example", "from_source", "require"]

_LEAST = 3
"""Questions worth a page."""


def example(seed: int, number: int) -> Example:
    """A page of the templates with its questions. TrainingError without WeasyPrint."""
    for attempt in range(20):
        rng = Random(f"html/{seed}/{number}/{attempt}")
        html, paper = page(rng)
        try:
            found = from_source(html, f"html/{number}", rng, paper)
        except DocumentUnreadable:  # a column of narrow paper may be taken for turned text
            continue
        if len(found.questions) >= _LEAST:
            return found
    raise RuntimeError(f"no page came out of 20 for seed {seed}, number {number}")


def from_source(html: str, name: str, rng: Random, paper: Paper | None = None) -> Example:
    """The rendered page of well-formed HTML and what can be asked about it (perhaps nothing)."""
    facts = marked(html)
    rendered = render(facts.html, paper or Paper())
    return Example(name, rendered.page, questions(facts, rendered, rng, most=rng.randint(4, 8)))
