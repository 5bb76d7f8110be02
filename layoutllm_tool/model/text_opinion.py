"""What the text model (``text_model``) thinks of a question's options, where the choice is in doubt.

It is asked about the likeliest options together, in one pass behind the page's keys and values, and writes an
answer of its own. Each option's log-probability and whether it is that answer are weighed with the fusion
head's probability.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import cachetools
import numpy as np

from layoutllm_tool.documents.page_layout import PageLayout, Run
from layoutllm_tool.documents.search import find, letters, words_holding
from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.model.llama_engine import PrefixCache
from layoutllm_tool.model.options import Option
from layoutllm_tool.model.page_index import Array, PageIndex, text_of
from layoutllm_tool.model.text_model import Reply, TextModel, text_model_folder

_log = logging.getLogger(__name__)
SURE, SURE_OF_KEY = 0.9, 0.4
"""Probability of the likeliest option from which on the text model is not asked; where the page prints the
key that the question names, geometry is the better judge.
"""
ASKED = 8
"""Options that it is asked about."""
_NEARLY = 0.85
"""Likeness of the page's words to its answer from which on they are taken for it."""
_LEAST = -8.0
"""Lower bound of what the confidence sees: a few outcomes at -40 would distort the logistic."""
_PAGES = 8
"""Pages whose keys and values are kept: some 13 MB each."""
HEAD, LIKELY, OWN, NONE = 0.5, 0.5, 2.0, -3.0
"""Weights of the fusion head's log-probability, of the text model's, of being its own answer, and of "none":
both judges learned from pages that were asked for absent things more often than people ask for them.
"""


@dataclass(frozen=True, slots=True)
class Opinion:
    """``logprobs`` by an option's text, "" for none; ``own`` is where its answer stands on the page, () where
    it gives none or that is not on the page. ``part`` is its answer where that is a part of these words.
    """

    logprobs: dict[str, float]
    own: Run
    answer: str | None
    logprob: float
    part: str = ""

    @classmethod
    def of(cls, reply: Reply, texts: Sequence[str], layout: PageLayout) -> Opinion:
        scores = dict(zip(("", *texts), reply.options, strict=True))
        own, part = _place(layout, reply.answer) if reply.answer else ((), "")
        if own:
            scores[text_of(own)] = reply.logprob
        return cls(scores, own, reply.answer, reply.logprob, part)

    def joined(self, every: list[Option]) -> list[Option]:
        """The options, and its own answer among them."""
        known = not self.own or any(text_of(option.words) == text_of(self.own) for option in every)
        return every if known else [*every, Option(self.own)]

    def weighed(self, p: Array, every: Sequence[Option]) -> Array:
        """The fusion head's probabilities (O) and its own. Options that it was not asked about count as
        little as the least likely one.
        """
        least = min(self.logprobs.values())
        own = "" if self.answer is None else text_of(self.own)
        score = np.array([
            HEAD * np.log(max(float(chance), 1e-6)) + LIKELY * self.logprobs.get(text_of(option.words), least)
            + OWN * self._is_own(option, own)
            + NONE * option.none
            for option, chance in zip(every, p, strict=True)
        ])  # fmt: skip
        shares = np.exp(score - score.max())
        found: Array = (shares / shares.sum()).astype(np.float32)
        return found

    def _is_own(self, option: Option, own: str) -> bool:
        return self.answer is None if option.none else bool(own) and text_of(option.words) == own

    def signals(self, option: Option) -> dict[str, float]:
        """What the confidence sees of it, for the option that was chosen."""
        own = "" if self.answer is None else text_of(self.own)
        found = self.logprobs.get(text_of(option.words), min(self.logprobs.values()))
        return {
            "text_asked": 1.0,
            "text_agrees": float(self._is_own(option, own)),
            "text_logprob": max(found, _LEAST),
            "text_lead": max(found - self.logprob, _LEAST),
        }


def _place(layout: PageLayout, answer: str) -> tuple[Run, str]:
    """The words that say the answer, and the answer where it is a part of them."""
    matches = find(layout, answer)
    if not matches or matches[0].score < 1.0:
        holding = words_holding(layout, answer)
        if holding:
            return holding, answer
        return (matches[0].words, "") if matches and matches[0].score >= _NEARLY else ((), "")
    whole = text_of(matches[0].words)
    more = answer in whole and len(letters(whole)) > len(letters(answer))
    return matches[0].words, answer if more else ""


@dataclass
class TextOpinion:
    """Loads the text model at the first question that needs it. Where it can't be had, a logged line says
    so, once, and the choice stands without it. Not thread-safe.
    """

    model: TextModel | None = None
    missing: bool = False
    _read: cachetools.LRUCache[int, tuple[PageIndex, PrefixCache]] = field(
        default_factory=lambda: cachetools.LRUCache(_PAGES)
    )

    def ask(self, index: PageIndex, question: str, every: Sequence[Option], p: Array) -> Opinion | None:
        """None where it can't be asked."""
        model = self._loaded()
        if model is None:
            return None
        ranked = [text_of(every[i].words) for i in np.argsort(-p, kind="stable") if not every[i].none]
        texts = list(dict.fromkeys(ranked))[:ASKED]
        reply = model.ask(self._page(model, index), question, texts)
        return Opinion.of(reply, texts, index.layout)

    def _loaded(self) -> TextModel | None:
        if self.model is None and not self.missing:
            try:
                self.model = TextModel(text_model_folder())
            except WeightsNotFound as error:
                self.missing = True
                _log.warning("questions in other words than the page's are understood less well: %s", error)
        return self.model

    def _page(self, model: TextModel, index: PageIndex) -> PrefixCache:
        known = self._read.get(id(index))
        if known is None or known[0] is not index:
            known = self._read[id(index)] = (index, model.read(index.text))
        return known[1]
