"""SROIE 2019 receipts (CC BY 4.0): pages with company, date, address and total, located on the page.

The dataset gives the values but not where they stand; ``align`` finds them, and the answer is always the
page's own string, misread or not. A field that can't be found is skipped: it is not an unanswerable question.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.cot import AnswerFormation, Kind, QuestionAnalysis
from layoutllm_tool.documents import align
from layoutllm_tool.documents.align import Place
from layoutllm_tool.documents.geometry import Box, Page, Word, box_of
from layoutllm_tool.documents.reading_order import group_lines
from layoutllm_tool.errors import DocumentNotFound
from layoutllm_tool.training.keys import Key, Pair, key_of, left_of, pairs
from layoutllm_tool.training.schema import QA, Example
from layoutllm_tool.training.synthetic.questions import absent, ask, unanswerable

Pages = Callable[[int], Page]
"""A receipt's page by its number."""
FIELDS = ("company", "date", "address", "total")
FORM = 'What is the "{}" in the given document?'
PARAPHRASES: dict[str, list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
_KINDS: dict[str, Kind] = {
    "company": "title", "date": "key-value", "address": "paragraph", "total": "key-value",
}  # fmt: skip
_LEAST = {"company": 0.62, "date": 0.7, "address": 0.62, "total": 0.65}
"""Least similarity. ``_sure`` asks for more where the place itself does not speak for the value."""
_DATE = re.compile(r"\d{1,4}[-/. ]+(?:\d{1,2}|[A-Za-z]{3,9})[-/., ]+\d{2,4}")
_DATED = re.compile(r"d[aeo]t|issue|invoice|bill|time|printed|receipt", re.IGNORECASE)
_PAYABLE = re.compile(r"rounded|total.{0,12}(?:incl|due)|grand|nett?\b|amount due|payable|after round", re.I)
_TOTAL = re.compile(r"\btota|\bamount|\bamt|\bbalance due", re.I)
_NOT_TOTAL = re.compile(r"sub|excl|gst|tax|qty|item|disc|cash|change|tender|before|paid|visa|master", re.I)


def examples(
    data: Path, numbers: Iterable[int], *, seed: int, pages: Pages | None = None, bare: float = 0.33
) -> Iterator[Example]:
    """Each receipt with its questions; ``bare`` of them are followed by a copy that lacks some fields' lines.

    ``data`` holds ``images``, ``lines`` and ``entities``; ``pages`` gives a receipt's page by its number
    (from real OCR, say), by default (and where that page has no words) made of the dataset's own lines. The
    same seed gives the same questions.
    """
    for number in numbers:
        rng = Random(f"receipts/{seed}/{number}")
        page = pages(number) if pages else dataset_page(data, number)
        if not page.lines:  # nothing was read: a page without words teaches nothing
            page = dataset_page(data, number)
        places = field_places(page, entities(data, number))
        if questions := _questions(page, places, rng):
            yield Example(f"receipts/{number:03d}", page, questions)
        if places and rng.random() < bare:
            yield from _without(f"receipts/{number:03d}", page, places, rng)


def entities(data: Path, number: int) -> dict[str, str]:
    """The labelled fields; DocumentNotFound where the dataset lacks the number."""
    found = _load(data / "entities" / f"{number:03d}.json")
    return {name: value for name, value in found.items() if isinstance(value, str) and value.strip()}


def dataset_page(data: Path, number: int) -> Page:
    """The page as the dataset's own OCR read it. Words get shares of their line's width by length."""
    from PIL import Image

    raw = _load(data / "lines" / f"{number:03d}.json")
    width, height = raw["width"], raw["height"]
    words = []
    for line in raw["lines"]:
        box = Box.from_pixels(*line["box"], width=width, height=height)
        for word, x0, x1 in word_shares(line["text"], box.x0, box.x1):
            words.append(Word(word, Box(x0, box.y0, min(x1, box.x1), box.y1)))
    lines = tuple(group_lines(words, width=width, height=height))
    with Image.open(data / "images" / f"{number:03d}.jpg") as image:
        picture = image.convert("L")
    return Page(1, width, height, lines, picture, "given")


def field_places(page: Page, fields: dict[str, str]) -> dict[str, Place]:
    """Where each field stands on the page; fields that are not found are left out."""
    places = {name: _field_place(page, name, fields.get(name, "")) for name in FIELDS}
    return {name: place for name, place in places.items() if place}


def _field_place(page: Page, name: str, value: str) -> Place | None:
    if name == "total":
        value = re.sub(r"^\W*(?:RM|MYR|USD)?\W*", "", value, flags=re.IGNORECASE)

    def prefer(place: Place) -> float:
        return _preference(page, name, place)

    found = align.find(value, page, threshold=_LEAST[name], prefer=prefer)
    # What is surely the value comes before what is merely beside the right key.
    found.sort(key=lambda place: place.score < 0.85)
    return next((place for place in found if _sure(page, name, place)), None)


def _sure(page: Page, name: str, place: Place) -> bool:
    """A misread total beside its key and a misread heading at the top are still what was meant; elsewhere,
    likeness must be greater: an item's price is often one digit away from the total, a web address like the
    name."""
    if name == "total":
        return place.score >= (0.65 if _preference(page, name, place) >= 0.35 else 0.85)
    if name == "company":
        return box_of(page, place.words).y0 < 400 or place.score >= 0.85
    return True


def _preference(page: Page, name: str, place: Place) -> float:
    """Prefer the total beside its key, the date beside 'date', the company nearest to the top."""
    around = key_of(page, place).formation.key
    if name == "total":
        row = " ".join(_row_text(page, place).split())
        worth = ((0.5, _PAYABLE), (0.4, _TOTAL), (-0.45, _NOT_TOTAL))
        return sum(points for points, pattern in worth if pattern.search(row))
    if name == "date":
        return 0.1 * ("date" in around.lower())
    return -0.0001 * box_of(page, place.words).y0


def _row_text(page: Page, place: Place) -> str:
    """What stands left of the place on its row."""
    lines = page.lines or ()
    line, word = place.words[0]
    beside = [other.text for other in lines if left_of(other, lines[line])]
    return " ".join((*beside, *(w.text for w in lines[line].words[:word])))


def _questions(page: Page, places: dict[str, Place], rng: Random) -> tuple[QA, ...]:
    asked = [_ask(page, name, place, FORM.format(name)) for name, place in places.items()]
    asked += [_ask(page, n, p, rng.choice(PARAPHRASES[n])) for n, p in places.items() if rng.random() < 0.4]
    asked += _pair_questions(page, 4, rng)
    asked += absent(page, max(1, round(0.3 * len(asked) + rng.random() - 0.5)), rng)
    rng.shuffle(asked)
    return tuple(asked)


def _ask(page: Page, name: str, place: Place, question: str) -> QA:
    key = _field_key(page, name, place)
    analysis = QuestionAnalysis(_KINDS[name], "extraction", name)
    return QA(question, analysis, key.lines(place), key.formation, place.answer, place.words)


def _field_key(page: Page, name: str, place: Place) -> Key:
    """Company and address stand by themselves; a date or a total mostly has a key."""
    if name == "total":
        return key_of(page, place)
    if name == "date":
        key = key_of(page, place)
        return key if _DATED.search(key.formation.key) else Key(AnswerFormation("inside", ""), None)
    high = box_of(page, place.words).y0 < 350
    return Key(AnswerFormation("top of page" if high else "inside", ""), None)


def _pair_questions(page: Page, most: int, rng: Random) -> list[QA]:
    """Other keys of the page with their values."""
    found = pairs(page)
    return [_pair_question(pair, rng) for pair in rng.sample(found, min(len(found), most))]


def _pair_question(pair: Pair, rng: Random) -> QA:
    inside = pair.key_line in pair.place.lines
    key = Key(AnswerFormation("inside" if inside else "right of", pair.key), pair.key_line)
    question = ask(pair.key + ":" * (rng.random() < 0.5), rng)
    analysis = QuestionAnalysis("key-value", "extraction", pair.key)
    return QA(question, analysis, key.lines(pair.place), key.formation, pair.place.answer, pair.place.words)


def _without(source: str, page: Page, places: dict[str, Place], rng: Random) -> Iterator[Example]:
    """The page with the lines of one or two fields taken out, wherever their value stands."""
    gone = rng.sample(sorted(places), min(len(places), rng.choice((1, 1, 2))))
    lines = page.lines or ()
    drop = {i for name in gone for i in _lines_of(page, name, places[name])}
    kept = [i for i in range(len(lines)) if i not in drop]
    if len(kept) < 4:
        return
    bare = _painted(replace(page, lines=tuple(lines[i] for i in kept)), [lines[i].box for i in sorted(drop)])
    new = {old: at for at, old in enumerate(kept)}
    stay = {
        name: replace(place, words=tuple((new[i], j) for i, j in place.words))
        for name, place in places.items()
        if name not in gone and all(i in new for i in place.lines)
    }
    asked = [_ask(bare, n, p, rng.choice((FORM.format(n), *PARAPHRASES[n]))) for n, p in stay.items()]
    # Of the same kind as where it stands: or step 1 would give away whether the page answers.
    for name in gone:
        question = rng.choice((FORM.format(name), rng.choice(PARAPHRASES[name])))
        asked.append(unanswerable(question, name, _KINDS[name]))
    asked += _pair_questions(bare, 3, rng)
    rng.shuffle(asked)
    yield Example(f"{source}/without-{'-'.join(gone)}", bare, tuple(asked))


def _lines_of(page: Page, name: str, place: Place) -> set[int]:
    """The lines to remove so that nothing on the page answers: every date, total or other mention."""
    lines = page.lines or ()
    found = {i for other in align.find(place.answer, page, threshold=0.7) for i in other.lines}
    found |= set(place.lines)
    if name == "date":
        found |= {i for i, line in enumerate(lines) if _DATE.search(line.text)}
    if name == "total":
        found |= {i for i, line in enumerate(lines) if _TOTAL.search(line.text) or _PAYABLE.search(line.text)}
        found |= {i for i, line in enumerate(lines) if any(left_of(lines[k], line) for k in tuple(found))}
    return found


def _painted(page: Page, boxes: list[Box]) -> Page:
    """The page's picture with the boxes painted white."""
    if page.image is None:
        return page
    from PIL import ImageDraw

    image = page.image.copy()
    draw = ImageDraw.Draw(image)
    for box in boxes:
        draw.rectangle(box.to_pixels(image.width, image.height), fill="white")
    return replace(page, image=image)


def word_shares(text: str, x0: float, x1: float) -> Iterator[tuple[str, float, float]]:
    """The words of one text, each with its share of the width from x0 to x1."""
    at, size = 0, max(len(text), 1)
    for word in text.split():
        at = text.index(word, at)
        yield word, x0 + (x1 - x0) * at / size, x0 + (x1 - x0) * (at + len(word)) / size
        at += len(word)


def _load(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        hint = "Give the folder of entities, images and lines."
        raise DocumentNotFound(f"the receipts lack {path}.", hint=hint) from error
    return data
