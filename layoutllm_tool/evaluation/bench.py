"""``layoutllm bench``: the measurements of ``speed`` as a table beside their aims, or as one JSON object."""

from __future__ import annotations

import json as plain
from pathlib import Path

from rich.console import Console
from rich.table import Table

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.evaluation.speed import measure
from layoutllm_tool.evaluation.timings import DECODE_RATIO, FURTHER_SHARE, RETRY_SAVES, Report
from layoutllm_tool.samples import INVOICE


def bench(
    file: str | Path | None = None,
    *,
    json: bool = False,
    weights: Path | None = None,
    new_tokens: int = 64,
    repeats: int = 5,
    console: Console | None = None,
) -> int:
    """Measure on the first page of a file (default: the sample invoice) and print it; 1 if an aim was missed.

    Raises DocumentError, OCRError, ModelError.
    """
    console = console or Console()
    page = _page(file)
    Console(stderr=True).print("Measuring: about three minutes on two cores ...", style="dim")
    found = measure(page, weights=weights, new_tokens=new_tokens, repeats=repeats)
    if json:
        console.print_json(plain.dumps(found.to_json()))
    else:
        console.print(table(found))
        for line in verdicts(found):
            console.print(line, markup=False)
    return int(not aims_met(found))


def _page(file: str | Path | None) -> Page:
    """The first page: a picture whose text is to be recognised, or a PDF's page with its own text."""
    from layoutllm_tool.documents import Access, load_document

    return load_document(Path(file or INVOICE), pages=(1,), access=Access.anywhere()).pages[0]


def aims_met(found: Report) -> bool:
    fast = found.further_share < FURTHER_SHARE and found.decode_ratio >= DECODE_RATIO
    return fast and found.retry_saves >= RETRY_SAVES


def verdicts(found: Report) -> list[str]:
    """The aims in words."""
    ours, share = found.ours, found.further_share
    return [
        f"A further question costs {share:.2f} of the first, words known (aim: under {FURTHER_SHARE:.2f}).",
        f"Decoding is {found.decode_ratio:.2f} times as fast as generate's (aim: at least {DECODE_RATIO}).",
        f"Correcting step 2: {ours.retry:.2f} s and {ours.retry_fed} tokens ({ours.retry_decoded} chosen).",
        f"Asking anew: {ours.first:.2f} s and {ours.fed} tokens ({ours.decoded} chosen).",
        f"That is {found.retry_saves:.1f} times as much (aim: at least {RETRY_SAVES}).",
    ]


def table(found: Report) -> Table:
    """Ours beside generate's."""
    ours, other = found.ours, found.generate
    title = f"One page, {ours.page_tokens} tokens, {found.threads} threads, medians of {found.repeats}"
    made = Table(title=title, caption=f"CPU: {found.cpu}")
    for heading in ("", f"layoutllm, {ours.numerics}", f"generate, {other.dtype}"):
        made.add_column(heading, justify="right" if heading else "left")
    rows: list[tuple[str, str, str]] = [
        ("load the model, s", f"{ours.load:.2f}", f"{other.load:.2f}"),
        ("recognise the text, s", _seconds(ours.recognition), ""),
        ("first question from the picture, s", _seconds(found.first_with_recognition), ""),
        ("first question, words known, s", f"{ours.first:.2f}", f"{other.first:.2f}"),
        ("each further question, s", f"{ours.further:.2f}", f"{other.first:.2f}"),
        ("after a correction of step 2, s", f"{ours.retry:.2f}", ""),
        ("read the page (prefill), s", f"{ours.read:.2f}", f"{other.prefill:.2f}"),
        ("prompt tokens", str(ours.page_tokens), str(other.prompt_tokens)),
        ("decode, tokens/s", f"{ours.step_rate:.1f}", f"{other.rate:.1f}"),
        ("decode, eight rows, tokens/s", f"{ours.step_rate_8:.1f}", ""),
        ("a whole chain, tokens/s", f"{ours.chain_rate:.1f}", ""),
        ("peak memory, MB", f"{ours.memory / 1e6:.0f}", f"{other.memory / 1e6:.0f}"),
    ]
    for row in rows:
        made.add_row(*row)
    return made


def _seconds(value: float | None) -> str:
    return "words given" if value is None else f"{value:.2f}"
