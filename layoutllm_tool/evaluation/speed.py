"""Measure a first and a further question on a page, and decoding, beside ``transformers.generate``.

Both sides run the same merged language model on the same text, in the dtype that is fastest on this CPU, one
after the other in processes of their own, so that each has its own peak of memory. Seconds are medians over
the repeats. Memory is the process's largest resident size, the interpreter and the libraries included. The
command is ``bench``.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import PreTrainedModel

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.evaluation.baseline import chat_ids
from layoutllm_tool.evaluation.timings import Generate, Ours, Report
from layoutllm_tool.model.choosing import Chooser
from layoutllm_tool.model.decoding import CoTDecoder, ReadWindow
from layoutllm_tool.model.grammar import Decoded, DecodingConstraints
from layoutllm_tool.model.numerics import cpu
from layoutllm_tool.model.page_index import PageIndex
from layoutllm_tool.model.weights import load_weights
from layoutllm_tool.ocr import ReadingCache, recognise_page
from layoutllm_tool.registry import resolve

QUESTIONS = (
    "What is the total?",
    "What is the date?",
    'What is the "company" in the given document?',
    "Which address is given?",
    "What is the invoice number?",
)
DTYPES = ("bfloat16", "float32")
"""In which generate is tried."""


def measure(page: Page, *, weights: Path | None = None, new_tokens: int = 64, repeats: int = 5) -> Report:
    """Measure both sides on one page, and recognition where its text is unknown. ModelError, OCRError."""
    seconds, page = _recognised(page, repeats)
    context, folder = multiprocessing.get_context("spawn"), resolve(weights)

    def apart(work: Callable[..., Any], *more: str) -> Any:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(work, page, folder, new_tokens, repeats, *more).result()

    ours: Ours = apart(_ours)
    generate = fastest([apart(_generate, dtype) for dtype in DTYPES])
    ours, threads = replace(ours, recognition=seconds), torch.get_num_threads()
    return Report(ours, generate, new_tokens, repeats, threads, cpu())


def fastest(sides: Sequence[Generate]) -> Generate:
    """The one whose whole call is fastest."""
    return min(sides, key=lambda side: side.first)


def _recognised(page: Page, repeats: int) -> tuple[float | None, Page]:
    """Recognise the page without a cache."""
    if page.lines is not None:
        return None, page
    return _timed(lambda: recognise_page(page, cache=ReadingCache()), min(repeats, 3))


# -- our side ------------------------------------------------------------------------------------------------


def _ours(page: Page, weights: Path | None, new_tokens: int, repeats: int) -> Ours:
    begun = time.perf_counter()
    decoder, chooser = CoTDecoder(*load_weights(weights)), Chooser.load()
    load = time.perf_counter() - begun
    return measure_ours(decoder, page, new_tokens, repeats, load=load, chooser=chooser)


class _Reading:
    """A page to read and ask, window by window. With a chooser, reading and asking include its part."""

    def __init__(self, decoder: CoTDecoder, page: Page, chooser: Chooser | None) -> None:
        self.decoder, self.page, self.chooser = decoder, page, chooser
        self.windows = decoder.processor.windows(page)
        self.index: PageIndex | None = None

    def read(self) -> list[ReadWindow]:
        self.index = self.chooser.index(self.page) if self.chooser else None
        return [self.decoder.read(window) for window in self.windows]

    def ask(self, known: Sequence[ReadWindow], question: str) -> int:
        """Tokens of the chains."""
        tokens = 0
        for window in known:
            decoded = self.decode(window, question)
            tokens += decoded.tokens
            if self.chooser and self.index:
                self.chooser.choose(self.index, question, decoded, window.window, DecodingConstraints())
        return tokens

    def decode(self, window: ReadWindow, question: str, before: Decoded | None = None) -> Decoded:
        """Decode step 3 alone with ``before``, whose first steps are kept."""
        kept = (
            DecodingConstraints(analysis=before.analysis, segments=before.segments)
            if before
            else DecodingConstraints()
        )
        return self.decoder.decode(window, [(question, kept)])[0]


def measure_ours(
    decoder: CoTDecoder,
    page: Page,
    new_tokens: int,
    repeats: int,
    *,
    load: float = 0.0,
    chooser: Chooser | None = None,
) -> Ours:
    """Measure in this process."""
    start, *others = QUESTIONS
    reading, ids = _Reading(decoder, page, chooser), decoder.processor.question_ids
    reading.ask(reading.read(), start)  # warms up
    prefill, known = _timed(reading.read, repeats)
    first, _ = _timed(lambda: reading.ask(reading.read(), start), repeats)
    further = [_timed(partial(reading.ask, known, question), repeats) for question in others]
    tokens = sum(count for _, count in further)
    asked = sum(len(ids(question)) * len(known) for question in others)
    chains = [(window, reading.decode(window, start)) for window in known]
    window, chain = next(((w, c) for w, c in chains if c.segments), chains[0])
    retry, revised = _timed(lambda: reading.decode(window, start, chain), repeats)
    return Ours(
        load=load,
        recognition=None,
        read=prefill,
        first=first,
        further=median(took for took, _ in further),
        retry=retry,
        fed=len(window.window.prompt) + len(ids(start)) + chain.tokens,
        retry_fed=len(ids(start)) + revised.tokens,
        decoded=_chosen(chain),
        retry_decoded=_chosen(revised),
        answer_tokens=tokens,
        chain_rate=(tokens + asked) / sum(took for took, _ in further),
        step_rate=step_rate(decoder, known[0], 1, new_tokens, repeats),
        step_rate_8=step_rate(decoder, known[0], 8, new_tokens, repeats),
        page_tokens=sum(len(window.prompt) for window in reading.windows),
        windows=len(known),
        memory=peak_memory(),
        numerics=decoder.engine.numerics.value,
    )


def _chosen(decoded: Decoded) -> int:
    """Tokens and segments that the model chose; what is forced or read is none of them."""
    return sum(map(len, decoded.logprobs.values()))


def step_rate(decoder: CoTDecoder, read: ReadWindow, rows: int, new_tokens: int, repeats: int) -> float:
    """Tokens a second of bare decoding behind a page."""
    start = torch.tensor(decoder.processor.question_ids(QUESTIONS[0])[-1:]).expand(rows, 1)
    seconds, _ = _timed(lambda: greedy(decoder, read, start, new_tokens), repeats)
    return rows * new_tokens / seconds


def greedy(decoder: CoTDecoder, read: ReadWindow, ids: torch.Tensor, new_tokens: int) -> torch.Tensor:
    """Greedy decoding behind a page, step by step as generate does it: (B, 1) -> (B, new_tokens)."""
    engine, tokens = decoder.engine, []
    with torch.inference_mode():
        suffix = engine.new_suffix(len(ids), new_tokens + 1)
        for _ in range(new_tokens):
            hidden = engine.step(decoder.model.embed(ids, None, None), read.cache, suffix, [1] * len(ids))
            ids = engine.logits(hidden[:, -1]).argmax(-1, keepdim=True)
            tokens.append(ids)
    return torch.cat(tokens, dim=1)


# -- generate's side -----------------------------------------------------------------------------------------


def _generate(page: Page, weights: Path | None, new_tokens: int, repeats: int, dtype: str) -> Generate:
    begun = time.perf_counter()
    model, processor = load_weights(weights)
    language_model, tokenizer = model.language_model.to(getattr(torch, dtype)), processor.tokenizer
    del model, processor
    load = time.perf_counter() - begun
    ids = chat_ids(tokenizer, page.text, QUESTIONS[0])
    return measure_generate(language_model, ids, tokenizer.eos_token_id, new_tokens, repeats, load=load)


def measure_generate(
    model: PreTrainedModel, prompt: list[int], pad: int, new_tokens: int, repeats: int, *, load: float = 0.0
) -> Generate:
    """Measure in this process: exactly ``new_tokens`` tokens (at least two), greedy."""
    ids = torch.tensor([prompt])

    def say(count: int) -> None:
        model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=count,
            max_new_tokens=count, pad_token_id=pad,
        )  # fmt: skip

    with torch.inference_mode():
        say(2)  # warms up
        prefill, _ = _timed(lambda: say(1), repeats)
        first, _ = _timed(lambda: say(new_tokens), repeats)
    return Generate(
        load=load, prefill=prefill, first=first, rate=(new_tokens - 1) / max(first - prefill, 1e-9),
        prompt_tokens=ids.shape[1], memory=peak_memory(), dtype=str(model.dtype).removeprefix("torch."),
    )  # fmt: skip


# -- measuring -----------------------------------------------------------------------------------------------


def _timed(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median of the seconds, and the last result."""
    seconds, result = [], None
    for _ in range(max(repeats, 1)):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return median(seconds), result


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
