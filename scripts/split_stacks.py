"""Page boundaries of stacks made by program: python -m scripts.split_stacks --data DIR [--seeds 0-19]

Documents with words (text layers of PDFs, FUNSD's and SROIE's own) are put one after another, and split
again. Half of the stacks mix all sources; the others are of one source, where letterheads and titles are
alike. In half of them all pages have one size, as from a scanner. Precision, recall and F1 of the page that
a document begins on (the first page of a stack does not count); the share of documents found whole.

The weights were fitted on the documents of even names (by hash, ``--part even``), with the seeds 100 to 129.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.loading import load_document
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.documents.splitting import split
from layoutllm_tool.documents.words import load_words
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.evaluation.command import numbers
from layoutllm_tool.evaluation.datasets.files import picture_size
from layoutllm_tool.training.receipts import dataset_page

ROOT = Path(__file__).parent.parent / "tests" / "data"
_PDFS = {
    "everyday": "everyday/open",
    "records": "records/open",
    "ads": "ads/pdf",
    "fillable": "fillable/pdfs",
}
_MOST_PAGES = 8
"""Of a document; longer ones are left out."""
_SCANNED = (1654, 2339)
_LEAST, _MOST = 6, 12
"""Documents of a stack."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document to be put on a stack. ``kind``: "" where nobody says."""

    name: str
    group: str
    pages: tuple[Page, ...]
    kind: str = ""


@dataclass(slots=True)
class Scores:
    """Counts over stacks."""

    found: int = 0
    given: int = 0
    right: int = 0
    whole: int = 0
    documents: int = 0
    kinds: list[bool] = field(default_factory=list)

    def add(self, sources: Sequence[Source], pages: Sequence[Page]) -> None:
        begins, number = dict[int, Source](), 1
        for source in sources:
            begins[number] = source
            number += len(source.pages)
        parts = {part.first: part for part in split(Document("stack", "", tuple(pages)))}
        ends = {first: first + len(source.pages) - 1 for first, source in begins.items()}
        self.found += len(parts) - 1
        self.given += len(begins) - 1
        self.right += len(set(parts) & set(begins)) - 1
        whole = [first for first in begins if first in parts and parts[first].last == ends[first]]
        self.whole += len(whole)
        self.documents += len(begins)
        self.kinds += [parts[at].kind == begins[at].kind for at in whole if begins[at].kind]

    def line(self) -> str:
        precision, recall = self.right / max(self.found, 1), self.right / max(self.given, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        told = f"precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f} of {self.given} boundaries"
        kinds = f"; kinds {sum(self.kinds)} of {len(self.kinds)}" if self.kinds else ""
        return f"{told}; whole documents {self.whole} of {self.documents}{kinds}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("split_stacks", description="Stacks of documents, split again.")
    parser.add_argument("--data", type=Path, metavar="DIR", help="with receipts, forms, ads, fillable")
    parser.add_argument("--seeds", type=numbers, default=numbers("0-19"), help="a stack of each sort a seed")
    parser.add_argument("--part", choices=("even", "odd", "all"), default="odd", help="default: odd")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts here")
    options = parser.parse_args(arguments)
    sources = [one for one in documents(options.data) if _of_part(one, options.part)]
    scores = {name: Scores() for name in ("all", "mixed", "one source", "own sizes", "one size")}
    for seed in options.seeds:
        for mixed in (True, False):
            for one_size in (True, False):
                drawn, pages = stack(sources, Random(f"{seed} {mixed} {one_size}"), mixed, one_size)
                for name in (
                    "all",
                    "mixed" if mixed else "one source",
                    "one size" if one_size else "own sizes",
                ):
                    scores[name].add(drawn, pages)
    for name, score in scores.items():
        sys.stdout.write(f"{name}: {score.line()}\n")
    if options.json:
        options.json.write_text(json.dumps({name: score.line() for name, score in scores.items()}))
    return 0


def stack(
    sources: Sequence[Source], random: Random, mixed: bool, one_size: bool
) -> tuple[list[Source], list[Page]]:
    """Documents, none twice, and their pages numbered from 1."""
    groups: dict[str, list[Source]] = {}
    for source in sources:
        groups.setdefault("papers" if source.group in ("everyday", "records") else source.group, []).append(
            source
        )
    names = sorted(groups) if mixed else [random.choice(sorted(groups))]
    drawn: list[Source] = []
    for _ in range(random.randint(_LEAST, _MOST)):
        left = [one for one in groups[random.choice(names)] if one not in drawn]
        drawn += [random.choice(left)] if left else []
    pages = [page for source in drawn for page in source.pages]
    width, height = _SCANNED
    if one_size:
        pages = [replace(page, width=width, height=height) for page in pages]
    return drawn, [replace(page, number=number) for number, page in enumerate(pages, start=1)]


def documents(data: Path | None) -> Iterator[Source]:
    """All that have words on every page. Those of ``data`` where it is given."""
    for group, folder in _PDFS.items():
        root = ROOT if group in ("everyday", "records") else data
        for file in sorted((root / folder).glob("*.pdf")) if root else ():
            if pages := _pages(file):
                yield Source(file.stem, group, pages, _kind(file.stem, group))
    if data is None:
        return
    for file in sorted((data / "forms" / "annotations").glob("*.json")):
        size = picture_size(data / "forms" / "images" / f"{file.stem}.png")
        form = {"form": json.loads(file.read_text(encoding="utf-8"))["form"]}
        yield Source(file.stem, "forms", tuple(load_words(form, [size])))
    for file in sorted((data / "receipts" / "lines").glob("*.json")):
        page = replace(dataset_page(data / "receipts", int(file.stem)), image=None)
        yield Source(file.stem, "receipts", (page,), "receipt")


def _pages(file: Path) -> tuple[Page, ...]:
    """() where it can't be read, is too long, or has pages without a text layer."""
    try:
        pages = load_document(file, access=Access.anywhere()).pages
    except LayoutLLMError:
        return ()
    usable = len(pages) <= _MOST_PAGES and all(page.lines for page in pages)
    return tuple(replace(page, image=None) for page in pages) if usable else ()


_KINDS = {
    "invoice": "invoice", "rechnung": "invoice", "statement": "statement", "receipt": "receipt",
    "payslip": "payslip", "lab_report": "report", "letter": "letter", "mietvertrag": "contract",
    "purchase_order": "order", "questionnaire": "form", "analyses": "report", "bill": "invoice",
}  # fmt: skip
"""Part of a file's name -> kind."""


def _kind(name: str, group: str) -> str:
    if group == "fillable":
        return "form"
    return next((kind for part, kind in _KINDS.items() if part in name and group != "ads"), "")


def _of_part(source: Source, part: str) -> bool:
    even = hashlib.sha256(source.name.encode()).digest()[0] % 2 == 0
    return part == "all" or even == (part == "even")


if __name__ == "__main__":
    sys.exit(main())
