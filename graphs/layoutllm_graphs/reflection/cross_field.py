"""Cross-field constraints: what the plan says must hold between answers.

The amounts of a sum that does not hold are read again, enlarged: one misread amount may explain it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from layoutllm_graphs.context import checks, context, tool
from layoutllm_graphs.events import emit_reflection
from layoutllm_graphs.planning.plan import SEPARATOR, Constraint
from layoutllm_graphs.reflection.checks.constraints import check_constraints
from layoutllm_graphs.reflection.checks.context import CheckInput
from layoutllm_graphs.reflection.reflector import decide, reflect
from layoutllm_graphs.reflection.types import Attempt, Finding, QuestionResult, Reflection
from layoutllm_graphs.state import Run, State
from layoutllm_tool.cot import Evidence, LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.values import Mark, amount, marks
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.ocr.reread import alternatives

_ACROSS = ("constraints", "criteria")
"""Checks of answers together: their findings are made anew whenever one of the answers changes."""
MOST_PLACES = 16
"""Amounts that are read again for one sum, the least sure first: each costs a few tenths of a second."""


def reconcile(state: State, against: Callable[[str], Iterable[Finding]] = lambda _name: ()) -> dict[str, Any]:
    """Run the cross-field constraints; add their findings, and those ``against`` a name, to the reflections.

    Re-read the amounts of sums that fail where no correction is left to try.
    """
    run = Run.of(state)
    changes, names = _Changes(run), constrained(run)
    for name in (q.name for q in run.plan.questions if is_open(run.found[q.name])):
        found = list(against(name))
        if name in names or found or _was_against(run.found[name]):
            changes.add_findings(name, found)
    if not any(changes.found[name].next_correction for name in names):
        changes.reread_sums()
    changed = {name: result for name, result in changes.found.items() if result is not run.found[name]}
    return {"found": {name: result.to_json() for name, result in changed.items()}}


def _was_against(result: QuestionResult) -> bool:
    return any(finding.check in _ACROSS for finding in result.reflection.findings)


def constrained(run: Run) -> list[str]:
    """Questions that constraints name, answered without an error, and not by a person. No tables: their rows
    are no one value.
    """
    named = {name for constraint in run.plan.constraints for name in constraint.names}
    asked = [q.name for q in run.plan.questions if q.name in named and not q.columns]
    return [name for name in asked if is_open(run.found[name])]


def is_open(result: QuestionResult) -> bool:
    """Whether it is an answer without an error, and not a person's."""
    return result.best is not None and result.error is None and result.by != "person"


class _Changes:
    """The results of a run and the changes to them."""

    def __init__(self, run: Run) -> None:
        self.run, self.found, self.cots = run, dict(run.found), dict(run.cots)

    def add_findings(self, name: str, more: Iterable[Finding]) -> None:
        """Put the constraints' findings, and more, on the best attempt, in place of those from before."""
        document, result = self._document([name]), self.found[name]
        if document is None:
            return
        given = self._check_input(name, document)
        findings = [finding for finding in result.reflection.findings if finding.check not in _ACROSS]
        findings += more
        findings += check_constraints(given) if "constraints" in checks() else ()
        reflection = decide(given, findings, max_attempts=context().max_attempts)
        if reflection != result.reflection:
            self._put(result, given, reflection)

    def reread_sums(self) -> None:
        """Read the amounts of sums that fail again: one misread amount may explain it."""
        for constraint in self.run.plan.constraints:
            if constraint.kind == "sum" and all(is_open(self.found[name]) for name in constraint.names):
                document = self._document(constraint.names)
                if document and (reread := _reread_sum(constraint, self.cots, document)):
                    self._replace(*reread, document)

    def _replace(self, name: str, cot: LayoutCoT, document: Document) -> None:
        """Make the re-read answer the best attempt: the sum confirms it; the page's words were misread."""
        given = replace(self._check_input(name, document), cot=cot)
        kept = {check: run for check, run in checks().items() if check != "grounding"}
        reflection = reflect(given, checks=kept, max_attempts=context().max_attempts)
        self.cots[name] = cot
        self._put(self.found[name].add(Attempt(cot)), given, reflection)

    def _put(self, result: QuestionResult, given: CheckInput, reflection: Reflection) -> None:
        emit_reflection(given.question.name, given.cot, reflection)
        result = replace(result.change_best(reflection=reflection), verdict=reflection.verdict)
        self.found[given.question.name] = result

    def _document(self, names: Sequence[str]) -> Document | None:
        """The pages that these questions look at: the one they all name, else all."""
        pages = {self.run.plan.question(name).page or self.run.only_page for name in names}
        try:
            return tool().look(self.run.document, pages.pop() if len(pages) == 1 else None)
        except LayoutLLMError:
            return None

    def _check_input(self, name: str, document: Document) -> CheckInput:
        """The question's best attempt beside its others and the other answers."""
        question = self.run.plan.question(name)
        others = {other: cot for other, cot in self.cots.items() if other != name}
        constraints = [c for c in self.run.plan.constraints if name in c.names]
        return CheckInput.of(self.found[name], question, document, others=others, constraints=constraints)


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    index: int
    """Among the answer's evidence."""
    value: Decimal
    sign: int
    """1 for what is added, -1 for the total."""


def _reread_sum(
    constraint: Constraint, cots: Mapping[str, LayoutCoT], document: Document
) -> tuple[str, LayoutCoT] | None:
    """(name, the answer as read again) where exactly one other reading of one amount makes the sum hold.

    Only what has evidence on a page with a picture can be read again. Nothing is computed into an answer:
    what comes back was read from the page. Blocks while text recognition works.
    """
    by = marks(line.text for page in document.pages for line in page.lines or ())
    ways = [list(_places(constraint, cots, mark)) for mark in by]
    if any({place.name for place in places} != set(constraint.names) for places in ways):
        return None
    if not all(map(_missing, ways)):
        return None
    missing, unsure = _missing(ways[0]), sorted(ways[0], key=lambda place: cots[place.name].confidence)
    found = [
        (place, text)
        for place in unsure[:MOST_PLACES]
        for text in _readings(cots[place.name].evidence[place.index], document)
        if amount(text, by[0]) == place.value + missing * place.sign
    ]
    if len({(place.name, place.index) for place, _ in found}) != 1:
        return None
    place, text = found[0]
    return place.name, _reread(cots[place.name], place.index, text)


def _missing(places: Iterable[_Place]) -> Decimal:
    return -sum((place.value * place.sign for place in places), Decimal())


def _places(constraint: Constraint, cots: Mapping[str, LayoutCoT], mark: Mark) -> Iterator[_Place]:
    for name in constraint.names:
        for index, evidence in enumerate(cots[name].evidence):
            if (value := amount(evidence.text, mark)) is not None:
                yield _Place(name, index, value, -1 if name == constraint.total else 1)


def _readings(evidence: Evidence, document: Document) -> tuple[str, ...]:
    """Ways to read the words; their own, which is known not to fit, among them."""
    return alternatives(document.page(evidence.page), evidence.words) if evidence.words else ()


def _reread(cot: LayoutCoT, index: int, text: str) -> LayoutCoT:
    """With that one value as it was read again, and a signal that says so."""
    evidence = tuple(replace(e, text=text) if i == index else e for i, e in enumerate(cot.evidence))
    answer = SEPARATOR.join(e.text for e in evidence)
    return replace(cot, answer=answer, evidence=evidence, signals={**cot.signals, "reread": 1.0})
