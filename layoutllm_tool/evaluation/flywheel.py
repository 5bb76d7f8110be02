"""What reviewing pays: ANLS on held-out documents over the number of reviewed ones, chosen by predicted loss and at random.

The real parts, in their order: a batch over the pool, ``batch.selection``, a person's words through ``graphs.batch.review`` (the labels
speak for the person), the recipe ``adapt``, the held-out documents asked. Every arm's folder keeps what was done, and is taken up again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from layoutllm_tool.batch.inputs import batch_inputs
from layoutllm_tool.batch.selection import select
from layoutllm_tool.batch.store import Store
from layoutllm_tool.evaluation import ads, asking, report, rows
from layoutllm_tool.evaluation.kept import belongs, lent
from layoutllm_tool.evaluation.metrics import RIGHT, anls
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

How = Literal["predicted loss", "random"]
HOWS: tuple[How, ...] = ("predicted loss", "random")
Say = Callable[[str], None]
Lent = Callable[[], AbstractContextManager[Reader]]


@dataclass(frozen=True, slots=True)
class Plan:
    """``sizes`` are numbers of reviewed documents, each set part of the next; ``subset`` of the pool are looked at to choose from."""

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
    """That were trained on in a pass."""


def run(plan: Plan, make: Callable[[Path | None], Reader], weights: Path | None, say: Say) -> list[Point]:
    """The start's point first, then each arm's. What lies in ``plan.out`` already is not done again."""
    pool, held = _split(plan)
    items = ads.items(plan.data, rows=held)
    # Sizes may be added to what is there; everything else would mix.
    belongs(
        plan.out, {name: of for name, of in asdict(plan).items() if name not in ("out", "sizes")} | {"weights": weights}
    )
    reader = make(weights)
    points = [_scored(plan.out / "start.json", items, lambda: nullcontext(reader), Point("start", 0, 0, 0, 0))]
    say(_told(points[0]))
    named = {str(ads.path(plan.data, row).resolve()): row for row in pool[: plan.pool]}
    _read_pool(plan, named, reader, say)
    for how in HOWS:
        for size in plan.sizes:
            points.append(_arm(plan, how, size, named, reader, make, weights, say))
            say(_told(points[-1]))
    return points


def _split(plan: Plan) -> tuple[list[ads.Label], list[ads.Label]]:
    rows = ads.labels(plan.data)
    if plan.most_pages is not None:
        rows = [row for row in rows if row.get("pages", 1) <= plan.most_pages]
    return ads.split(rows, plan.held, seed=plan.seed)


def _told(point: Point) -> str:
    return (
        f"{point.how}, {point.reviewed} reviewed: ANLS {point.anls:.3f}, right {point.right:.3f} of {point.questions}"
    )


# -- the pool -----------------------------------------------------------------------------------------------------------


def _read_pool(plan: Plan, named: dict[str, ads.Label], reader: Reader, say: Say) -> None:
    """One attempt at each question of every document: what the choice is made from."""
    from graphs.batch.runner import Batch, here, reader_identity
    from graphs.batch.worker import Settings

    listed = plan.out / "pool.jsonl"
    listed.write_text("".join(json.dumps({"document": name}) + "\n" for name in named), encoding="utf-8")
    settings = Settings.of(_task(), model=reader_identity(reader), rounds=1, second_look=False)
    with Batch(batch_inputs(str(listed), roots=["/"]), plan.out / "pool", settings) as batch:
        tally = batch.run(here(reader, settings))
    say(f"pool: {tally.total} documents, {tally.failed} failed")


def _task() -> dict[str, Any]:
    types = {"gross amount": "money", "flight start date": "date", "flight end date": "date"}
    return {
        "questions": [
            {"name": _identifier(name), "text": ads.FORM.format(name), "type": types.get(name, "text")}
            for name in ads.FIELDS.values()
        ]
    }


def _identifier(name: str) -> str:
    return name.replace(" ", "_")


# -- an arm -------------------------------------------------------------------------------------------------------------


def _arm(
    plan: Plan, how: How, size: int, named: dict[str, ads.Label], reader: Reader, make: Callable[[Path | None], Reader],
    weights: Path | None, say: Say,
) -> Point:  # fmt: skip
    folder = plan.out / f"{how.replace(' ', '-')}-{size:03d}"
    trained = folder / "run" / "weights"
    if not trained.exists():
        _review(plan, how, size, folder / "batch", named, reader)
        _train(plan, folder, weights, say)
    pages = int(json.loads((folder / "taught.json").read_text())["pages"])
    asked = ads.items(plan.data, rows=_split(plan)[1])
    return _scored(folder / "held.json", asked, lambda: lent(make(trained)), Point(how, size, 0, 0, 0, pages))


def _review(plan: Plan, how: How, size: int, folder: Path, named: dict[str, ads.Label], reader: Reader) -> None:
    """A copy of the pool's batch, in which the labels have had their say on the chosen documents."""
    from graphs.batch.review import review_field
    from layoutllm_tool.batch.sources import open_document

    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(plan.out / "pool", folder)
    with Store.open(folder) as store:
        chosen = select(store, size, subset=plan.subset, seed=plan.seed, random=how == "random")
        for candidate in chosen:
            for name, said in _words(store, candidate.key, named[candidate.name]):
                review_field(store, candidate.key, name, said, reader=reader, opened=open_document)


