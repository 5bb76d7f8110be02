"""What the commands of ``layoutllm eval`` do, each a function from its setting to an exit code."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from layoutllm_tool.errors import DocumentNotFound, LayoutLLMError
from layoutllm_tool.evaluation import html_report, plots, report, results, workflow_eval
from layoutllm_tool.evaluation.ablation import ReaderWithout
from layoutllm_tool.evaluation.datasets import DATASETS, everyday, sample, unanswerable
from layoutllm_tool.evaluation.run import Baseline, Item, Outcome, ask_all
from layoutllm_tool.protocols import Reader

Make = Callable[[Path | None], Reader]
"""Makes the reader from a folder of weights, None for the shipped ones."""


def require(module: str, extra: str) -> None:
    """LayoutLLMError where the module is not installed: before an hour of asking, not after it."""
    if find_spec(module) is None:
        raise LayoutLLMError(
            f"{module} is needed, but not installed.", hint=f"Run: pip install 'layoutllm-tool[{extra}]'."
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """What every command works with."""

    arguments: argparse.Namespace
    console: Console
    make: Make

    @property
    def reader(self) -> Reader:
        if part := getattr(self.arguments, "without", None):
            return ReaderWithout(part, self.arguments.weights)
        return self.make(self.arguments.weights)

    def data(self, name: str) -> Path:
        """The folder given, or one called ``name`` in it. DocumentNotFound where it is no folder."""
        given: Path = self.arguments.data
        if not given.is_dir():
            raise DocumentNotFound(f"there is no folder {str(given)!r}.", hint="Give another --data.")
        return given / name if (given / name).is_dir() else given

    def say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line, markup=False, soft_wrap=True)


def run_set(setting: Setting) -> int:
    """Ask one of ``DATASETS``, score it, and write what the arguments ask for."""
    chosen, dataset = setting.arguments, DATASETS[setting.arguments.name]
    if chosen.plots:
        require("matplotlib", "plots")
    items = _items(setting)
    if not any(item.questions for item in items):
        raise DocumentNotFound("there are no questions.", hint="Look at --data, --split, --numbers, --limit.")
    if chosen.loop or chosen.each_check:
        return _run_workflow(setting, items)
    outcome = _asked(setting, items, _baseline() if chosen.baseline else None)
    given = dataset.words and not getattr(chosen, "ocr", False)
    title = f"{chosen.name}: {len(items)} documents, {'words given' if given else 'pictures read'}"
    setting.console.print(report.score_table(outcome.answers, title))
    if len(kinds := results.by_kind(outcome.answers)) > 1:
        setting.console.print(report.confidence_table(kinds))
    if chosen.name == "refusal":
        setting.console.print(report.refusal_table(unanswerable.by_half(outcome.answers)))
    if chosen.name == "wording":
        changed, keys = everyday.changed_by_case(outcome.answers)
        setting.say(f"Keys whose answer changes with capitals: {changed} of {keys}.")
    setting.say(*report.notes(outcome))
    return 0


def _items(setting: Setting) -> list[Item]:
    """The set's documents; arguments that it does not have keep their defaults."""
    chosen, dataset = vars(setting.arguments), DATASETS[setting.arguments.name]
    folder: list[Any] = [setting.data(dataset.folder)] if chosen.get("data") else []
    found = dataset.items(*folder, **{name: chosen[name] for name in dataset.options})
    return sample(found, chosen["limit"], chosen["seed"], dataset.sample) if dataset.sample else found


def _run_workflow(setting: Setting, items: Sequence[Item]) -> int:
    """The workflow on a set: whole, and without each check where that is wanted."""
    from layoutllm_graphs.reflection.checks import CHECKS

    chosen, ask = setting.arguments, workflow_eval.ask_workflow
    left_out = {"all": ()} | {name: (name,) for name in CHECKS if chosen.each_check}
    questions = sum(len(item.questions) for item in items)
    with report.progress("Asking", questions * (1 + len(left_out))) as tick:
        once = tuple(ask(setting.reader, items, max_attempts=1, second_opinion=False, tick=tick))
        found = {
            name: workflow_eval.Comparison(
                once, tuple(ask(setting.reader, items, disabled_checks=checks, tick=tick))
            )
            for name, checks in left_out.items()
        }
    setting.console.print(report.workflow_table(found["all"]))
    if chosen.each_check:
        setting.console.print(report.checks_table(found))
    if chosen.json:
        results.write(chosen.json, [one.scored for one in found["all"].workflow], load_seconds=[], refused=[])
    return 0


