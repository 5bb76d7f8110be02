"""Compare a trained model with a registry's current one on frozen questions; promote it where it is no worse.

One model is in memory after the other. What a registry is and keeps is in ``registry``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from layoutllm_tool.errors import RegistryError
from layoutllm_tool.evaluation.results import Question, ScoredAnswer
from layoutllm_tool.evaluation.run import Item, Tick, ask_all
from layoutllm_tool.protocols import Reader
from layoutllm_tool.registry.folders import Candidate
from layoutllm_tool.registry.frozen import Case, Frozen, opened
from layoutllm_tool.registry.history import Scores
from layoutllm_tool.registry.models import Registry

Make = Callable[[Path | None, Sequence[str]], Reader]
"""Makes the reader from a folder of weights (None: the shipped ones) and the languages of the frozen set."""
Bar = Callable[[str, int], Any]
"""A context around so many questions of what is named; it gives a ``Tick``."""
_Answers = tuple[Scores, list[dict[str, Any]]]
_Facts = Mapping[str, str | None]
_MOST_ERRORS = 3
"""Errors that a message names."""


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
    """``worse`` begins with what lost most; a promoted model may have some, too."""

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
    """Make the folder's model the current one where its mean ANLS is no lower, ``tolerance`` (0-1) aside.

    ``setting`` names what else answers depend on, text recognition above all: scores under another one are
    not reused. RegistryError where nothing can be decided: a document changed, a question ended in an error,
    the model is the current one already.
    """
    if not 0 <= tolerance <= 1:
        raise RegistryError(f"a tolerance of {tolerance} is none.", hint="Give a part of 1, the best ANLS.")
    registry.validation.check()
    known: dict[tuple[str, str], _Answers] = {}

    def answers(what: str, folder: Path | None, model: str, facts: _Facts) -> _Answers:
        """Those of this or an earlier promotion, else asked and kept in a file."""
        key = model, registry.validation.sha256
        if key not in known:
            kept = registry.remembered(model, facts)
            known[key] = kept or _answers(registry, make, what, folder, model, bar)
        return known[key]

    with registry.staged(weights) as candidate:
        while True:  # again only where somebody rolled back or froze another set meanwhile
            facts = registry.conditions(setting)
            if decision := _compared(registry, candidate, answers, facts, tolerance):
                return decision


def _compared(
    registry: Registry, candidate: Candidate, answers: Callable[[str, Path | None, str, _Facts], _Answers],
    facts: _Facts, tolerance: float,
) -> Decision | None:  # fmt: skip
    """None where the current model or the frozen set changed meanwhile."""
    current = registry.current
    if candidate.id == current:
        raise RegistryError(f"model {current} is the current one already.", hint="Nothing is left to do.")
    before, old = answers("current", registry.weights(current), registry.fingerprint(current), facts)
    after, new = answers("new", candidate.folder, candidate.fingerprint, facts)
    entry = registry.decide(candidate, after, before, replaces=current, facts=facts, tolerance=tolerance)
    if entry is None:
        return None
    worse = tuple(_worse(old, new))
    return Decision(entry["event"] == "promoted", candidate.id, current, after, before, tolerance, worse)


def _answers(
    registry: Registry,
    make: Make,
    what: str,
    folder: Path | None,
    model: str,
    bar: Bar,
) -> _Answers:
    """Ask the frozen questions and keep the answers; later promotions reuse what the log names."""
    frozen = registry.validation
    with bar(f"Asking the {what} model", len(frozen.cases)) as tick:
        found = _asked(make(folder, frozen.languages), frozen, what, tick)
    cases = [case for group in frozen.documents() for case in group]
    kept = [_kept(one, case) for one, case in zip(found, cases, strict=True)]
    right, refused = sum(one.right for one in found), sum(one.answer is None for one in found)
    sha256 = registry.keep_answers(kept)
    return Scores(fmean(one.anls for one in found), right, refused, len(found), model, sha256), kept


def _asked(reader: Reader, frozen: Frozen, what: str, tick: Tick | None) -> tuple[ScoredAnswer, ...]:
    """One answer a case, in ``Frozen.documents``' order. The reader is closed: another model follows."""
    try:
        outcome = ask_all(reader, _items(frozen), tick=tick)
    finally:
        if close := getattr(reader, "close", None):
            close()
    if outcome.errors:
        failed = sum(one.failed for one in outcome.answers)
        raise RegistryError(
            f"{failed} of {len(outcome.answers)} questions to the {what} model ended in an error, so nothing "
            f"was decided: {'; '.join(outcome.errors[:_MOST_ERRORS])}",
            hint="Mend that, then promote again.",
        )
    return outcome.answers


def _items(frozen: Frozen) -> Iterator[Item]:
    """One document in memory at a time."""
    for group in frozen.documents():
        document = opened(group[0])
        questions = [Question(document.name, "", case.question, case.answers) for case in group]
        yield Item(document, tuple(questions))


def _kept(one: ScoredAnswer, case: Case) -> dict[str, Any]:
    return {
        "document": one.document, "sha256": case.sha256, "page": case.page, "question": one.question,
        "answers": list(one.gold), "answer": one.answer, "anls": one.anls, "confidence": one.confidence,
    }  # fmt: skip


def _worse(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Worse]:
    found = [
        Worse(new["document"], new["question"], old["answer"], new["answer"], old["anls"] - new["anls"])
        for old, new in zip(before, after, strict=True)
        if new["anls"] < old["anls"]
    ]
    return sorted(found, key=lambda one: -one.lost)
