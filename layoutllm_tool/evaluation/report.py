"""Tables and progress bars of the evaluation commands. Progress goes to stderr, tables to the console that is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from layoutllm_tool.evaluation.ablation import Rung
from layoutllm_tool.evaluation.asking import Outcome, Tick
from layoutllm_tool.evaluation.batches import Found
from layoutllm_tool.evaluation.curves import coverage_at, risk_coverage
from layoutllm_tool.evaluation.loop import Comparison, Pass
from layoutllm_tool.evaluation.odd import Outcome as Examined
from layoutllm_tool.evaluation.rows import Row, Summary, by_field, refusals

if TYPE_CHECKING:
    from rich.progress import Progress

    from layoutllm_tool.evaluation.flywheel import Point


def _bar() -> Progress:
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True))  # fmt: skip


@contextmanager
def progress(what: str, total: int) -> Iterator[Tick]:
    """A bar on stderr; what it gives is called with the number of things that have just been done."""
    with _bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def score_table(rows: Sequence[Row], title: str) -> Table:
    """A line a field and one for all; the columns of ROUGE-L and of the baseline (ANLS, seconds) only where they are known."""
    compared = any(row.baseline_anls is not None for row in rows)
    rouge = any(row.rouge is not None for row in rows)
    headings = ["field", "asked", *["ROUGE-L"] * rouge, "ANLS", "blind", "area hit", "IoU", "mAP", "none", "s/q"]
    table = _table(title, headings + ["untuned", "s/q"] * compared)
    for name, found in by_field(rows).items():
        table.add_row(*_cells(name, found, compared, rouge), style="bold" if name == "all" else None)
    return table


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def _cells(name: str, found: Summary, compared: bool, rouge: bool) -> list[str]:
    cells = [
        escape(name), str(found.questions), *[_number(found.rouge)] * rouge, f"{found.anls:.3f}",
        f"{found.anls_blind:.3f}", _number(found.area_hit), _number(found.iou), _number(found.map), str(found.none),
        f"{found.seconds:.2f}",
    ]  # fmt: skip
    return cells + [_number(found.baseline_anls), _number(found.baseline_seconds, 2)] * compared


def confidence_table(kinds: Mapping[str, Summary]) -> Table:
    """What the confidence is worth, a line an outcome and a kind of question."""
    table = _table("Confidence by kind", ["kind", "outcomes", "right", "ECE", "AUROC", "AURC"])
    for name, found in kinds.items():
        table.add_row(
            escape(name), str(found.questions), f"{found.right:.3f}", f"{found.ece:.3f}", _number(found.auroc),
            f"{found.aurc:.3f}",
        )  # fmt: skip
    return table


def refusal_table(sets: Mapping[str, Sequence[Row]]) -> Table:
    """A line a set: of the questions that the page does not answer, how many were refused; of the refusals, how many rightly."""
    table = _table(
        "Refusals", ["set", "asked", "unanswerable", "refused", "precision", "recall", "F1", "ANLS, answerable"]
    )
    for name, rows in sets.items():
        found, asked = refusals(rows), [row.anls for row in rows if row.gold]
        table.add_row(
            escape(name), str(len(rows)), str(found.unanswerable), str(found.refused), f"{found.precision:.3f}",
            f"{found.recall:.3f}", f"{found.f1:.3f}", _number(fmean(asked) if asked else None),
        )  # fmt: skip
    return table


def notes(outcome: Outcome) -> list[str]:
    """What the table doesn't say: loading times, the confidence's quality, refusals, lost places, errors."""
    if not outcome.rows:
        return ["Nothing was asked."]
    found = Summary.of(outcome.rows)
    said = [
        (
            "blind: ANLS without punctuation; mAP: of the answers' boxes, IoU .50:.95; s/q: seconds a question; "
            "untuned: ANLS of the backbone as it came."
        )
    ]
    if outcome.load_seconds:
        said.append(
            f"Loading (with text recognition where it is needed): {fmean(outcome.load_seconds):.2f} s a document."
        )
    said.append(
        f"Confidence: calibration error {found.ece:.3f}, AUROC {_number(found.auroc)}, risk-coverage area {found.aurc:.3f};"
        f" {_coverage(outcome.rows):.0%} of the outcomes can be kept at 5 % wrong."
    )
    said.append(
        f"Wrong among outcomes at 0.8 and more: {_wrong(outcome.rows, 0.8)}; at 0.9: {_wrong(outcome.rows, 0.9)}."
    )
    if found.refusal:
        of = found.refusal
        said.append(f"Refusals: precision {of['precision']:.3f}, recall {of['recall']:.3f}, F1 {of['f1']:.3f}.")
    asked = sum(bool(row.gold) for row in outcome.rows)
    said.append(f"Area hits are counted over the {found.placed} of {asked} answers whose place is known.")
    said.append(f"Errors: {len(outcome.refused)}." if outcome.refused else "Errors: none.")
    return said + [f"  {line}" for line in outcome.refused]


def _wrong(rows: Sequence[Row], sure: float) -> str:
    kept = [row for row in rows if row.confidence >= sure]
    wrong = sum(not row.right for row in kept)
    return f"{wrong} of {len(kept)} ({wrong / max(len(kept), 1):.1%}; {wrong / len(rows):.1%} of all)"


def _coverage(rows: Sequence[Row]) -> float:
    return coverage_at(risk_coverage([row.confidence for row in rows], [row.right for row in rows]), 0.05)


def question_table(rows: Sequence[Row], title: str) -> Table:
    """A line a question, for the few where each one counts."""
    table = Table(title=title, title_justify="left")
    for heading in ("document", "question", "outcome", "confidence"):
        table.add_column(heading)
    for row in rows:
        outcome = "none" if row.answer is None else f"[red]{escape(row.answer)}[/red]"
        table.add_row(escape(row.document), escape(row.question), outcome, f"{row.confidence:.2f}")
    return table


def ablation_table(rungs: Sequence[Rung]) -> Table:
    """A line a run, a column a set: mean ANLS."""
    table = Table(title="Ablation: mean ANLS", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("run")
    for name, count in rungs[0].questions.items():
        table.add_column(f"{name} ({count})", justify="right")
    for rung in rungs:
        table.add_row(escape(rung.name), *(f"{score:.3f}" for score in rung.anls.values()))
    return table


def flywheel_table(points: Sequence[Point]) -> Table:
    """A line for each set of weights on the same held-out documents."""
    count = points[0].questions if points else 0
    table = Table(title=f"Flywheel: {count} held-out questions", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("chosen by", "reviewed", "pages taught", "ANLS", "right"):
        table.add_column(name, justify="left" if name == "chosen by" else "right")
    for point in points:
        shown = (str(point.reviewed), str(point.pages), f"{point.anls:.3f}", f"{point.right:.3f}")
        table.add_row(point.how, *shown)
    return table


def batches_table(found: Found) -> Table:
    """Speed, and how many rows are the same however the batch went."""
    made = _table(f"A batch of {found.documents} documents, {found.failed} failed", ("", ""))
    made.add_row("documents a minute", f"{found.batch_per_minute:.1f}")
    made.add_row("one after another", f"{found.alone_per_minute:.1f}")
    for name, same in ((f"after {found.kills} kills", found.same_after_kills), ("through Ray", found.same_through_ray)):
        if same is not None:
            made.add_row(f"rows the same {name}", f"{same} of {found.rows}")
    return made


def loop_table(found: Comparison) -> Table:
    """A single call beside the whole loop, and what became of right and wrong answers."""
    made = _table("The workflow", ("", "one call", "the loop"))
    once, loop = Pass.of(found.once), Pass.of(found.loop)
    for name in ("anls", "right", "area_hit"):
        made.add_row(name.replace("_", " "), _number(getattr(once, name)), _number(getattr(loop, name)))
    made.add_row("calls a question", _number(once.calls, 2), _number(loop.calls, 2))
    made.add_row("seconds a question", _number(once.seconds, 2), _number(loop.seconds, 2))
    total, wrong = len(found.once), found.changed(False, False) + found.changed(False, True)
    mended, spoilt = found.changed(False, True), found.changed(True, False)
    made.add_row("wrong -> right", "", f"{mended} of {wrong}")
    made.add_row("right -> wrong", "", f"{spoilt} of {total - wrong}")
    made.add_row("wrong -> flagged", "", f"{found.wrong_flagged} of {wrong - mended + spoilt}")
    made.add_row("right -> flagged", "", f"{found.right_flagged} of {total - wrong + mended - spoilt}")
    return made


def checks_table(without: Mapping[str, Comparison]) -> Table:
    """The loop with all checks, and without each of them."""
    headings = ("without", "anls", "mended", "spoilt", "wrong flagged", "right flagged", "calls")
    made = _table("What each check is worth", headings)
    for name, found in without.items():
        loop = Pass.of(found.loop)
        counts = (found.changed(False, True), found.changed(True, False), found.wrong_flagged, found.right_flagged)
        made.add_row("-" if name == "all" else name, _number(loop.anls), *map(str, counts), _number(loop.calls, 2))
    return made


def file_table(outcomes: Iterable[Examined]) -> Table:
    table = Table(title="Awkward files", title_justify="left")
    for heading in ("file", "outcome", "detail", "pages", "s"):
        table.add_column(heading, justify="right" if heading in ("pages", "s") else "left")
    for o in outcomes:
        style = "bold red" if o.failed else "yellow" if o.kind == "error" else None
        table.add_row(escape(o.file), o.kind, escape(o.detail), str(o.pages), f"{o.seconds:.1f}", style=style)
    return table


def counts(outcomes: Sequence[Examined]) -> Mapping[str, int]:
    """How often each kind of outcome came, every kind named."""
    kinds = ("answer", "none", "error", "crash", "time-out")
    return {kind: sum(o.kind == kind for o in outcomes) for kind in kinds}


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
