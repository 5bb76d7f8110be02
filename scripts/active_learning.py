"""What reviewing pays: python -m scripts.active_learning --data DIR --out DIR

ANLS on held-out documents over the number of reviewed ones, chosen by predicted loss and at random. The
real parts run in their order: a batch over the pool, ``batch.selection``, decisions through
``layoutllm_graphs.batch.review`` (the labels decide in place of a person), the recipe ``adapt``, the
held-out documents. Every step is kept in the folder, which is resumed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from matplotlib.figure import Figure
from rich.console import Console

from layoutllm_graphs.batch.review import review_field
from layoutllm_graphs.batch.runner import Batch, here, reader_identity
from layoutllm_graphs.batch.worker import Settings
from layoutllm_graphs.review import ReviewDecision
from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.selection import select
from layoutllm_tool.batch.sources import open_document
from layoutllm_tool.batch.store import Store
from layoutllm_tool.evaluation import results
from layoutllm_tool.evaluation.command import make_reader
from layoutllm_tool.evaluation.datasets import deepform
from layoutllm_tool.evaluation.metrics import RIGHT, anls
from layoutllm_tool.evaluation.plots import BLUE, GREY, new_figure
from layoutllm_tool.evaluation.report import progress, table
from layoutllm_tool.evaluation.run import Item, ask_all
from layoutllm_tool.protocols import Reader
from layoutllm_tool.training import run as training
from layoutllm_tool.training.data import Sources
from layoutllm_tool.training.recipe import load_recipe, settings_of
from scripts.resumable import claim

How = Literal["predicted loss", "random"]
HOWS: tuple[How, ...] = ("predicted loss", "random")
Make = Callable[[Path | None], Reader]


@dataclass(frozen=True, slots=True)
class Plan:
    """``sizes`` are numbers of reviewed documents, each set part of the next; ``subset`` are candidates."""

    data: Path
    out: Path
    sizes: tuple[int, ...] = (8, 24)
    held: int = 40
    pool: int = 80
    subset: int | None = None
    seed: int = 0
    most_pages: int | None = None
    """Longer documents are left out of pool and held-out ones."""
    settings: tuple[tuple[str, str], ...] = ()
    """Of the recipe, as ``layoutllm train --set`` takes them."""


@dataclass(frozen=True, slots=True)
class Point:
    """One set of weights on the held-out documents."""

    how: str
    reviewed: int
    anls: float
    right: float
    questions: int
    pages: int = 0
    """Trained on in a pass."""


def main(arguments: Sequence[str] | None = None, *, make: Make = make_reader) -> int:
    options = _parser().parse_args(arguments)
    data = options.data / "ads" if (options.data / "ads").is_dir() else options.data
    settings = tuple(settings_of(options.set).items())
    plan = Plan(
        data, options.out, options.sizes, options.held, options.pool, options.subset, options.seed,
        options.most_pages, settings,
    )  # fmt: skip
    points = measure(plan, make, options.weights)
    rows = [(point.how, point.reviewed, point.pages, point.anls, point.right) for point in points]
    title = f"Active learning: {points[0].questions} held-out questions"
    Console().print(table(title, ("chosen by", "reviewed", "pages taught", "ANLS", "right"), rows))
    path = plan.out / "active_learning.json"
    path.write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n", encoding="utf-8")
    figure(points).savefig(plan.out / "active_learning.png", dpi=150)
    return 0


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser("active_learning", formatter_class=formatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="DeepForm's folder")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="to start with (the shipped ones)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of all that is made; resumed")
    parser.add_argument("--sizes", type=sizes, default=(8, 24), metavar="N,N", help="reviewed documents")
    parser.add_argument("--held", type=int, default=40, help="documents to score on")
    parser.add_argument("--pool", type=int, default=80, help="documents to choose from")
    parser.add_argument("--subset", type=int, metavar="N", help="candidates of the pool (all)")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the choice and the training")
    parser.add_argument("--most-pages", type=int, metavar="N", help="leave longer documents out")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the recipe adapt")
    return parser


def sizes(text: str) -> tuple[int, ...]:
    """ "24,8" -> (8, 24)."""
    found = tuple(sorted({int(part) for part in text.split(",")}))
    if found[0] < 1:
        raise ValueError(text)
    return found


def measure(plan: Plan, make: Make, weights: Path | None) -> list[Point]:
    """The start's point first, then each arm's. What lies in ``plan.out`` already is not done again."""
    pool, held = documents(plan)
    # Sizes may be added to what is there; everything else would mix.
    settings = {name: value for name, value in asdict(plan).items() if name not in ("out", "sizes")}
    claim(plan.out, settings | {"weights": weights})
    items = deepform.items(plan.data, rows=held)
    start = _scored(plan.out / "start.json", items, lambda: make(weights), Point("start", 0, 0, 0, 0))
    reader = make(weights)
    named = {str(deepform.path(plan.data, row).resolve()): row for row in pool[: plan.pool]}
    _read_pool(plan, named, reader)
    arms = [_Arm(plan, how, size) for how in HOWS for size in plan.sizes]
    return [start, *(_measure_arm(arm, named, items, reader, make, weights) for arm in arms)]


def documents(plan: Plan) -> tuple[list[deepform.Label], list[deepform.Label]]:
    """(pool, held out)."""
    rows = deepform.labels(plan.data)
    if plan.most_pages is not None:
        rows = [row for row in rows if row.get("pages", 1) <= plan.most_pages]
    return split(rows, plan.held, seed=plan.seed)


def split(
    rows: Sequence[deepform.Label], held: int, *, seed: int = 0
) -> tuple[list[deepform.Label], list[deepform.Label]]:
    """(pool, held out), by a hash of the file's name: independent of the order and of the other documents."""

    def place(row: deepform.Label) -> str:
        return hashlib.sha256(f"ads/{seed}/{row['file']}".encode()).hexdigest()

    order = sorted(rows, key=place)
    return order[held:], order[:held]


