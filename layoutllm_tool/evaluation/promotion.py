"""A trained model against the current one of a registry, on its validation set: promoted where it is no
worse, else refused.

One model is in memory after the other. What a registry is and keeps is ``registry``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from layoutllm_tool.errors import RegistryError
from layoutllm_tool.evaluation.results import Question, ScoredAnswer
from layoutllm_tool.evaluation.run import Item, Tick, ask_all
from layoutllm_tool.protocols import Reader
from layoutllm_tool.registry.models import Candidate, Registry
from layoutllm_tool.registry.records import Conditions, Scores
from layoutllm_tool.registry.validation import ValidationCase, ValidationSet, open_case
from layoutllm_tool.version import package_version

Make = Callable[[Path | None, Sequence[str]], Reader]
"""Makes the reader from a folder of weights (None: the shipped ones) and the languages of the validation
set.
"""
Bar = Callable[[str, int], Any]
"""A context around so many questions of what is named; it gives a ``Tick``."""
_WHY = 3
"""Errors that are told of."""


@dataclass(frozen=True, slots=True)
class Worse:
    """A question that the candidate answers worse than the current model."""

    document: str
    question: str
    before: str | None
    after: str | None
    lost: float
    """ANLS, before less after."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``worse`` begins with what lost most; it may hold questions of a promoted model, too."""

    promoted: bool
    model: str
    replaces: str
    candidate: Scores
    current: Scores
    tolerance: float
    worse: tuple[Worse, ...]


def promote(
    registry: Registry,
    weights: Path,
    make: Make,
    *,
    setting: str,
    tolerance: float = 0.0,
    bar: Bar = lambda _what, _total: nullcontext(),
) -> Decision:
    """The folder's model takes the current one's place where its mean ANLS is no lower, ``tolerance`` (0-1)
    aside.

    ``setting`` names what else answers depend on, text recognition above all: scores from another one are
    not used again. RegistryError where nothing can be decided: a document is not what it was, a question
    ended in an error, the model is the current one already.
    """
    if not 0 <= tolerance <= 1:
        raise RegistryError(
            f"a tolerance of {tolerance} is none.", hint="Give a part of the ANLS, from 0 to 1."
        )
    registry.validation.check()
    with registry.staged(weights) as candidate:
        while True:  # again only where somebody rolled back or set other questions meanwhile
            validation = registry.validation
            asked = {"validation": validation.sha256, "version": package_version(), "setting": setting}
            asking = _Asking(registry, validation, asked, make, bar)
            if decision := _compared(candidate, asking, tolerance):
                return decision


_Answers = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Asking:
    registry: Registry
    validation: ValidationSet
    conditions: Conditions
    make: Make
    bar: Bar

    def answers(self, what: str, folder: Path | None, model: str) -> _Answers:
        """Those of an earlier promotion under the same conditions, else asked and kept."""
        known = self.registry.answers(model, self.conditions)
        if known is None:
            known = self._asked(what, folder)
            self.registry.keep_answers(model, self.conditions, known)
        return known

    def _asked(self, what: str, folder: Path | None) -> _Answers:
        with self.bar(f"Asking the {what} model", len(self.validation.cases)) as tick:
            rows = _asked(self.make(folder, self.validation.languages), self.validation, what, tick)
        return [_kept(row, case) for row, case in zip(rows, _in_order(self.validation), strict=True)]


def _scores(answers: _Answers) -> Scores:
    return Scores(
        anls=fmean(one["anls"] for one in answers),
        right=sum(one["right"] for one in answers),
        refused=sum(one["answer"] is None for one in answers),
        questions=len(answers),
    )


def _compared(candidate: Candidate, asking: _Asking, tolerance: float) -> Decision | None:
    """None where the champion or the validation set has changed meanwhile."""
    registry, conditions = asking.registry, asking.conditions
    current = registry.current
    if candidate.id == current:
        raise RegistryError(f"model {current} is the current one already.", hint="Nothing is left to do.")
    said = asking.answers("current", registry.weights(current), registry.fingerprint(current))
    says = asking.answers("new", candidate.folder, candidate.fingerprint)
    before, after = _scores(said), _scores(says)
    made = registry.decide(
        candidate, after, before, replaces=current, conditions=conditions, tolerance=tolerance
    )
    if made is None:
        return None
    return Decision(made.promoted, candidate.id, current, after, before, tolerance, tuple(_worse(said, says)))


def _in_order(validation: ValidationSet) -> list[ValidationCase]:
    return [case for group in validation.documents() for case in group]


def _asked(
    reader: Reader, validation: ValidationSet, what: str, tick: Tick | None
) -> tuple[ScoredAnswer, ...]:
    """A row a case, in the order of ``_in_order``."""
    with reader if isinstance(reader, AbstractContextManager) else nullcontext():
        outcome = ask_all(reader, _items(validation), tick=tick)
    if outcome.errors:
        failed = sum(row.failed for row in outcome.answers)
        raise RegistryError(
            f"{failed} of {len(outcome.answers)} questions to the {what} model ended in an error, "
            f"so nothing was decided: "
            f"{'; '.join(outcome.errors[:_WHY])}",
            hint="Mend that, then promote again.",
        )
    return outcome.answers


def _items(validation: ValidationSet) -> Iterator[Item]:
    """One document in memory at a time."""
    for group in validation.documents():
        document = open_case(group[0])
        yield Item(
            document, tuple(Question(document.name, "", case.question, case.answers) for case in group)
        )


def _kept(row: ScoredAnswer, case: ValidationCase) -> dict[str, Any]:
    return {
        "document": row.document, "sha256": case.sha256, "page": case.page, "question": row.question,
        "answers": list(row.gold), "answer": row.answer, "anls": row.anls, "right": row.right,
        "confidence": row.confidence,
    }  # fmt: skip


def _worse(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Worse]:
    pairs = zip(before, after, strict=True)
    found = [
        Worse(a["document"], a["question"], b["answer"], a["answer"], b["anls"] - a["anls"])
        for b, a in pairs
        if a["anls"] < b["anls"]
    ]
    return sorted(found, key=lambda one: -one.lost)
