"""Numbers about an option, for the fusion head: what each source says, how near in meaning, of which type,
how it lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layoutllm_tool.documents.key_value_features import NAMES as PAIR_NAMES
from layoutllm_tool.documents.page_layout import Run, WordId
from layoutllm_tool.documents.search import letters, plain
from layoutllm_tool.model.expected_type import TYPES, expected_type, share_of_type
from layoutllm_tool.model.options import SOURCES, Asked, Option, Outcome, own_words
from layoutllm_tool.model.page_index import Array, PageIndex

_PAIR = (
    "right",
    "below",
    "gap",
    "down",
    "gap_after",
    "key_ends_with_colon",
    "colon_at_end",
    "colon_inside",
    "same_row_key",
    "other_key_left",
    "mark",
    "lines",
    "is_rule",
    "key_is_segment",
    "words_before_key",
    "words_after_key_same_segment",
)
_PAIR_AT = [PAIR_NAMES.index(name) for name in _PAIR]
_EVIDENCE = (
    "none", *(f"{source}_{what}" for source in SOURCES for what in ("p", "logp", "match", "top", "places")),
    "meaning_p", "meaning", "meaning_rank", "meaning_gap", "meaning_lead",
    "cell", "row_said", "column_said", "row_meaning", "column_meaning", "span", "chunk", "row", "block",
    "marked", "cut", "grown", "model_same",
)  # fmt: skip
_COMMON = (
    "quoted_asked",
    "quoted_found",
    "meaning_best",
    "sentence_best",
    "model_asked",
    "model_none",
    "model_none_p",
    "model_answer_p",
    "model_refuses",
    "rivals",
    "question_words",
    "question_numbers",
    *(f"expects_{kind}" for kind in TYPES),
)
_OWN = (
    "model_iou", "model_area", "model_line_p", "model_line_logp", "agreement", "key_said", "key_covers",
    "sentence", "sentence_rank",
    "sentence_gap", "fits", "misses", *(f"is_{kind}" for kind in TYPES), "digits", "letters", "words",
    "characters",
    "told", "told_rank", "told_gap", "ends_with_colon", "in_question", "words_said", "far_from_said",
    "after_said", "top", "height", "own_key",
    "row_says", "row_lead", "numbers_said", "whole_lines", "ends_open", "step_above", "step_below",
)  # fmt: skip
_FAR = 4.0
NAMES = (*_EVIDENCE, *_COMMON, *_OWN, *(f"pair_{name}" for name in _PAIR))


def features(index: PageIndex, asked: Asked, outcome: Outcome | None, every: Sequence[Option]) -> Array:
    """(O, F), "none" first."""
    common = _common(asked, outcome, every)
    sentence_of = {word.id: at for at, run in enumerate(index.sentences) for word in run}
    near = asked.sentence_likeness
    ranks = None if near is None else np.argsort(np.argsort(-near)).astype(np.float32)
    own = frozenset(word.id for word in own_words(index, outcome)) if outcome else frozenset()
    told, said = _told(index, asked, every), index.said_in_rows(asked.words)
    rows = []
    for number, option in enumerate(every):
        row = dict.fromkeys(NAMES, 0.0) | {f"{source}_logp": -8.0 for source in SOURCES} | common
        row |= {name: value for name, value in option.evidence.items() if name in row}
        if not option.none:
            row |= told[number] | _text(option, asked) | _of_model(option, outcome, own)
            row |= _sentence(option, index, asked, sentence_of, ranks) | _place(option, index)
            row |= _row(option, index, asked, said)
            if option.pair is not None:
                row |= {
                    f"pair_{name}": float(option.pair[at]) for name, at in zip(_PAIR, _PAIR_AT, strict=True)
                }
        rows.append(row)
    _fill_none(rows[0], rows[1:])
    return np.array([[row[name] for name in NAMES] for row in rows], np.float32)


def _common(asked: Asked, outcome: Outcome | None, every: Sequence[Option]) -> dict[str, float]:
    expected = expected_type(asked.text)
    found = {
        "quoted_asked": float(bool(asked.quoted)),
        "quoted_found": float(any("quoted_p" in o.evidence for o in every)),
        "meaning_best": float(asked.likeness.max()) if asked.likeness is not None else 0.0,
        "sentence_best": float(asked.sentence_likeness.max()) if asked.sentence_likeness is not None else 0.0,
        "rivals": float(np.log1p(len(every))),
        "question_words": float(np.log1p(len(asked.words))),
        "question_numbers": float(bool(asked.numbers)),
    }
    if expected:
        found[f"expects_{expected}"] = 1.0
    if outcome is not None:
        found |= {
            "model_asked": 1.0, "model_none_p": float(np.exp(max(outcome.none_logprob, -20.0))),
            "model_none": max(outcome.none_logprob, -12.0) / 4,
            "model_refuses": float(outcome.answer is None),
            "model_answer_p": float(np.exp(max(outcome.answer_logprob, -20.0))),
        }  # fmt: skip
    return found


def _told(index: PageIndex, asked: Asked, every: Sequence[Option]) -> list[dict[str, float]]:
    """How near each option, with what stands for it, is to the question."""
    query = asked.query
    vectors = index.vectors_of([option.told[:200] for option in every]) if query is not None else None
    if query is None or vectors is None or len(every) < 2:
        return [{}] * len(every)
    near = vectors @ query
    best, ranks = float(near[1:].max()), np.argsort(np.argsort(-near[1:]))
    return [{}] + [
        {"told": float(one), "told_rank": 1 / (1 + float(rank)), "told_gap": best - float(one)}
        for one, rank in zip(near[1:], ranks, strict=True)
    ]


def _text(option: Option, asked: Asked) -> dict[str, float]:
    text, expected = option.text, expected_type(asked.text)
    solid = [c for c in text if not c.isspace()] or ["?"]
    key = [word for word in (plain(w.text) for w in option.key) if word]
    said = sum(word in asked.words for word in key)
    fits = share_of_type(expected, text) if expected else 0.0
    return {
        "key_said": said / len(key) if key else 0.0,
        "key_covers": said / len(asked.words) if asked.words else 0.0,
        "fits": fits, "misses": 1.0 - fits if expected else 0.0,
        **{f"is_{kind}": share_of_type(kind, text) for kind in TYPES},
        "digits": sum(c.isdigit() for c in solid) / len(solid),
        "letters": sum(c.isalpha() for c in solid) / len(solid),
        "words": float(np.log1p(len(option.words))), "characters": float(np.log1p(len(text))),
        "ends_with_colon": float(text.endswith(":")),
        "in_question": float(letters(text) in letters(asked.text)),
        "agreement": sum(option.evidence.get(f"{source}_top", 0.0) for source in SOURCES),
    }  # fmt: skip


def _of_model(option: Option, outcome: Outcome | None, own: frozenset[WordId]) -> dict[str, float]:
    if outcome is None:
        return {}
    mine, lines = option.ids, {line for line, _ in option.ids}
    best = max((outcome.line_logprobs.get(line, -12.0) for line in lines), default=-12.0)
    return {
        "model_iou": len(mine & own) / len(mine | own) if own else 0.0,
        "model_area": float(bool(lines & set(outcome.lines))),
        "model_line_p": float(np.exp(best)), "model_line_logp": max(best, -12.0) / 4,
    }  # fmt: skip


def _place(option: Option, index: PageIndex) -> dict[str, float]:
    """Where on the page, how large, and whether it looks like a key with a value of its own."""
    words, layout = option.words, index.layout
    after = layout.after(words[-1])
    return {
        "top": min(w.y0 for w in words) / max(layout.page.height, 1),
        "height": max(w.height for w in words) / max(layout.height, 1.0),
        "own_key": float(words[-1].ends_key and after is not None),
    } | _around(words, index)


def _row(option: Option, index: PageIndex, asked: Asked, said: Array) -> dict[str, float]:
    """How much of the question its row says, and of the numbers in it that row and its key."""
    number = index.row_of.get(option.words[0].id)
    mine = float(said[number]) if number is not None else 0.0
    beside = {plain(w.text) for w in (*(index.rows[number] if number is not None else ()), *option.key)}
    return {
        "row_says": mine, "row_lead": mine - float(said.max()),
        "numbers_said": len(asked.numbers & beside) / len(asked.numbers) if asked.numbers else 0.0,
    }  # fmt: skip


def _around(words: Run, index: PageIndex) -> dict[str, float]:
    """Whether the words are whole lines, end with a comma, and how far the lines above and below are, in
    heights.
    """
    lines, height = index.lines, max(words[0].height, 1.0)
    first, last = words[0].id[0], words[-1].id[0]
    above, below = lines.get(first - 1), lines.get(last + 1)
    return {
        "whole_lines": float(words[0] == lines[first][0] and words[-1] == lines[last][-1]),
        "ends_open": float(words[-1].text.endswith((",", "-", "&"))),
        "step_above": _step(above[0].y0, words[0].y0, height) if above else _FAR,
        "step_below": _step(words[-1].y0, below[0].y0, height) if below else _FAR,
    }


def _step(above: float, below: float, height: float) -> float:
    return min(max((below - above) / height, 0.0), _FAR)


def _sentence(
    option: Option, index: PageIndex, asked: Asked, sentence_of: dict[WordId, int], ranks: Array | None
) -> dict[str, float]:
    likeness = asked.sentence_likeness
    if likeness is None or ranks is None:
        return {}
    places = [sentence_of[i] for i in option.ids if i in sentence_of]
    at = max(places, key=lambda place: float(likeness[place]), default=None)
    if at is None:
        return {}
    near = float(likeness[at])
    sentence, mine = index.sentences[at], option.ids
    said = [n for n, word in enumerate(sentence) if plain(word.text) in asked.words and word.id not in mine]
    own = [n for n, word in enumerate(sentence) if word.id in mine]
    far = min((min(abs(n - m) for m in own) for n in said), default=12)
    return {
        "words_said": sum(plain(w.text) in asked.words for w in option.words) / len(option.words),
        "far_from_said": min(far, 12) / 12, "after_said": float(bool(said) and min(own) > min(said)),
        "sentence": near, "sentence_rank": 1 / (1 + float(ranks[at])),
        "sentence_gap": float(likeness.max()) - near,
    }  # fmt: skip


_BEST = (
    "meaning_p",
    "meaning",
    "model_line_p",
    "model_line_logp",
    "agreement",
    "fits",
    "key_said",
    "key_covers",
    "sentence",
    "told",
    "cell",
    "row_said",
    "column_said",
    "row_says",
    "numbers_said",
    *(f"{source}_{what}" for source in SOURCES for what in ("p", "logp", "match", "places")),
)


def _fill_none(none: dict[str, float], rows: Sequence[dict[str, float]]) -> None:
    """ "None" is seen by the best that the others have: how likely the best candidate of each source is,
    and how it lies.
    """
    if not rows:
        return
    none |= {name: max(row[name] for row in rows) for name in _BEST}
    top = max(
        rows, key=lambda row: max(row[f"{s}_p"] for s in SOURCES) + 0.5 * row["meaning_p"] * row["meaning"]
    )
    none |= {name: top[name] for name in NAMES if name.startswith("pair_")}
    none["misses"] = min(row["misses"] for row in rows)
