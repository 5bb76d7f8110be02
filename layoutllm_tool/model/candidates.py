"""Steps 1 and 2 as choices among what stands on the page: which printed key a question means, and which words are its value.

Printed keys come from four sources: the text the question quotes, the key the language model writes, the question's own words,
and the segments nearest in meaning (sentence encoder). Each brings its candidates with the pair head's probabilities; the language
model's own answer is a candidate too, and so is "none". ``FusionHead`` weighs them all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.key_value_features import NAMES as PAIR_NAMES
from layoutllm_tool.documents.key_values import PageLayout, PlacedWord, Run, WordId
from layoutllm_tool.documents.search import Match, find, key_of, letters
from layoutllm_tool.model.pair_head import PairHead, Scored

if TYPE_CHECKING:
    from layoutllm_tool.model.grammar import Decoded
    from layoutllm_tool.model.sentence_encoder import SentenceEncoder

Array = npt.NDArray[np.float32]
NEAREST = 5
"""Printed keys taken from the sentence encoder."""
KEPT = 6
"""Candidates of one key that are weighed further."""
SEGMENT_GAP = 1.4
"""Widest gap inside a printed key, in line heights."""
SOURCES = ("quoted", "analysis", "words")
_QUOTED = re.compile(r"""["“”«»„]([^"“”«»„]{1,200})["“”«»„]""")
_PAIR = ("right", "below", "gap", "down", "gap_after", "key_ends_with_colon", "colon_at_end", "colon_inside", "same_row_key",
         "other_key_left", "mark", "lines", "is_rule", "key_is_segment")  # fmt: skip
_PAIR_AT = [PAIR_NAMES.index(name) for name in _PAIR]


@dataclass
class PageIndex:
    """What is computed once a page: words by place, printed segments and their vectors (S, 384)."""

    layout: PageLayout
    segments: tuple[Run, ...]
    vectors: Array | None = None
    scored: dict[str, tuple[list[Match], Scored]] = field(default_factory=dict)

    @classmethod
    def of(cls, page: Page, encoder: SentenceEncoder | None) -> PageIndex:
        layout = PageLayout(page)
        found = tuple(_segments(layout))
        vectors = None
        if encoder is not None and found:
            vectors = encoder.encode([text_of(run) for run in found]).numpy()
        return cls(layout, found, vectors)

    def look_up(self, text: str, head: PairHead) -> tuple[list[Match], Scored]:
        """Where a key's text stands, and the candidates for its value."""
        known = letters(text)
        if known not in self.scored:
            matches = find(self.layout, text)[:8]
            self.scored[known] = (matches, head.score(self.layout, matches))
        return self.scored[known]


def text_of(run: Sequence[PlacedWord]) -> str:
    return " ".join(word.text for word in run)


def _segments(layout: PageLayout) -> list[Run]:
    """Lines cut at gaps and behind colons; what has no letters is no key."""
    runs: list[list[PlacedWord]] = []
    for number, word in enumerate(layout.words):
        before = layout.words[number - 1] if number else None
        gap = before is None or before.id[0] != word.id[0] or word.x0 - before.x1 > SEGMENT_GAP * word.height
        if gap or (before is not None and before.text.endswith((":", "\uff1a"))):
            runs.append([])
        runs[-1].append(word)
    return [tuple(run) for run in runs if any(c.isalpha() for c in text_of(run))]


@dataclass
class Option:
    """One possible answer: words, or none. ``evidence`` says what speaks for it."""

    words: tuple[PlacedWord, ...]
    key: Run = ()
    side: str = ""
    evidence: dict[str, float] = field(default_factory=dict)
    pair: Array | None = None

    @property
    def none(self) -> bool:
        return not self.words

    @property
    def ids(self) -> frozenset[WordId]:
        return frozenset(word.id for word in self.words)

    @property
    def text(self) -> str:
        return text_of(self.words)


@dataclass(frozen=True)
class Outcome:
    """What the language model came to on a page by itself: the part of ``Decoded`` that is weighed."""

    key: str
    words: tuple[WordId, ...]
    answer: str | None
    lines: tuple[int, ...]
    line_logprobs: dict[int, float]
    none_logprob: float
    answer_logprob: float

    @classmethod
    def of(cls, decoded: Decoded, lines: Sequence[int]) -> Outcome:
        """``lines`` are the window's: segment -> line of the page."""
        scores: dict[int, float] = {}
        for line, value in zip(lines, decoded.segment_logprobs, strict=False):
            scores[line] = max(value, scores.get(line, -30.0))
        return cls(
            decoded.analysis.key, decoded.words, decoded.answer, tuple(lines[s] for s in decoded.segments), scores,
            decoded.none_logprob, sum(decoded.logprobs.get("answer", ())),
        )  # fmt: skip


