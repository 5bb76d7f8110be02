"""``layoutllm split FILE``: the documents of a file with their pages and kinds, as JSON on stdout.

With ``--extract`` each is read by the schema of its kind.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.commands import arguments
from layoutllm_tool.commands.show import json_text, tell_doubts
from layoutllm_tool.errors import PlanError
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from layoutllm_tool.documents.page_kinds import Kinds
    from layoutllm_tool.documents.splitting import Part

_EXAMPLES = """\
examples:
  layoutllm split stack.pdf
  layoutllm split stack.pdf --kinds kinds.toml --extract

A kind in kinds.toml:
  [invoice]
  titles = ["invoice", "rechnung"]
  words = ["invoice number", "amount due"]
  schema = "invoice.schema.json"
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    short = "split a file into its documents, by kind"
    text = "Split a PDF or TIFF of several documents into its documents, and tell of what kind each one is."
    parser = arguments.add_command(
        commands, "split", run, summary=short, description=text, examples=_EXAMPLES
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="PDF, TIFF, ...")
    add("--kinds", type=Path, metavar="KINDS.toml", help="kinds to tell apart (default: the package's own)")
    add("--extract", action="store_true", help="read each document by the schema of its kind")
    arguments.add_min_confidence(parser)
    arguments.add_languages(parser)
    arguments.add_weights(parser)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """0; 3 where a document is of no kind or less sure than asked, or its record is doubtful.

    LayoutLLMError.
    """
    from layoutllm_graphs.split import extract_parts, split_document
    from layoutllm_tool.documents import Access, load_document

    kinds, schemas = _kinds(options.kinds)
    if options.extract and not schemas:
        raise PlanError("no kind names a schema.", hint='Add schema = "FILE.json" to kinds in --kinds.')
    reader = reader or arguments.make_reader(options.weights, options.lang)
    document = reader.load(load_document(options.file, access=Access.anywhere()))
    parts = split_document(document, kinds)
    wanted = schemas if options.extract else {}
    least, shown, doubts = options.min_confidence, list[dict[str, Any]](), list[tuple[str, str]]()
    for part, found in extract_parts(document, parts, wanted, reader=reader, min_confidence=least):
        doubts += _doubts(part, least)
        entry: dict[str, Any] = part._asdict()
        if found is not None:
            entry |= {"record": found.record, "fields": found.fields, "notes": found.notes}
            doubts += ((f"{_pages(part)}: {at}", " ".join(why)) for at, why in found.doubtful.items())
        shown.append(entry)
    sys.stdout.write(json_text(shown))
    tell_doubts(doubts, len(doubts))
    return 3 if doubts else 0


def _doubts(part: Part, least: float) -> Iterator[tuple[str, str]]:
    if part.kind is None:
        yield _pages(part), "Of no kind that is known."
    if part.confidence < least:
        yield _pages(part), f"The confidence is {part.confidence:.2f}, under {least:.2f}."


def _pages(part: Part) -> str:
    return f"page {part.first}" if part.first == part.last else f"pages {part.first} to {part.last}"


def _kinds(file: Path | None) -> tuple[Kinds, dict[str, Any]]:
    """The kinds, and the schemas of those that name one. PlanError where the file holds none."""
    from layoutllm_tool.documents.page_kinds import KINDS, kinds_of

    if file is None:
        return KINDS, {}
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        return kinds_of(data), _schemas(data, file.parent)
    except (OSError, ValueError) as error:
        raise PlanError(f"{file} holds no kinds: {error}.", hint="See `layoutllm split --help`.") from error


def _schemas(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Their files are named from the folder of the kinds. OSError, ValueError."""
    files = {name: folder / str(entry["schema"]) for name, entry in data.items() if "schema" in entry}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items()}
