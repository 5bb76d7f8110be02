"""``layoutllm eval``: sets with known answers, unanswerable questions, awkward files, and fitting the confidence to rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.evaluation.arguments import parser
from layoutllm_tool.evaluation.runs import Make, Setting
from layoutllm_tool.protocols import Reader


def make_reader(weights: Path | None) -> Reader:
    from layoutllm_tool.readers.local import LayoutLLMReader

    return LayoutLLMReader(weights)


def main(argv: Sequence[str] | None = None, *, make: Make = make_reader, console: Console | None = None) -> int:
    """Exit code: 0, 1 where something crashed, hung or fell short of its aim, 2 where it could not be run."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(Setting(arguments, console or Console(), make)))
    except LayoutLLMError as error:
        Console(stderr=True).print(f"{type(error).__name__}: {error}", markup=False)
        return 2