NAMES = (
    "none", "quoted_asked", "quoted_found",
    *(f"{source}_{what}" for source in SOURCES for what in ("p", "logp", "match", "top", "places")),
    "meaning_p", "meaning", "meaning_rank", "meaning_lead", "meaning_best",
    "model_same", "model_iou", "model_area", "model_line_p", "model_line_logp", "model_none", "model_none_p", "model_answer_p", "model_refuses",
    "model_only", "agreement", "rivals",
    "type_fits", "type_misses", "typed", "digits", "letters", "words", "characters", "ends_with_colon", "in_question",
    *(f"pair_{name}" for name in _PAIR),
)  # fmt: skip


def options(
    index: PageIndex, question: str, outcome: Outcome, head: PairHead, query: Array | None
) -> tuple[list[Option], Array]:
    """Possible answers, "none" first, and their features (O, F). ``query`` is the question's vector (384)."""
    found: dict[frozenset[WordId], Option] = {}
    quoted = " ".join(_QUOTED.findall(question))
    for source, text in zip(SOURCES, (quoted, outcome.key, key_of(_unquoted(question))), strict=True):
        if letters(text):
            matches, scored = index.look_up(text, head)
            _add(found, source, scored, matches)
    best = _add_nearest(found, index, head, query)
    own = _own(index, outcome)
    if own is not None:
        found.setdefault(own.ids, own).evidence["model_same"] = 1.0
    none = Option((), evidence={"none": 1.0})
    every = [none, *found.values()]
    common = {
        "quoted_asked": float(bool(quoted)),
        "quoted_found": float(any("quoted_p" in o.evidence for o in every)),
        "model_none_p": float(np.exp(max(outcome.none_logprob, -20.0))),
        "model_none": max(outcome.none_logprob, -12.0) / 4,
        "model_refuses": float(outcome.answer is None),
        "model_answer_p": float(np.exp(max(outcome.answer_logprob, -20.0))),
        "meaning_best": best,
        "rivals": np.log1p(len(every)),
    }
    rows = [_row(o, question, outcome, common, own) for o in every]
    _fill_none(rows[0], rows[1:], every[1:])
    return every, np.array([[row[name] for name in NAMES] for row in rows], np.float32)


def _unquoted(question: str) -> str:
    return _QUOTED.sub(r"\1", question)


def _add(found: dict[frozenset[WordId], Option], source: str, scored: Scored, matches: Sequence[Match]) -> None:
    order = np.argsort(-scored.logprobs)[:KEPT]
    for rank, at in enumerate(order):
        candidate = scored.found[at]
        option = found.setdefault(frozenset(candidate.ids), Option(candidate.words, candidate.key, candidate.side))
        logp = float(scored.logprobs[at])
        if logp > option.evidence.get(f"{source}_logp", -99.0):
            option.evidence[f"{source}_logp"] = logp
            option.evidence[f"{source}_p"] = float(np.exp(logp))
            option.evidence[f"{source}_match"] = max(match.score for match in matches)
            option.evidence[f"{source}_top"] = float(rank == 0)
            option.evidence[f"{source}_places"] = float(np.log1p(len(matches)))
            if option.pair is None:
                option.pair = scored.features[at]


def _add_nearest(
    found: dict[frozenset[WordId], Option], index: PageIndex, head: PairHead, query: Array | None
) -> float:
    """Candidates of the keys nearest in meaning; how near the nearest is."""
    if query is None or index.vectors is None:
        return 0.0
    likeness = index.vectors @ query
    order = np.argsort(-likeness)[:NEAREST]
    for rank, at in enumerate(order):
        run, lead = index.segments[at], float(likeness[at] - likeness[order[1 if rank == 0 and len(order) > 1 else 0]])
        known = f"\0{at}"
        if known not in index.scored:
            index.scored[known] = ([Match(run, 1.0)], head.score(index.layout, [Match(run, 1.0)]))
        _, scored = index.scored[known]
        for place in np.argsort(-scored.logprobs)[:KEPT]:
            candidate = scored.found[place]
            option = found.setdefault(frozenset(candidate.ids), Option(candidate.words, candidate.key, candidate.side))
            p = float(np.exp(scored.logprobs[place]))
            worth = p * float(likeness[at])
            if worth > option.evidence.get("meaning_p", 0.0) * option.evidence.get("meaning", 0.0):
                option.evidence |= {
                    "meaning_p": p, "meaning": float(likeness[at]), "meaning_rank": 1 / (1 + rank), "meaning_lead": lead,
                }  # fmt: skip
                if option.pair is None:
                    option.pair = scored.features[place]
    return float(likeness[order[0]])


def _own(index: PageIndex, outcome: Outcome) -> Option | None:
    words = tuple(index.layout.by_id[i] for i in outcome.words if i in index.layout.by_id)
    return Option(words, evidence={"model_only": 1.0}) if words and outcome.answer is not None else None


