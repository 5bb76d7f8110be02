"""One question being decoded: the three steps, each held to what it may say.

Step 1 begins with one of the known kinds and names its key freely; step 2 points at segments that exist (in
the paper's shape it writes boxes of existing lines); step 3 names a known relation, then the answer is
copied from the area, character by character, unless step 1 said "reasoning". Corrections force or restrict
a step; what comes before it is read, not decoded.

Over 300 lines: one state machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from layoutllm_tool.cot import AnswerFormation, QuestionAnalysis
from layoutllm_tool.documents.geometry import Line
from layoutllm_tool.documents.spatial import contains
from layoutllm_tool.model.answering import Answering
from layoutllm_tool.model.grammar import Decoded, DecodingConstraints, Grammar, Stage, Trie
from layoutllm_tool.model.processing import Window
from layoutllm_tool.model.prompt import (
    END_AREA,
    NONE_AREA,
    read_analysis,
    read_formation,
    write_analysis,
    write_box,
)

KEY_TOKENS, FREE_TOKENS, COPY_TOKENS, AREA_SEGMENTS = 32, 64, 256, 32
"""Most tokens of a key, of a formed and of a copied answer, and most segments of an area."""


class DecodingState:
    """One question on one window: ``pending`` tokens are fed, ``advance`` takes the scores behind the last
    of them.
    """

    def __init__(
        self, grammar: Grammar, window: Window, question: str, constraints: DecodingConstraints
    ) -> None:
        self.grammar, self.window, self.question, self.limits = grammar, window, question, constraints
        self.pending: list[int] = list(grammar.processor.question_ids(question))
        self.stage = Stage.ANALYSIS_HEAD
        self.node = grammar.analysis
        self.text: list[int] = []
        self.area: list[int] = []
        self.logprobs: dict[str, list[float]] = {"analysis": [], "area": [], "formation": [], "answer": []}
        self.none_logprob = -math.inf
        self.segment_logprobs: tuple[float, ...] = ()
        self.analysis: QuestionAnalysis | None = None
        self.formation = AnswerFormation("none", "")
        self.answering: Answering | None = None
        self.answer: str | None = None
        self.words: tuple[tuple[int, int], ...] = ()
        self.fed = 0
        if constraints.analysis:
            self.pending += grammar.processor.text_ids(write_analysis(constraints.analysis))
            self._analysed(constraints.analysis)

    @property
    def done(self) -> bool:
        return self.stage is Stage.DONE

    @property
    def lines(self) -> list[Line]:
        """The page's line that each segment of the window is, or is a piece of."""
        page = self.window.page.lines or ()
        return [page[line] for line in self.window.lines]

    def accept_draft(self, draft: Sequence[int]) -> int:
        """Take from ``pending`` what was fed already as a draft of it: how many tokens that was."""
        right = 0
        while self.pending and right < len(draft) and self.pending[0] == draft[right]:
            self.pending.pop(0)
            right += 1
        return right

    def feed(self, token: int) -> None:
        self.pending.append(token)
        self.fed += 1

    # -- stages ----------------------------------------------------------------------------------------------

    def advance(self, head: Callable[[], Tensor], pointer: Callable[[], Tensor]) -> None:
        """The next token or tokens into ``pending``, or DONE.

        Behind everything fed so far, ``head`` gives log-probabilities over the vocabulary, ``pointer``
        scores of none, end and the window's segments.
        """
        match self.stage:
            case Stage.ANALYSIS_HEAD | Stage.FORMATION_HEAD:
                self._walk(head())
            case Stage.ANALYSIS_KEY | Stage.FORMATION_KEY:
                self._spell_key(head())
            case Stage.AREA if self.grammar.segments:
                self._point(pointer())
            case Stage.AREA:
                self._write_area(head())
            case Stage.COPY:
                self._copy_on(head())
            case Stage.FREE:
                self._form(head())
            case Stage.DONE:
                raise RuntimeError("the row is done")

    def _record(self, step: str, logprob: Tensor) -> None:
        self.logprobs[step].append(float(logprob))

    def _walk(self, scores: Tensor) -> None:
        """Along the trie of heads: one choice, then everything that follows from it."""
        step = "analysis" if self.stage is Stage.ANALYSIS_HEAD else "formation"
        options = torch.tensor(list(self.node.children))
        token = int(options[scores[options].argmax()])
        self._record(step, scores[token])
        self._take(token)
        while len(self.node.children) == 1 and self.node.leaf is None:
            self._take(next(iter(self.node.children)))
        if self.node.leaf is not None:
            self.stage = Stage.ANALYSIS_KEY if self.stage is Stage.ANALYSIS_HEAD else Stage.FORMATION_KEY

    def _take(self, token: int) -> None:
        self.text.append(token)
        self.node = self.node.children[token]
        self.feed(token)

    def _spell_key(self, scores: Tensor) -> None:
        """Free text up to the end of the line."""
        step = "analysis" if self.stage is Stage.ANALYSIS_KEY else "formation"
        scores = scores.index_fill(0, self.grammar.never, -torch.inf)
        scores[self.grammar.end] = -torch.inf
        token = self.grammar.newline if len(self.text) >= KEY_TOKENS else int(scores.argmax())
        self._record(step, scores[token])
        self.feed(token)
        if token not in self.grammar.line_ends:
            self.text.append(token)
            return
        line = self.decode_bytes(self.text)
        self.text = []
        if step == "analysis":
            self._analysed(read_analysis(line))
        else:
            self.formation = read_formation(line)
            self._begin_answer()

    def decode_bytes(self, tokens: Sequence[int]) -> str:
        return b"".join(self.grammar.token_bytes.by_id[t] for t in tokens).decode(errors="replace")

    def _analysed(self, analysis: QuestionAnalysis) -> None:
        self.analysis = analysis
        self.stage = Stage.AREA
        self.node = Trie() if self.grammar.segments else self._area_trie()
        if self.limits.segments is not None:
            for segment in self.limits.segments:
                self._write_segment(segment)
            self._end_area()

    # -- step 2 ----------------------------------------------------------------------------------------------

    def _open_segments(self) -> list[int]:
        every = range(len(self.window.lines))
        free = every if self.limits.allowed is None else sorted(self.limits.allowed)
        return [s for s in free if s not in self.area]

    def _point(self, scores: Tensor) -> None:
        """One segment, "none" (first only) or "end" (not first)."""
        scores = scores.clone()
        scores[0] += self.grammar.no_answer_bias + (
            self.grammar.key_present_bias if self._key_is_named() else 0.0
        )
        scores = scores.log_softmax(-1)
        if not self.area:
            self.none_logprob = float(scores[0])
            self.segment_logprobs = tuple(scores[2:].tolist())
        options = [2 + s for s in self._open_segments()]
        silent = (
            bool(options)
            and not self.area
            and not self.limits.answerable
            and self._is_silent(scores, options)
        )
        if self.area or not options:
            options.append(1)
        if silent:
            options = [0]
        if len(self.area) >= AREA_SEGMENTS:
            options = [1]
        choice = options[int(scores[torch.tensor(options)].argmax())]
        self._record("area", scores[choice])
        if choice == 0 or (choice == 1 and not self.area):
            self.stage = Stage.DONE
        elif choice == 1:
            self._end_area()
        else:
            self._write_segment(choice - 2)

    @staticmethod
    def _is_silent(scores: Tensor, segments: list[int]) -> bool:
        """Whether it is likelier that the page does not answer than that it does: "none" against all
        segments together, among which an answer's probability is divided (its key's line or its own may
        come first).
        """
        return bool(scores[0] > scores[torch.tensor(segments)].logsumexp(-1))

    def _key_is_named(self) -> bool:
        """Whether a line of the window names what step 1 looks for: then an answer is likelier, though not
        certain.
        """
        return self.analysis is not None and any(
            contains(line.text, self.analysis.key) for line in self.lines
        )

    def _write_segment(self, segment: int) -> None:
        self.area.append(segment)
        if self.grammar.segments:
            self.feed(self.grammar.end_area + 1 + segment)
        else:
            for token in self._box_ids(segment):
                self.feed(token)

    def _end_area(self) -> None:
        if self.grammar.segments:
            self.feed(self.grammar.end_area)
        else:
            for token in self.grammar.processor.text_ids(f"{END_AREA}\n"):
                self.feed(token)
        self.stage, self.node, self.text = Stage.FORMATION_HEAD, self.grammar.formation, []

    def _box_ids(self, segment: int) -> tuple[int, ...]:
        return self.grammar.processor.text_ids(f"{write_box(self.lines[segment].box.as_list())}\n")

    def _area_trie(self) -> Trie:
        """The paper's shape: boxes of lines not yet named, then "end"; "none" where nothing was named."""
        self._choices = self._open_segments()
        sequences = [self._box_ids(s) for s in self._choices]
        if not self.area and not self.limits.answerable:
            sequences.append(self.grammar.processor.text_ids(f"{NONE_AREA}\n"))
        elif self.area or not sequences:
            sequences.append(self.grammar.processor.text_ids(f"{END_AREA}\n"))
        return Trie.of(sequences)

    def _write_area(self, scores: Tensor) -> None:
        options = torch.tensor(list(self.node.children))
        token = int(options[scores[options].argmax()])
        self._record("area", scores[token])
        self.node = self.node.children[token]
        self.feed(token)
        while len(self.node.children) == 1 and self.node.leaf is None:
            token, self.node = next(iter(self.node.children.items()))
            self.feed(token)
        if self.node.leaf is None:
            return
        if self.node.leaf < len(self._choices):
            self.area.append(self._choices[self.node.leaf])
            self.node = self._area_trie()
        elif self.area:
            self.stage, self.node, self.text = Stage.FORMATION_HEAD, self.grammar.formation, []
        else:
            self.stage = Stage.DONE

    # -- step 3 ----------------------------------------------------------------------------------------------

    def _begin_answer(self) -> None:
        if self.analysis and self.analysis.operation == "reasoning":
            self.stage = Stage.FREE
            return
        self.answering = Answering(self.grammar, self.window, self.area, self.limits)
        self.stage = Stage.COPY

    def _copy_on(self, scores: Tensor) -> None:
        assert self.answering is not None
        options = self.answering.options(scores)
        if not options or len(self.logprobs["answer"]) >= COPY_TOKENS:
            self._finish_copy(self.answering)
            return
        token = options[int(scores[torch.tensor(options)].argmax())]
        self._record("answer", scores[token])
        if token == self.grammar.end:
            self._finish_copy(self.answering)
            return
        self.answering.take(token)
        self.feed(token)

    def _finish_copy(self, answering: Answering) -> None:
        self.stage = Stage.DONE
        if (outcome := answering.outcome()) is not None:
            self.answer, self.words, more = outcome
            self.area += more

    def _form(self, scores: Tensor) -> None:
        scores = scores.index_fill(0, self.grammar.never, -torch.inf)
        scores[list(self.grammar.line_ends)] = -torch.inf
        token = int(scores.argmax())
        self._record("answer", scores[token])
        if token == self.grammar.end or len(self.text) >= FREE_TOKENS:
            self.answer = self.decode_bytes(self.text).strip() or None
            self.stage = Stage.DONE
        else:
            self.text.append(token)
            self.feed(token)

    def result(self) -> Decoded:
        assert self.analysis is not None
        answer_outside_area = self.answering is not None and self.answering.answer_outside_area
        return Decoded(
            analysis=self.analysis, segments=tuple(self.area), formation=self.formation, answer=self.answer,
            words=self.words, logprobs=self.logprobs, answer_outside_area=answer_outside_area,
            none_logprob=self.none_logprob, tokens=self.fed,
            segment_logprobs=self.segment_logprobs,
        )  # fmt: skip
