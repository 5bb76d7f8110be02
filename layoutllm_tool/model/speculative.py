"""What a row will probably say next, drafted from the question and the page, for the engine to check beside
the next choice.

Speculative decoding (Leviathan et al. 2023) with a lookup in place of a second model: LayoutCoT repeats the
question's words as its key, the page's as its key text and its answer. A wrong draft costs a column of a
matrix product, a right one saves a step. The row takes a token only where it chooses the same token itself,
so nothing that is said changes (tested).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.spatial import contains
from layoutllm_tool.model.decoding_state import DecodingState
from layoutllm_tool.model.grammar import Stage
from layoutllm_tool.model.numerics import FEW_ROWS
from layoutllm_tool.model.prompt import write_analysis, write_formation

MAX_DRAFT = 8
"""Most tokens drafted at once, where the pending ones make the product a wide one anyhow; else so many that
it stays narrow.
"""

_QUOTED = re.compile(r'"([^"\n]+)"')
_NAMED = re.compile(r"\b(?:the|an?|which)\s+([^?]+)", re.IGNORECASE)
_PHRASE = re.compile(r'[^?"]*')


def draft_tokens(row: DecodingState) -> list[int]:
    """Token ids that may follow ``row.pending``; [] where there is nothing to go by."""
    match row.stage:
        case Stage.ANALYSIS_HEAD | Stage.ANALYSIS_KEY:
            found = _after(row, row.text, _analysis(row))
        case Stage.AREA if row.area and row.grammar.segments:
            found = [row.grammar.end_area, *_formation(row, ())]
        case Stage.FORMATION_HEAD | Stage.FORMATION_KEY:
            found = _formation(row, row.text)
        case Stage.COPY if row.answering is not None:
            found = _rest_of_copy(row)
        case _:
            found = []
    narrow = FEW_ROWS - len(row.pending)
    return found[: narrow if narrow > 0 else MAX_DRAFT]


def _after(row: DecodingState, said: Sequence[int], text: str) -> list[int]:
    """What is left of ``text`` behind the tokens already said; [] where they differ."""
    ids = row.grammar.processor.text_ids(text)
    return list(ids[len(said) :]) if tuple(ids[: len(said)]) == tuple(said) else []


# -- step 1 --------------------------------------------------------------------------------------------------


def _analysis(row: DecodingState) -> str:
    head, colon, key = row.decode_bytes(row.text).partition(":")
    key = _asked_for(row.question, key.strip())
    return f"{head}: {key}\n" if colon else write_analysis(QuestionAnalysis("key-value", "extraction", key))


def _asked_for(question: str, begun: str) -> str:
    """The question's words that go on after ``begun``, or those that it asks for."""
    if begun:
        at = question.lower().find(begun.lower())
        rest = _PHRASE.match(question, at + len(begun)) if at >= 0 else None
        return begun + (rest.group().rstrip() if rest else "")
    found = _QUOTED.search(question) or _NAMED.search(question)
    return found.group(1).strip() if found else ""


# -- step 3 --------------------------------------------------------------------------------------------------


def _formation(row: DecodingState, said: Sequence[int]) -> list[int]:
    head, colon, key = row.decode_bytes(said).partition(":")
    key = _on_the_page(row, key.strip())
    line = f"{head}: {key}\n" if colon else write_formation(AnswerFormation("right of", key))
    return [*rest, *_after(row, (), f" {_answer(row, key)}")] if (rest := _after(row, said, line)) else []


def _on_the_page(row: DecodingState, begun: str) -> str:
    """The line that ``begun`` begins, or the one that names what step 1 looks for."""
    lines = [line.text for line in row.lines]
    wanted = row.analysis.key if row.analysis else ""
    found = (text for text in lines if (text.startswith(begun) if begun else contains(text, wanted)))
    return next(found, begun or wanted).partition(":")[0].strip()


def _answer(row: DecodingState, key: str) -> str:
    """The area's text without the key text before it."""
    lines = row.lines
    text = " ".join(lines[s].text for s in sorted(row.area) if s < len(lines))
    return text.removeprefix(key).lstrip(": ")


def _rest_of_copy(row: DecodingState) -> list[int]:
    assert row.answering is not None
    copy = row.answering.copy
    if not copy.offsets:
        return _after(row, (), f" {_answer(row, row.formation.key)}")
    rest = copy.source[copy.offsets[0] :]
    if not rest:
        return [row.grammar.end]
    # The whole answer is split into tokens, then what has been said is taken off: a piece alone may be
    # split another way.
    ids = row.grammar.processor.text_ids((copy.text + rest).decode(errors="ignore"))
    token_bytes, said = row.grammar.token_bytes, len(copy.text)
    for number, token in enumerate(ids):
        if said == 0:
            return [*ids[number:], row.grammar.end]
        said -= len(token_bytes.by_id[token])
    return []
