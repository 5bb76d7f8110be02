"""Tables and progress bars of the evaluation. Progress goes to stderr, tables to the caller's console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from layoutllm_tool.evaluation.confidence_metrics import coverage_at, risk_coverage
from layoutllm_tool.evaluation.results import ScoredAnswer, Summary, by_field, refusals
from layoutllm_tool.evaluation.run import Outcome, Tick
from layoutllm_tool.evaluation.workflow_eval import Comparison, summary

_LEGEND = (
    "blind: ANLS without punctuation; mAP: of the answers' boxes, IoU .50:.95; s/q: seconds a question; "
    "untuned: ANLS of the backbone as it came."
)


@contextmanager
def progress(what: str, total: int) -> Iterator[Tick]:
    """A bar on stderr; gives a function that is called with the number of things just done."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> Table:
    """The first column to the left, numbers with three digits; a last row "all" is bold."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        made.add_row(*map(_cell, row), style="bold" if row[0] == "all" else None)
    return made


def _cell(value: str | float | None) -> str:
    if isinstance(value, str):
        return escape(value)
    return str(value) if isinstance(value, int) else number(value)


def number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def score_table(answers: Sequence[ScoredAnswer], title: str) -> Table:
    """A row a field and one for all; ROUGE-L and the baseline (ANLS, seconds) only where they are known."""
    compared = any(one.baseline_anls is not None for one in answers)
    rouge = any(one.rouge is not None for one in answers)
    scores = ["ANLS", "blind", "area hit", "IoU", "mAP", "none", "s/q"]
    headings = ["field", "asked", *["ROUGE-L"] * rouge, *scores]
    rows = [
        [
            name, of.questions, *[of.rouge] * rouge, of.anls, of.anls_blind, of.area_hit, of.iou, of.map,
            of.none, number(of.seconds, 2), *[of.baseline_anls, number(of.baseline_seconds, 2)] * compared,
        ]
        for name, of in by_field(answers).items()
    ]  # fmt: skip
    return table(title, headings + ["untuned", "s/q"] * compared, rows)


def confidence_table(kinds: Mapping[str, Summary]) -> Table:
    """What the confidence is worth, a row an outcome and a kind of question."""
    rows = [(name, of.questions, of.right, of.ece, of.auroc, of.aurc) for name, of in kinds.items()]
    return table("Confidence by kind", ["kind", "outcomes", "right", "ECE", "AUROC", "AURC"], rows)


def refusal_table(sets: Mapping[str, Sequence[ScoredAnswer]]) -> Table:
    """A row a set: how many unanswerable questions were refused, and how many refusals were right."""
    rows = []
    for name, answers in sets.items():
        found, scores = refusals(answers), [one.anls for one in answers if one.gold]
        counts = (len(answers), found.unanswerable, found.refused, found.precision, found.recall, found.f1)
        rows.append((name, *counts, fmean(scores) if scores else None))
    headings = ["set", "asked", "unanswerable", "refused", "precision", "recall", "F1", "ANLS, answerable"]
    return table("Refusals", headings, rows)


def notes(outcome: Outcome) -> list[str]:
    """What the table doesn't say: loading times, the confidence's quality, refusals, lost places, errors."""
    answers = outcome.answers
    if not answers:
        return ["Nothing was asked."]
    found = Summary.of(answers)
    points = risk_coverage([one.confidence for one in answers], [one.right for one in answers])
    lines = [_LEGEND]
    if outcome.load_seconds:
        seconds = fmean(outcome.load_seconds)
        lines.append(f"Loading (with text recognition where it is needed): {seconds:.2f} s a document.")
    lines.append(
        f"Confidence: calibration error {found.ece:.3f}, AUROC {number(found.auroc)}, risk-coverage area "
        f"{found.aurc:.3f}; {coverage_at(points, 0.05):.0%} of the outcomes can be kept at 5 % wrong."
    )
    wrong = [_wrong(answers, sure) for sure in (0.8, 0.9)]
    lines.append(f"Wrong among outcomes at 0.8 and more: {wrong[0]}; at 0.9: {wrong[1]}.")
    if found.refusal:
        precision, recall, f1 = found.refusal.values()
        lines.append(f"Refusals: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}.")
    asked = sum(bool(one.gold) for one in answers)
    lines += [
        f"Area hits are counted over the {found.placed} of {asked} answers whose place is known.",
        f"Errors: {len(outcome.errors) or 'none'}.",
    ]
    return lines + [f"  {line}" for line in outcome.errors]


def _wrong(answers: Sequence[ScoredAnswer], sure: float) -> str:
    kept = [one for one in answers if one.confidence >= sure]
    wrong = sum(not one.right for one in kept)
    return f"{wrong} of {len(kept)} ({wrong / max(len(kept), 1):.1%}; {wrong / len(answers):.1%} of all)"


def question_table(answers: Sequence[ScoredAnswer], title: str) -> Table:
    """A row a question, for few unanswerable ones."""
    made = Table("document", "question", "outcome", "confidence", title=title, title_justify="left")
    for one in answers:
        outcome = "none" if one.answer is None else f"[red]{escape(one.answer)}[/red]"
        made.add_row(escape(one.document), escape(one.question), outcome, f"{one.confidence:.2f}")
    return made


def workflow_table(found: Comparison) -> Table:
    """A single call beside the workflow, and what became of right and wrong answers."""
    (once, once_calls), (flow, flow_calls) = summary(found.once), summary(found.workflow)
    total, wrong = len(found.once), found.changed(False, False) + found.changed(False, True)
    corrected, spoilt = found.changed(False, True), found.changed(True, False)
    rows = [
        ("anls", once.anls, flow.anls),
        ("right", once.right, flow.right),
        ("area hit", once.area_hit, flow.area_hit),
        ("calls a question", number(once_calls, 2), number(flow_calls, 2)),
        ("seconds a question", number(once.seconds, 2), number(flow.seconds, 2)),
        ("wrong -> right", "", f"{corrected} of {wrong}"),
        ("right -> wrong", "", f"{spoilt} of {total - wrong}"),
        ("wrong -> flagged", "", f"{found.flagged(right=False)} of {wrong - corrected + spoilt}"),
        ("right -> flagged", "", f"{found.flagged(right=True)} of {total - wrong + corrected - spoilt}"),
    ]
    return table("The workflow", ("", "one call", "workflow"), rows)


def checks_table(without: Mapping[str, Comparison]) -> Table:
    """The workflow with all checks ("all"), and without each of them."""
    rows = []
    for name, found in without.items():
        flow, calls = summary(found.workflow)
        counts = (found.changed(False, True), found.changed(True, False))
        flagged = (found.flagged(right=False), found.flagged(right=True))
        rows.append(("-" if name == "all" else name, flow.anls, *counts, *flagged, number(calls, 2)))
    headings = ("without", "anls", "corrected", "spoilt", "wrong flagged", "right flagged", "calls")
    return table("What each check is worth", headings, rows)