def _words(store: Store, key: str, label: ads.Label) -> Iterator[tuple[str, Any]]:
    """What a person with the labels in hand would say of each labelled field: that is right, or what is."""
    from graphs.review import ReviewDecision

    answers = {field.name: field.answer["answer"] for field in store.fields(key)}
    for field, value in ads.values(label).items():
        name = _identifier(field)
        right = anls(answers.get(name), ads.gold(value)) == 1.0
        yield name, ReviewDecision(accept=True) if right else ReviewDecision(answer=value)


def _train(plan: Plan, folder: Path, weights: Path | None, say: Say) -> None:
    from layoutllm_tool.training.data import Sources
    from layoutllm_tool.training.recipe import load_recipe
    from layoutllm_tool.training.run import export, run

    start = {"start": json.dumps(str(weights))} if weights else {}
    recipe = load_recipe("adapt").with_settings({"seed": str(plan.seed)} | start | dict(plan.settings))
    outcome = run(recipe, Sources(reviewed=(folder / "batch",)), folder / "run")
    taught = {"pages": outcome.facts["reviewed_pages"], "left_out": outcome.facts["reviewed_left_out"]}
    (folder / "taught.json").write_text(json.dumps(taught, indent=1) + "\n", encoding="utf-8")
    say(f"{folder.name}: {taught['pages']} pages taught; left out: {taught['left_out']}")
    export(outcome, folder / "run" / "weights")


def _scored(path: Path, items: Sequence[asking.Item], borrow: Lent, point: Point) -> Point:
    if not path.exists():
        questions = sum(len(item.questions) for item in items)
        with borrow() as reader, report.progress(point.how, questions) as tick:
            outcome = asking.ask_all(reader, items, tick=tick)
        rows.write(path, outcome.rows, load_seconds=list(outcome.load_seconds), refused=list(outcome.refused))
    found = rows.read(path)
    right = fmean(row.anls >= RIGHT for row in found)
    return Point(point.how, point.reviewed, fmean(row.anls for row in found), right, len(found), point.pages)


# -- what came of it ----------------------------------------------------------------------------------------------------


def write(points: Sequence[Point], out: Path) -> list[Path]:
    """``flywheel.json`` and ``flywheel.png`` in the folder."""
    paths = [out / "flywheel.json", out / "flywheel.png"]
    paths[0].write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n", encoding="utf-8")
    figure(points).savefig(paths[1], dpi=150)
    return paths


def figure(points: Sequence[Point]) -> Figure:
    """ANLS over reviewed documents, a line for each way of choosing; both begin at the start's point."""
    from layoutllm_tool.evaluation.plots import BLUE, GREY, new_figure

    made, axes = new_figure("reviewed documents", "ANLS on held-out documents")
    start = [point for point in points if point.how == "start"]
    for how, colour, style in zip(HOWS, (BLUE, GREY), ("-", "--"), strict=True):
        line = [*start, *sorted((p for p in points if p.how == how), key=lambda p: p.reviewed)]
        axes.plot([p.reviewed for p in line], [p.anls for p in line], style, color=colour, marker="o", label=how)
    axes.set_title(f"{start[0].questions} questions of held-out documents" if start else "")
    axes.legend(fontsize=8)
    return made
