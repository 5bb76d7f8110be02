"""What a run is made of: a recipe is a TOML file, its stages are validated dataclasses.

Reading data and training are *not* here.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

from layoutllm_tool.errors import RecipeError

RECIPES = Path(__file__).parent / "recipes"
"""The recipes that ship with the package, one file each."""

StageName = Literal["pretraining", "sft", "joint"]
Data = Literal["pretraining", "layoutcot", "documents", "reviewed"]
FRESH = {
    "pointer": 2.5, "extra_embeddings": 2.5, "gate": 5.0, "mask_embedding": 2.5,
    "document_encoder": 0.4, "word_projection": 0.4, "visual_projector": 0.4, "layout_projector": 0.4,
}  # fmt: skip
"""Learning rate multiples by parameter name, for parts that begin at random beside an adapter."""


@dataclass(frozen=True)
class Stage:
    """One stage of training; the defaults are the paper's (section 4.1) where it gives any."""

    name: StageName = "sft"
    """"pretraining": encoder and projectors learn; "sft": language model and projectors; "joint": all but the
    language model's own weights, beside an adapter."""
    data: Data = "layoutcot"
    """"pretraining": the seven tasks; "layoutcot": HTML, document images, MRC; "documents": receipts and
    drawn pages; "reviewed": reviewed answers of a batch, among "documents"."""
    pages: int = 1000
    """Pages in all, their questions packed on them."""
    passes: int = 0
    """Over the reviewed pages, in place of ``pages``; the pages among them come on top."""
    pages_per_step: int = 8
    """Pages of one optimiser step, over all processes."""
    batch: int = 1
    """Pages that go through the model together; more pays on a GPU, not on a CPU."""
    questions: int = 8
    """At most so many questions of a page."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How often a source of "layoutcot" (html, documents, mrc) or of "pretraining" (drawn, papers, tables,
    ...) is drawn from, beside the others; those not named keep the paper's ratio or their own, 0 leaves one
    out."""
    levels: tuple[int, int, int] = (1, 4, 4)
    """Instructions of document, region and segment level, for the data "pretraining"."""
    learning_rate: float = 2e-5
    """Peak; a linear warm-up goes before it and a cosine to zero follows."""
    fresh: bool = False
    """Whether parts that begin at random learn at their own multiple of the rate (``FRESH``)."""
    weight_decay: float = 0.0
    warm_up: float = 0.03
    """Share of the steps."""
    clip: float = 1.0
    """Largest gradient norm, of each group of parameters that share a rate."""
    beta2: float = 0.999
    lora_rank: int = 0
    """Rank of the language model's adapter; 0 trains its own weights (never in "pretraining")."""
    lora_alpha: int = 32
    chain: bool = True
    """Whether answers come with their LayoutCoT."""
    features: bool = True
    """Whether the encoder's features reach the language model; without them it reads text alone."""
    checkpoint_steps: int = 5
    checkpoint_seconds: float = 60.0
    """A checkpoint is due when both so many steps and so many seconds have passed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # a list in TOML
        known = f"Stages: {get_args(StageName)}; data: {get_args(Data)}."
        for value, values in ((self.name, get_args(StageName)), (self.data, get_args(Data))):
            _need(value in values, f"unknown stage {self.name!r} or data {self.data!r}.", known)
        for name in ("pages", "pages_per_step", "batch", "questions", "checkpoint_steps"):
            _need(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}.", "Give at least 1.")
        weighted = self.data in ("layoutcot", "pretraining")
        hint = 'Only "layoutcot" and "pretraining" have.'
        _need(weighted or not self.weights, f"the data {self.data!r} has no weights.", hint)
        passes = self.passes == 0 or (self.passes > 0 and self.data == "reviewed")
        hint = 'Passes are over "reviewed" pages; 0 counts pages.'
        _need(passes, f"{self.passes} passes over {self.data!r}.", hint)
        whole = self.pages_per_step % self.batch == 0
        _need(whole, f"pages_per_step {self.pages_per_step} is no multiple of batch {self.batch}.")
        trains = self.features or self.name != "pretraining"
        _need(trains, "pre-training without features has nothing to train.", "Drop the stage.")

    @property
    def steps(self) -> int:
        return max(1, self.pages // self.pages_per_step)


@dataclass(frozen=True)
class Recipe:
    """A whole run: where the weights begin, its stages in their order, one seed."""

    name: str
    stages: tuple[Stage, ...]
    seed: int = 0
    start: str = "base"
    """"base": the base language model with everything else at random; "shipped", a folder of weights or a
    registry: go on from those."""
    encoder: str = ""
    language_model: str = ""
    """Hub names or folders of the paper's shape; "" is the shipped shape."""
    receipts: float = 0.5
    """Share of receipts in the data "documents" (beside those of the next two), and among the document images
    of "layoutcot"; the rest are drawn pages."""
    everyday: float = 0.0
    """Share of "documents" that is asked about as people ask."""
    archive: float = 0.0
    """Share of "documents" that are National Archives Forms, from the folder ``naf``."""
    rehearsal: float = 0.3
    """Share of "documents" among "reviewed" pages, so that what the weights knew before is not forgotten."""
    workers: int = 0
    """Processes that draw and pack pages beside the training."""

    def __post_init__(self) -> None:
        _need(bool(self.stages), f"the recipe {self.name!r} has no stages.", "Give at least one [[stages]].")
        both = bool(self.encoder) == bool(self.language_model)
        _need(both, "encoder and language_model go together.", "Name both, or neither.")
        _need(0 <= self.rehearsal < 1, f"rehearsal is {self.rehearsal}.", "Give a share from 0 to below 1.")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From plain data; RecipeError names the key that is not known."""
        values = dict(data)
        stages = tuple(_known(Stage, stage) for stage in values.pop("stages", ()))
        return cast(Self, _known(cls, values | {"stages": stages}))

    def to_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    def with_settings(self, settings: Mapping[str, str]) -> Self:
        """``{"seed": "1", "pages": "200"}``: values as written on a command line; a stage's field is set in
        every stage, ``sft.pages`` in the stages of that name."""
        known = {f.name for f in fields(Recipe)} - {"stages", "name"}
        own = {key: _value(text) for key, text in settings.items() if key in known}
        of_stages = {key: _value(text) for key, text in settings.items() if key not in known}
        hint = f"Known: {', '.join(sorted(known))}, and a stage's fields."
        for key in of_stages:
            _need(key.rpartition(".")[2] in {f.name for f in fields(Stage)}, f"no recipe has {key!r}.", hint)
        # All of a stage's at once: on the way from one valid recipe to another, one by one, lie invalid ones.
        stages = tuple(replace(stage, **_settings_of(stage, of_stages)) for stage in self.stages)
        return replace(self, stages=stages, **own)


def shares_of(weights: Mapping[str, float], changes: Mapping[str, float]) -> dict[str, float]:
    """A mixture's weights with some of them changed; only their ratio counts.

    RecipeError where a name is not known, a weight is negative or no number, or all are 0.
    """
    hint = f"Known: {', '.join(weights)}."
    _need(changes.keys() <= weights.keys(), f"the weights {dict(changes)} don't fit.", hint)
    found = {**weights, **changes}
    wrong = ", ".join(name for name, value in found.items() if not 0 <= value < math.inf)
    _need(not wrong, f"a weight is a number from 0 on, and {wrong} is not.", "Leave a source out with 0.")
    _need(any(found.values()), "all weights are 0.", f"Give one of {', '.join(weights)} a weight above 0.")
    return found


def settings_of(texts: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE as ``--set`` takes them; RecipeError where one sets nothing."""
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise RecipeError(f"--set {text!r} sets nothing.", hint="Write --set KEY=VALUE.")
        found[key.strip()] = value.strip()
    return found


