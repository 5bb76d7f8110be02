"""Pages whose fields are those of ``vocabulary``, asked for as people ask: fields in rows, cells and columns, tables, sentences.

They are drawn by the parts of ``training/factory``. Questions come with the words that answer them: a field's wordings, a
table's and a sentence's; for a blank field, a field that the page lacks, and what no such page says, with none. The key of a
field or of a cell is what is printed, that of a sentence the words before the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.page_layout import WordId
from layoutllm_tool.training.factory import blocks
from layoutllm_tool.training.factory.build import look
from layoutllm_tool.training.factory.places import Found
from layoutllm_tool.training.factory.questions import unanswerable
from layoutllm_tool.training.factory.render import Canvas, Fact
from layoutllm_tool.training.factory.sheet import Field as Printed
from layoutllm_tool.training.factory.sheet import Sheet
from layoutllm_tool.training.factory.values import MAKERS, Maker
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA, Example
from layoutllm_tool.training.synthetic import vocabulary
from layoutllm_tool.training.synthetic.vocabulary import Fact as Sentence
from layoutllm_tool.training.synthetic.vocabulary import Field, TableKind

_VALUES: dict[str, Callable[[Maker], str]] = {
    "amount": MAKERS["money"], "date": MAKERS["date"], "code": MAKERS["code"], "name": MAKERS["person"],
    "quantity": lambda m: f"{m.rng.randint(1, 950)} {m.rng.choice(('kg', 'pcs', 'hours', 'days', 'km', 'kWh', 'm2', ''))}".strip(),
    "organisation": MAKERS["company"], "integer": lambda m: str(m.rng.randint(1, 2000)), "place": MAKERS["city"],
    "phone": MAKERS["phone"], "address": MAKERS["address"], "percent": MAKERS["percent"], "time": MAKERS["time"],
    "number": MAKERS["number"], "country": lambda m: m.rng.choice(("Germany", "USA", "France", "Malaysia", "India", "UK")),
    "email": MAKERS["email"], "tick": lambda m: m.rng.choice(("X", "Yes", "No", "x")), "sentence": lambda m: m.phrase(6, 14) + ".",
    "person_role": lambda m: f"{m.person()}, {m.phrase(1, 2)}", "url": lambda m: f"www.{m.coined().lower()}.com",
}  # fmt: skip
"""A value of a type; of a type that is not here, a phrase."""


def _phrase(maker: Maker) -> str:
    return maker.phrase(1, 4)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the words that answer it; () where the page does not. ``key`` is what it asks for, as the page prints it (where it
    does), and ``found`` where the answer stands."""

    question: str
    words: tuple[WordId, ...]
    answer: str | None
    key: str = ""
    found: Found | None = None

    @property
    def qa(self) -> QA:
        """With its three steps."""
        if self.found is None:
            return unanswerable(self.question, self.key)
        key = self.key.strip(EDGES) or self.key
        formation = AnswerFormation(self.found.formation.relation, key)
        analysis = QuestionAnalysis(self.found.fact.kind, "extraction", key)
        return QA(self.question, analysis, self.found.lines, formation, self.answer, self.words)


class _Everyday(Sheet):
    """A sheet whose keys are those of some fields. ``name`` of a fact is the key as printed."""

    def __init__(self, canvas: Canvas, maker: Maker, kinds: Sequence[Field], held_out: int, part: str) -> None:
        super().__init__(canvas, maker, "memo")
        self._held_out, self._part = held_out, part
        self._waiting = list(kinds)
        self.kinds: dict[str, Field] = {}
        """By id."""
        self.printed: dict[str, str] = {}
        """Ids by key as printed, which the facts are named after."""

    def fields(self, count: int) -> list[Printed]:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        found = []
        for field in taken:
            key = self.rng.choice(field.keys)
            self.kinds[field.id] = field
            self.printed[self.style.key(key)] = field.id
            found.append((key, field.id))
        return found

    def wording(self, every: Sequence[str]) -> str:
        """One of them; of those that are held out in "test" alone."""
        if self._held_out:
            apart = self._held_out - 1
            every = [w for n, w in enumerate(every) if (n % self._held_out == apart) == (self._part == "test")] or every
        return self.rng.choice(every)

    def filled(self, kind: str) -> str:
        return "" if self.rng.random() < self.blank else value(self.maker, self.kinds[kind])


