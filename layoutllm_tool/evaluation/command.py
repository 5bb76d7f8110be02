"""``layoutllm eval``: receipts, forms, unanswerable questions, awkward files, and fitting the confidence to their rows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from layoutllm_tool.errors import DocumentNotFound, LayoutLLMError
from layoutllm_tool.evaluation import asking, drawn, forms, odd, receipts, report, rows, unanswerable
from layoutllm_tool.protocols import Reader

Make = Callable[[Path | None], Reader]
"""Makes the reader from the folder of weights that was named, None for the shipped ones."""


def make_reader(weights: Path | None) -> Reader:
    from layoutllm_tool.reader import LayoutLLMReader

    return LayoutLLMReader(weights)


@dataclass(frozen=True, slots=True)
class Setting:
    """What every command works with."""

    arguments: argparse.Namespace
    console: Console
    make: Make

    @property
    def reader(self) -> Reader:
        return self.make(self.arguments.weights)

    def data(self, name: str) -> Path:
        """The folder of that data set: the one given, or one of that name in it. DocumentNotFound where it is no folder."""
        given: Path = self.arguments.data
        if not given.is_dir():
            raise DocumentNotFound(f"there is no folder {str(given)!r}.", hint="Say with --data where the data lies.")
        return given / name if (given / name).is_dir() else given


def main(argv: Sequence[str] | None = None, *, make: Make = make_reader, console: Console | None = None) -> int:
    """Exit code: 0, 1 where something crashed, hung or fell short of its aim, 2 where it could not be run."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(Setting(arguments, console or Console(), make)))
    except LayoutLLMError as error:
        Console(stderr=True).print(f"{type(error).__name__}: {error}", markup=False)
        return 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="layoutllm eval", description="Measure the reader on documents with known answers."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Setting], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    def reading(name: str, run: Callable[[Setting], int], text: str) -> argparse.ArgumentParser:
        made = command(name, run, text)
        made.add_argument(
            "--data", type=Path, required=True, metavar="DIR", help="its folder, or one with a folder of that name"
        )
        made.add_argument("--weights", type=Path, metavar="DIR", help="trained weights (default: the shipped ones)")
        made.add_argument("--json", type=Path, metavar="FILE", help="write every question or file and its outcome here")
        return made

    made = reading("receipts", run_receipts, "SROIE receipts through real text recognition, images in.")
    made.add_argument(
        "--numbers", type=numbers, default=tuple(receipts.HELD_OUT), help="400-499 (default), 401,407 ..."
    )
    made.add_argument("--limit", type=int, metavar="N", help="only N receipts, spread evenly over the numbers")
    made.add_argument("--baseline", action="store_true", help="ask the untuned backbone too, with the plain text")
    made = reading("forms", run_forms, "FUNSD forms in the paper's form of question, words given.")
    made.add_argument("--limit", type=int, metavar="N", help="only N questions, drawn at random")
    made.add_argument("--seed", type=int, default=0, help="of the draw")
    made.add_argument("--baseline", action="store_true", help="ask the untuned backbone too, with the plain text")
    made = command(
        "drawn", run_drawn, "Pages drawn like those of training, with other seeds: to fit the confidence on."
    )
    made.add_argument("--pages", type=int, default=100)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--weights", type=Path, metavar="DIR", help="trained weights (default: the shipped ones)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every question and its outcome here")
    made.set_defaults(baseline=False)
    reading("unanswerable", run_unanswerable, "Twenty questions that their receipt does not answer.")
    reading("odd", run_odd, "Every file of a folder: an answer or a clear error, never a crash or a hang.")
    made = command(
        "bench", run_bench, "Speed and memory, as `layoutllm bench`, of other weights or with other repeats."
    )
    made.add_argument("--file", type=Path, help="a document (default: the sample invoice)")
    made.add_argument("--weights", type=Path, metavar="DIR", help="trained weights (default: the shipped ones)")
    made.add_argument("--tokens", type=int, default=64, help="tokens that both sides decode")
    made.add_argument("--repeats", type=int, default=5, help="medians are taken over these")
    made.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    made = command("fit", run_fit, "Fit confidence and the bias of none to rows written with --json.")
    made.add_argument("--rows", type=Path, nargs="+", required=True, metavar="FILE")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="calibration.json of the weights folder")
    made.add_argument("--none-bias", type=float, default=0.0, help="the bias of none that the rows were made with")
    made.add_argument("--named-bias", type=float, default=0.0, help="likewise, where the page names the key")
    return top


