"""Facts marked in HTML -> questions with LayoutCoT on the rendered page. Standard library only.

Each numbered word's box says which of the page's words came from it, and a fact counts only if the words found say what the
HTML says: what was cut off, hidden, or torn apart is dropped. Two facts of one name are dropped too, unless a section tells
them apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Box
from layoutllm_tool.training.align import WordIndex, box_of, joined, normal
from layoutllm_tool.training.html.marks import Cell, Choice, Marked, Pair, Piece, Table, word_id
from layoutllm_tool.training.html.render import Rendered
from layoutllm_tool.training.keys import EDGES
from layoutllm_tool.training.schema import QA
from layoutllm_tool.training.synthetic.questions import absent, ask, lacks, unanswerable

UNANSWERABLE = 0.22
"""Share of questions that their page does not answer."""
MAX_ANSWER = 240
"""Characters of an answer."""
_CELL_FORMS = (
    'What is the "{column}" of "{row}"?', 'What is the {column} for {row}?', 'In the row "{row}", what stands under "{column}"?',
    'What does the table give as "{column}" for "{row}"?', "{row}: {column}?",
)  # fmt: skip
_SECTION_FORMS = ('What is the "{key}" in the "{section}" section?', 'What is the "{key}" under "{section}"?', "What is the {key} of the {section}?")  # fmt: skip
_TICKED_FORMS = ('Which option is ticked for "{key}"?', 'What is selected under "{key}"?', 'Which "{key}" was chosen?')
_IS_TICKED = ('Is "{option}" ticked for "{key}"?', 'Under "{key}", is the box "{option}" checked?')
_MOST_FORMS = ('Which "{label}" has the {most} "{column}"?', "Which {label} has the {most} {column}?")
_NUMBER = re.compile(r"\D{0,4}?(\d{1,3}(?:[.,]\d{3})+|\d+)([.,]\d\d)?\D{0,4}")


@dataclass(frozen=True, slots=True)
class _Found:
    """A piece of text on the page: the page's own string in these words, in reading order."""

    text: str
    words: tuple[WordIndex, ...]

    @property
    def name(self) -> str:
        return self.text.strip(EDGES) or self.text

    @property
    def lines(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(line for line, _ in self.words))


def questions(marked: Marked, rendered: Rendered, rng: Random, *, most: int = 8) -> tuple[QA, ...]:
    """Up to ``most`` questions, about a fifth of them unanswerable; () where fewer than two are answered."""
    places = _Places(rendered)
    asked = [*_pairs(marked.pairs, places, rng), *_choices(marked.choices, places, rng)]
    for table in marked.tables:
        cells = _table(table, places, rng)
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