def _row(
    option: Option, question: str, outcome: Outcome, common: dict[str, float], own: Option | None
) -> dict[str, float]:
    row = dict.fromkeys(NAMES, 0.0) | {f"{source}_logp": -8.0 for source in SOURCES} | common | option.evidence
    if len(option.evidence) > 2:
        row["model_only"] = 0.0
    if option.none:
        return row
    mine, text = option.ids, option.text
    lines = {line for line, _ in mine}
    best = max((outcome.line_logprobs.get(line, -12.0) for line in lines), default=-12.0)
    solid = [c for c in text if not c.isspace()] or ["?"]
    expected = expected_type(question)
    fits = bool(expected) and fits_type(expected, text)
    row |= {
        "model_iou": len(mine & own.ids) / len(mine | own.ids) if own else 0.0,
        "model_area": float(bool(lines & set(outcome.lines))),
        "model_line_p": float(np.exp(best)), "model_line_logp": max(best, -12.0) / 4,
        "agreement": sum(option.evidence.get(f"{source}_top", 0.0) for source in SOURCES),
        "type_fits": float(fits), "type_misses": float(bool(expected) and not fits), "typed": float(bool(expected)),
        "digits": sum(c.isdigit() for c in solid) / len(solid), "letters": sum(c.isalpha() for c in solid) / len(solid),
        "words": float(np.log1p(len(option.words))), "characters": float(np.log1p(len(text))),
        "ends_with_colon": float(text.endswith(":")), "in_question": float(letters(text) in letters(question)),
    }  # fmt: skip
    if option.pair is not None:
        row |= {f"pair_{name}": float(option.pair[at]) for name, at in zip(_PAIR, _PAIR_AT, strict=True)}
    return row


def _fill_none(none: dict[str, float], rows: Sequence[dict[str, float]], every: Sequence[Option]) -> None:
    """ "None" is seen by the best that the others have: how likely the best candidate of each source is, and how it lies."""
    if not rows:
        return
    for source in SOURCES:
        for what in ("p", "logp", "match", "places"):
            none[f"{source}_{what}"] = max(row[f"{source}_{what}"] for row in rows)
    for name in ("meaning_p", "meaning", "model_line_p", "model_line_logp", "agreement", "type_fits"):
        none[name] = max(row[name] for row in rows)
    top = max(rows, key=lambda row: max(row[f"{s}_p"] for s in SOURCES) + 0.3 * row["meaning_p"])
    none |= {f"pair_{name}": top[f"pair_{name}"] for name in _PAIR}


_TYPES = (
    ("amount", r"\bhow much\b|\btotal\b|\bamount\b|\bprice\b|\bcosts?\b|\bbalance\b|\btax\b|\bfee\b|\bpay(?:ment|able)?\b|\bsalary\b|\bwages?\b"),
    ("date", r"\bwhen\b|\bdates?\b|\bdated\b|\bdeadline\b|\bwhat day\b|\bborn\b|\bexpir"),
    ("phone", r"\bphone\b|\btel\b|\bfax\b|\bcall\b|\bmobile\b"),
    ("email", r"\be-?mail\b"),
    ("number", r"\bnumber\b|\bno\.?(?= |\?|$|\")|#|\bhow many\b|\bqty\b|\bquantity\b|\bcode\b|\bid\b|\bzip\b|\bage\b"),
    ("name", r"\bwho\b|\bwhom\b|\bwhose\b|\bname\b"),
)  # fmt: skip
_SHAPES = {
    "amount": r"\d[.,]\d\d\b|[$€£¥]|\bRM\b|^\W*[\d.,\s]+\W*$",
    "date": r"\d{1,4}\s?[./-]\s?\d{1,2}\s?[./-]\s?\d{1,4}|\d{1,2}\.? \w{3,9}\.?,? \d{2,4}|\w{3,9}\.? \d{1,2},? \d{2,4}|\b(?:19|20)\d\d\b|\w{3,9} \d{1,2}\b",
    "phone": r"(?:\d[\s()./-]*){6}",
    "email": r"\S@\S+\.\S",
    "number": r"\d",
    "name": r"[^\W\d]{2}",
}


def expected_type(question: str) -> str:
    """What a question's words say about its answer, "" for nothing."""
    lowered = question.lower()
    return next((kind for kind, pattern in _TYPES if re.search(pattern, lowered)), "")


def fits_type(kind: str, text: str) -> bool:
    return bool(re.search(_SHAPES[kind], text[:300]))


class FusionHead:
    """An ensemble of two-layer perceptrons over ``NAMES``; as ``PairHead``."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self._mean, self._deviation = tensors["mean"], tensors["deviation"]
        self._w1, self._b1, self._w2, self._b2 = (tensors[name] for name in ("w1", "b1", "w2", "b2"))

    @classmethod
    def load(cls, path: Path) -> FusionHead:
        from safetensors.numpy import load_file

        return cls(load_file(path))

    def probabilities(self, rows: Array) -> Array:
        """(O): of each option; they sum to 1."""
        x = (rows - self._mean) / self._deviation
        hidden = np.tanh(np.einsum("cf,nfh->nch", x, self._w1) + self._b1[:, None])
        logits = np.einsum("nch,nh->nc", hidden, self._w2) + self._b2[:, None]
        p = np.exp(logits - logits.max(1, keepdims=True))
        mean: Array = (p / p.sum(1, keepdims=True)).mean(0)
        return mean
