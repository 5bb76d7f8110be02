"""Pages with the fields, tables and sentences of ``wordings/``, asked for as people ask.

Questions come with the words that answer them: a field's wordings, a table's and a sentence's. A blank field,
a field that the page lacks, and what no such page says have none. The key of a field or of a cell is what is
printed, that of a sentence the words before the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.page_layout import WordId
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA, Example
from layoutllm_tool.training.synthetic import blocks, vocabulary
from layoutllm_tool.training.synthetic.build import look
from layoutllm_tool.training.synthetic.canvas import Canvas, Fact
from layoutllm_tool.training.synthetic.everyday_form import EverydayForm, Fillings, by_example, made
from layoutllm_tool.training.synthetic.places import Found
from layoutllm_tool.training.synthetic.questions import unanswerable
from layoutllm_tool.training.synthetic.values import ValueGenerator
from layoutllm_tool.training.synthetic.vocabulary import FORMS, Field, TableKind
from layoutllm_tool.training.synthetic.vocabulary import Fact as Sentence

_FORMS = FORMS["everyday"]
Question = tuple[Fact, str]
"""A fact of the page and the whole question about it."""
BEFORE = 4
"""Words before the answer that are a sentence's key."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the words that answer it; () where the page does not.

    ``key`` is what it asks for, as the page prints it (where it does), and ``found`` where the answer stands.
    """

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


def pages(seed: int, numbers: Sequence[int]) -> Iterator[tuple[Page, list[Asked]]]:
    """The pages of those numbers with their questions."""
    for number in numbers:
        for attempt in range(20):
            rng = Random(f"everyday/{seed}/{number}/{attempt}")
            try:
                yield _page(rng)
                break
            except (IndexError, ValueError):  # a drawing that did not come out
                continue


def example(seed: int, number: int, *, most: int = 8) -> Example:
    """The page of that number, to train the language model with."""
    page, asked = next(iter(pages(seed, [number])))
    distinct = list({one.question: one for one in asked}.values())
    Random(f"everyday/{seed}/{number}/example").shuffle(distinct)
    return Example(f"everyday/{number}", page, tuple(one.qa for one in distinct[:most]))


def _page(rng: Random) -> tuple[Page, list[Asked]]:
    canvas = Canvas(800, rng.choice((1035, 1100, 1131)), rng)
    form = EverydayForm(canvas, ValueGenerator(rng), _kinds(rng))
    whole = _head(form)
    for name in rng.sample(_PARTS, rng.randint(3, 6)):
        if form.room < 120:
            break
        form.y += rng.choice((4, 14, 30, 50))
        whole += _part(form, name)
    if form.room > 120 and rng.random() < 0.3:
        whole.append(_signed(form))
    one = look(canvas, rng, kind="memo")
    place = {id(found.fact): found for found in one.found}
    asked = list(_fields_asked(form, one.found, [blank.fact for blank in one.blanks]))
    asked += [placed(text, place[id(fact)], one.page) for fact, text in whole if id(fact) in place]
    if rng.random() < 0.3:
        asked.append(Asked(rng.choice(vocabulary.unanswerable()), (), None))
    return one.page, asked


def placed(text: str, found: Found, page: Page) -> Asked:
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


def _part(form: EverydayForm, name: str) -> list[Question]:
    rng = form.rng
    match name:
        case "rows" | "boxes" | "pairs":
            getattr(blocks, name)(form, rng.randint(3, 9))
        case "table":
            return _table(form, rng.choice(vocabulary.tables()))
        case "sentences":
            count = rng.randint(1, 3)
            return [_sentence(form, rng.choice(vocabulary.facts())) for _ in range(count) if form.room > 120]
        case "heading":
            _title(form)
        case _:
            blocks.prose(form)
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
    alike = [by_id[other] for field in some for other in field.confusable if other in by_id]
    hard = [field for field in alike if rng.random() < 0.4]
    strange = rng.sample([f for f in every if f.language == language], rng.randint(0, 3))
    return list({field.id: field for field in (*some, *hard, *strange)}.values())


def _head(form: EverydayForm) -> list[Question]:
    """A letterhead, maybe with an address, and a title."""
    rng, canvas, asked = form.rng, form.canvas, []
    x, place = rng.choice(((form.left, "left"), (canvas.width / 2, "center"), (form.right, "right")))
    if rng.random() < 0.6:
        name = canvas.text(x, form.y, form.values.company(), size=form.size + rng.randint(0, 10), align=place)
        canvas.unprinted("issuer", name, "title", concept="company")
        asked.append((form.facts[-1], rng.choice(_FORMS["issuer"])))
        form.y += form.size * 2.4
        if rng.random() < 0.6:
            where, form.y = canvas.block(x, form.y, "\n".join(form.values.address()), align=place)
            canvas.unprinted("address", where, "paragraph", concept="address")
            asked.append((form.facts[-1], rng.choice(_FORMS["address"])))
    if rng.random() < 0.6:
        form.y += rng.randint(4, 20)
        _title(form)
    form.y += rng.randint(4, 30)
    return rng.sample(asked, min(len(asked), 1))


def _signed(form: EverydayForm) -> Question:
    rng, canvas = form.rng, form.canvas
    canvas.text(form.left, form.y + 10, rng.choice(_FORMS["closings"]))
    y = form.y + 10 + form.size * rng.choice((2, 3, 4))
    canvas.unprinted("signature", canvas.text(form.left, y, form.values.person()), concept="signature")
    return form.facts[-1], rng.choice(_FORMS["signer"])


def _title(form: EverydayForm) -> None:
    form.canvas.text(form.left, form.y, form.rng.choice(vocabulary.headings()), size=form.size + 2)
    form.y += form.size * 2


def _fields_asked(form: EverydayForm, found: Sequence[Found], blanks: Sequence[Fact]) -> Iterator[Asked]:
    """Fields of the page, blank ones, and some that it lacks."""
    rng, names = form.rng, [one.fact.name for one in found] + [fact.name for fact in blanks]

    def question(name: str, printed: str) -> str | None:
        field = form.kinds.get(form.printed.get(name, ""))
        return _asking(form, field, printed) if field and names.count(name) == 1 else None

    for one in rng.sample(list(found), min(len(found), 8)):
        if (text := question(one.fact.name, one.printed)) is not None:
            yield Asked(text, one.words, one.answer, one.printed, one)
    for fact in rng.sample(list(blanks), min(len(blanks), 3)):
        if (text := question(fact.name, fact.name)) is not None:
            yield Asked(text, (), None, fact.name)
    english = [field for field in vocabulary.fields() if field.language == "en"]
    lacking = [field for field in english if field.id not in form.kinds]
    for field in rng.sample(lacking, rng.choice((0, 1, 1, 2))):
        key = rng.choice(field.keys)
        yield Asked(_asking(form, field, key), (), None, key)


def _asking(form: EverydayForm, field: Field, key: str) -> str:
    """A question for a field, by its printed key or in other words."""
    if form.rng.random() < 0.3:
        return str(form.rng.choice(_FORMS["by_key"])).format(key.strip(" :.-"))
    return form.rng.choice(field.questions)


def _table(form: EverydayForm, kind: TableKind) -> list[Question]:
    """Headers, rows, and questions about some of the cells."""
    rng, canvas = form.rng, form.canvas
    rows = rng.sample(kind.rows, min(len(kind.rows), rng.randint(2, 5)))
    step = form.width / len(kind.columns)

    def cell(n: int, text: str) -> tuple[tuple[int, ...], float]:
        return canvas.block(form.left + n * step, form.y, text, step - 8, size=form.small)

    headers = [cell(n, column)[0] for n, column in enumerate(kind.columns)]
    form.y += form.size * 2.4
    label = next((n for n, column in enumerate(kind.columns) if _names(column, _FORMS["label_columns"])), 0)
    cells: list[Question] = []
    for row in rows:
        bottom = form.y
        for n, column in enumerate(kind.columns):
            span, end = cell(n, row if n == label else _cell_value(form.values, column))
            bottom = max(bottom, end)
            if n != label:
                canvas.unprinted(f"{row}/{column}", span, key=headers[n])
                cells.append((form.facts[-1], rng.choice(kind.questions).format(column=column, row=row)))
        form.y = bottom + rng.choice((2, 6, 12))
    return rng.sample(cells, min(len(cells), 3))


def _names(column: str, parts: Sequence[str]) -> bool:
    return any(part in column.lower() for part in parts)


def _cell_value(values: ValueGenerator, column: str) -> str:
    kinds = (kind for part, kind in _FORMS["column_kinds"] if part in column.lower())
    return made(values, next(kinds, "amount"))


def _sentence(form: EverydayForm, sentence: Sentence) -> Question:
    """Draw the sentence among others, wrapped to the page."""
    rng, values, canvas = form.rng, form.values, form.canvas
    fillings = Fillings(values)
    told = rng.choice(sentence.examples) if by_example(values, sentence) else made(values, sentence.type)
    fillings["value"] = told
    said = rng.choice(sentence.templates).format_map(fillings)
    text = (f"{values.phrase(4, 10)}. " if rng.random() < 0.5 else "") + said
    first = len(text[: text.index(told)].split())
    text += f" {values.phrase(3, 9)}." if rng.random() < 0.5 else ""
    span, form.y = canvas.block(form.left, form.y, text, form.width)
    canvas.unprinted("sentence", span[first : first + len(told.split())])
    form.y += rng.choice((2, 12))
    return form.facts[-1], rng.choice(sentence.questions).format_map(fillings)