def value(maker: Maker, field: Field) -> str:
    """Made, or one of the field's examples with other digits."""
    rng = maker.rng
    if field.examples and (field.type not in _VALUES or rng.random() < 0.5):
        example = rng.choice(field.examples)
        if any(c.isdigit() for c in example):
            return "".join(str(rng.randint(1, 9)) if c.isdigit() and rng.random() < 0.7 else c for c in example)
        return example
    return _VALUES.get(field.type, _phrase)(maker)


def pages(
    seed: int, numbers: Sequence[int], *, held_out: int = 0, part: str = "all"
) -> Iterator[tuple[Page, list[Asked]]]:
    """The pages of those numbers with their questions. ``held_out`` N and ``part`` "train" or "test": every N-th wording of a
    field is asked in "test" alone."""
    for number in numbers:
        for attempt in range(20):
            rng = Random(f"everyday/{seed}/{number}/{attempt}")
            try:
                yield _page(rng, held_out, part)
                break
            except (IndexError, ValueError):  # a drawing that did not come out
                continue


def example(seed: int, number: int, *, most: int = 8) -> Example:
    """The page of that number, to train the language model with."""
    page, asked = next(iter(pages(seed, [number])))
    distinct = list({one.question: one for one in asked}.values())
    Random(f"everyday/{seed}/{number}/example").shuffle(distinct)
    return Example(f"everyday/{number}", page, tuple(one.qa for one in distinct[:most]))


Question = tuple[Fact, str]
"""A fact of the page and the whole question about it."""
BEFORE = 4
"""Words before the answer that are a sentence's key."""


def _page(rng: Random, held_out: int, part: str) -> tuple[Page, list[Asked]]:
    canvas = Canvas(800, rng.choice((1035, 1100, 1131)), rng)
    sheet = _Everyday(canvas, Maker(rng), _kinds(rng), held_out, part)
    whole = _head(sheet)
    for name in rng.sample(_PARTS, rng.randint(3, 6)):
        if sheet.room < 120:
            break
        sheet.y += rng.choice((4, 14, 30, 50))
        whole += _part(sheet, name)
    if sheet.room > 120 and rng.random() < 0.3:
        whole += _signed(sheet)
    one = look(canvas, sheet.facts, rng, kind="memo")
    place = {id(found.fact): found for found in one.found}
    asked = list(_fields_asked(sheet, one.found, [blank.fact for blank in one.blanks]))
    asked += [_placed(text, place[id(fact)], one.page) for fact, text in whole if id(fact) in place]
    if rng.random() < 0.3:
        asked.append(Asked(sheet.wording(vocabulary.unanswerable()), (), None))
    return one.page, asked


def _placed(text: str, found: Found, page: Page) -> Asked:
    """A question about no field: its key is the column's, the words before the answer, or those behind it."""
    key = found.printed or found.fact.concept
    if not key:
        first, last, lines = found.words[0], found.words[-1], page.lines or ()
        every = [(i, j) for i, line in enumerate(lines) for j in range(len(line.words))]
        before = every[max(every.index(first) - BEFORE, 0) : every.index(first)]
        if len(before) < 2:
            before = every[every.index(last) + 1 :][:BEFORE]
        key = " ".join(lines[i].words[j].text for i, j in before)
    return Asked(text, found.words, found.answer, key, found)


_PARTS = ("rows", "boxes", "pairs", "rows", "table", "prose", "sentences", "heading")


def _part(sheet: _Everyday, name: str) -> list[Question]:
    rng = sheet.rng
    match name:
        case "rows" | "boxes" | "pairs":
            getattr(blocks, name)(sheet, rng.randint(3, 9))
        case "table":
            return _table(sheet, rng.choice(vocabulary.tables()))
        case "sentences":
            count = rng.randint(1, 3)
            return [_sentence(sheet, rng.choice(vocabulary.facts())) for _ in range(count) if sheet.room > 120]
        case "heading":
            _title(sheet)
        case _:
            blocks.prose(sheet)
    return []


