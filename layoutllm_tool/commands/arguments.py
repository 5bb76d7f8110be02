"""Arguments that several commands take: a task, languages, numbers."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.errors import PlanError

if TYPE_CHECKING:
    from layoutllm_tool.batch.sources import Places


def add_task(parser: argparse.ArgumentParser) -> None:
    """``--task`` or ``--schema``: one of them has to be given."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", metavar="TEXT", help="what to find, in plain words")
    what.add_argument("--schema", type=Path, metavar="FILE.json", help="a JSON Schema of the fields, or a plan")


def task_of(options: argparse.Namespace) -> Any:
    """What ``graphs.planning.planner`` plans. PlanError where the schema's file holds none."""
    if options.schema is None:
        return options.task
    try:
        data = json.loads(options.schema.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanError(f"{options.schema} is no JSON file: {error}.", hint="Give a JSON Schema, or a plan.") from error
    if not isinstance(data, (dict, list)):
        raise PlanError(f"{options.schema} holds neither a schema nor a list.", hint="Give a JSON Schema, or a plan.")
    return data


def add_languages(parser: argparse.ArgumentParser) -> None:
    """``--lang``: a tuple of codes."""
    parser.add_argument(
        "--lang", type=_languages, default=("eng",), metavar="CODES", help="eng (default), jpn, eng+deu, ..."
    )


def _languages(text: str) -> tuple[str, ...]:
    codes = tuple(code for code in text.replace(",", "+").split("+") if code)
    if not codes:
        raise argparse.ArgumentTypeError("give at least one language, for instance eng")
    return codes


def add_places(parser: argparse.ArgumentParser, *, default: str) -> None:
    """``--root`` and ``--allow-scheme``: where documents may lie that a list, a link or a store names."""
    parser.add_argument(
        "--root", action="append", default=[], metavar="DIR", help=f"documents may lie here too (default: {default})"
    )
    parser.add_argument(
        "--allow-scheme",
        type=_schemes,
        default=(),
        metavar="S,S",
        help="storage that may be opened by URL: s3,gs,az,...",
    )


def _schemes(text: str) -> tuple[str, ...]:
    from layoutllm_tool.batch.sources import Places
    from layoutllm_tool.errors import DocumentNotAllowed

    given = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    try:
        return Places(schemes=given).schemes
    except DocumentNotAllowed as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def stored_places(options: argparse.Namespace) -> Places:
    """For names out of a store, which may be somebody else's: the working directory and the roots that were named."""
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