def _settings_of(stage: Stage, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that name no stage or this one, by field."""
    places = {key: key.rpartition(".") for key in settings}
    return {name: settings[key] for key, (where, _, name) in places.items() if where in ("", stage.name)}


def load_recipe(name: str | Path) -> Recipe:
    """A recipe of the package by its name, or a TOML file. RecipeError where it can't be read."""
    path = Path(name)
    shipped = RECIPES / f"{name}.toml"
    if not path.suffix and shipped.is_file():
        path = shipped
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        hint = f"Known: {known}; or give a TOML file."
        raise RecipeError(f"{str(name)!r} is no recipe: {error}.", hint=hint) from error
    return Recipe.from_json({"name": path.stem} | data)


def _need(holds: bool, message: str, hint: str = "") -> None:
    if not holds:
        raise RecipeError(message, hint=hint)


def _known(kind: type[Any], values: Mapping[str, Any]) -> Any:
    unknown = sorted(set(values) - {f.name for f in fields(kind)})
    _need(not unknown, f"unknown in a recipe: {', '.join(unknown)}.", "Look at the recipes of the package.")
    try:
        return kind(**values)
    except TypeError as error:
        raise RecipeError(f"the recipe does not fit: {error}.") from error


def _value(text: str) -> Any:
    """As TOML reads it; what TOML does not know is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
