"""Tasks in English -> drafts of plans, by rules: lists of fields, questions, and checks between them.

What the rules don't understand is kept in ``Draft.unexplained``, word for word: a language model may do
better (``planner``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from layoutllm_graphs.planning.constraint_rules import Check, parse_checks
from layoutllm_graphs.planning.fields import LONGEST_FIELD, NAMES_WITH_AND, Draft, ask, known, one_line
from layoutllm_graphs.planning.phrases import (
    LONGEST_QUESTION,
    Clause,
    Phrase,
    apart,
    clauses_of,
    hold_quotes,
    join_pages,
    part_pages,
    phrase,
    read_question,
    release_quotes,
    take_pages,
)
from layoutllm_graphs.planning.plan import MOST_QUESTIONS
from layoutllm_graphs.planning.words import PATTERNS
from layoutllm_tool.errors import PlanError

_MOST_SPLITS = 60
_JOINT, _COMMA = "\ue002", "\ue003"
"""Stand for " and " and "," where they join no list."""
_INSIDE = re.compile(r"\([^()\n]{1,200}\)")
_COLUMNS = re.compile(r"([^()]{1,80}) \(([^()]{1,200})\)$")
_FRONT = [PATTERNS[name] for name in ("polite", "place", "output_format", "head", "verb")]
_MOST_WORDS = 12


def draft_text(text: str) -> Draft:
    """A draft of what the task asks for; nothing in it where nothing is understood."""
    held_text, held = hold_quotes(text)
    # Of a run of blanks one is left: the patterns try every way to share a run among them.
    lines = (" ".join(line.split()) for line in held_text.splitlines())
    clauses = list(clauses_of(join_pages("\n".join(filter(None, lines)))))
    return _TaskReader(held, alone=len(clauses) == 1).read(clauses)


def draft_list(items: Sequence[str]) -> Draft:
    """One question for each field or question; entries may be checks too. PlanError names a bad entry."""
    for number, item in enumerate(items, start=1):
        if not isinstance(item, str) or not any(c.isalnum() for c in item) or len(item) > LONGEST_QUESTION:
            raise PlanError(
                f"entry {number} of the list is neither a field nor a question.",
                hint=(
                    f'Give texts of 1 to {LONGEST_QUESTION} characters, such as "due date" or "Who signed?".'
                ),
            )
    held_text, held = hold_quotes("\n".join(one_line(item) for item in items))
    parts = [part.strip() for part in join_pages(held_text).split("\n")]
    clauses = [Clause(part, part.endswith("?"), item=True, given=True) for part in parts]
    return _TaskReader(held, alone=len(clauses) == 1).read(clauses)


class _TaskReader:
    """Reads the clauses of a task into a draft."""

    def __init__(self, held: Sequence[str], *, alone: bool) -> None:
        self.held, self.alone, self.draft = held, alone, Draft()
        self.pages: tuple[int, ...] = ()
        """That the last heading names."""

    def read(self, clauses: Sequence[Clause]) -> Draft:
        draft, checks = self.draft, list[Check]()
        for clause in clauses:
            if clause.text.endswith(":"):  # the heading of what follows
                _, self.pages = take_pages(clause.text)
            for part in [clause] if clause.asked or clause.given else apart(clause):
                found = self._checks(part)
                checks += found or ()
                if found == []:
                    self._ask(part)
        for check in checks:
            self._add_check(check)
        draft.unexplained = [one_line(release_quotes(words, self.held)) for words in draft.unexplained]
        draft.notes += [f'Not understood by the rules: "{words[:200]}".' for words in draft.unexplained[:20]]
        return draft

    def _checks(self, clause: Clause) -> list[Check] | None:
        """None for a sentence that asks for a check and isn't understood, [] for one that asks for none."""
        prefix = PATTERNS["check"].match(clause.text)
        found = parse_checks(clause.text[prefix.end() :] if prefix else clause.text, self.held)
        wanted = prefix is not None and PATTERNS["and_check"].match(f" {clause.text}") is not None
        if found or not wanted:
            return found
        self.draft.unexplained.append(clause.text)
        return None

    def _add_check(self, check: Check) -> None:
        """Ask for the check's terms, where they aren't asked for yet."""
        draft = self.draft
        terms = tuple(dict.fromkeys(self._term(term, check) for term in check.terms))
        total = self._term(check.total, check) if check.total else None
        if total in terms or (total is None and len(terms) < 2):
            draft.unexplained.append(" / ".join(term.words for term in check.terms))
            return
        if check.kind == "sum" and len(terms) == 1:
            draft.change(terms[0], is_list=True)
        if check.strict:
            last, first = draft.asked[terms[-1]].words, draft.asked[terms[0]].words
            draft.notes.append(f'"{last}" may also equal "{first}".')
        draft.checks.append((check.kind, terms, total))

    def _term(self, term: Phrase, check: Check) -> int:
        page = term.pages[0] if term.pages else None
        index = self.draft.find(ask(term.words, printed=term.printed, page=page))
        if check.kind == "sum" and self.draft.asked[index].type == "text":
            self.draft.change(index, type="money")
        return index

    def _ask(self, clause: Clause) -> None:
        polite = PATTERNS["polite"].match(clause.text)
        text = clause.text[polite.end() :] if polite else clause.text
        task = PATTERNS["task_verb"].match(text)
        asked = clause.asked and not PATTERNS["verb"].match(text) and not (polite and task)
        if asked or PATTERNS["question"].match(text):
            self._ask_question(replace(clause, text=text))
        elif task and not known(text):
            self.draft.unexplained.append(text)
            self._add_question(text, text)
        elif clause.given and len(text) > LONGEST_FIELD:
            self._add_question(text, text)
        elif clause.item:
            self._ask_item(replace(clause, text=text))
        else:
            self._ask_fields(text)

    def _ask_question(self, clause: Clause) -> None:
        if (named := PATTERNS["what_is"].match(clause.text)) and not clause.item:
            parts = [phrase(part, self.held) for part in _listed(clause.text[named.end() :])]
            if len(parts) > 1 and all(known(part.words) or part.printed for part in parts):
                for part in parts:
                    self._add_field(part, self.pages)
                return
        asked = [clause.text]
        if not clause.item:
            asked = PATTERNS["and_question"].split(clause.text, maxsplit=_MOST_SPLITS)
        for text in asked:
            self._add_question(text, f"{text[:1].upper()}{text[1:]}".rstrip(" ?.!") + "?")

    def _add_question(self, text: str, written: str, pages: tuple[int, ...] | None = None) -> None:
        written = one_line(release_quotes(part_pages(written), self.held))
        if len(written) > LONGEST_QUESTION or not any(c.isalnum() for c in written):
            self.draft.unexplained.append(text)
            return
        asked, own = read_question(text, written, self.held)
        for page in own or pages or self.pages or (None,):
            self.draft.add(replace(asked, page=page))

    def _ask_item(self, clause: Clause) -> None:
        parts = [phrase(part, self.held) for part in _listed(clause.text)]
        together = phrase(clause.text, self.held, edges="" if clause.given else ",:;.!?")
        all_known = all(known(part.words) or part.printed for part in parts)
        if clause.given or known(together.words) or not all_known:
            parts = [together]
        for part in parts:
            if clause.given:
                self._add_field(part, self.pages)
            else:
                self._take(part, clause.text, self.pages, sure=True)

    def _ask_fields(self, text: str) -> None:
        heading = text.endswith(":")
        text, pages, verb = _front(text)
        if heading and not known(text):
            if text.strip(" :") and not phrase(text, self.held).is_name:
                self.draft.unexplained.append(text)
        elif _is_statement(text):
            self.draft.unexplained.append(text)
        else:
            for part in _listed(text):
                if not self._add_columns(part, pages or self.pages):
                    named = phrase(PATTERNS["indirect_question"].sub(r"\1", part), self.held)
                    self._take(named, part, pages or self.pages, sure=verb or self.alone)

    def _take(self, part: Phrase, text: str, pages: tuple[int, ...], *, sure: bool) -> None:
        """Add the part as a field; what is no name is added where the task surely asks for it, and marked."""
        if not part.printed and PATTERNS["no_field"].match(part.words):
            return
        if part.is_empty:
            self.draft.unexplained.append(text)
            return
        if not part.is_name:
            self.draft.unexplained.append(text)
            words = part.words.split()
            if PATTERNS["question"].match(part.words) and len(words) > 1:
                self._add_question(part.words, f"{part.words[:1].upper()}{part.words[1:]}?", pages)
                return
            if not sure or len(part.words) > LONGEST_FIELD or len(words) > _MOST_WORDS:
                return
        self._add_field(part, pages)

    def _add_columns(self, text: str, pages: tuple[int, ...]) -> bool:
        """ "line items (description, quantity, amount)": a column for each."""
        found = _COLUMNS.match(text)
        table = known(phrase(found.group(1), self.held).words) if found else None
        if found is None or table is None or table.family != "items":
            return False
        for part in (phrase(column, self.held) for column in PATTERNS["list_and"].split(found.group(2))):
            if part.is_name:
                column = replace(ask(f"item {part.words}", is_list=True), type=ask(part.words).type)
                for page in pages or (None,):
                    self.draft.add(replace(column, page=page))
            else:
                self.draft.unexplained.append(part.words)
        return True

    def _add_field(self, part: Phrase, pages: tuple[int, ...]) -> None:
        for page in part.pages or pages or (None,):
            asked = ask(part.words, printed=part.printed, is_list=part.is_list, page=page)
            self.draft.add(replace(asked, required=part.required))


