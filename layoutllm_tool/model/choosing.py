"""The outcome of a question on a window: the language model's own, weighed against what else the page
offers (``candidates``).

Reads the page once (``PageIndex``); a question then costs some milliseconds. Where no option is likely
enough, the text model is asked (``text_opinion``). A correction's constraints hold here too. Answers that the
model forms instead of copying are left as they are.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis, Relation
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.model import fusion_head, pair_head
from layoutllm_tool.model.candidates import CURRENCY, candidates_of
from layoutllm_tool.model.fusion_head import FusionHead, key_is_printed
from layoutllm_tool.model.grammar import Decoded, DecodingConstraints
from layoutllm_tool.model.option_features import NAMES, features
from layoutllm_tool.model.options import Asked, Option, Outcome
from layoutllm_tool.model.page_index import Array, PageIndex, text_of
from layoutllm_tool.model.pair_head import PairHead
from layoutllm_tool.model.processing import Window
from layoutllm_tool.model.sentence_encoder import SentenceEncoder, sentence_encoder_folder
from layoutllm_tool.model.text_opinion import TextOpinion

_log = logging.getLogger(__name__)
_RELATIONS: dict[str, Relation] = {"right": "right of", "below": "below", "left": "inside", "above": "inside"}
_QUOTES = frozenset("\"'\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb")
_SENTENCE_END = re.compile(r"(?:\d|%|\b[^\W\d_A-Z][^\W\d_]{3,})\.$")
_SIGNS = frozenset("()+-%$€£¥\u2212\u2013")
_SHOWN = 80
"""Characters of a sentence that is named in step 3."""
_TOLD = (
    "meaning_best",
    "sentence_best",
    "fits",
    "misses",
    "agreement",
    "key_said",
    "model_iou",
    "quoted_asked",
    "quoted_found",
    "numbers_said",
)
"""Features that the confidence sees too, as ``option_...``."""


@dataclass
class Chooser:
    """Heads and encoder. Not thread-safe."""

    pair: PairHead
    fusion: FusionHead
    encoder: SentenceEncoder | None
    uses_model: bool = True
    """Whether the choice sees what the language model came to; False to measure what that is worth."""
    text: TextOpinion | None = None
    """Asked where the choice is in doubt."""

    @classmethod
    def load(cls) -> Chooser:
        """The shipped heads. Where the sentence encoder can't be had, a logged line says so, and questions
        are answered without.
        """
        encoder = None
        try:
            encoder = SentenceEncoder(sentence_encoder_folder())
        except WeightsNotFound as error:
            _log.warning("questions in other words than the page's are understood less well: %s", error)
        pair, fusion = PairHead.load(pair_head.SHIPPED), FusionHead.load(fusion_head.SHIPPED)
        return cls(pair, fusion, encoder, text=TextOpinion())

    def index(self, page: Page) -> PageIndex:
        return PageIndex.of(page, self.encoder)

    def choose(
        self,
        index: PageIndex,
        question: str,
        decoded: Decoded,
        window: Window,
        limits: DecodingConstraints,
        *,
        forced: bool = False,
        text: bool = True,
    ) -> Decoded:
        """``decoded`` where its answer is the best or formed, else the option that is better. ``forced``:
        step 1 was corrected, and its key is looked for instead of what the question says. ``text`` lets it
        ask the text model.
        """
        if decoded.answer is not None and not decoded.words:
            return decoded
        wanted = f'"{decoded.analysis.key}"' if forced and decoded.analysis.key else question
        query = self.encoder.encode([wanted])[0].numpy() if self.encoder else None
        asked = Asked.of(wanted, index, query)
        outcome = Outcome.of(decoded, window.lines) if self.uses_model else None
        every = candidates_of(index, asked, outcome, self.pair)
        rows = features(index, asked, outcome, every)
        p = _permitted(self.fusion.probabilities(rows), every, window, limits)
        if not p.any():
            return decoded
        opinion = None
        if (
            self.text
            and text
            and not forced
            and float(p.max()) < self.text.sure
            and is_spoken(asked, index, p, rows)
        ):
            opinion = self.text.ask(index, question, every, p)
        if opinion is not None and opinion.part and opinion.part.strip().lower() in limits.wrong:
            opinion = None  # a part of words is not among the options, so ``_permitted`` would not see it
        if self.text and opinion is not None:
            weights = circumstances(rows) @ self.text.weights
            every = opinion.joined(every)
            rows = features(index, asked, outcome, every)
            p = opinion.weighed(self.fusion.probabilities(rows), every, weights)
            p = _permitted(p, every, window, limits)
        best = int(p.argmax())
        told = opinion.signals(every[best]) if opinion else {}
        chosen = _decided(decoded, every[best], index, window)
        if opinion and opinion.part and every[best].words == opinion.own:
            chosen = replace(chosen, answer=opinion.part)
        return replace(chosen, chosen=_signals(p, best, rows) | told)


def is_spoken(asked: Asked, index: PageIndex, p: Array, rows: Array) -> bool:
    """Whether a question must be understood. A label that it quotes and the page prints once is looked up;
    where the row or key of the likeliest option has the numbers that it names, geometry is the better judge.
    """
    looked_up = bool(asked.quoted) and index.has_one_label(asked.quoted)
    return not looked_up and bool(rows[int(p.argmax()), NAMES.index("numbers_said")] < 1)


def circumstances(rows: Array) -> Array:
    """``text_opinion.CIRCUMSTANCES`` (C), 0 or 1."""
    return np.array([1, key_is_printed(rows)], np.float32)


def _permitted(p: Array, every: Sequence[Option], window: Window, limits: DecodingConstraints) -> Array:
    """Probabilities (O) of the options that a correction permits; all zero where it permits none."""
    allowed = np.array([_allowed(option, window, limits) for option in every], np.float32)
    found: Array = p * allowed / max(float((p * allowed).sum()), 1e-9)
    return found


def _allowed(option: Option, window: Window, limits: DecodingConstraints) -> bool:
    if option.none:
        return not limits.answerable
    lines = {line for line, _ in option.ids}
    where: Sequence[int] = range(len(window.lines))
    if limits.segments is not None:
        where = limits.segments
    elif limits.allowed is not None:
        where = sorted(limits.allowed)
    text = option.text
    return (
        lines <= {window.lines[s] for s in where}
        and text.strip().lower() not in limits.wrong
        and _spans(text, limits)
    )


def _spans(text: str, limits: DecodingConstraints) -> bool:
    """Whether the text is mostly of the type that a correction asks for."""
    if limits.spans is None:
        return True
    return any(stop - start >= 0.8 * len(text.strip()) for start, stop in limits.spans(text))


def _decided(decoded: Decoded, option: Option, index: PageIndex, window: Window) -> Decoded:
    if option.none:
        if decoded.answer is None:
            return decoded
        return replace(
            decoded,
            segments=(),
            formation=AnswerFormation("none", ""),
            answer=None,
            words=(),
            answer_outside_area=False,
        )
    if option.ids == frozenset(decoded.words):
        return replace(decoded, answer=_bare(_with_signs(decoded.answer or "", option.text)))
    segments = {line: segment for segment, line in enumerate(window.lines)}
    lines = sorted({line for line, _ in option.ids})
    key = text_of(option.key).strip(" :")
    analysis = decoded.analysis
    if key and key != analysis.key:
        analysis = QuestionAnalysis("key-value", "extraction", key)
    return replace(
        decoded, analysis=analysis, segments=tuple(segments[line] for line in lines),
        formation=_formation(option, index),
        answer=_bare(option.text), words=tuple(word.id for word in option.words),
        answer_outside_area=False,
    )  # fmt: skip


def _with_signs(answer: str, whole: str) -> str:
    """The model may copy a part of a word ("25/12/2018" of "DATE:25/12/2018"), never one without its sign
    ("70.00-") or its currency ("RM51.30").
    """
    before, found, after = whole.partition(answer)
    kept = all(c in _SIGNS for c in before + after) or (CURRENCY.fullmatch(before) and not after)
    return whole if found and kept else answer


def _bare(answer: str) -> str:
    """Without a comma, the full stop of a sentence, or quotation marks around it. "Ltd." keeps its own."""
    answer = answer.rstrip(",;")
    if answer[:1] in _QUOTES and answer[-1:] in _QUOTES and not _QUOTES.intersection(answer[1:-1]):
        answer = answer[1:-1] or answer
    return answer[:-1] if _SENTENCE_END.search(answer) else answer


def _formation(option: Option, index: PageIndex) -> AnswerFormation:
    if option.key:
        return AnswerFormation(_RELATIONS.get(option.side, "inside"), text_of(option.key).strip(" :"))
    around = next(
        (
            run
            for run in index.sentences
            if option.ids <= {w.id for w in run} and len(run) > len(option.words)
        ),
        (),
    )
    return AnswerFormation("inside", text_of(around)[:_SHOWN])


def _signals(p: Array, best: int, rows: Array) -> dict[str, float]:
    """What the choice says of its own certainty."""
    second = float(np.sort(p)[-2]) if len(p) > 1 else 0.0
    told = {f"option_{name}": float(rows[best][NAMES.index(name)]) for name in _TOLD}
    return told | {
        "option_odds": _odds(float(p[best])), "option_margin": float(p[best]) - second,
        "option_none": float(p[0]),
        "option_same": float(rows[best][NAMES.index("model_same")]),
    }  # fmt: skip


def _odds(p: float) -> float:
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))