def _kinds(rng: Random) -> list[Field]:
    """Fields of one theme, with one or two of another, and those that are easily taken for them."""
    every = vocabulary.fields()
    theme = rng.choice(sorted({field.theme for field in every}))
    own = [field for field in every if field.theme == theme]
    language = rng.choice(own).language
    own = [field for field in own if field.language == language]
    some = rng.sample(own, min(len(own), rng.randint(8, 24)))
    by_id = {field.id: field for field in own}
    hard = [by_id[other] for field in some for other in field.confusable if other in by_id and rng.random() < 0.4]
    strange = rng.sample([f for f in every if f.language == language], rng.randint(0, 3))
    return list({field.id: field for field in (*some, *hard, *strange)}.values())


_ISSUER = (
    "Which firm issued this?", "Who is this from?", "Whose letterhead is it?", "Which business made out this paper?", "From whom did it come?",
    "name of the issuing company", "Who drew this up?", "Which organisation is at the head of the page?", "What's the sender called?", "issuer?",
)  # fmt: skip
_WHERE = (
    "Where is the firm that issued this?", "What's the issuer's address?", "At what address can I write to them?", "sender address",
    "Where does the company at the top sit?", "Which street are they in?",
)  # fmt: skip
_SIGNER = (
    "Who put their name at the bottom?", "Whose name is under the text?", "signed?", "By whom is this signed?", "Which person closed the letter?",
    "name of the signatory", "Who is the author of this letter?",
)  # fmt: skip


def _head(sheet: _Everyday) -> list[Question]:
    """A letterhead, maybe with an address, and a title."""
    rng, canvas, asked = sheet.rng, sheet.canvas, []
    x, place = rng.choice(((sheet.left, "left"), (canvas.width / 2, "center"), (sheet.right, "right")))
    if rng.random() < 0.6:
        name = canvas.text(x, sheet.y, sheet.maker.company(), size=sheet.size + rng.randint(0, 10), align=place)
        sheet.facts.append(Fact("issuer", (), name, printed=False, kind="title", concept="company"))
        asked.append((sheet.facts[-1], rng.choice(_ISSUER)))
        sheet.y += sheet.size * 2.4
        if rng.random() < 0.6:
            where, sheet.y = canvas.lines(x, sheet.y, sheet.maker.address(), align=place)
            sheet.facts.append(Fact("address", (), where, printed=False, kind="paragraph", concept="address"))
            asked.append((sheet.facts[-1], rng.choice(_WHERE)))
    if rng.random() < 0.6:
        sheet.y += rng.randint(4, 20)
        _title(sheet)
    sheet.y += rng.randint(4, 30)
    return rng.sample(asked, min(len(asked), 1))


def _signed(sheet: _Everyday) -> list[Question]:
    rng, canvas = sheet.rng, sheet.canvas
    canvas.text(
        sheet.left,
        sheet.y + 10,
        rng.choice(("Yours sincerely", "Kind regards,", "Best wishes", "Respectfully,", "Sincerely yours,")),
    )
    span = canvas.text(sheet.left, sheet.y + 10 + sheet.size * rng.choice((2, 3, 4)), sheet.maker.person())
    sheet.facts.append(Fact("signature", (), span, printed=False, concept="signature"))
    return [(sheet.facts[-1], rng.choice(_SIGNER))]


def _title(sheet: _Everyday) -> None:
    sheet.canvas.text(sheet.left, sheet.y, sheet.rng.choice(vocabulary.headings()), size=sheet.size + 2)
    sheet.y += sheet.size * 2


_FORMS = (
    'What is the content in the "{}" field?',
    'What is the "{}" in the given document?',
    "What is the {}?",
    "{}",
    "{}?",
)


def _fields_asked(sheet: _Everyday, found: Sequence[Found], blanks: Sequence[Fact]) -> Iterator[Asked]:
    """Fields of the page, blank ones, and some that it lacks."""
    rng, names = sheet.rng, [one.fact.name for one in found] + [fact.name for fact in blanks]

    def question(name: str, printed: str) -> str | None:
        field = sheet.kinds.get(sheet.printed.get(name, ""))
        if field is None or names.count(name) > 1:
            return None
        return _in_quotes(rng, printed) if rng.random() < 0.3 else sheet.wording(field.questions)

    for one in rng.sample(list(found), min(len(found), 8)):
        if (text := question(one.fact.name, one.printed)) is not None:
            yield Asked(text, one.words, one.answer, one.printed, one)
    for fact in rng.sample(list(blanks), min(len(blanks), 3)):
        if (text := question(fact.name, fact.name)) is not None:
            yield Asked(text, (), None, fact.name)
    lacking = [field for field in vocabulary.fields() if field.language == "en" and field.id not in sheet.kinds]
    for field in rng.sample(lacking, rng.choice((0, 1, 1, 2))):
        key = rng.choice(field.keys)
        yield Asked(_in_quotes(rng, key) if rng.random() < 0.3 else sheet.wording(field.questions), (), None, key)


