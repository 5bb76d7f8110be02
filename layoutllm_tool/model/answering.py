"""Step 3's answer as it is copied from the area, token by token, and from elsewhere on the page where the
model insists.

What may be copied is ``copying``; here it meets the page (whose words is it?) and the model's scores.
Formed answers are in ``row``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from layoutllm_tool.model.copying import Copy
from layoutllm_tool.model.grammar import DecodingConstraints, Grammar
from layoutllm_tool.model.processing import Window

UNLIKELY, LIKELY = 0.1, 0.5
"""Below the first, nothing in the area is what the model wants to say; above the second, something else on
the page is.
"""


class Answering:
    """A copy in progress: ``options`` says what may come next, ``take`` goes on, ``outcome`` ends it."""

    def __init__(
        self, grammar: Grammar, window: Window, area: Sequence[int], limits: DecodingConstraints
    ) -> None:
        self.grammar, self.window, self.area, self.limits = grammar, window, tuple(area), limits
        self.source = self._words_of(area)
        source = self._joined(self.source)
        spans = limits.spans(source) if limits.spans else []
        self.copy = Copy.of(source, spans or None, limits.wrong)
        self.answer_outside_area = False
        self._allowed: dict[int, tuple[int, ...]] = {}

    def options(self, scores: Tensor) -> list[int]:
        """Tokens that may come next, the end among them where it may; [] where nothing may. ``scores`` are
        log-probabilities.
        """
        self._allowed, found = self._copy_options(self.copy)
        if self._may_widen and (not found or float(scores[torch.tensor(found)].max()) < math.log(UNLIKELY)):
            return self._outside_area(scores, found)
        return found

    def take(self, token: int) -> None:
        self.copy = self.copy.after(token, self.grammar.token_bytes, self._allowed)

    def outcome(self) -> tuple[str, tuple[tuple[int, int], ...], tuple[int, ...]] | None:
        """(answer, its (line, word)s, segments to add to the area). None: nothing else stands there, and no
        answer is better than one that is known to be wrong.
        """
        if self.copy.empty or self.copy.string.lower() in self.copy.wrong:
            return None
        words = self._copied()
        lines = {line for line, _ in words} if self.answer_outside_area else set()
        more = tuple(s for s, line in enumerate(self.window.lines) if line in lines and s not in self.area)
        return self.copy.string, words, more

    def _copied(self) -> tuple[tuple[int, int], ...]:
        """The words that the copy touches."""
        start, stop = self.copy.span()
        at, words = 0, []
        for word in self.source:
            end = at + len(self._text_of(word))
            if at < stop and start < end:
                words.append(word)
            at = end + 1
        return tuple(words)

    def _copy_options(self, copy: Copy) -> tuple[dict[int, tuple[int, ...]], list[int]]:
        allowed = copy.allowed(self.grammar.token_bytes)
        return allowed, [*allowed, self.grammar.end] if copy.may_end() else list(allowed)

    @property
    def _may_widen(self) -> bool:
        """Nobody said where to look, and the answer has not left the area yet."""
        limits = self.limits
        return (
            limits.segments is None
            and limits.allowed is None
            and limits.spans is None
            and not self.answer_outside_area
        )

    def _outside_area(self, scores: Tensor, options: list[int]) -> list[int]:
        """The model wants nothing that stands in its area: where it wants something else on the page, the
        answer comes from there, and the area grows by the answer's lines. Steps 2 and 3 then disagree, and
        the confidence knows (``answer_outside_area``).
        """
        everywhere = self._words_of(range(len(self.window.lines)))
        copy = self.copy.elsewhere(self._joined(everywhere))
        allowed, choices = self._copy_options(copy)
        if not choices or float(scores[torch.tensor(choices)].max()) < math.log(LIKELY):
            return options
        self.copy, self.source, self.answer_outside_area, self._allowed = copy, everywhere, True, allowed
        return choices

    # -- the page's words ------------------------------------------------------------------------------------

    def _words_of(self, segments: Iterable[int]) -> list[tuple[int, int]]:
        """(line, word) of everything in these segments in reading order; a line in two pieces comes once."""
        lines = sorted({self.window.lines[s] for s in segments})
        page = self.window.page.lines or ()
        return [(line, word) for line in lines for word in range(len(page[line].words))]

    def _joined(self, words: Iterable[tuple[int, int]]) -> str:
        return " ".join(self._text_of(word) for word in words)

    def _text_of(self, word: tuple[int, int]) -> str:
        return (self.window.page.lines or ())[word[0]].words[word[1]].text
