"""``layoutllm ask FILE QUESTION [QUESTION...]``: the file may lie anywhere; URLs are not fetched."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.commands.arguments import add_command, add_reading, reading_options
from layoutllm_tool.commands.show import as_json, show
from layoutllm_tool.cot import Correction, LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import CorrectionError, DocumentNotAllowed, LayoutLLMError, QuestionError
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from rich.status import Status

_EXAMPLES = """\
examples:
  layoutllm ask invoice.pdf "What is the total?" "Who is it addressed to?"
  layoutllm ask scan.jpg "What is the date?" --annotate marked.png
  layoutllm ask page.png "What is the total?" --correction '{"step": "area", "spatial": "bottom right"}'
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    text = "Ask a document one or more questions."
    parser = add_command(
        commands, "ask", run, summary=text[:-1].lower(), description=text, examples=_EXAMPLES
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="PDF, PNG, JPEG, TIFF, ...; - reads standard input")
    add("questions", metavar="QUESTION", nargs="+", help="one fact each: 'What is the invoice number?'")
    add("--page", type=int, metavar="N", help="look at this page only, counting from 1")
    add("--json", action="store_true", help="print one JSON array, an object a question")
    annotate = "write the page with area and answer drawn"
    add("--annotate", type=_picture, metavar="OUT.png", help=annotate)
    words = "words and boxes, in place of text recognition"
    add("--words", type=Path, metavar="WORDS.json", help=words)
    add_reading(parser)
    add("--correction", type=_correction, metavar="JSON", help="corrects one step; with one question only")


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Write answers to stdout, notices and progress to stderr. 0, also where the document does not say."""
    _check(options)
    # What a library prints goes to stderr: stdout holds the answers and nothing else.
    with contextlib.redirect_stdout(sys.stderr), _status(options) as status:
        document = _load(options)
        chosen = reader or reading_options(options).reader()
        status.update(f"Reading {len(document.pages)} page(s)")
        document = chosen.load(document)
        status.update("Asking")
        cots = _ask(chosen, document, options)
    _notices(document)
    if options.json:
        sys.stdout.write(as_json(cots, document))
    else:
        show(cots)
    if options.annotate:  # last: the answers are out, whatever becomes of the picture
        sys.stdout.flush()
        _annotate(cots, document, options)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what is wrong before anything is opened."""
    if not all(question.strip() for question in options.questions):
        raise QuestionError("a question is empty.", hint='Ask something, for instance "What is the total?".')
    if options.correction and len(options.questions) > 1:
        raise CorrectionError(
            "a correction belongs to one question.", hint="Ask the others without --correction."
        )
    if (
        options.annotate
        and options.file != "-"
        and options.annotate.resolve() == Path(options.file).resolve()
    ):
        raise DocumentNotAllowed(
            "--annotate names the document itself.", hint="Give the picture another name."
        )


def _load(options: argparse.Namespace) -> Document:
    """The document, or its one page; with the words that were handed in, which leave nothing to recognise."""
    from layoutllm_tool.documents import Access, Limits, load_document, load_words

    anywhere, limits = Access.anywhere(), Limits()
    source = sys.stdin.buffer.read(limits.max_bytes + 1) if options.file == "-" else options.file
    pages = [options.page] if options.page is not None and not options.words else None
    document = load_document(source, pages=pages, limits=limits, access=anywhere, password=options.password)
    if options.words:
        sizes = [(page.width, page.height) for page in document.pages]
        given = load_words(options.words, sizes, access=anywhere, limits=limits)
        known = [
            page.with_lines(words.lines or (), "given")
            for page, words in zip(document.pages, given, strict=True)
        ]
        document = replace(document, pages=tuple(known))
    return document


def _ask(reader: Reader, document: Document, options: argparse.Namespace) -> list[LayoutCoT]:
    if options.correction:
        return [reader.ask(document, options.questions[0], page=options.page, correction=options.correction)]
    return reader.ask_many(document, options.questions, page=options.page)


def _annotate(cots: Sequence[LayoutCoT], document: Document, options: argparse.Namespace) -> None:
    from layoutllm_tool.documents.drawing import annotated_document

    picture = annotated_document(cots, document, page=options.page)
    if picture is None:
        sys.stderr.write("layoutllm: the page has no picture to draw on; nothing was written.\n")
        return
    try:
        picture.save(options.annotate)
    except OSError as error:
        message = f"{str(options.annotate)!r} can't be written: {error.strerror or error}."
        raise LayoutLLMError(message, hint="Choose another place.") from error


def _notices(document: Document) -> None:
    from layoutllm_tool.messages import plain_line

    for page in document.pages:
        for notice in page.notices:
            sys.stderr.write(f"layoutllm: page {page.number}: {plain_line(notice.text)}\n")


def _status(options: argparse.Namespace) -> Status:
    """A spinner where a person is watching."""
    from rich.console import Console

    return Console(stderr=True, quiet=options.json).status("Opening the document")


def _picture(text: str) -> Path:
    """Wrong names are found before the model is loaded."""
    from PIL import Image

    path = Path(text)
    Image.init()
    if Image.EXTENSION.get(path.suffix.lower()) not in ("PNG", "JPEG", "WEBP", "TIFF", "PDF"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no picture's name: end it in .png, .jpg, .webp, .tiff or .pdf"
        )
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def _correction(text: str) -> Correction:
    try:
        data = json.loads(text)
    except ValueError as error:
        hint = """For instance '{"step": "area", "spatial": "bottom right"}'."""
        raise CorrectionError(f"--correction is not JSON: {error}.", hint=hint) from error
    return Correction.from_json(data)
