"""Two documents to try things on: an invoice as a scanner leaves it, and a born-digital letter of two pages.

Drawn by ``scripts/draw_samples.py``; every name, number and address in them is made up.
"""

from pathlib import Path

from layoutllm_tool.errors import DocumentNotFound

INVOICE = Path(__file__).parent / "invoice.png"
LETTER = Path(__file__).parent / "letter.pdf"


def path(name: str) -> Path:
    """Return where a sample lies: "invoice.png" or "letter.pdf". Raises DocumentNotFound for other names."""
    found = {sample.name: sample for sample in (INVOICE, LETTER)}
    if name not in found:
        raise DocumentNotFound(f"there is no sample {name!r}.", hint=f"There are {', '.join(found)}.")
    return found[name]