def _baseline() -> Baseline:
    from layoutllm_tool.evaluation.baseline import PlainBackbone

    return PlainBackbone()


def _asked(
    setting: Setting, items: Sequence[Item], baseline: Baseline | None = None, reader: Reader | None = None
) -> Outcome:
    """Ask, then write answers, plots and report where they are wanted."""
    chosen, pictures = setting.arguments, html_report.Pictures()
    seen = pictures.keep if chosen.report else None
    with report.progress("Asking", sum(len(item.questions) for item in items)) as tick:
        outcome = ask_all(reader or setting.reader, items, baseline=baseline, tick=tick, seen=seen)
    if chosen.json:
        facts = {"load_seconds": outcome.load_seconds, "refused": outcome.errors}
        results.write(chosen.json, outcome.answers, **facts)
    if chosen.plots:
        plots.draw(outcome.answers, chosen.plots)
    if chosen.report:
        options = {"title": chosen.name, "limit": chosen.report_limit}
        file = html_report.write_report(outcome.answers, chosen.report, pictures, **options)
        setting.say(f"Report: {file}")
    return outcome


def run_unanswerable(setting: Setting) -> int:
    """1 where fewer than ``unanswerable.AIM`` of the twenty were refused."""
    if setting.arguments.plots:
        require("matplotlib", "plots")
    items, reader = unanswerable.fixed_items(setting.data("receipts")), setting.reader
    outcome = _asked(setting, items, reader=reader)
    setting.console.print(report.question_table(outcome.answers, "Questions that the page does not answer"))
    for item, question in zip(items, unanswerable.QUESTIONS, strict=True):
        if names := unanswerable.present(question["names"], reader.load(item.path).pages[0]):
            setting.say(f"{item.path.name} as read holds {', '.join(names)}: its question may be answerable.")
    refused = sum(one.right for one in outcome.answers)
    setting.say(f"None: {refused} of {len(items)} (aim: {unanswerable.AIM}).", *outcome.errors)
    return int(refused < unanswerable.AIM)


def run_keys(setting: Setting) -> int:
    from layoutllm_tool.evaluation.key_values import table

    setting.console.print(table(setting.data("forms")), markup=False)
    return 0


def run_records(setting: Setting) -> int:
    from layoutllm_tool.evaluation import records

    chosen, reader = setting.arguments, setting.reader
    tasks = records.read_tasks(chosen.data)
    with report.progress("Extracting", len(tasks)) as tick:
        done = records.extract_all(tasks, chosen.data, reader, tick=tick)
    setting.console.print(records.table(done.scores), markup=False)
    if chosen.json:
        text = json.dumps(done.records, ensure_ascii=False, indent=1)
        chosen.json.write_text(f"{text}\n", encoding="utf-8")
    return 0


def run_line_items(setting: Setting) -> int:
    from layoutllm_tool.evaluation import line_items, records

    labels = line_items.read_labels(setting.arguments.labels)
    reader = setting.reader if setting.arguments.ocr else None
    scores = line_items.score(labels, setting.data("receipts"), reader)
    setting.console.print(records.table(scores), markup=False)
    return 0


def run_fit(setting: Setting) -> int:
    from layoutllm_tool.evaluation.calibration import fit_rows, fitted_quality

    chosen = setting.arguments
    answers = [one for path in chosen.rows for one in results.read(path)]
    fitted = fit_rows(answers, no_answer_bias=chosen.no_answer_bias, key_present_bias=chosen.key_present_bias)
    chosen.out.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
    biases = f"bias of none {fitted['no_answer_bias']:+.2f}, key named {fitted['key_present_bias']:+.2f}"
    setting.say(f"{len(answers)} rows; {biases}.")
    for kind, found in fitted_quality(answers, fitted).items():
        setting.say(
            f"{kind}: {found.outcomes} outcomes, calibration error {found.error:.3f}, "
            f"AUROC {found.separation:.3f} (on the rows it was fitted to)."
        )
    for kind, checked in fitted.get("held_out", {}).items():
        setting.say(
            f"{kind}, documents left out of the fit in turn: {checked['outcomes']} outcomes, "
            f"calibration error {checked['error']:.3f}, AUROC {checked['separation']:.3f}."
        )
    return 0
