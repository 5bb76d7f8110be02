"""``layoutllm eval``: its arguments and its exit codes. What each command does is in ``runs``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.evaluation import runs
from layoutllm_tool.evaluation.ablation import PARTS
from layoutllm_tool.evaluation.datasets import DATASETS, Dataset
from layoutllm_tool.evaluation.runs import Make, Setting
from layoutllm_tool.protocols import Reader


def make_reader(weights: Path | None) -> Reader:
    from layoutllm_tool.readers.local import LayoutLLMReader

    return LayoutLLMReader(weights)


def main(
    argv: Sequence[str] | None = None,
    *,
    make: Make = make_reader,
    console: Console | None = None,
) -> int:
    """Exit code: 0, 1 where an aim was missed, 2 where it could not be run."""
    arguments = parser().parse_args(argv)
    try:
        runs.require("sklearn", "eval")
        return int(arguments.run(Setting(arguments, console or Console(), make)))
    except LayoutLLMError as error:
        Console(stderr=True).print(f"{type(error).__name__}: {error}", markup=False)
        return 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="layoutllm eval", description="Measure the reader on documents with known answers."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, dataset in DATASETS.items():
        made = _command(commands, name, runs.run_set, dataset.text)
        _add_set(made, name, dataset)
    text = "Twenty questions that their receipt does not answer."
    made = _command(commands, "unanswerable", runs.run_unanswerable, text)
    _data(made, required=True)
    _outputs(made)
    text = "The key-value reader alone on FUNSD forms, without a model."
    _data(_command(commands, "keys", runs.run_keys, text), required=True)
    text = "Typed records: tables and fields of documents with a JSON Schema each (tests/data/records)."
    made = _command(commands, "records", runs.run_records, text)
    _data(made, required=True)
    made.add_argument("--weights", type=Path, metavar="DIR", help="trained ones (default: as shipped)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write each task's record and fields here")
    text = "Line items of receipts, labelled by hand (tests/data/records/receipts.jsonl), without a model."
    made = _command(commands, "line-items", runs.run_line_items, text)
    _data(made, required=True)
    made.add_argument("--labels", type=Path, required=True, metavar="FILE", help="JSON, a receipt a line")
    made.add_argument("--ocr", action="store_true", help="read the pictures, not the words of the set")
    made.add_argument("--weights", type=Path, metavar="DIR", help="trained ones (default: as shipped)")
    text = "Fit confidence and the bias of none to rows written with --json."
    _add_fit(_command(commands, "fit", runs.run_fit, text))
    return top


def _command(commands: Any, name: str, run: Callable[[Setting], int], text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    made.set_defaults(run=run, name=name)
    return made


def _add_set(made: argparse.ArgumentParser, name: str, dataset: Dataset) -> None:
    options = dataset.options
    if dataset.folder:
        _data(made, required=name != "refusal")
    if "ocr" in options:
        made.add_argument(
            "--ocr", action=argparse.BooleanOptionalAction, default=options["ocr"],
            help="read the pictures instead of taking the words that come with the set",
        )  # fmt: skip
    if "numbers" in options:
        made.add_argument("--numbers", type=numbers, default=options["numbers"], help="default: 400-499")
    if "split" in options:
        made.add_argument("--split", default=options["split"], help="default: %(default)s")
    if "pages" in options:
        made.add_argument("--pages", type=int, default=options["pages"], help="drawn (default: %(default)s)")
    if dataset.sample or "limit" in options:
        what = "questions, at random" if dataset.sample else "receipts, spread evenly over the numbers"
        made.add_argument("--limit", type=int, metavar="N", help=f"only N {what}")
    made.add_argument("--seed", type=int, default=0, help="of what is drawn at random")
    beside = made.add_mutually_exclusive_group()
    beside.add_argument("--baseline", action="store_true", help="ask the untuned backbone, too")
    beside.add_argument("--loop", action="store_true", help="compare a single call with the whole workflow")
    text = "--loop, and once more without each check, to see what it is worth"
    made.add_argument("--each-check", action="store_true", help=text)
    _outputs(made)


def _data(made: argparse.ArgumentParser, *, required: bool) -> None:
    text = "its folder, or one with a folder of that name"
    made.add_argument("--data", type=Path, required=required, metavar="DIR", help=text)


def _outputs(made: argparse.ArgumentParser) -> None:
    made.add_argument("--weights", type=Path, metavar="DIR", help="trained ones (default: as shipped)")
    made.add_argument("--without", choices=PARTS, metavar="PART", help=f"leave out one of {', '.join(PARTS)}")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every question and its outcome here")
    made.add_argument("--plots", type=Path, metavar="DIR", help="draw confidence and scores there")
    text = "write the questions with their pages, worst errors first, as HTML"
    made.add_argument("--report", type=Path, metavar="PATH", help=text)
    text = "questions in the report (default: %(default)s)"
    made.add_argument("--report-limit", type=int, default=200, metavar="N", help=text)


def _add_fit(made: argparse.ArgumentParser) -> None:
    made.add_argument("--rows", type=Path, nargs="+", required=True, metavar="FILE")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="calibration.json of weights")
    made.add_argument("--no-answer-bias", type=float, default=0.0, help="that the rows were made with")
    made.add_argument(
        "--key-present-bias", type=float, default=0.0, help="likewise, added where it names the key"
    )


def numbers(text: str) -> tuple[int, ...]:
    """ "400-402,410" -> (400, 401, 402, 410)."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
