"""Arguments that several commands take: a task, languages, numbers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from layoutllm_tool.errors import PlanError


def add_task(parser: argparse.ArgumentParser) -> None:
    """``--task`` or ``--schema``: one of them has to be given."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", metavar="TEXT", help="what to find, in plain words")
    what.add_argument("--schema", type=Path, metavar="FILE.json", help="a JSON Schema of the fields, or a plan")


def task_of(options: argparse.Namespace) -> Any:
    """What ``graphs.planner`` plans. PlanError where the schema's file holds none."""
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
