"""Tasks in words -> drafts of plans, by rules: fields, questions, lists, operations, checks, and refusals.

A task is split into clauses, and each is read by the first of these that understands it:

    refused? -> checks -> operations and tables -> questions -> fields

What none does is refused, word for word. The words are those of the task's language (``words``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from layoutllm_graphs.planning.constraint_rules import Check, CheckReader
from layoutllm_graphs.planning.coverage import left_over
from layoutllm_graphs.planning.fields import (
    LONGEST_FIELD,
    MEANT,
    Asked,
    Draft,
    ask,
    guess_type,
    known,
    names_like,
    notes_of,
    one_line,
    same_words,
)
from layoutllm_graphs.planning.forms import Forms, Part
from layoutllm_graphs.planning.operation_rules import OperationReader, sentence
from layoutllm_graphs.planning.owners import with_owners
from layoutllm_graphs.planning.phrases import (
    COLONS,
    ENDS,
    INSIDE,
    LONGEST,
    LONGEST_QUESTION,
    QUESTION_MARKS,
    Clause,
    Phrase,
    apart,
    clauses_of,
    hold_quotes,
    join_pages,
    phrase,
    read_question,
    shown,
    take_pages,
)
from layoutllm_graphs.planning.row_rules import OtherwiseError
from layoutllm_graphs.planning.words import Language, language_of
from layoutllm_tool.errors import PlanError

_MOST_NOTES = 20
_AMONG_ITEMS = frozenset({"shipping", "discount", "tip", "deposit"})
_LONGEST_ASKED = 3
"""Words of a name that ends with a question mark ("monthly net pay?")."""


def draft_text(text: str) -> Draft:
    """A draft of what the task asks for; nothing in it but refusals where nothing is understood."""
    held_text, held = hold_quotes(text)
    language, draft = language_of(held_text), Draft()
    # Of a run of blanks one is left: the patterns try every way to share a run among them.
    lines = (" ".join(line.split()) for line in held_text.splitlines())
    joined = join_pages("\n".join(filter(None, lines)), language)
    _TaskReader(language, held, draft).read(list(clauses_of(joined, language)))
    return _noted(draft)


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
        clause = Clause(said, said.endswith(QUESTION_MARKS), item=True, given=True)
        checks += [(reader, check) for check in reader.checks_of(clause)]
    for reader, check in checks:
        reader.add_check(check)
    return _noted(draft)


def _noted(draft: Draft) -> Draft:
    draft.notes += notes_of(draft.refused[:_MOST_NOTES])
    return draft


class _TaskReader:
    """Reads the clauses of a task into a draft."""

    def __init__(self, language: Language, held: Sequence[str], draft: Draft) -> None:
        self.language, self.held, self.draft = language, held, draft
        self.patterns, self.forms = language.patterns, Forms(language)
        self.checks = CheckReader(language, held)
        self.operations = OperationReader(language, held, draft)
        self.said = ""
        """The clause that is being read."""
        self.unwanted: list[str] = []
        """Fields that the task says it does not want."""
        self.lost = False
        """A part of the clause was refused that what follows may belong to."""
        self.refused_before = False
        """A clause before in the same sentence was refused."""
        self.beside = False
        """Other clauses stand in the same sentence."""
        self.asked = False
        """The clause ends with a question mark."""
        self.supposed = False
        """The clause before said on what the next depends, and was refused."""
        self.table_before = False
        """The clause before named a list and no more."""
        self.left_out: dict[str, list[str]] = {}
        """Clauses that say what is not wanted, and those things: unknown ones, that may be rows, too."""
        self.pages: tuple[int, ...] = ()
        """That the last heading names."""

    def read(self, clauses: Sequence[Clause]) -> None:
        checks: list[Check] = []
        bare = (replace(clause, text=self.forms.asking(clause.text)) for clause in clauses)
        parts = [(clause, self._apart(clause)) for clause in bare if clause.text]
        kept = [
            (clause, [self._without_unwanted(part) for part in several if not self._is_unwanted(part)])
            for clause, several in parts
        ]
        for clause, several in kept:
            if clause.text.endswith(COLONS):  # the heading of what follows
                _, self.pages = take_pages(clause.text, self.language)
            refused = len(self.draft.refused)
            for number, part in enumerate(several):
                self.refused_before, self.beside = len(self.draft.refused) > refused, len(several) > 1
                if number and self.supposed:
                    self._refuse(part.text)
                elif part.text in self.left_out:
                    self._leave_out(part.text)
                elif not (checks and self.patterns["check_it"].fullmatch(part.text)):
                    checks += self.checks_of(part)
        for check in checks:
            self.add_check(check)
        for text in self.left_out if self.operations.rows.tables else ():
            self._refuse(text)

    def _apart(self, clause: Clause) -> list[Clause]:
        """The clauses of a sentence; also what it says in parentheses that is not wanted."""
        aside = [
            found
            for found in INSIDE.finditer(clause.text)
            if self.patterns["unwanted"].fullmatch(found.group().strip("()\uff08\uff09"))
        ]
        text = clause.text
        for found in reversed(aside):
            text = " ".join((text[: found.start()] + text[found.end() :]).split())
        said = [replace(clause, text=found.group().strip("()\uff08\uff09")) for found in aside]
        return [*apart(replace(clause, text=text), self.language), *said]

    def _leave_out(self, text: str) -> None:
        """Rows of the last list that are not wanted: a filter; before any list, what is not wanted."""
        if self.operations.rows.last is None:
            return
        words = self.left_out.pop(text)
        try:
            with self.operations.undone():
                for one in words:
                    self.operations.leave_out(one, self._shown(text))
        except OtherwiseError:
            self._refuse(text)

    def _is_unwanted(self, clause: Clause) -> bool:
        """Whether the clause names fields that are not wanted, and no more; they are noted."""
        found = self.patterns["unwanted"].fullmatch(clause.text)
        named = next(filter(None, found.groupdict().values()), "") if found else ""
        words = [self._phrase(part) for part in self._wanted_not(named)]
        if self._are_unwanted(named) and not self._may_be_rows(words):
            return True
        if words and all(one.is_name and len(one.words.split()) <= _LONGEST_ASKED for one in words):
            self.left_out[clause.text] = [one.words for one in words]
        return False

    def _may_be_rows(self, words: Sequence[Phrase]) -> bool:
        """Whether they are amounts that stand among a document's items, too: "shipping"."""
        return any(entry.family in _AMONG_ITEMS for one in words if (entry := known(one.words)))

    def _wanted_not(self, named: str) -> list[str]:
        """The things in what is not wanted."""
        talk = self.patterns["small_talk"]
        return [part for part in self._texts(named) if not talk.fullmatch(part.strip())]

    def _without_unwanted(self, clause: Clause) -> Clause:
        """ "The vendor, but not the total" as "The vendor"."""
        found = self.patterns["but_not"].fullmatch(clause.text)
        words = [self._phrase(part) for part in self._wanted_not(found["what"])] if found else []
        if found and self._may_be_rows(words) and self.operations.fits(self.forms.front(found["kept"])[0]):
            return clause
        return replace(clause, text=found["kept"]) if found and self._are_unwanted(found["what"]) else clause

    def _are_unwanted(self, named: str) -> bool:
        words = [self._phrase(part) for part in self._wanted_not(named)]
        if not words or not all(known(one.words) or one.printed for one in words):
            return False
        self.unwanted += [one.words for one in words]
        return True

    def checks_of(self, clause: Clause) -> list[Check]:
        """The clause's checks; whatever else it asks for is added to the draft, or refused."""
        self.asked = clause.asked and not clause.given
        self.said, self.lost, refused = clause.text, False, len(self.draft.refused)
        before = len(self.draft.steps), refused, len(self.draft.asked)
        checks: list[Check] = []
        try:
            with self.operations.undone():
                checks = self._covered_checks(clause)
        except OtherwiseError:
            self._refuse(clause.text)
        self.table_before = (len(self.draft.steps), len(self.draft.refused)) == before[:2] and (
            len(self.draft.asked) == before[2] + 1 and bool(self.draft.asked[-1].columns)
        )
        begins = self.patterns["supposing"].match(clause.text)
        self.supposed = bool(begins and len(self.draft.refused) > refused)
        return checks

    def _covered_checks(self, clause: Clause) -> list[Check]:
        """The clause's checks; the words that nothing uses are refused.

        OtherwiseError where these are such that change the meaning of the rest.
        """
        steps, tables = len(self.draft.steps), len(self.operations.rows.tables)
        checks = self._checks_of(clause)
        made = len(self.draft.steps) > steps or len(self.operations.rows.tables) > tables
        if (
            not clause.given
            and len(clause.text) <= LONGEST
            and not self.patterns["nothing"].match(clause.text)
        ):
            said = self._shown(self.forms.of_document(self.forms.front(self.forms.expanded(clause.text))[0]))
            left = left_over(said, self._used(checks), self.language, computed=bool(checks) or made)
            if self.patterns["strong"].search(left):
                raise OtherwiseError
            self._refuse(left)
        return checks

    def _used(self, checks: Sequence[Check]) -> list[str]:
        """What the draft and these checks hold of the task."""
        draft = self.draft
        asked = [text for one in draft.asked for c in (one, *one.columns) for text in (c.words, c.text)]
        values = [step.condition.value for step in draft.steps if step.condition]
        terms = [term.words for check in checks for term in (*check.terms, *filter(None, [check.total]))]
        kin = [name for one in draft.asked for name in names_like(one.words)]
        return [*asked, *values, *terms, *kin, *self.unwanted, *(refusal.text for refusal in draft.refused)]

    def _checks_of(self, clause: Clause) -> list[Check]:
        polite = self.patterns["polite"].match(clause.text)
        text = clause.text[polite.end() :] if polite else clause.text
        text = self.forms.expanded(text)
        if self.patterns["nothing"].match(text) or self._refused(clause, text):
            return []
        text = self.forms.of_document(text)
        unchecked, wanted = self.forms.unchecked(text)
        checks = self.checks.read(unchecked)
        if not checks and not self._operation(clause, text, wanted=wanted):
            if wanted:
                self._refuse(self.said)
            else:
                self._ask(replace(clause, text=text))
        return checks

    def _refuse(self, text: str, reason: str = "unknown") -> None:
        if said := self._shown(text).strip(" ,;:."):
            self.draft.refuse(said, reason)
        self.lost |= bool(reason == "unknown" and self.patterns["opens"].search(text))

    def _shown(self, text: str) -> str:
        return shown(text, self.held, self.language)

    def _phrase(self, text: str) -> Phrase:
        return phrase(text, self.held, self.language)

    def _refused(self, clause: Clause, text: str) -> bool:
        """Refuse the clause, or the end of it, if it asks for what no reader of one document can do."""
        named = self._phrase(text)
        if len(text) > LONGEST or named.printed or known(named.words):
            return False
        asked = clause.asked or self.forms.is_question(text) or self.forms.unchecked(text)[1]
        reason = self._reason(text, asked=asked, begins=clause.given)
        if reason is None:
            return False
        core, _ = self.forms.front(text)
        parts = [] if asked or clause.given else list(self.forms.parts(core))
        reasons = [self._reason(core[part.start : part.end], asked=False) for part in parts]
        first = next((number for number, told in enumerate(reasons) if told), 0)
        if first == 0:
            self._refuse(self.said, reason)
            return True
        begin = text.find(core)
        self._refuse(text[begin + parts[first].start :], reasons[first] or reason)
        self._ask_fields(text[: begin + parts[first - 1].end])
        return True

    def _reason(self, text: str, *, asked: bool, begins: bool = False) -> str | None:
        """Why the text is refused, or None. ``begins``: what is no question is, for its beginning alone."""
        more = self.language.refusals_of_questions if asked else ()
        for reason, pattern in (*self.language.refusals, *more):
            if pattern.match(text) if begins and not asked else pattern.search(text):
                return reason
        return None

    def _operation(self, clause: Clause, text: str, *, wanted: bool) -> bool:
        """Add what the clause computes or lists, whatever stands around it. A check may ask what exists."""
        asked = clause.asked or self.forms.is_question(text) or wanted
        if clause.given and not (asked or self.patterns["task_verb"].match(text)):
            return False
        forms = self.forms.computed(text, but=self.operations.rows.is_main)
        only = ("exists", "compare") if wanted else ()
        return self.operations.read(forms, self._shown(text), only=only)

    def add_check(self, check: Check) -> None:
        """Ask for the check's terms, where they aren't asked for yet."""
        draft, asked = self.draft, list(self.draft.asked)
        terms = tuple(dict.fromkeys(self._term(term, check) for term in check.terms))
        total = self._term(check.total, check) if check.total else None
        if total in terms or (total is None and len(terms) < 2):
            draft.asked[:] = asked
            self._refuse(" / ".join(term.words for term in check.terms))
            return
        if check.kind == "sum" and len(terms) == 1 and not draft.asked[terms[0]].is_list:
            term = check.terms[0]
            draft.change(
                terms[0], is_list=True, text=ask(term.words, printed=term.printed, is_list=True).text
            )
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
        text = self.patterns["indirect_question"].sub(r"\1", clause.text)
        task = self.patterns["task_verb"].match(text) or self.patterns["compute"].match(text)
        asked = clause.given and clause.asked and not task and not self.patterns["verb"].match(text)
        if asked or self.forms.is_question(text):
            self._ask_question(text, item=clause.item, given=clause.given)
        elif task and not known(text):
            self._refuse(self.said)
        elif clause.given and len(text) > LONGEST_FIELD:
            self._add_question(text, text)
        elif clause.given:
            self._add_field(phrase(text, self.held, self.language, edges=""), self.pages)
        elif clause.item:
            self._ask_item(text)
        else:
            self._ask_fields(text)

    def _ask_question(self, text: str, *, item: bool, given: bool = False, said: str = "") -> None:
        """``item``: it is one thing. ``given``: it is put as it is, whatever it takes to answer it.

        ``said``: what to refuse, if not the clause.
        """
        if not given and self._ask_elliptic(text):
            return
        if not item and self._ask_named(text):
            return
        yes_no = self.patterns["yes_no"].match(text)
        rows, some = self.operations.rows, self.patterns["which_rows"].match(text)
        dangling = (rows.last or self.refused_before) and self.patterns["anaphor"].search(text)
        if not given and ((dangling and not yes_no) or (some and rows.are_many(some["rows"]))):
            self._refuse(said or self.said)
            return
        alone = self.language.spaced and len(text.split()) < 2  # "when?"
        strong = alone or self.patterns["strong"].search(
            f" {text}"
        )  # behind a blank, as a question may begin so
        sure = not strong and not self._is_doubtful(text) and (not yes_no or self._is_plain(text))
        if not sure and not given:
            self._refuse(said or self.said)
        elif yes_no and sure and len(text) < LONGEST_QUESTION:
            self.operations.is_said(text)
        else:
            self._add_question(text, sentence(text))

    def _ask_elliptic(self, text: str) -> bool:
        """ "Who is insured, with which insurer": a field, where other questions stand beside it."""
        alone = not self.beside or self.refused_before or len(text) > LONGEST
        found = None if alone else self.patterns["elliptic"].match(text)
        named = self._phrase(found["what"]) if found else None
        if named is None or not named.is_name or named.is_empty:
            return False
        one = known(named.words) or self.patterns["party"].match(named.words)
        several = not one and bool(self.patterns["many"].search(named.words))
        self._add_field(replace(named, is_list=several), self.pages)
        return True

    def _is_doubtful(self, text: str) -> bool:
        """Whether a reader's answer can't be trusted: it takes more than finding, or two are asked for."""
        counted = self.patterns["units"].match(text)
        doubtful = self.patterns["doubtful"].search(text) and not counted
        return bool(doubtful or self.patterns["several"].search(text))

    def _is_plain(self, text: str) -> bool:
        """Whether a yes-or-no question is one that a printed word may answer."""
        plain, doubtful = self.patterns["plain_yes_no"], self.patterns["doubtful_yes_no"]
        negated = self.patterns["negated"].search(text)  # a no to "is it not ...?" would mean yes
        return bool(plain.match(text)) and not doubtful.search(text) and not negated

    def _ask_named(self, text: str) -> bool:
        """ "What are the date and the total?": a field for each. One alone may stay a question."""
        named = self.patterns["what_is"].match(text)
        core = text[named.end() :] if named else self.forms.front(text)[0]
        belongs = self.patterns["belongs"].match(core) and self.draft.steps
        if core == text or len(text) > LONGEST or belongs:
            return False
        parts = [self._phrase(part) for part in with_owners(self._texts(core), self.language)]
        enough = len(parts) > 1 or self.language.texts["questions"] != "kept"
        if not enough or not all(part.is_name and not part.is_empty for part in parts):
            return False
        for part in parts:
            self._add_field(part, self.pages)
        return True

    def _add_question(self, text: str, written: str) -> None:
        written = self._shown(written)
        named = self.patterns["what_is"].match(text)
        says_nothing = bool(named) and self._phrase(text[named.end() :] if named else text).is_empty
        if says_nothing or len(written) > LONGEST_QUESTION or not any(c.isalnum() for c in written):
            self._refuse(text)
            return
        asked, own = read_question(text, written, self.held, self.language)
        if self.patterns["many_of"].match(text):
            asked = replace(asked, is_list=True)
        for page in own or self.pages or (None,):
            self.draft.add(replace(asked, page=page))

    def _texts(self, text: str) -> list[str]:
        return [text[part.start : part.end] for part in self.forms.parts(text)]

    def _ask_item(self, text: str) -> None:
        """An entry of a list: one thing, unless every part of it is a known field, or has an owner."""
        texts, together = self._texts(text), self._phrase(text)
        owned = with_owners(texts, self.language)
        parts = [self._phrase(part) for part in owned]
        all_known = all(known(part.words) or part.printed for part in parts) or owned != texts
        for part in parts if all_known and not known(together.words) else [together]:
            self._take(part, text, self.pages)

    def _ask_fields(self, text: str) -> None:
        heading = text.endswith(COLONS)
        text, pages = self.forms.front(text)
        if heading and not known(text):
            if text.strip(ENDS) and not self._phrase(text).is_name:
                self._refuse(text)
        elif self.forms.is_statement(text):
            self._refuse(self.said)
        elif self._is_whole_question(text):
            self._ask_question(text, item=False, said=self.said)
        else:
            self._take_parts(text, pages or self.pages)

    def _is_whole_question(self, text: str) -> bool:
        """ "how many nights lie between check-in and check-out", whose first part alone asks for nothing."""
        first, *more = self._texts(text) or [""]
        indirect = self.patterns["indirect_question"].match(first)
        return bool(more and self.patterns["question"].match(text) and not indirect and not known(first))

    def _take_parts(self, text: str, pages: tuple[int, ...]) -> None:
        """A field for each part of a list; those that speak of an operation or a table are read as such."""
        if self.operations.are_columns(self._texts(text), behind=self.table_before):
            return
        parts = list(self.forms.parts(text))
        if len(parts) == 1 and not self._computed(text, parts)[1]:
            self._take_all([text], pages, said=self.said)
            return
        first = next((n for n, _ in enumerate(parts) if self._computed(text, parts[n:])[1]), len(parts))
        self._take_several(text, parts[:first], pages)
        try:
            with self.operations.undone():
                self._take_several(text, parts[first:], pages)
                if self.lost and parts[first:]:
                    raise OtherwiseError
        except OtherwiseError:  # what follows a list may belong to it, all of it
            self._refuse(text[parts[first].start :])

    def _take_several(self, text: str, parts: Sequence[Part], pages: tuple[int, ...]) -> None:
        plain, index, theirs = list[str](), 0, False
        while index < len(parts):
            if plain and self.patterns["of_last"].match(text[parts[index].start : parts[index].end]):
                self._take_all(plain, pages)
                plain = []
            said, used = self._computed(text, parts[index:]) if not self.lost else ("", 0)
            if used:
                self._take_all(plain, pages)
                self.operations.read([said], self._shown(said))
                theirs, plain = theirs or bool(self.patterns["belongs"].match(said)), []
            elif theirs and not self.lost:  # what follows is theirs, too
                raise OtherwiseError
            else:
                plain.append(text[parts[index].start : parts[index].end])
            index += used or 1
        self._take_all(plain, pages)

    def _computed(self, text: str, parts: Sequence[Part]) -> tuple[str, int]:
        """What an operation or a table is said in, and its parts: up to the next "and", or one. None: 0."""
        closing = next((n for n, part in enumerate(parts[1:], start=2) if part.closes), len(parts))
        for count in dict.fromkeys((closing, 1)) if len(text) <= LONGEST else ():
            said = text[parts[0].start : parts[count - 1].end]
            for form in dict.fromkeys((self.forms.entry(said), said)):
                if (not known(form) or self.operations.rows.is_main(form)) and self.operations.fits(form):
                    return form, count
        return "", 0

    def _take_all(self, parts: Sequence[str], pages: tuple[int, ...], *, said: str = "") -> None:
        """A field for each; ``said``: the clause of the only one."""
        for part in with_owners(self._without_lost_heads(parts), self.language):
            named = self._phrase(self.patterns["indirect_question"].sub(r"\1", part))
            if not (said and not named.printed and self.patterns["no_field"].match(named.words)):
                self._take(named, said or part, pages)

    def _without_lost_heads(self, parts: Sequence[str]) -> list[str]:
        """The parts without those of an owner that is no name: "name and title of all who signed"."""
        kept: list[str] = []
        for part in parts:
            if self.patterns["of_owner"].match(part) and not self._phrase(part).is_name:
                while kept and self.patterns["attribute"].match(self._phrase(kept[-1]).words):
                    self._refuse(kept.pop())
            kept.append(part)
        return kept

    def _take(self, part: Phrase, text: str, pages: tuple[int, ...]) -> None:
        """Add the part as a field, if it surely is one, or as a question; refuse it else."""
        listed = self.draft.steps or self.draft.refused or any(asked.is_list for asked in self.draft.asked)
        belongs = self.patterns["belongs"].match(text) and listed
        if self.lost or belongs or (self.operations.rows.restricts(part.words) and not part.printed):
            self._refuse(text)
        elif part.is_name and not part.is_empty and not (self.asked and self._is_long(part)):
            self._add_field(part, pages)
        elif self.patterns["question"].match(part.words) and len(part.words.split()) > 1:
            self._ask_question(part.words, item=True, said=text)
        elif self.patterns["described"].match(part.words) and not self._is_doubtful(part.words):
            self.draft.add(Asked(part.words, MEANT.format(part.words), guess_type(part.words.split()[0])))
        else:
            self._refuse(text)

    def _is_long(self, part: Phrase) -> bool:
        """Whether it is more than a name that somebody puts a question mark behind."""
        return not part.printed and not known(part.words) and len(part.words.split()) > _LONGEST_ASKED

    def _add_field(self, part: Phrase, pages: tuple[int, ...]) -> None:
        if any(same_words(part.words, other) for other in self.unwanted):
            return
        for page in part.pages or pages or (None,):
            asked = ask(part.words, printed=part.printed, is_list=part.is_list, page=page)
            self.draft.add(replace(asked, required=part.required))
