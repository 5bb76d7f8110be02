"""What several commands share: adding a command, a task, languages, places, weights, numbers."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.errors import PlanError
from layoutllm_tool.protocols import Reader
from layoutllm_tool.readers.options import ENGINES, ReadingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layoutllm_tool.batch.sources import Places
    from layoutllm_tool.protocols import OCREngine


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace, Reader | None], int],
    *,
    summary: str,
    description: str,
    examples: str = "",
) -> argparse.ArgumentParser:
    """A command that ``run`` carries out. Its exit code is the program's."""
    layout = argparse.RawDescriptionHelpFormatter if examples else argparse.HelpFormatter
    parser = commands.add_parser(
        name, help=summary, description=description, epilog=examples, formatter_class=layout
    )
    parser.set_defaults(run=run)
    return parser


def add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="trained weights other than the shipped ones"
    )


def make_reader(
    weights: Path | None, languages: Sequence[str] = ("eng",), engine: OCREngine | None = None
) -> Reader:
    """The package's reader. Loads nothing yet."""
    from layoutllm_tool.readers.local import LayoutLLMReader

    return LayoutLLMReader(weights, languages=languages, engine=engine)


def add_reading(parser: argparse.ArgumentParser, *, password: bool = True) -> None:
    """``--lang``, ``--ocr``, ``--password``, ``--weights``: see ``reading_options``."""
    add_languages(parser)
    engines = "default: rapidocr where it reads the languages"
    parser.add_argument("--ocr", choices=ENGINES, help=engines)
    if password:
        parser.add_argument("--password", help="opens an encrypted PDF")
    add_weights(parser)


def reading_options(options: argparse.Namespace) -> ReadingOptions:
    """Of a command with ``add_reading``."""
    password = getattr(options, "password", None)
    return ReadingOptions(options.lang, options.ocr, password, weights=options.weights)


def add_attempts(parser: argparse.ArgumentParser) -> None:
    most = "most attempts at a question (default: 3)"
    parser.add_argument("--max-attempts", type=from_one, default=3, metavar="N", help=most)


def add_min_confidence(parser: argparse.ArgumentParser) -> None:
    least = "what is less sure than this, from 0 to 1, is doubtful (default: 0)"
    parser.add_argument("--min-confidence", type=_share, default=0.0, metavar="X", help=least)


def add_escalation(parser: argparse.ArgumentParser) -> None:
    """``--escalate`` and ``--max-escalations``."""
    who = "a chat model for what stays doubtful, such as openai:gpt-5; it is sent the pages"
    parser.add_argument("--escalate", default="", metavar="MODEL", help=who)
    most = "most questions of a document that it is asked (default: 10)"
    parser.add_argument("--max-escalations", type=from_one, default=10, metavar="N", help=most)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return share


def add_address(parser: argparse.ArgumentParser, port: int) -> None:
    """``--host`` and ``--port``, on this machine unless said otherwise."""
    host = "address to listen on (default: %(default)s)"
    parser.add_argument("--host", default="127.0.0.1", metavar="NAME", help=host)
    free = "default: %(default)s; 0 takes a free one"
    parser.add_argument("--port", type=int, default=port, metavar="N", help=free)


def add_task(parser: argparse.ArgumentParser, *, plan: bool = True) -> None:
    """``--task``, ``--schema`` or, where there is ``plan``, ``--plan``: one of them has to be given."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", metavar="TEXT", help="what to find, in plain words")
    what.add_argument(
        "--schema", type=Path, metavar="FILE.json", help="a JSON Schema of the fields, or a plan"
    )
    if plan:
        what.add_argument("--plan", type=Path, metavar="FILE.yaml", help="a plan of `layoutllm plan`, edited")


def task_of(options: argparse.Namespace) -> tuple[Any, dict[str, Any] | None]:
    """What ``layoutllm_graphs.planning.planner`` plans, and the record's JSON Schema where that is a plan.

    PlanError where a file holds none.
    """
    if getattr(options, "plan", None) is not None:
        from layoutllm_graphs.planning.plan_file import read_plan

        found = read_plan(_text_of(options.plan), str(options.plan))
        return found.plan.model_dump(mode="json"), found.schema
    if options.schema is None:
        return options.task, None
    try:
        data = json.loads(_text_of(options.schema))
        json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair can be written nowhere
    except (ValueError, RecursionError) as error:
        raise PlanError(
            f"{options.schema} is no JSON file: {error}.", hint="Give a JSON Schema, or a plan."
        ) from error
    if not isinstance(data, (dict, list)):
        raise PlanError(
            f"{options.schema} holds neither a schema nor a list.", hint="Give a JSON Schema, or a plan."
        )
    return data, None


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise PlanError(f"{file} can't be read: {why}.", hint="Is the name right?") from error


def add_languages(parser: argparse.ArgumentParser) -> None:
    """``--lang``: a tuple of codes."""
    codes = "eng (default), jpn, eng+deu, ..."
    parser.add_argument("--lang", type=_languages, default=("eng",), metavar="CODES", help=codes)


def _languages(text: str) -> tuple[str, ...]:
    codes = tuple(code for code in text.replace(",", "+").split("+") if code)
    if not codes:
        raise argparse.ArgumentTypeError("give at least one language, for instance eng")
    return codes


def add_places(parser: argparse.ArgumentParser, *, default: str) -> None:
    """``--root`` and ``--allow-scheme``: where documents may lie that a list, a link or a store names."""
    root = f"documents may lie here too (default: {default})"
    parser.add_argument("--root", action="append", default=[], metavar="DIR", help=root)
    schemes = "storage that may be opened by URL: s3,gs,az,..."
    parser.add_argument("--allow-scheme", type=_schemes, default=(), metavar="S,S", help=schemes)


def _schemes(text: str) -> tuple[str, ...]:
    from layoutllm_tool.batch.sources import Places
    from layoutllm_tool.errors import DocumentNotAllowed

    given = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    try:
        return Places(schemes=given).schemes
    except DocumentNotAllowed as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def stored_places(options: argparse.Namespace) -> Places:
    """For names in a store, which may be somebody else's: the working directory and the roots given."""
    from layoutllm_tool.batch.sources import Places

    return Places(roots=(os.getcwd(), *map(os.path.abspath, options.root)), schemes=options.allow_scheme)


def from_zero(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0")
    return int(text)


def from_one(text: str) -> int:
    """A whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)
