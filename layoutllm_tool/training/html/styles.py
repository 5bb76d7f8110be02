"""How a page of the templates looks: paper, fonts, borders, colours. Words are in ``pages.toml``."""

from __future__ import annotations

from random import Random

from layoutllm_tool.training.html.data import PAGES
from layoutllm_tool.training.html.render import Sheet

_STYLE = PAGES["style"]


def sheet(rng: Random) -> Sheet:
    """A4, Letter or A5, sometimes across."""
    width, height = rng.choice(((595.0, 842.0), (612.0, 792.0), (595.0, 842.0), (842.0, 595.0), (480.0, 680.0)))
    return Sheet(width, height, float(rng.randint(28, 60)))


def style(rng: Random) -> str:
    """A style sheet for the classes that the templates use."""
    size, pale, accent = rng.choice((9, 10, 10, 11, 12)), rng.choice(_STYLE["pale"]), rng.choice(_STYLE["accents"])
    looks = {"w": rng.choice((1, 1, 1, 2)), "s": rng.choice(("solid", "solid", "dotted", "dashed")),
             "c": rng.choice(("#000", "#666", "#bbb", accent)), "p": pale}  # fmt: skip
    rules = [
        f"body {{ font-family: {rng.choice(_STYLE['fonts'])}; font-size: {size}pt; color: {rng.choice(_STYLE['inks'])}; line-height: {rng.choice((1.2, 1.3, 1.5))} }}",
        f"h1 {{ font-size: {size * rng.choice((1.5, 1.8, 2.1)):.0f}pt; margin: 0 0 8pt }} h2 {{ font-size: {size * 1.2:.0f}pt; margin: 10pt 0 5pt }}",
        rng.choice(_STYLE["headings"]).format(a=accent),
        f"table {{ border-collapse: collapse; margin: 6pt 0; {rng.choice(('width: 100%;', 'width: 100%;', ''))} }}",
        f"td, th {{ padding: {rng.randint(2, 6)}pt {rng.randint(5, 10)}pt; text-align: left; vertical-align: {rng.choice(('top', 'middle', 'baseline'))} }}",
        f"td.number, th.number {{ text-align: {rng.choice(('right', 'right', 'center', 'left'))} }}",
        f"thead th {{ font-weight: {rng.choice(('bold', 'bold', 'normal'))}; {rng.choice(('', f'background: {pale};', 'font-style: italic;'))} }}",
        f"tbody th {{ font-weight: {rng.choice(('bold', 'normal', 'normal'))} }}",
        rng.choice(_STYLE["borders"]).format(**looks),
        f".key {{ {rng.choice(('font-weight: bold;', '', 'color: #555;', 'font-size: 85%;', 'text-transform: uppercase; font-size: 80%;', 'font-style: italic;'))} }}",
        f"hr {{ border: 0; border-top: {rng.choice(('1px solid', '3px double', '1px dashed', '2px dotted'))} {accent}; margin: 8pt 0 }}",
        f".columns {{ display: flex; gap: {rng.randint(16, 40)}pt }} .columns > div {{ flex: 1 }}",
        f".box {{ border: 1px solid {looks['c']}; padding: 6pt 8pt; margin: 5pt 0 }} .right {{ margin-left: auto; width: 48% }}",
        f".tick {{ display: inline-block; width: 8pt; height: 8pt; border: 1pt solid #333; margin-right: {rng.randint(3, 6)}pt }}",
        ".ticked { background: #222 } .option { display: inline-block; margin-right: 18pt } .list .option { display: block }",
        ".stack .key, .stack .value { display: block } .field { margin: 3pt 0 } .blank { border-bottom: 1px solid #777; padding: 0 40pt }",
        ".line .value { margin-left: 8pt } .grid { display: flex; flex-wrap: wrap } .grid .field { width: 48%; margin-right: 2% }",
        ".spread .field { display: flex; justify-content: space-between } .small { font-size: 80%; color: #555 }",
    ]  # fmt: skip
    return "\n".join(rules)
