"""The arguments of ``layoutllm eval``. What they lead to is in ``runs``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from layoutllm_tool.evaluation import receipts, runs
from layoutllm_tool.evaluation.sets import SETS, Set


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="layoutllm eval", description="Measure the reader on documents with known answers."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, chosen in SETS.items():
        _add_set(_command(commands, name, runs.run_set, chosen.text), name, chosen)
    made = _command(
        commands, "unanswerable", runs.run_unanswerable, "Twenty questions that their receipt does not answer."
    )
    _data(made, required=True)
    _outputs(made)
    made = _command(commands, "keys", runs.run_keys, "The key-value reader alone on FUNSD forms, without a model.")
    _data(made, required=True)
    made = _command(
        commands, "odd", runs.run_odd, "Every file of a folder: an answer or a clear error, never a crash or a hang."
    )
    _data(made, required=True)
    _weights(made)
    made.add_argument("--json", type=Path, metavar="FILE", help="write every file and its outcome here")
    made = _command(
        commands, "ablation", runs.run_ablation, "Runs that differ in one part each, asked the same questions."
    )
    made.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of `layoutllm train`, in their order")
    _data(made, required=False)
    made.add_argument("--limit", type=int, default=150, metavar="N", help="questions on forms (default: %(default)s)")
    made.add_argument("--pages", type=int, default=25, help="to be drawn (default: %(default)s)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the scores here")
    _add_flywheel(commands)
    _add_batches(commands)
    _add_bench(commands)
    _add_fit(commands)
    return top


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[runs.Setting], int],
    text: str,
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=text, description=text)
    made.set_defaults(run=run, name=name)
    return made


def _add_set(made: argparse.ArgumentParser, name: str, chosen: Set) -> None:
    if chosen.folder:
        _data(made, required=name != "refusal")
    if chosen.folder and chosen.words:
        made.add_argument(
            "--ocr", action=argparse.BooleanOptionalAction, default=chosen.ocr,
            help="read the pictures instead of taking the words that come with the set",
        )  # fmt: skip
    if chosen.folder == "receipts":
        made.add_argument(
            "--numbers", type=numbers, default=tuple(receipts.HELD_OUT), help="400-499 (default), 401,407 ..."
        )
    if chosen.split:
        made.add_argument("--split", default=chosen.split, help="default: %(default)s")
    if name in ("drawn", "refusal"):
        made.add_argument("--pages", type=int, default=100, help="to be drawn (default: %(default)s)")
    if name != "drawn":
        what = "receipts, spread evenly over the numbers" if chosen.folder == "receipts" else "questions, at random"
        made.add_argument("--limit", type=int, metavar="N", help=f"only N {what}")
    made.add_argument("--seed", type=int, default=0, help="of what is drawn at random")
    beside = made.add_mutually_exclusive_group()
    beside.add_argument("--baseline", action="store_true", help="ask the untuned backbone too, with the plain text")
    beside.add_argument(
        "--loop", action="store_true", help="a single call beside the whole workflow, which checks and mends"
    )
    made.add_argument(
        "--each-check", action="store_true", help="--loop, and once more without each check, to see what it is worth"
    )
    _outputs(made)


def _data(made: argparse.ArgumentParser, *, required: bool) -> None:
    text = "its folder, or one with a folder of that name"
    made.add_argument("--data", type=Path, required=required, metavar="DIR", help=text)


def _weights(made: argparse.ArgumentParser) -> None:
    made.add_argument("--weights", type=Path, metavar="DIR", help="trained weights (default: the shipped ones)")


def _outputs(made: argparse.ArgumentParser) -> None:
    _weights(made)
    made.add_argument("--json", type=Path, metavar="FILE", help="write every question and its outcome here")
    made.add_argument("--plots", type=Path, metavar="DIR", help="draw the confidence and the scores there (matplotlib)")
    made.add_argument(
        "--report", type=Path, metavar="PATH", help="write the questions with their pages, worst errors first, as HTML"
    )
    made.add_argument(
        "--report-limit", type=int, default=200, metavar="N", help="questions in the report (default: %(default)s)"
    )


def _add_flywheel(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "What reviewing pays: held-out ads over the number of reviewed ones, chosen by predicted loss and at random."
    made = _command(commands, "flywheel", runs.run_flywheel, text)
    _data(made, required=True)
    _weights(made)
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="batches, runs, scores and the plot; taken up again")  # fmt: skip
    made.add_argument("--sizes", type=counts, default=(8, 24), metavar="N,N", help="reviewed documents (default: 8,24)")
    made.add_argument("--held", type=int, default=40, help="documents to score on (default: %(default)s)")
    made.add_argument("--pool", type=int, default=80, help="documents to choose from (default: %(default)s)")
    made.add_argument("--subset", type=int, metavar="N", help="of the pool, looked at to choose from (default: all)")
    made.add_argument("--seed", type=int, default=0, help="of the split, the choice and the training")
    made.add_argument("--most-pages", type=int, metavar="N", help="leave longer documents out")
    made.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a field of the recipe adapt"
    )


def _add_batches(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "A batch beside one document after another; killed and taken up again; through Ray: documents a minute, equal rows."
    made = _command(commands, "batches", runs.run_batches, text)
    made.add_argument("source", metavar="SOURCE", help="as for `layoutllm batch`")
    made.add_argument("--task", default="Extract company, date, address and total", metavar="TEXT", help="default: %(default)s")  # fmt: skip
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="the batches; taken up again")
    made.add_argument("--alone", type=int, default=24, metavar="N", help="documents asked one by one (default: %(default)s)")  # fmt: skip
    made.add_argument("--kills", type=int, default=5, metavar="N", help="default: %(default)s")
    made.add_argument("--ray", action="store_true", help="once more with --engine ray")
    made.add_argument("--workers", type=int, default=2, metavar="N", help="default: %(default)s")
    made.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    made.add_argument("--json", type=Path, metavar="FILE", help="write what was found here")


def counts(text: str) -> tuple[int, ...]:
    """8,24 in rising order."""
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or found[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} are no numbers such as 8,24")
    return found


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Speed and memory, as `layoutllm bench`, of other weights or with other repeats."
    made = _command(commands, "bench", runs.run_bench, text)
    made.add_argument("--file", type=Path, help="a document (default: the sample invoice)")
    _weights(made)
    made.add_argument("--tokens", type=int, default=64, help="tokens that both sides decode")
    made.add_argument("--repeats", type=int, default=5, help="medians are taken over these")
    made.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def _add_fit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Fit confidence and the bias of none to rows written with --json."
    made = _command(commands, "fit", runs.run_fit, text)
    made.add_argument("--rows", type=Path, nargs="+", required=True, metavar="FILE")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="calibration.json of the weights folder")
    made.add_argument("--none-bias", type=float, default=0.0, help="the bias of none that the rows were made with")
    made.add_argument("--named-bias", type=float, default=0.0, help="likewise, where the page names the key")


def numbers(text: str) -> tuple[int, ...]:
    """ "400-402,410" -> (400, 401, 402, 410)."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
