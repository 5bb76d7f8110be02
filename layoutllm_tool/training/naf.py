"""National Archives Forms (``forms.jsonl.gz``, CDLA-Permissive-1.0): real historical forms as pages.

Field boxes hold the blank space around what was written, so they are tightened to the size of their text.
Pairs that no reader would call a key and its value (far apart, a value left of its key in a sentence) are
left out.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis, Relation
from layoutllm_tool.documents.geometry import Box, Page, Word, box_of
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.training.keys import EDGES, with_line
from layoutllm_tool.training.receipts import word_shares
from layoutllm_tool.training.schema import QA
from layoutllm_tool.training.synthetic.questions import ARCHIVE_FORMS, unanswerable

FILE = "forms.jsonl.gz"
_KEYS = ("text", "textMinor")
_WRITTEN = ("field", "fieldP", "comment")
_CHARACTER = 0.55
"""Width of a written character in heights."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A printed key and what was written beside it, as (line, word) indices; () for a blank field."""

    key: str
    words: tuple[tuple[int, int], ...]
    value: str
    key_words: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    name: str
    page: Page
    pairs: tuple[Pair, ...]
    blanks: tuple[Pair, ...]


def forms(folder: Path) -> Iterator[Form]:
    """Every form with at least one word, in the file's order. DocumentNotFound without the file."""
    path = folder / FILE
    if not path.is_file():
        hint = "Give the folder of the National Archives Forms."
        raise DocumentNotFound(f"{folder} holds no {FILE}.", hint=hint)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            if (form := _form(json.loads(line))) is not None:
                yield form


def questions(form: Form, rng: Random, others: Sequence[str]) -> Iterator[QA]:
    """Filled fields, blank ones, and one of ``others`` (keys of other forms) that the form lacks."""
    for pair in rng.sample(form.pairs, min(len(form.pairs), 6)):
        yield _qa(form.page, pair, rng.choice(ARCHIVE_FORMS).format(pair.key))
    for pair in rng.sample(form.blanks, min(len(form.blanks), 4)):
        yield unanswerable(rng.choice(ARCHIVE_FORMS).format(pair.key), pair.key)
    own = {pair.key.casefold() for pair in form.pairs}
    foreign = [key for key in others if key.casefold() not in own]
    for key in rng.sample(foreign, min(len(foreign), 1)):
        yield unanswerable(rng.choice(ARCHIVE_FORMS).format(key), key)


def _qa(page: Page, pair: Pair, question: str) -> QA:
    box, key = box_of(page, pair.words), box_of(page, pair.key_words)
    key_line, lines = pair.key_words[0][0], tuple(dict.fromkeys(i for i, _ in pair.words))
    relation: Relation = "inside" if key_line == lines[0] else "below" if box.y0 >= key.y1 - 2 else "right of"
    lines = with_line(key_line, lines)
    name = pair.key.strip(EDGES) or pair.key
    answer = " ".join((page.lines or ())[i].words[j].text for i, j in pair.words)
    analysis = QuestionAnalysis("key-value", "extraction", name)
    return QA(question, analysis, lines, AnswerFormation(relation, name), answer, pair.words)


def _form(data: Mapping[str, Any]) -> Form | None:
    size = data["width"], data["height"]
    texts = {t["id"]: t for t in data["texts"] if (t["text"] or "").strip()}
    if not texts:
        return None
    height = median(t["box"][3] - t["box"][1] for t in texts.values())
    fields = {f["id"]: f for f in data["fields"]}
    written = {i: f for i, f in fields.items() if (f["text"] or "").strip() and f["type"] in _WRITTEN}
    owned: dict[str, list[Word]] = {}
    for number, item in {**texts, **written}.items():
        box = item["box"] if number in texts else _tight(item["box"], item["text"], height)
        owned[number] = [
            Word(word, Box.from_pixels(x0, box[1], x1, box[3], width=size[0], height=size[1]))
            for word, x0, x1 in word_shares(item["text"].strip(), box[0], box[2])
        ]
    words = [word for ones in owned.values() for word in ones]
    lines = tuple(group_lines(words, width=size[0], height=size[1]))
    page = Page(1, *size, lines, text_source="given")
    where = {id(word): (i, j) for i, line in enumerate(lines) for j, word in enumerate(line.words)}
    places = {number: tuple(where[id(word)] for word in ones) for number, ones in owned.items()}
    pairs = list(_pairs(data, texts, fields, height))
    names = {key: texts[key]["text"].strip() for key, _ in pairs}
    filled = tuple(
        Pair(names[key], places[value], fields[value]["text"].strip(), places[key])
        for key, value in pairs
        if value in written
    )
    times = Counter(t["text"].strip().lower() for t in texts.values())
    empty = tuple(
        Pair(names[key], (), "", places[key])
        for key, value in pairs
        if value not in written and fields[value].get("blank") == "blank" and times[names[key].lower()] == 1
    )
    return Form(data["id"], page, filled, empty)


def _pairs(
    data: Mapping[str, Any], texts: Mapping[str, Any], fields: Mapping[str, Any], height: float
) -> Iterator[tuple[str, str]]:
    """Numbers of keys and of their fields, one to one, where the field lies right of its key or below it."""
    of_key = Counter(key for key, value in data["pairs"] if value in fields)
    of_value = Counter(value for key, value in data["pairs"] if key in texts)
    for key, value in data["pairs"]:
        if key not in texts or value not in fields or of_key[key] != 1 or of_value[value] != 1:
            continue
        text, box = texts[key]["text"].strip(), texts[key]["box"]
        printed = texts[key]["type"] in _KEYS and any(map(str.isalpha, text)) and len(text) <= 60
        if printed and fields[value]["type"] == "field" and _near(box, fields[value]["box"], height):
            yield key, value


def _near(key: list[float], value: list[float], height: float) -> bool:
    shared = min(key[3], value[3]) - max(key[1], value[1])
    if shared > 0.3 * min(key[3] - key[1], value[3] - value[1]):
        return key[0] <= value[0] <= key[2] + 25 * height
    under = value[0] < key[2] + 2 * height and value[2] > key[0] - 2 * height
    return under and value[1] - key[3] <= 5 * height


def _tight(box: list[float], text: str, height: float) -> tuple[float, float, float, float]:
    """The box of the text itself: from the field's left end, on its line."""
    x0, y0, x1, y1 = box
    tall = min(y1 - y0, 1.25 * height)
    bottom = y1 - 0.1 * (y1 - y0) if y1 - y0 > 1.4 * height else y1
    return x0, max(bottom - tall, y0), x0 + min(x1 - x0, max(len(text), 1) * _CHARACTER * tall), bottom