# -- the pool ------------------------------------------------------------------------------------------------


def _read_pool(plan: Plan, named: dict[str, deepform.Label], reader: Reader) -> None:
    """One attempt at each question of every document: the choice is made from these."""
    listed = plan.out / "pool.jsonl"
    listed.write_text("".join(json.dumps({"document": name}) + "\n" for name in named), encoding="utf-8")
    settings = Settings.of(_task(), model=reader_identity(reader), max_attempts=1, second_opinion=False)
    with Batch(batch_inputs(str(listed), roots=["/"]), plan.out / "pool", settings) as batch:
        tally = batch.run(here(reader, settings))
    _say(f"pool: {tally.total} documents, {tally.failed} failed")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _task() -> dict[str, Any]:
    types = {"gross amount": "money", "flight start date": "date", "flight end date": "date"}
    return {
        "questions": [
            {"name": _identifier(name), "text": deepform.FORM.format(name), "type": types.get(name, "text")}
            for name in deepform.FIELDS.values()
        ]
    }


def _identifier(name: str) -> str:
    return name.replace(" ", "_")


# -- an arm --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Arm:
    """``size`` documents, chosen in one way."""

    plan: Plan
    how: How
    size: int

    @property
    def folder(self) -> Path:
        return self.plan.out / f"{self.how.replace(' ', '-')}-{self.size:03d}"


def _measure_arm(
    arm: _Arm,
    named: dict[str, deepform.Label],
    items: Sequence[Item],
    reader: Reader,
    make: Make,
    weights: Path | None,
) -> Point:
    trained = arm.folder / "run" / "weights"
    if not trained.exists():
        _review(arm, named, reader)
        _train(arm, weights)
    pages = int(json.loads((arm.folder / "taught.json").read_text())["pages"])
    point = Point(arm.how, arm.size, 0, 0, 0, pages)
    return _scored(arm.folder / "held.json", items, lambda: make(trained), point)


def _review(arm: _Arm, named: dict[str, deepform.Label], reader: Reader) -> None:
    """Copy the pool's batch and decide on the chosen documents by their labels."""
    folder = arm.folder / "batch"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(arm.plan.out / "pool", folder)
    with Store.open(folder) as store:
        random = arm.how == "random"
        for candidate in select(store, arm.size, subset=arm.plan.subset, seed=arm.plan.seed, random=random):
            for name, decision in _decisions(store, candidate.key, named[candidate.name]):
                review_field(store, candidate.key, name, decision, reader=reader, opened=open_document)


def _decisions(store: Store, key: str, label: deepform.Label) -> Iterator[tuple[str, ReviewDecision]]:
    """Accept each labelled field's answer, or give the label."""
    answers = {field.name: field.answer["answer"] for field in store.fields(key)}
    for field, value in deepform.values(label).items():
        name = _identifier(field)
        right = anls(answers.get(name), deepform.gold(value)) == 1.0
        yield name, ReviewDecision(accept=True) if right else ReviewDecision(answer=value)


def _train(arm: _Arm, weights: Path | None) -> None:
    start = {"start": json.dumps(str(weights))} if weights else {}
    settings = {"seed": str(arm.plan.seed)} | start | dict(arm.plan.settings)
    recipe = load_recipe("adapt").with_settings(settings)
    outcome = training.run(recipe, Sources(reviewed=(arm.folder / "batch",)), arm.folder / "run")
    taught = {"pages": outcome.facts["reviewed_pages"], "left_out": outcome.facts["reviewed_left_out"]}
    (arm.folder / "taught.json").write_text(json.dumps(taught, indent=1) + "\n", encoding="utf-8")
    _say(f"{arm.folder.name}: {taught['pages']} pages taught; left out: {taught['left_out']}")
    training.export(outcome, arm.folder / "run" / "weights")


def _scored(path: Path, items: Sequence[Item], make: Callable[[], Reader], point: Point) -> Point:
    """Ask the items where the file is not there yet. The reader is closed: another model follows."""
    if not path.exists():
        reader = make()
        with progress(point.how, sum(len(item.questions) for item in items)) as tick:
            outcome = ask_all(reader, items, tick=tick)
        if close := getattr(reader, "close", None):
            close()
        results.write(path, outcome.answers, load_seconds=outcome.load_seconds, refused=outcome.errors)
    found = results.read(path)
    score, right = fmean(one.anls for one in found), fmean(one.anls >= RIGHT for one in found)
    _say(f"{point.how}, {point.reviewed} reviewed: ANLS {score:.3f}, right {right:.3f} of {len(found)}")
    return Point(point.how, point.reviewed, score, right, len(found), point.pages)


def figure(points: Sequence[Point]) -> Figure:
    """ANLS over reviewed documents, a line for each way of choosing; both begin at the start's point."""
    made, axes = new_figure("reviewed documents", "ANLS on held-out documents")
    for how, colour, style in zip(HOWS, (BLUE, GREY), ("-", "--"), strict=True):
        line = [points[0], *sorted((p for p in points if p.how == how), key=lambda p: p.reviewed)]
        xs, ys = [p.reviewed for p in line], [p.anls for p in line]
        axes.plot(xs, ys, style, color=colour, marker="o", label=how)
    axes.set_title(f"{points[0].questions} questions of held-out documents")
    axes.legend(fontsize=8)
    return made


if __name__ == "__main__":
    sys.exit(main())
