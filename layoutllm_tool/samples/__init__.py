"""Two documents to try things on: an invoice as a scan has it, and a born-digital letter of two pages.

Drawn by ``scripts/draw_samples.py``; every name, number and address in them is made up.
"""

from pathlib import Path

INVOICE = Path(__file__).parent / "invoice.png"
LETTER = Path(__file__).parent / "letter.pdf"