def _in_quotes(rng: Random, key: str) -> str:
    return rng.choice(_FORMS).format(key.strip(" :.-"))


def _table(sheet: _Everyday, kind: TableKind) -> list[Question]:
    """Headers, rows, and questions about some of the cells."""
    rng, canvas = sheet.rng, sheet.canvas
    rows = rng.sample(kind.rows, min(len(kind.rows), rng.randint(2, 5)))
    step = (sheet.right - sheet.left) / len(kind.columns)
    headers = [
        canvas.lines(sheet.left + n * step, sheet.y, canvas.wrap(column, step - 8, sheet.small), size=sheet.small)[0]
        for n, column in enumerate(kind.columns)
    ]
    sheet.y += sheet.size * 2.4
    label = next((n for n, c in enumerate(kind.columns) if _is_label(c)), 0)
    cells: list[Question] = []
    for row in rows:
        bottom = sheet.y
        for n, column in enumerate(kind.columns):
            text = row if n == label else _cell(sheet.maker, column)
            lines = canvas.wrap(text, step - 8, sheet.small)
            span, end = canvas.lines(sheet.left + n * step, sheet.y, lines, size=sheet.small)
            bottom = max(bottom, end)
            if n != label:
                fact = Fact(f"{row}/{column}", headers[n], span, printed=False)
                sheet.facts.append(fact)
                cells.append((fact, rng.choice(kind.questions).format(column=column, row=row)))
        sheet.y = bottom + rng.choice((2, 6, 12))
    return rng.sample(cells, min(len(cells), 3))


def _is_label(column: str) -> bool:
    return any(
        part in column.lower()
        for part in ("descr", "item", "name", "merchant", "earning", "test", "product", "subject")
    )


def _cell(maker: Maker, column: str) -> str:
    lowered = column.lower()
    kind = next(
        (kind for part, kind in (("date", "date"), ("time", "time"), ("no", "code"), ("ref", "code"), ("%", "percent"), ("name", "name"),
                                 ("qty", "integer"), ("hours", "integer"), ("city", "place")) if part in lowered),
        "amount",
    )  # fmt: skip
    return _VALUES[kind](maker)


def _said(maker: Maker, sentence: Sentence) -> str:
    """A value of its type, or one of its examples."""
    if sentence.examples and (sentence.type not in _VALUES or maker.rng.random() < 0.5):
        return maker.rng.choice(sentence.examples)
    return _VALUES.get(sentence.type, _phrase)(maker)


class _Fillings(dict[str, str]):
    """What stands in a sentence's places; made when first asked for."""

    def __init__(self, maker: Maker) -> None:
        super().__init__()
        self._maker = maker

    def __missing__(self, name: str) -> str:
        kinds = {
            "name": "name",
            "person": "name",
            "organisation": "organisation",
            "place": "place",
            "date": "date",
            "party": "organisation",
        }
        self[name] = _VALUES.get(kinds.get(name, name), _phrase)(self._maker)
        return self[name]


def _sentence(sheet: _Everyday, sentence: Sentence) -> Question:
    """The sentence among others, wrapped to the page."""
    rng, maker, canvas = sheet.rng, sheet.maker, sheet.canvas
    fillings = _Fillings(maker)
    fillings["value"] = _said(maker, sentence)
    said = rng.choice(sentence.templates).format_map(fillings)
    text = (f"{maker.phrase(4, 10)}. " if rng.random() < 0.5 else "") + said
    first = len(text[: text.index(fillings["value"])].split())
    text += f" {maker.phrase(3, 9)}." if rng.random() < 0.5 else ""
    span, sheet.y = canvas.lines(sheet.left, sheet.y, canvas.wrap(text, sheet.right - sheet.left))
    sheet.facts.append(Fact("sentence", (), span[first : first + len(fillings["value"].split())], printed=False))
    sheet.y += rng.choice((2, 12))
    return sheet.facts[-1], sheet.wording(sentence.questions).format_map(fillings)
