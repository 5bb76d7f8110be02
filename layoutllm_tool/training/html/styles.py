"""How a page of the templates looks: paper, fonts, borders, colours. Rules are in ``pages.toml``."""

from __future__ import annotations

from random import Random

from layoutllm_tool.training.html.data import PAGES
from layoutllm_tool.training.html.render import Paper
from layoutllm_tool.training.synthetic.templates import TemplateFiller

_STYLE = PAGES["style"]


def paper(rng: Random) -> Paper:
    """A4, Letter or A5, sometimes across."""
    a4, letter = (595.0, 842.0), (612.0, 792.0)
    width, height = rng.choice((a4, letter, a4, (842.0, 595.0), (480.0, 680.0)))
    return Paper(width, height, float(rng.randint(28, 60)))


def style(rng: Random) -> str:
    """A style sheet for the classes that the templates use."""
    size, pale = rng.choice((9, 10, 10, 11, 12)), rng.choice(_STYLE["pale"])
    accent = rng.choice(_STYLE["accents"])
    width, line = rng.choice((1, 1, 1, 2)), rng.choice(("solid", "solid", "dotted", "dashed"))
    names = {
        **_STYLE["words"], "size": size, "accent": accent, "w": width, "s": line,
        "c": rng.choice(("#000", "#666", "#bbb", accent)), "p": pale, "h2": size * 1.2,
        "heads": [words.format(pale=pale) for words in _STYLE["words"]["heads"]],
    }  # fmt: skip
    filler = TemplateFiller(rng)
    body = filler.fill(_STYLE["body"], **names)
    titles = filler.fill(_STYLE["titles"], h1=size * rng.choice((1.5, 1.8, 2.1)), **names)
    return "\n".join((body, titles, *(filler.fill(rule, **names) for rule in _STYLE["rules"])))