def numbers(text: str) -> tuple[int, ...]:
    """ "400-402,410" -> (400, 401, 402, 410)."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def spread(numbers: Sequence[int], limit: int | None) -> Sequence[int]:
    """At most ``limit`` of them, evenly spaced."""
    if limit is None or limit >= len(numbers):
        return numbers
    return [numbers[i * len(numbers) // limit] for i in range(max(limit, 0))]


# -- commands -----------------------------------------------------------------------------------------------------------


def run_receipts(setting: Setting) -> int:
    chosen = setting.arguments
    items = receipts.items(setting.data("receipts"), spread(chosen.numbers, chosen.limit))
    _scored(setting, items, f"Receipts: {len(items)} pictures, text recognised")
    return 0


def run_forms(setting: Setting) -> int:
    chosen = setting.arguments
    items = forms.items(setting.data("forms"), limit=chosen.limit, seed=chosen.seed)
    _scored(setting, items, f"Forms: {len(items)} pages, words given")
    return 0


def run_drawn(setting: Setting) -> int:
    items = drawn.items(setting.arguments.pages, seed=setting.arguments.seed)
    _scored(setting, items, f"Drawn pages: {len(items)}")
    return 0


def run_unanswerable(setting: Setting) -> int:
    items = unanswerable.items(setting.data("receipts"))
    reader, console = setting.reader, setting.console
    with report.progress("Asking", len(items)) as tick:
        outcome = asking.ask_all(reader, items, tick=tick)
    console.print(report.question_table(outcome.rows, "Questions that the page does not answer"))
    for item, question in zip(items, unanswerable.QUESTIONS, strict=True):
        if names := unanswerable.present(question, reader.load(item.path).pages[0]):
            console.print(f"{item.path.name} as read holds {', '.join(names)}: its question may be answerable.")
    silent = sum(row.right for row in outcome.rows)
    console.print(
        f"None: {silent} of {len(items)} (aim: {unanswerable.AIM}).", *outcome.refused, sep="\n", markup=False
    )
    _write(setting, outcome)
    return int(silent < unanswerable.AIM)


def run_odd(setting: Setting) -> int:
    chosen, console = setting.arguments, setting.console
    files = sorted(path for path in setting.data("odd").iterdir() if path.is_file())
    outcomes = []
    with report.progress("Reading", len(files)) as tick:
        for outcome in odd.examine(files, partial(setting.make, chosen.weights)):
            outcomes.append(outcome)
            tick(1)
    console.print(report.file_table(outcomes))
    console.print(", ".join(f"{kind}: {count}" for kind, count in report.counts(outcomes).items()))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1, ensure_ascii=False) + "\n")
    return int(any(outcome.failed for outcome in outcomes))


def run_bench(setting: Setting) -> int:
    from layoutllm_tool.evaluation.bench import bench

    chosen = setting.arguments
    return bench(
        chosen.file, json=chosen.json, weights=chosen.weights, new_tokens=chosen.tokens, repeats=chosen.repeats,
        console=setting.console,
    )  # fmt: skip


def run_fit(setting: Setting) -> int:
    from layoutllm_tool.evaluation.calibration import fit_rows, quality

    chosen = setting.arguments
    found = [row for path in chosen.rows for row in rows.read(path)]
    fitted = fit_rows(found, none_bias=chosen.none_bias, named_bias=chosen.named_bias)
    chosen.out.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
    setting.console.print(
        f"{len(found)} rows; bias of none {fitted['none_bias']:+.2f}, key named {fitted['named_bias']:+.2f}."
    )
    for kind, (error, separation, count) in quality(found, fitted).items():
        setting.console.print(
            f"{kind}: {count} outcomes, calibration error {error:.3f}, AUROC {separation:.3f} (on the rows it was fitted to)."
        )
    return 0


def _scored(setting: Setting, items: Sequence[asking.Item], title: str) -> None:
    baseline = _baseline() if setting.arguments.baseline else None
    questions = sum(len(item.questions) for item in items)
    with report.progress("Asking", questions) as tick:
        outcome = asking.ask_all(setting.reader, items, baseline=baseline, tick=tick)
    if outcome.rows:
        setting.console.print(report.score_table(outcome.rows, title))
    for line in report.notes(outcome):
        setting.console.print(line, markup=False, soft_wrap=True)
    _write(setting, outcome)


def _baseline() -> asking.Baseline:
    from layoutllm_tool.evaluation.baseline import PlainBackbone

    return PlainBackbone()


def _write(setting: Setting, outcome: asking.Outcome) -> None:
    if path := setting.arguments.json:
        rows.write(path, outcome.rows, load_seconds=list(outcome.load_seconds), refused=list(outcome.refused))