def _front(text: str) -> tuple[str, tuple[int, ...], bool]:
    """The text after its verb and the like, the pages that stand before it, and whether there was a verb."""
    pages: tuple[int, ...] = ()
    verb = False
    for _ in range(6):
        found = next((match for front in _FRONT if (match := front.match(text))), None)
        led = PATTERNS["leading_page"].match(text) if not pages else None
        if found and found.end() and not known(text):
            verb = verb or found.re in (PATTERNS["verb"], PATTERNS["output_format"])
            text = text[found.end() :].lstrip(" ,:")
        elif led:
            _, pages = take_pages(text[: led.end()])
            text = text[led.end() :] if pages else text
        else:
            break
    if not pages:
        text, pages = _closing_page(text)
    return text, pages, verb


def _closing_page(text: str) -> tuple[str, tuple[int, ...]]:
    """The text before a page that it ends with, and that page; all of it where it names another page."""
    closing = PATTERNS["closing_page"].search(text)
    if closing is None or take_pages(text[: closing.start()])[1]:
        return text, ()
    _, pages = take_pages(closing.group())
    return (text[: closing.start()] if pages else text), pages


def _listed(text: str) -> list[str]:
    for name in NAMES_WITH_AND:
        text = re.sub(rf"\b{name}\b", name.replace(" and ", _JOINT), text, flags=re.IGNORECASE)
    text = _INSIDE.sub(lambda found: found.group().replace(",", _COMMA).replace(" and ", _JOINT), text)
    parts = PATTERNS["list_and"].split(text, maxsplit=2 * MOST_QUESTIONS)
    if len(parts) > 2 * MOST_QUESTIONS:
        raise PlanError(f"the task lists more than {MOST_QUESTIONS} things.", hint="Split it.")
    return [part.replace(_JOINT, " and ").replace(_COMMA, ",") for part in parts if part.strip(" .,:")]


def _is_statement(text: str) -> bool:
    """ "The vendor is Acme", which names a field and asks for nothing."""
    return bool(PATTERNS["statement"].search(f" {text} ")) and not PATTERNS["relative_pronoun"].search(text)
