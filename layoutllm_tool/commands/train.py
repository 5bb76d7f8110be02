"""``layoutllm train``: a recipe to a folder of weights, or its cost. Wiring only; see ``training/run.py``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.commands.arguments import add_command, add_places, stored_places
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from layoutllm_tool.training.recipe import Recipe
    from layoutllm_tool.training.trainer import Trainer

EXAMPLES = """examples:
  layoutllm train --recipe smoke --out out/smoke                   both stages, end to end, in minutes
  layoutllm train --recipe smol-cpu --data $DATA --out out/run --minutes 60
  layoutllm train --recipe adapt --reviewed out/ --out out/adapted  a batch's reviews, back into the weights
  layoutllm train --recipe paper-7b --plan                         parameters, memory, hours and cost
  accelerate launch --num_processes 8 -m layoutllm_tool train --recipe paper-7b ...

Killed at any moment, the same command goes on from the last checkpoint."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Train weights by a recipe, resumably."
    parser = add_command(
        commands, "train", _train, summary="train weights by a recipe", description=text, examples=EXAMPLES
    )
    add = parser.add_argument
    folder: dict[str, Any] = {"type": Path, "metavar": "DIR"}
    add("--recipe", required=True, metavar="NAME", help="one of the package's, or a TOML file")
    add("--out", type=Path, metavar="RUN", help="folder of the run: checkpoints, metrics, loss.png")
    add("--data", **folder, help="folder that holds receipts, tables, papers, ...")
    add("--reviewed", type=Path, nargs="+", default=[], metavar="OUT",
        help="batches with reviewed answers, for the recipe adapt")  # fmt: skip
    add_places(parser, default="the working directory; for --reviewed")
    add("--registry", **folder, help="leave out what its validation set asks about")
    add("--released", type=Path, nargs="+", default=[], metavar="FILE",
        help="the authors' released instructions, in place of the recipe's own pages")  # fmt: skip
    add("--released-folder", **folder,
        help="holds their pictures and OCR results (default: the first file's folder)")  # fmt: skip
    add("--weights", **folder, help="where the weights go (default: RUN/weights)")
    add("--set", action="append", default=[], metavar="KEY=VALUE",
        help="change a field of the recipe, or of its stages: seed=1, pages=200, sft.pages=200")  # fmt: skip
    add("--minutes", type=float, default=math.inf, help="stop, resumably, after so long")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="print parameters, memory and cost, and stop")
    what.add_argument("--export", action="store_true", help="write the weights of the checkpoint, and stop")
    add("--json", action="store_true", help="with --plan: print one JSON object instead of a table")


def _train(options: argparse.Namespace, _reader: Reader | None) -> int:
    from layoutllm_tool.training.recipe import load_recipe, settings_of

    recipe = load_recipe(options.recipe).with_settings(settings_of(options.set))
    if options.plan:
        return _plan(recipe, as_json=options.json)
    if options.out is None:
        raise RecipeError("a run needs a folder.", hint="Give --out.")
    return _run(recipe, options)


def _run(recipe: Recipe, options: argparse.Namespace) -> int:
    from layoutllm_tool.training.data import Sources
    from layoutllm_tool.training.run import export, run

    sources = Sources(
        options.data, tuple(options.reviewed), _validated_documents(options.registry),
        tuple(options.released), stored_places(options), options.released_folder,
    )  # fmt: skip
    minutes, train = options.minutes, not options.export
    progress = Progress()
    with progress.bar:
        outcome = run(recipe, sources, options.out, minutes=minutes, report=progress.step, train=train)
    if not (outcome.finished or options.export):
        sys.stderr.write("Stopped before the end; the same command goes on. Weights so far: --export.\n")
        return 0
    if left_out := outcome.facts.get("reviewed_left_out"):
        sys.stderr.write(f"{outcome.facts['reviewed_pages']} reviewed pages; left out: {left_out}.\n")
    folder = options.weights or options.out / "weights"
    export(outcome, folder)
    sys.stdout.write(f"{folder}\n")
    return 0


def _validated_documents(registry: Path | None) -> frozenset[str]:
    if registry is None:
        return frozenset()
    from layoutllm_tool.registry import Registry

    return frozenset(case.sha256 for case in Registry(registry).validation.cases)


def _plan(recipe: Recipe, *, as_json: bool) -> int:
    from layoutllm_tool.training import cost

    found = cost.plan(recipe)
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), indent=1) + "\n")
    else:
        cost.show(found)
    return 0


class Progress:
    """A bar a stage on stderr: loss, speed and the time left. Only the main process draws it."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        self.bar = progress.Progress(
            "{task.description}", progress.BarColumn(), progress.MofNCompleteColumn(), "{task.fields[facts]}",
            progress.TimeElapsedColumn(), progress.TimeRemainingColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self.tasks: dict[str, Any] = {}

    def step(self, trainer: Trainer, row: dict[str, float]) -> None:
        if trainer.rank:
            return
        name = trainer.folder.name
        if name not in self.tasks:
            done = int(row["step"]) - 1
            self.tasks[name] = self.bar.add_task(name, total=trainer.stage.steps, completed=done, facts="")
        last = trainer.log[-20:]
        loss = sum(r["loss"] for r in last) / len(last)
        speed = sum(r["tokens"] for r in last) / sum(r["seconds"] for r in last)
        facts = f"loss {loss:.3f}  {speed:.0f} tokens/s"
        self.bar.update(self.tasks[name], completed=row["step"], facts=facts)
        if not self.bar.console.is_terminal and row["step"] % 20 == 0:
            self.bar.console.print(f"{name} step {row['step']:.0f}/{trainer.stage.steps}  {facts}")
