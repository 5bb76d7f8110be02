"""Tasks in words -> drafts of plans, by rules: fields, questions, lists, operations, checks, and refusals.

A task is split into clauses, and each is read by the first of these that understands it. What none does is
refused, word for word. The words are those of the task's language (``words``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from layoutllm_graphs.planning.constraint_rules import Check, CheckReader
from layoutllm_graphs.planning.fields import LONGEST_FIELD, NAMES_WITH_AND, Draft, ask, known, notes_of, one_line
from layoutllm_graphs.planning.operation_rules import OperationReader, sentence
from layoutllm_graphs.planning.owners import with_owners
from layoutllm_graphs.planning.phrases import (
    LONGEST,
    LONGEST_QUESTION,
    Clause,
    Phrase,
    apart,
    clauses_of,
    fronted,
    hold_quotes,
    join_pages,
    phrase,
    read_question,
    shown,
    take_pages,
)
from layoutllm_graphs.planning.plan import MOST_QUESTIONS
from layoutllm_graphs.planning.words import Language, language_of
from layoutllm_tool.errors import PlanError

_JOINT, _COMMA = "\ue002", "\ue003"
"""Stand for " and " and "," where they join no list."""
_INSIDE = re.compile(r"\([^()\n]{1,200}\)")
_MOST_NOTES = 20


def draft_text(text: str) -> Draft:
    """A draft of what the task asks for; nothing in it but refusals where nothing is understood."""
    held_text, held = hold_quotes(text)
    language = language_of(held_text)
    # Of a run of blanks one is left: the patterns try every way to share a run among them.
    lines = (" ".join(line.split()) for line in held_text.splitlines())
    joined = join_pages("\n".join(filter(None, lines)), language)
    return _noted(_TaskReader(language, held, Draft()).read(list(clauses_of(joined, language))))


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
    draft, checks = Draft(), list[tuple[_TaskReader, Check]]()
    for part in held_text.split("\n"):
        reader = _TaskReader(language_of(part), held, draft)
        said = join_pages(part.strip(), reader.language)
        clause = Clause(said, said.endswith(("?", "？")), item=True, given=True)
        checks += [(reader, check) for check in reader.checks_of(clause)]
    for reader, check in checks:
        reader.add_check(check)
    return _noted(draft)


def _noted(draft: Draft) -> Draft:
    draft.notes += notes_of(draft.refused[:_MOST_NOTES])
    return draft


@dataclass(frozen=True, slots=True)
class _Part:
    """An entry of a list within a clause."""

    start: int
    end: int
    closes: bool
    """It stands behind an "and"."""


class _TaskReader:
    """Reads the clauses of a task into a draft."""

    def __init__(self, language: Language, held: Sequence[str], draft: Draft) -> None:
        self.language, self.held, self.draft = language, held, draft
        self.patterns = language.patterns
        self.checks = CheckReader(language, held)
        self.operations = OperationReader(language, held, self.draft)
        self.said = ""
        """The clause that is being read."""
        self.pages: tuple[int, ...] = ()
        """That the last heading names."""

    def read(self, clauses: Sequence[Clause]) -> Draft:
        checks: list[Check] = []
        for clause in clauses:
            if clause.text.endswith((":", "：")):  # the heading of what follows
                _, self.pages = take_pages(clause.text, self.language)
            for part in apart(clause, self.language):
                checks += self.checks_of(part)
        for check in checks:
            self.add_check(check)
        return self.draft

    def checks_of(self, clause: Clause) -> list[Check]:
        """The clause's checks; whatever else it asks for is added to the draft, or refused."""
        self.said = clause.text
        polite = self.patterns["polite"].match(clause.text)
        text = clause.text[polite.end() :] if polite else clause.text
        if self.patterns["nothing"].match(text):
            return []
        if self._refused(clause, text):
            return []
        text = self._expanded(text)
        unchecked, wanted = self._without_prefix(text)
        checks = self.checks.read(unchecked)
        if not checks and not self._operation(clause, text, wanted=wanted):
            if wanted:
                self._refuse(self.said)
            else:
                self._ask(replace(clause, text=text), polite=bool(polite))
        return checks

    def _without_prefix(self, text: str) -> tuple[str, bool]:
        """The text without what asks for a check, and whether it surely does."""
        prefix, end = self.patterns["check"].match(text), self.patterns["check_end"].search(text)
        start, stop = prefix.end() if prefix else 0, end.start() if end else len(text)
        sure = bool(end or self.patterns["surely_check"].match(text))
        return self._closed(text[start:stop]), sure

    def _refuse(self, text: str, reason: str = "unknown") -> None:
        if said := self._shown(text).strip(" ,;:."):
            self.draft.refuse(said, reason)

    def _shown(self, text: str) -> str:
        return shown(text, self.held, self.language)

    def _refused(self, clause: Clause, text: str) -> bool:
        """Refuse the clause, or the end of it, if it asks for what no reader of one document can do."""
        named = phrase(text, self.held, self.language)
        if len(text) > LONGEST or named.printed or known(named.words):
            return False
        reason = self._reason(text, clause)
        if reason is None:
            return False
        core, _, _ = self._front(text)
        parts = [] if self._is_question(clause, text) or clause.given else list(self._listed(core))
        first = next((part for part in parts if self._reason(core[part.start : part.end], clause)), None)
        if first is None or first.start == 0:
            self._refuse(self.said, reason)
            return True
        begin = text.find(core)
        self._refuse(text[begin + first.start :], self._reason(core[first.start : first.end], clause) or reason)
        before = max(part.end for part in parts if part.end <= first.start)
        self._ask_fields(text[: begin + before])
        return True

    def _reason(self, text: str, clause: Clause) -> str | None:
        """Why the text is refused; None where it isn't. A given entry is refused for how it begins alone."""
        question = self._is_question(clause, text)
        refusals = self.language.refusals + (self.language.refusals_of_questions if question else ())
        for reason, pattern in refusals:
            found = pattern.match(text) if clause.given and not question else pattern.search(text)
            if found:
                return reason
        return None

    def _is_question(self, clause: Clause, text: str) -> bool:
        patterns = self.patterns
        asks = patterns["question"].match(text) or patterns["yes_no"].match(text)
        return clause.asked or bool(asks) or self._without_prefix(text)[1]

    def _operation(self, clause: Clause, text: str, *, wanted: bool) -> bool:
        """Add what the clause computes or lists, whatever stands around it."""
        if clause.given and not (self._is_question(clause, text) or self.patterns["task_verb"].match(text)):
            return False
        forms = list(self._forms(text, wanted=wanted))
        return self.operations.read(forms, self._shown(text), only="exists" if wanted else "")

    def _forms(self, text: str, *, wanted: bool = False) -> Iterator[str]:
        """The text as it stands, and without what asks for it."""
        core, _, _ = self._front(text)
        forms = [text, core]
        if wanted:
            forms.append(self._without_prefix(text)[0])
            forms.append(self._whether(text))
        computed = self.patterns["compute"].match(core)
        bare = core[computed.end() :] if computed else core
        ended = self.patterns["compute_end"].search(bare)
        forms += [bare[: ended.start()] if ended else bare]
        forms += [self.patterns[name].sub("", form, count=1) for name in ("what_is", "showing") for form in forms]
        forms += [fronted(form, self.language) for form in forms]
        for form in dict.fromkeys(form.strip(" ,.;:!?。、？") for form in forms):
            if form and (not known(form) or self.operations.is_main(form)):
                yield form

    def _whether(self, text: str) -> str:
        """A check from its "whether" on."""
        prefix = self.patterns["check"].match(text)
        if prefix is None:
            return text
        words = prefix.group().split()
        return f"{words[-1] if words else ''} {text[prefix.end() :]}".strip()

    def add_check(self, check: Check) -> None:
        """Ask for the check's terms, where they aren't asked for yet."""
        draft = self.draft
        terms = tuple(dict.fromkeys(self._term(term, check) for term in check.terms))
        total = self._term(check.total, check) if check.total else None
        if total in terms or (total is None and len(terms) < 2):
            self._refuse(" / ".join(term.words for term in check.terms))
            return
        if check.kind == "sum" and len(terms) == 1 and not draft.asked[terms[0]].is_list:
            term = check.terms[0]
            draft.change(terms[0], is_list=True, text=ask(term.words, printed=term.printed, is_list=True).text)
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

    def _ask(self, clause: Clause, *, polite: bool) -> None:
        patterns = self.patterns
        text = patterns["indirect_question"].sub(r"\1", clause.text)
        clause = replace(clause, text=text)
        task = patterns["task_verb"].match(text)
        asked = clause.asked and not patterns["verb"].match(text) and not (polite and task)
        if (asked and clause.given) or patterns["question"].match(text) or patterns["yes_no"].match(text):
            self._ask_question(clause)
        elif (task or patterns["compute"].match(text)) and not known(text):
            self._refuse(self.said)
        elif clause.given and len(text) > LONGEST_FIELD:
            self._add_question(text, text)
        elif clause.item:
            self._ask_item(clause)
        else:
            self._ask_fields(text)

    def _ask_question(self, clause: Clause) -> None:
        text, patterns = clause.text, self.patterns
        if not clause.item and self._ask_named(text):
            return
        doubtful = patterns["doubtful"].search(text)
        counted = doubtful and patterns["units"].match(text)
        yes_no = patterns["yes_no"].match(text)
        unsure = (doubtful and not counted) or (yes_no and not self._is_plain(text))
        if unsure or patterns["several"].search(text):
            self._refuse(text if clause.item else self.said)
        elif yes_no and len(text) < LONGEST_QUESTION:
            self.operations.is_said(text)
        else:
            self._add_question(text, sentence(text))

    def _is_plain(self, text: str) -> bool:
        """Whether a yes-or-no question is one that a printed word may answer."""
        plain, doubtful = self.patterns["plain_yes_no"], self.patterns["doubtful_yes_no"]
        return bool(plain.match(text)) and not doubtful.search(text)

    def _ask_named(self, text: str) -> bool:
        """ "What are the date and the total?": a field for each."""
        named = self.patterns["what_is"].match(text)
        core = text[named.end() :] if named else self._closed(text)
        belongs = self.patterns["belongs"].match(core) and self.draft.steps
        if core == text or len(text) > LONGEST or belongs:
            return False
        texts = [core[part.start : part.end] for part in self._listed(core)]
        parts = [phrase(part, self.held, self.language) for part in with_owners(texts, self.language)]
        if not all(part.is_name and not part.is_empty for part in parts) or (len(parts) < 2 and self.language.texts["questions"] == "kept"):
            return False
        for part in parts:
            self._add_field(part, self.pages)
        return bool(parts)

    def _add_question(self, text: str, written: str, pages: tuple[int, ...] | None = None) -> None:
        written = self._shown(written)
        if len(written) > LONGEST_QUESTION or not any(c.isalnum() for c in written):
            self._refuse(text)
            return
        asked, own = read_question(text, written, self.held, self.language)
        if not asked.words or self.patterns["what_is"].match(text) and self._says_nothing(text):
            self._refuse(self.said)
            return
        for page in own or pages or self.pages or (None,):
            self.draft.add(replace(asked, page=page))

    def _says_nothing(self, text: str) -> bool:
        """ "What is it?" """
        return phrase(self.patterns["what_is"].sub("", text, count=1), self.held, self.language).is_empty

    def _ask_item(self, clause: Clause) -> None:
        text = clause.text
        edges = "" if clause.given else ",:;.!?、："
        together = phrase(text, self.held, self.language, edges=edges)
        texts = [text[part.start : part.end] for part in self._listed(text)]
        owned = with_owners(texts, self.language)
        parts = [phrase(part, self.held, self.language) for part in owned]
        all_known = all(known(part.words) or part.printed for part in parts) or owned != texts
        if clause.given or known(together.words) or not all_known:
            parts = [together]
        for part in parts:
            if clause.given:
                self._add_field(part, self.pages)
            else:
                self._take(part, text, self.pages)

    def _ask_fields(self, text: str) -> None:
        heading = text.endswith((":", "："))
        text, pages, _ = self._front(text)
        if heading and not known(text):
            if text.strip(" :：") and not phrase(text, self.held, self.language).is_name:
                self._refuse(text)
        elif self._is_statement(text):
            self._refuse(self.said)
        else:
            self._take_parts(text, pages or self.pages)

    def _take_parts(self, text: str, pages: tuple[int, ...]) -> None:
        """A field for each part of a list; those that speak of an operation or a table are read as such."""
        parts, plain, index = list(self._listed(text)), list[str](), 0
        if len(parts) == 1 and not self._computed(text, parts)[1]:
            self._take_all([text], pages, said=self.said)
            return
        while index < len(parts):
            said, used = self._computed(text, parts[index:])
            if used:
                self._take_all(plain, pages)
                self.operations.read([self._form(said)], self._shown(said))
                plain = []
            else:
                plain.append(text[parts[index].start : parts[index].end])
            index += used or 1
        self._take_all(plain, pages)

    def _take_all(self, parts: Sequence[str], pages: tuple[int, ...], *, said: str = "") -> None:
        """A field for each; ``said``: the clause of the only one."""
        for part in with_owners(parts, self.language):
            named = self.patterns["indirect_question"].sub(r"\1", part)
            self._take(phrase(named, self.held, self.language), said or part, pages, alone=bool(said))

    def _computed(self, text: str, parts: Sequence[_Part]) -> tuple[str, int]:
        """What an operation or a table is said in, and its parts: up to the next "and", or one. None: 0."""
        closing = next((n for n, part in enumerate(parts[1:], start=2) if part.closes), len(parts))
        for count in dict.fromkeys((closing, 1)) if len(text) <= LONGEST else ():
            said = text[parts[0].start : parts[count - 1].end]
            form = self._form(said)
            if (not known(form) or self.operations.is_main(form)) and self.operations.fits(form):
                return said, count
        return "", 0

    def _form(self, text: str) -> str:
        """A part of a list without what a sentence for rows and operations does not have."""
        return fronted(self.patterns["data_type"].sub("", text), self.language)

    def _take(self, part: Phrase, text: str, pages: tuple[int, ...], *, alone: bool = True) -> None:
        """Add the part as a field, if it surely is one, or as a question; refuse it else."""
        if alone and not part.printed and self.patterns["no_field"].match(part.words):
            return
        belongs = self.patterns["belongs"].match(text) and self.draft.steps
        if belongs or (self.operations.restricts(part.words) and not part.printed):
            self._refuse(text)
        elif part.is_name and not part.is_empty:
            self._add_field(part, pages)
        elif self.patterns["question"].match(part.words) and len(part.words.split()) > 1:
            self._ask_question(Clause(part.words, item=True))
        else:
            self._refuse(text)

    def _add_field(self, part: Phrase, pages: tuple[int, ...]) -> None:
        for page in part.pages or pages or (None,):
            asked = ask(part.words, printed=part.printed, is_list=part.is_list, page=page)
            self.draft.add(replace(asked, required=part.required))

    def _front(self, text: str) -> tuple[str, tuple[int, ...], bool]:
        """The text after its verb and the like, the pages before it, and whether there was a verb."""
        pages: tuple[int, ...] = ()
        verb = False
        fronts = [self.patterns[name] for name in ("polite", "place", "output_format", "head", "verb")]
        for _ in range(6):
            found = next((match for front in fronts if (match := front.match(text))), None)
            led = self.patterns["leading_page"].match(text) if not pages else None
            if found and found.end() and not known(text):
                verb = verb or found.re is self.patterns["verb"]
                text = text[found.end() :].lstrip(" ,:、：")
            elif led:
                _, pages = take_pages(text[: led.end()], self.language)
                text = text[led.end() :] if pages else text
            else:
                break
        if not pages:
            text, pages = self._closing_page(text)
        return self._closed(text), pages, verb

    def _closed(self, text: str) -> str:
        """The text before what asks for it at its end: "please", "as a table"."""
        for _ in range(4):
            found = self.patterns["closing"].search(text) if len(text) <= LONGEST and not known(text) else None
            if found is None or not text[: found.start()].strip():
                return text
            text = text[: found.start()].rstrip(" ,、")
        return text

    def _closing_page(self, text: str) -> tuple[str, tuple[int, ...]]:
        """The text before a page that it ends with, and that page; all of it where it names another page."""
        closing = self.patterns["closing_page"].search(text)
        if closing is None or take_pages(text[: closing.start()], self.language)[1]:
            return text, ()
        _, pages = take_pages(closing.group(), self.language)
        return (text[: closing.start()] if pages else text), pages

    def _expanded(self, text: str) -> str:
        """ "Rechnungs- und Lieferdatum" with both words in full."""
        if len(text) > LONGEST:
            return text
        return self.patterns["compound"].sub(
            lambda found: "{first}{tail}{link} {second}".format(**found.groupdict()), text
        )

    def _listed(self, text: str) -> Iterator[_Part]:
        """The parts of a list, as places in the text."""
        masked = text
        for name in NAMES_WITH_AND:
            masked = re.sub(rf"\b{name}\b", name.replace(" and ", _JOINT * 5), masked, flags=re.IGNORECASE)
        masked = _INSIDE.sub(lambda found: found.group().replace(",", _COMMA).replace(" and ", _JOINT * 5), masked)
        start, closes, count = 0, False, 0
        for found in self.patterns["list_and"].finditer(masked):
            if text[start : found.start()].strip(" .,:"):
                count += 1
                yield _Part(start, found.start(), closes)
            start, closes = found.end(), found.group().strip() not in (",", "、")
            if count > 2 * MOST_QUESTIONS:
                raise PlanError(f"the task lists more than {MOST_QUESTIONS} things.", hint="Split it.")
        if text[start:].strip(" .,:"):
            yield _Part(start, len(text), closes)

    def _is_statement(self, text: str) -> bool:
        """ "The vendor is Acme", which names a field and asks for nothing."""
        relative = self.patterns["relative_pronoun"].search(text)
        return bool(self.patterns["statement"].search(f" {text} ")) and not relative
