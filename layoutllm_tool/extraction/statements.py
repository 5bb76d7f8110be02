"""Yes-or-no values and enums from what the pages say: signatures, sentences, printed words. Pure.

Similarity in meaning is handed in. None where the pages do not decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.page_layout import PlacedWord, Run
from layoutllm_tool.extraction.labels import is_known_label
from layoutllm_tool.extraction.rows import Similarity, normal
from layoutllm_tool.extraction.segments import Texts, found_at, text_of
from layoutllm_tool.extraction.typed import denies

_SIGNED, _UNSIGNED, _SAID, _PRINTED = 0.85, 0.8, 0.75, 0.85
_MEANT = 0.5
"""Least likeness in meaning of a sentence and the field."""
_ASKS_SIGNATURE = re.compile(
    r"(?i)\b(?:signed|signature|signatory|unterschrift|unterschrieben|unterzeichnet|sign\u00e9|signature|firmado|firma)\b"
)
_LINE = re.compile(
    r"(?i)^(?:.*\b(?:signature|unterschrift|firma|handtekening)\b.*"
    r"|signed(?: by)?:?|approved by:?|authorised by:?|accepted by.*)$"
)
_ABOVE = 3.2
"""Heights of a line over its label in which a signature stands."""
_SENTENCE = re.compile(r"(?<=[.;!?])\s+")
_LONGEST_ENTRY = 6
_SMALL = frozenset(
    (
        "is",
        "has",
        "are",
        "the",
        "of",
        "a",
        "by",
        "to",
        "if",
        "true",
        "be",
        "was",
        "it",
        "any",
        "ist",
        "der",
        "die",
    )
)


def said(document: Document, question: str, path: Sequence[str], similarity: Similarity) -> LayoutCoT | None:
    """Whether it is so: from a signature's line, or from the sentence that speaks of it."""
    pages = [Texts(page) for page in document.pages]
    words = normal(path[-1])
    if _ASKS_SIGNATURE.search(f"{words} {question}"):
        return _signature(pages, question, " ".join((*map(normal, path), normal(question))))
    return _sentence(pages, question, words, similarity)


def _signature(pages: Sequence[Texts], question: str, words: str) -> LayoutCoT | None:
    """Whether something stands on the signature's line that is meant: the one, or the one whose words are."""
    lines = [(texts, run) for texts in pages for run in texts.runs if _LINE.match(text_of(run))]
    if len(lines) > 1:
        wanted = {word[:6] for word in words.split() if len(word) > 3 and not _ASKS_SIGNATURE.search(word)}
        own = [one for one in lines if wanted & {word[:6] for word in normal(text_of(one[1])).split()}]
        lines = own or [one for one in lines if _ASKS_SIGNATURE.search(text_of(one[1]))]
    if len(lines) != 1:
        return None
    texts, label = lines[0]
    written = _written(texts, label)
    if written:
        return found_at(question, texts.page, written, "yes", text_of(label), _SIGNED)
    return (
        found_at(question, texts.page, label, "no", text_of(label), _UNSIGNED)
        if not _has_ink(texts, label)
        else None
    )


def _written(texts: Texts, label: Run) -> Run:
    """Words behind the colon, or just over the label."""
    behind = texts.right_of(label)
    if label[-1].ends_key:
        return behind if behind and not behind[-1].ends_key and not is_known_label(text_of(behind)) else ()
    height, left, right = texts.layout.height, label[0].x0, label[-1].x1
    over = texts.layout.between(label[0].middle - _ABOVE * height, label[0].middle - 0.6 * height)
    return tuple(w for w in over if w.x0 < right + 4 * height and w.x1 > left - height and len(over) < 8)


def _has_ink(texts: Texts, label: Run) -> bool:
    """Whether the picture has strokes over the label's line that are no rule."""
    image = texts.page.image
    if image is None:
        return True
    height = texts.layout.height
    x, y = image.width / texts.page.width, image.height / texts.page.height
    box = (
        int(label[0].x0 * x), int(max(0, label[0].y0 - _ABOVE * height) * y),
        int((label[-1].x1 + 6 * height) * x), int(max(1, label[0].y0 - 0.3 * height) * y),
    )  # fmt: skip
    if box[3] <= box[1] or box[2] <= box[0]:
        return True
    part = image.crop(box).convert("L").point(lambda value: 255 if value < 140 else 0)
    rows = [part.crop((0, n, part.width, n + 1)).getbbox() is not None for n in range(part.height)]
    return sum(rows) > 0.25 * height * y  # a rule is thinner


def _sentence(pages: Sequence[Texts], question: str, words: str, similarity: Similarity) -> LayoutCoT | None:
    """The sentence that has all of the field's words, or is nearest in meaning: no where it denies."""
    stems = {word[:5] for word in words.split() if word not in _SMALL and len(word) > 2}
    if not stems:
        return None
    best: tuple[float, Texts, Sequence[PlacedWord], str] | None = None
    for texts in pages:
        for run, text in _sentences(texts):
            own = {word[:5] for word in normal(text).split()}
            shared = len(stems & own) / len(stems)
            if shared < 0.5:
                continue
            meaning = max(row[0] for row in similarity([question, words], [text]))
            score = meaning + 0.2 * shared
            if meaning >= _MEANT and (best is None or score > best[0]):
                best = (score, texts, run, text)
    if best is None:
        return None
    _, texts, run, text = best
    return found_at(question, texts.page, run, "no" if denies(text) else "yes", text, _SAID)


def _sentences(texts: Texts) -> Iterator[tuple[Sequence[PlacedWord], str]]:
    """The rows' words, cut at the ends of sentences over rows that follow on one another."""
    words: list[PlacedWord] = []
    for row in texts.layout.rows:
        follows = words and 0 < row[0].middle - words[-1].middle < 2.3 * texts.layout.height
        if words and (not follows or abs(row[0].x0 - words[0].x0) > 3 * texts.layout.height):
            yield words, text_of(words)
            words = []
        for word in row:
            words = [*words, word]
            if word.text.endswith((".", ";", "!", "?")) and len(word.text) > 2:
                yield words, text_of(words)
                words = []
    if words:
        yield words, text_of(words)


def printed_choice(document: Document, question: str, values: Sequence[str]) -> LayoutCoT | None:
    """The one value whose words a short text of the pages begins with or is."""
    pages = [Texts(page) for page in document.pages]
    found: list[tuple[str, Texts, Run]] = []
    for value in values:
        own = normal(value)
        if len(own) < 3 or own in ("none", "other", "unknown"):
            continue
        for texts in pages:
            for run in texts.runs:
                text = normal(text_of(run))
                if len(run) <= _LONGEST_ENTRY and re.search(rf"(?<!\w){re.escape(own)}(?!\w)", text):
                    found.append((value, texts, run))
    if len({value for value, _, _ in found}) != 1:
        return None
    value, texts, run = found[0]
    return found_at(question, texts.page, run, value, "", _PRINTED)
