"""Facts marked in HTML -> questions with LayoutCoT on the rendered page.

Each numbered word's box says which of the page's words came from it. A fact counts only if the words found
say what the HTML says: what was cut off, hidden, or divided is dropped. Two facts of one name are dropped
too, unless a section tells them apart.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.align import normal
from layoutllm_tool.documents.geometry import box_of
from layoutllm_tool.training.html.data import QUESTIONS
from layoutllm_tool.training.html.marks import Cell, Choice, Marked, Pair, Piece, Table
from layoutllm_tool.training.html.places import Found, Places
from layoutllm_tool.training.html.render import Rendered
from layoutllm_tool.training.keys import EDGES, formation_of, with_line
from layoutllm_tool.training.schema import QA
from layoutllm_tool.training.synthetic.questions import absent, ask, lacks, unanswerable

UNANSWERABLE = 0.22
"""Share of questions that their page does not answer."""
MAX_ANSWER = 240
"""Characters of an answer."""
_NUMBER = re.compile(r"\D{0,4}?(\d{1,3}(?:[.,]\d{3})+|\d+)([.,]\d\d)?\D{0,4}")
Option = tuple[Found, bool]
"""An option and whether it is ticked."""


def questions(marked: Marked, rendered: Rendered, rng: Random, *, most: int = 8) -> tuple[QA, ...]:
    """Up to ``most`` questions, about a fifth of them unanswerable; () where fewer than two are answered."""
    reader = _Reader(Places(rendered), rng)
    asked = [*reader.pairs(marked.pairs), *reader.choices(marked.choices)]
    for table in marked.tables:
        cells = reader.table(table)
        asked += rng.sample(cells, min(len(cells), 4))
    empty = [qa for qa in asked if qa.answer is None]
    answered = [qa for qa in asked if qa.answer is not None]
    none = int(most * UNANSWERABLE + rng.random())
    chosen = rng.sample(answered, min(len(answered), most - none))
    if len(chosen) < 2:
        return ()
    none = min(none, round(len(chosen) * UNANSWERABLE / (1 - UNANSWERABLE) + rng.random() / 2))
    blank = rng.sample(empty, min(len(empty), none, 1))
    chosen += blank + absent(rendered.page, none - len(blank), rng)
    rng.shuffle(chosen)
    return tuple(chosen)


class _Reader:
    """Asks for the facts that are found on a page."""

    def __init__(self, places: Places, rng: Random) -> None:
        self.places, self.page, self.rng = places, places.page, rng

    def pairs(self, pairs: Iterable[Pair]) -> list[QA]:
        """Keys that are there twice are asked for by their section, or not at all."""
        groups: dict[str, list[Pair]] = defaultdict(list)
        for pair in pairs:
            groups[normal(pair.key.text if pair.key else pair.ask)].append(pair)
        asked = []
        for group in groups.values():
            sections = Counter(normal(pair.section) for pair in group)
            for pair in group:
                if len(group) == 1:
                    asked += self._pair(pair, "")
                elif pair.key and pair.section and sections[normal(pair.section)] == 1:
                    asked += [] if lacks(self.page, (pair.section,)) else self._pair(pair, pair.section)
        return asked

    def _pair(self, pair: Pair, section: str) -> list[QA]:
        key = self.places.find(pair.key)
        if pair.key and key is None:
            return []
        about = key.name if key else pair.about
        if section and key:
            question = self._phrased("section", key=key.name, section=section)
        elif key and not (pair.ask and self.rng.random() < 0.5):
            question = ask(self.rng.choice((key.text, key.name)), self.rng)
        else:
            question = pair.ask
        if not pair.value.words:
            return [unanswerable(question, about, pair.kind)] if key else []
        return self._copied(question, QuestionAnalysis(pair.kind, "extraction", about), key, pair.value)

    def _phrased(self, what: str, **names: str) -> str:
        return self.rng.choice(QUESTIONS[what]).format(**names)

    def _copied(self, question: str, analysis: QuestionAnalysis, key: Found | None, piece: Piece) -> list[QA]:
        """A question whose answer is the piece; [] where that is not on the page, or too long."""
        value = self.places.find(piece)
        if value is None or len(value.text) > MAX_ANSWER or not any(c.isalnum() for c in value.text):
            return []
        return [self._extraction(question, analysis, key, value)]

    def _extraction(self, question: str, analysis: QuestionAnalysis, key: Found | None, value: Found) -> QA:
        formation = self._formation(key, value) if key else self._alone(analysis, value)
        lines = with_line(key.lines[0], value.lines) if key else value.lines
        return QA(question, analysis, lines, formation, value.text, value.words)

    def _alone(self, analysis: QuestionAnalysis, value: Found) -> AnswerFormation:
        """Without a key: a heading at the top, or a place in running text."""
        heading = analysis.kind == "title" and box_of(self.page, value.words).y0 < 350
        return AnswerFormation("top of page" if heading else "inside", "")

    def _formation(self, key: Found, value: Found) -> AnswerFormation:
        return formation_of(self.page, key.words, value.words, key.name)

    def table(self, table: Table) -> list[QA]:
        """Cells by row and column, and which row has the most or the least."""
        names = [(normal(_path(cell.row)), normal(_path(cell.column))) for cell in table.cells]
        count = Counter(names)
        cells = [cell for cell, name in zip(table.cells, names, strict=True) if count[name] == 1]
        asked = [qa for cell in cells for qa in self._cell(cell)]
        columns: dict[tuple[Piece, ...], list[Cell]] = defaultdict(list)
        for cell in cells:
            columns[cell.column].append(cell)
        for column, own in columns.items():
            if table.label_head and len(own) * len(columns) == len(table.cells):
                asked += self._extreme(table.label_head.text, _path(column), own)
        return asked

    def _cell(self, cell: Cell) -> list[QA]:
        label, head = self.places.find(cell.row[-1]), self.places.find(cell.column[-1])
        if label is None or head is None:
            return []
        row, column = _path(cell.row), _path(cell.column)
        question, about = self._phrased("cell", row=row, column=column), f"{row}, {column}"
        if not cell.value.words:
            return [unanswerable(question, about, "table")]
        return self._copied(question, QuestionAnalysis("table", "extraction", about), label, cell.value)

    def _extreme(self, head: str, column: str, cells: list[Cell]) -> list[QA]:
        """Which label has the highest or lowest number of a column; [] where that is not one."""
        numbers = [number for cell in cells if (number := _number(cell.value.text))]
        if len(cells) < 3 or len(numbers) < len(cells) or any(len(cell.row) > 1 for cell in cells):
            return []
        if len({decimals for _, decimals in numbers}) > 1:
            return []
        values = [value for value, _ in numbers]
        word, best = self.rng.choice((("highest", max(values)), ("lowest", min(values))))
        if values.count(best) != 1:
            return []
        cell = cells[values.index(best)]
        label, value = self.places.find(cell.row[0]), self.places.find(cell.value)
        if label is None or value is None:
            return []
        question = self._phrased("most", label=head, most=word, column=column)
        analysis = QuestionAnalysis("table", "reasoning", f"{word} {column}")
        formation = AnswerFormation("none", f"{word} {column}: {value.text}")
        return [
            QA(question, analysis, with_line(value.lines[0], label.lines), formation, label.text, label.words)
        ]

    def choices(self, choices: Iterable[Choice]) -> list[QA]:
        asked = []
        for choice in choices:
            key = self.places.find(choice.key)
            found = [(self.places.find(piece), ticked) for piece, ticked in choice.options]
            options = [(option, ticked) for option, ticked in found if option]
            if key and len(options) == len(found):
                asked += [self._is_ticked(key, *self.rng.choice(options)), *self._ticked(key, options)]
        return asked

    def _ticked(self, key: Found, options: list[Option]) -> list[QA]:
        """The one option that is ticked; nothing to copy where none is."""
        ticked = [found for found, yes in options if yes]
        question = self._phrased("ticked", key=key.name)
        if not ticked:
            return [unanswerable(question, key.name, "list")]
        if len(ticked) > 1:
            return []
        return [self._extraction(question, QuestionAnalysis("list", "extraction", key.name), key, ticked[0])]

    def _is_ticked(self, key: Found, option: Found, ticked: bool) -> QA:
        question = self._phrased("is_ticked", option=option.name, key=key.name)
        analysis = QuestionAnalysis("list", "reasoning", f"{key.name}, {option.name}")
        lines, formation = with_line(key.lines[0], option.lines), AnswerFormation("none", option.name)
        return QA(question, analysis, lines, formation, "Yes" if ticked else "No")


def _path(pieces: tuple[Piece, ...]) -> str:
    return ", ".join(piece.text.strip(EDGES) or piece.text for piece in pieces)


def _number(text: str) -> tuple[int, int] | None:
    """The digits as a whole number, and how many of them stand behind the decimal sign."""
    match = _NUMBER.fullmatch(text)
    if not match or "-" in text or "(" in text:
        return None
    decimals = match[2] or ""
    return int(re.sub(r"\D", "", match[1] + decimals)), len(decimals[1:])
