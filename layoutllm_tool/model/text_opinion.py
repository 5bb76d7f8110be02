"""What the text model (``text_model``) thinks of a question's options, where the choice is in doubt.

It is asked about the likeliest options together, in one pass behind the page's keys and values, and writes an
answer of its own. A linear model weighs each option's log-probability, and whether it is that answer, with
the fusion head's probability.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
SHIPPED = Path(__file__).parent.parent / "weights" / "text_opinion.json"
"""``FEATURES`` by name -> a weight for each of ``CIRCUMSTANCES``; fitted by training/text_opinion.py."""
FEATURES = ("head", "likely", "own", "none", "none_likely", "none_own")
"""Of an option: the fusion head's log-probability, the text model's, whether it is its own answer, whether it
is "none", and the products.
"""
CIRCUMSTANCES = ("always", "printed")
"""Of a question: whether the page prints the key that it names."""
SURE = 0.95
"""Probability of the likeliest option from which on the text model is not asked."""
ASKED = 8
"""Options that it is asked about."""
_NEARLY = 0.85
"""Likeness of the page's words to its answer from which on they are taken for it."""
_LEAST = -8.0
"""Lower bound of what the confidence sees: a few outcomes at -40 would distort the logistic."""
_NUMBER_ENDS, _GOES_ON = re.compile(r"\d[.,]?$"), re.compile(r"[.,]?\d")
_POINT = re.compile(r"\d[.,]$")
_PAGES = 8
"""Pages whose keys and values are kept: some 13 MB each."""
_LEAST_HEAD, _LEAST_TEXT = -7.0, -10.0
"""Lower bounds of the log-probabilities that are weighed."""


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

    def rows(self, p: Array, every: Sequence[Option]) -> Array:
        """``FEATURES`` of the options (O, F); ``p`` (O) is the fusion head's. Options that it was not asked
        about count as little as the least likely one.
        """
        least = min(self.logprobs.values())
        own = "" if self.answer is None else text_of(self.own)
        found = []
        for option, chance in zip(every, p, strict=True):
            likely = max(self.logprobs.get(text_of(option.words), least), _LEAST_TEXT)
            mine, none = float(self._is_own(option, own)), float(option.none)
            head = max(float(np.log(max(float(chance), 1e-6))), _LEAST_HEAD)
            found.append((head, likely, mine, none, none * likely, none * mine))
        return np.array(found, np.float32)

    def weighed(self, p: Array, every: Sequence[Option], weights: Array) -> Array:
        """The options' probabilities (O) by both; ``weights`` (F)."""
        score = self.rows(p, every) @ weights
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
    exact = matches[0].words if matches and matches[0].score == 1.0 else words_holding(layout, answer)
    if not exact:
        return (matches[0].words, "") if matches and matches[0].score >= _NEARLY else ((), "")
    whole = text_of(exact)
    part = answer in whole and len(letters(whole)) > len(letters(answer)) and not _cuts_number(whole, answer)
    return exact, answer if part else ""


def _cuts_number(whole: str, part: str) -> bool:
    """ "142." or "00" of "142.00"; a time and a date that were read as one are no number."""
    before, _, after = whole.partition(part)
    return bool(
        (_NUMBER_ENDS.search(part) and _GOES_ON.match(after)) or (_POINT.search(before) and part[0].isdigit())
    )


def load(path: Path) -> Array:
    """Weights (C, F) of a file like ``SHIPPED``."""
    known: dict[str, list[float]] = json.loads(path.read_text("utf-8"))
    return np.array([known[name] for name in FEATURES], np.float32).T


@dataclass
class TextOpinion:
    """Loads the text model at the first question that needs it. Where it can't be had, a logged line says
    so, once, and the choice stands without it. Not thread-safe.
    """

    model: TextModel | None = None
    missing: bool = False
    sure: float = SURE
    weights: Array = field(default_factory=lambda: load(SHIPPED))
    """(C, F): of ``CIRCUMSTANCES`` and ``FEATURES``."""
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
