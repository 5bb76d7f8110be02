"""What the commands of ``layoutllm eval`` do, each a function from its setting to an exit code."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.evaluation import (
    ablation,
    asking,
    batches,
    drawn,
    everyday,
    flywheel,
    forms,
    loop,
    odd,
    plots,
    refusal,
    report,
    rows,
    unanswerable,
)
from layoutllm_tool.evaluation.pages import Pictures, write_pages
from layoutllm_tool.evaluation.remembering import Remembering
from layoutllm_tool.evaluation.sets import SETS, Choice
from layoutllm_tool.protocols import Reader

Make = Callable[[Path | None], Reader]
"""Makes the reader from the folder of weights that was named, None for the shipped ones."""


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


def run_set(setting: Setting) -> int:
    """A set of ``SETS``, asked, scored, and written as the arguments say."""
    chosen = setting.arguments
    plots.require(chosen.plots)
    items = SETS[chosen.name].items(_choice(setting))
    if not any(item.questions for item in items):
        raise DocumentNotFound("there are no questions to ask.", hint="Look at --data, --split, --numbers and --limit.")
    if chosen.loop or chosen.each_check:
        return _run_loop(setting, items)
    baseline = _baseline() if chosen.baseline else None
    outcome = _asked(setting, items, baseline)
    given = SETS[chosen.name].words and not getattr(chosen, "ocr", False)
    read = "words given" if given else "pictures read"
    setting.console.print(report.score_table(outcome.rows, f"{chosen.name}: {len(items)} documents, {read}"))
    if len(confidences := rows.by_kind(outcome.rows)) > 1:
        setting.console.print(report.confidence_table(confidences))
    if chosen.name == "refusal":
        setting.console.print(report.refusal_table(refusal.by_set(outcome.rows)))
    if chosen.name == "wording":
        setting.console.print(
            "Keys whose answer changes with capitals: {} of {}.".format(*everyday.changed_by_case(outcome.rows))
        )
    for line in report.notes(outcome):
        setting.console.print(line, markup=False, soft_wrap=True)
    return 0


def _run_loop(setting: Setting, items: Sequence[asking.Item]) -> int:
    """The workflow on a set: whole, and without each check where that is wanted."""
    from graphs.reflection.checks import CHECKS

    chosen = setting.arguments
    left_out = [(), *((name,) for name in CHECKS)] if chosen.each_check else [()]
    questions = sum(len(item.questions) for item in items)
    with report.progress("Asking", questions * (1 + len(left_out))) as tick:
        once = loop.deal(setting.reader, items, rounds=1, second_look=False, tick=tick)
        # A pass without a check asks nearly the same as the whole loop did; only that one is timed.
        reader = Remembering(setting.reader) if chosen.each_check else setting.reader
        whole = [loop.Comparison(tuple(once), tuple(loop.deal(reader, items, without=w, tick=tick))) for w in left_out]
    setting.console.print(report.loop_table(whole[0]))
    if chosen.each_check:
        setting.console.print(
            report.checks_table(
                {(names[0] if names else "all"): found for names, found in zip(left_out, whole, strict=True)}
            )
        )
    if chosen.json:
        found = [dealt.row for dealt in whole[0].loop]
        rows.write(chosen.json, found, load_seconds=[], refused=[])
    return 0


def _choice(setting: Setting) -> Choice:
    """The arguments that the set has; the others keep their defaults."""
    given = {name: value for name, value in vars(setting.arguments).items() if name in Choice.__dataclass_fields__}
    folder = SETS[setting.arguments.name].folder
    return Choice(**given | {"data": setting.data(folder) if given.get("data") else None})


def _baseline() -> asking.Baseline:
    from layoutllm_tool.evaluation.baseline import PlainBackbone

    return PlainBackbone()


def _asked(
    setting: Setting,
    items: Sequence[asking.Item],
    baseline: asking.Baseline | None = None,
    reader: Reader | None = None,
) -> asking.Outcome:
    """Asks, then writes rows, plots and report where they are wanted."""
    chosen, pictures = setting.arguments, Pictures()
    seen = pictures.keep if chosen.report else None
    with report.progress("Asking", sum(len(item.questions) for item in items)) as tick:
        outcome = asking.ask_all(reader or setting.reader, items, baseline=baseline, tick=tick, seen=seen)
    if chosen.json:
        rows.write(chosen.json, outcome.rows, load_seconds=list(outcome.load_seconds), refused=list(outcome.refused))
    if chosen.plots:
        plots.draw(outcome.rows, chosen.plots)
    if chosen.report:
        path = write_pages(outcome.rows, chosen.report, pictures, title=chosen.name, limit=chosen.report_limit)
        setting.console.print(f"Report: {path}", markup=False, soft_wrap=True)
    return outcome


def run_unanswerable(setting: Setting) -> int:
    plots.require(setting.arguments.plots)
    items = unanswerable.items(setting.data("receipts"))
    reader, console = setting.reader, setting.console
    outcome = _asked(setting, items, reader=reader)
    console.print(report.question_table(outcome.rows, "Questions that the page does not answer"))
    for item, question in zip(items, unanswerable.QUESTIONS, strict=True):
        if names := unanswerable.present(question, reader.load(item.path).pages[0]):
            console.print(f"{item.path.name} as read holds {', '.join(names)}: its question may be answerable.")
    silent = sum(row.right for row in outcome.rows)
    console.print(
        f"None: {silent} of {len(items)} (aim: {unanswerable.AIM}).", *outcome.refused, sep="\n", markup=False
    )
    return int(silent < unanswerable.AIM)


def run_ablation(setting: Setting) -> int:
    chosen = setting.arguments
    sets: dict[str, Sequence[asking.Item]] = {"drawn pages": drawn.items(chosen.pages)}
    if chosen.data:
        sets["forms"] = forms.items(setting.data("forms"), limit=chosen.limit)
    questions = sum(len(item.questions) for items in sets.values() for item in items)
    with report.progress("Asking", questions * len(chosen.runs)) as tick:
        rungs = [ablation.rung(run, sets, tick) for run in chosen.runs]
    setting.console.print(report.ablation_table(rungs))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(rung) for rung in rungs], indent=1) + "\n", encoding="utf-8")
    return 0


def run_flywheel(setting: Setting) -> int:
    from layoutllm_tool.training.recipe import settings_of

    chosen = setting.arguments
    plots.require(chosen.out)
    plan = flywheel.Plan(
        setting.data("ads"), chosen.out, chosen.sizes, chosen.held, chosen.pool, chosen.subset, chosen.seed,
        chosen.most_pages, tuple(settings_of(chosen.set).items()),
    )  # fmt: skip
    points = flywheel.run(plan, setting.make, chosen.weights, partial(setting.console.print, markup=False))
    setting.console.print(report.flywheel_table(points))
    for path in flywheel.write(points, chosen.out):
        setting.console.print(str(path), markup=False, soft_wrap=True)
    return 0


def run_batches(setting: Setting) -> int:
    """1 where a row came out otherwise."""
    chosen = setting.arguments
    plan = batches.Plan(
        chosen.source, chosen.task, chosen.out, chosen.alone, chosen.kills, chosen.ray, chosen.workers, chosen.seed
    )
    found = batches.measure(plan, lambda: setting.make(None), partial(setting.console.print, markup=False))
    setting.console.print(report.batches_table(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found.to_json(), indent=1) + "\n", encoding="utf-8")
    return int(any(same not in (None, found.rows) for same in (found.same_after_kills, found.same_through_ray)))


def run_keys(setting: Setting) -> int:
    from layoutllm_tool.evaluation.key_values import table

    setting.console.print(table(setting.data("forms")), markup=False)
    return 0


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
    for kind, checked in fitted.get("held_out", {}).items():
        setting.console.print(
            f"{kind}, documents left out of the fit in turn: {checked['outcomes']} outcomes, "
            f"calibration error {checked['error']:.3f}, AUROC {checked['separation']:.3f}."
        )
    return 0