class _Places:
    """Where the numbered words of the HTML stand among the words of the page."""

    def __init__(self, rendered: Rendered) -> None:
        self.page, self._boxes = rendered.page, rendered.boxes
        self._bands: dict[int, list[tuple[WordIndex, Box]]] = defaultdict(list)
        for i, line in enumerate(rendered.page.lines or ()):
            for j, word in enumerate(line.words):
                self._bands[int(word.box.center[1]) // 10].append(((i, j), word.box))

    def find(self, piece: Piece | None) -> _Found | None:
        """None where it is not there, or the page says something else."""
        if piece is None or not piece.words:
            return None
        found: set[WordIndex] = set()
        for number in piece.words:
            found.update(self._under(self._boxes.get(word_id(number))))
        words = tuple(sorted(found))
        text = _cut(joined(self.page, words), piece.text)
        return _Found(text, words) if text and self._bounds(text, words) else None

    def _under(self, box: Box | None) -> Iterator[WordIndex]:
        """The page's words of which most lies in the box, or in which most of the box lies."""
        if box is None:
            return
        for band in range(int(box.y0) // 10, int(box.y1) // 10 + 1):
            for index, other in self._bands.get(band, ()):
                shared = min(box.x1, other.x1) - max(box.x0, other.x0)
                if box.y0 <= other.center[1] <= box.y1 and shared > 0.5 * min(box.width, other.width):
                    yield index

    def _bounds(self, text: str, words: tuple[WordIndex, ...]) -> bool:
        """Whether the string begins in the first and ends in the last of the words."""
        whole = joined(self.page, words)
        first, last = joined(self.page, words[:1]), joined(self.page, words[-1:])
        at = whole.find(text)
        return 0 <= at < len(first) and at + len(text) > len(whole) - len(last)


def _cut(whole: str, text: str) -> str:
    """The part of ``whole`` that is ``text``, spaces and case aside; "" where it is not in it."""
    at = [n for n, c in enumerate(whole) for _ in c.casefold() if not c.isspace()]
    letters = "".join(c.casefold() for c in whole if not c.isspace())
    wanted = "".join(c.casefold() for c in text if not c.isspace())
    start = letters.find(wanted)
    return whole[at[start] : at[start + len(wanted) - 1] + 1] if wanted and start >= 0 else ""


def _pairs(pairs: Iterable[Pair], places: _Places, rng: Random) -> list[QA]:
    """Keys that are there twice are asked for by their section, or not at all."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[normal(pair.key.text if pair.key else pair.ask)].append(pair)
    asked = []
    for group in groups.values():
        sections = [normal(pair.section) for pair in group]
        for pair in group:
            key = places.find(pair.key)
            if len(group) == 1:
                asked += _pair(pair, key, places, rng, "")
            elif (
                key
                and pair.section
                and sections.count(normal(pair.section)) == 1
                and not lacks(places.page, (pair.section,))
            ):
                asked += _pair(pair, key, places, rng, pair.section)
    return asked


def _pair(pair: Pair, key: _Found | None, places: _Places, rng: Random, section: str) -> list[QA]:
    if pair.key and key is None:
        return []
    about = key.name if key else pair.about
    if section and key:
        question = rng.choice(_SECTION_FORMS).format(key=key.name, section=section)
    elif key and not (pair.ask and rng.random() < 0.5):
        question = ask(rng.choice((key.text, key.name)), rng)
    else:
        question = pair.ask
    if not pair.value.words:
        return [unanswerable(question, about, pair.kind)] if key else []
    value = places.find(pair.value)
    if value is None or not _answers(value):
        return []
    return [_extraction(question, QuestionAnalysis(pair.kind, "extraction", about), key, value, places)]


def _answers(value: _Found) -> bool:
    return any(c.isalnum() for c in value.text) and len(value.text) <= MAX_ANSWER


def _extraction(question: str, analysis: QuestionAnalysis, key: _Found | None, value: _Found, places: _Places) -> QA:
    formation = _formation(key, value, places) if key else _alone(analysis, value, places)
    lines = value.lines
    if key and key.lines[0] not in lines:
        lines = (key.lines[0], *lines)
    return QA(question, analysis, lines, formation, value.text, value.words)


def _alone(analysis: QuestionAnalysis, value: _Found, places: _Places) -> AnswerFormation:
    """Without a key: a heading at the top, or a place in running text."""
    heading = analysis.kind == "title" and box_of(places.page, value.words).y0 < 350
    return AnswerFormation("top of page" if heading else "inside", "")


def _formation(key: _Found, value: _Found, places: _Places) -> AnswerFormation:
    """Where the value stands seen from its key, as boxes show it."""
    box = box_of(places.page, value.words)
    around = box_of(places.page, key.words)
    if key.lines[0] in value.lines:
        return AnswerFormation("inside", key.name)
    if box.y0 >= around.y1 - 2:
        return AnswerFormation("below", key.name)
    return AnswerFormation("right of" if box.x0 >= around.x1 - 2 else "none", key.name)


def _table(table: Table, places: _Places, rng: Random) -> list[QA]:
    """Cells by row and column, and which row has the most or the least."""
    names = [(normal(_path(cell.row)), normal(_path(cell.column))) for cell in table.cells]
    cells = [cell for cell, name in zip(table.cells, names, strict=True) if names.count(name) == 1]
    asked = [qa for cell in cells for qa in _cell(cell, places, rng)]
    columns: dict[tuple[Piece, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        columns[cell.column].append(cell)
    for column, own in columns.items():
        if len(own) * len(columns) == len(table.cells) and (qa := _extreme(table, column, own, places, rng)):
            asked.append(qa)
    return asked


def _path(pieces: tuple[Piece, ...]) -> str:
    return ", ".join(piece.text.strip(EDGES) or piece.text for piece in pieces)


def _cell(cell: Cell, places: _Places, rng: Random) -> list[QA]:
    label, head = places.find(cell.row[-1]), places.find(cell.column[-1])
    if label is None or head is None:
        return []
    row, column = _path(cell.row), _path(cell.column)
    question, about = rng.choice(_CELL_FORMS).format(row=row, column=column), f"{row}, {column}"
    if not cell.value.words:
        return [unanswerable(question, about, "table")]
    value = places.find(cell.value)
    if value is None or not _answers(value):
        return []
    return [_extraction(question, QuestionAnalysis("table", "extraction", about), label, value, places)]


def _extreme(table: Table, column: tuple[Piece, ...], cells: list[Cell], places: _Places, rng: Random) -> QA | None:
    """Which label has the highest or lowest number in a column; None where that is not one row, or no column of numbers."""
    numbers = [_number(cell.value.text) for cell in cells]
    if (
        table.label_head is None
        or len(cells) < 3
        or any(n is None for n in numbers)
        or any(len(c.row) > 1 for c in cells)
    ):
        return None
    if len({decimals for _, decimals in filter(None, numbers)}) > 1:
        return None
    values = [n[0] for n in numbers if n]
    word, best = rng.choice((("highest", max(values)), ("lowest", min(values))))
    if values.count(best) != 1:
        return None
    cell = cells[values.index(best)]
    label, value = places.find(cell.row[0]), places.find(cell.value)
    if label is None or value is None:
        return None
    question = rng.choice(_MOST_FORMS).format(label=table.label_head.text, most=word, column=_path(column))
    lines = label.lines if value.lines[0] in label.lines else (value.lines[0], *label.lines)
    analysis = QuestionAnalysis("table", "reasoning", f"{word} {_path(column)}")
    return QA(
        question,
        analysis,
        lines,
        AnswerFormation("none", f"{word} {_path(column)}: {value.text}"),
        label.text,
        label.words,
    )


def _number(text: str) -> tuple[int, int] | None:
    """The digits as a whole number, and how many of them stand behind the decimal sign."""
    match = _NUMBER.fullmatch(text)
    if not match or "-" in text or "(" in text:
        return None
    decimals = match[2] or ""
    return int(re.sub(r"\D", "", match[1] + decimals)), len(decimals[1:])


def _choices(choices: Iterable[Choice], places: _Places, rng: Random) -> list[QA]:
    asked = []
    for choice in choices:
        key = places.find(choice.key)
        options = [(places.find(piece), ticked) for piece, ticked in choice.options]
        if key is None or any(found is None for found, _ in options):
            continue
        named = [(found, ticked) for found, ticked in options if found]
        asked += [_is_ticked(key, *rng.choice(named), rng), *_ticked(key, named, places, rng)]
    return asked


def _ticked(key: _Found, options: list[tuple[_Found, bool]], places: _Places, rng: Random) -> list[QA]:
    """The one option that is ticked; nothing to copy where none is."""
    ticked = [found for found, yes in options if yes]
    question = rng.choice(_TICKED_FORMS).format(key=key.name)
    if not ticked:
        return [unanswerable(question, key.name, "list")]
    if len(ticked) > 1:
        return []
    return [_extraction(question, QuestionAnalysis("list", "extraction", key.name), key, ticked[0], places)]


def _is_ticked(key: _Found, option: _Found, ticked: bool, rng: Random) -> QA:
    question = rng.choice(_IS_TICKED).format(option=option.name, key=key.name)
    analysis = QuestionAnalysis("list", "reasoning", f"{key.name}, {option.name}")
    lines = option.lines if key.lines[0] in option.lines else (key.lines[0], *option.lines)
    return QA(question, analysis, lines, AnswerFormation("none", option.name), "Yes" if ticked else "No")
