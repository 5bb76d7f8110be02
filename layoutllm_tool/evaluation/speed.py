"""Measure a first and a further question on a page, and decoding, beside ``transformers.generate``.

Both sides run the same merged language model on the same text, in the dtype that is fastest on this CPU, one
after the other in processes of their own, so that each has its own peak of memory. Seconds are medians over
the repeats. Memory is the process's largest resident size, the interpreter and the libraries included. The
command is ``bench``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.evaluation.baseline import chat_ids
from layoutllm_tool.evaluation.timings import Generate, Ours, Report
from layoutllm_tool.registry import resolve

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from layoutllm_tool.model.choosing import Chooser
    from layoutllm_tool.model.decoding import CoTDecoder, ReadWindow
    from layoutllm_tool.model.grammar import Decoded

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
    import multiprocessing

    import torch

    from layoutllm_tool.model.numerics import cpu

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
    from layoutllm_tool.ocr import ReadingCache, recognise_page

    return _timed(lambda: recognise_page(page, cache=ReadingCache()), min(repeats, 3))


# -- our side -----------------------------------------------------------------------------------------------------------


def _ours(page: Page, weights: Path | None, new_tokens: int, repeats: int) -> Ours:
    from layoutllm_tool.model.choosing import Chooser
    from layoutllm_tool.model.decoding import CoTDecoder
    from layoutllm_tool.model.weights import load_weights

    begun = time.perf_counter()
    decoder, chooser = CoTDecoder(*load_weights(weights)), Chooser.load()
    load = time.perf_counter() - begun
    return measure_ours(decoder, page, new_tokens, repeats, load=load, chooser=chooser)


def measure_ours(
    decoder: CoTDecoder,
    page: Page,
    new_tokens: int,
    repeats: int,
    *,
    load: float = 0.0,
    chooser: Chooser | None = None,
) -> Ours:
    """Measure in this process. With a ``chooser``, reading and asking include its part."""
    from layoutllm_tool.model.grammar import Constraints

    questions, processor = QUESTIONS, decoder.processor
    windows = processor.windows(page)
    index = chooser.index(page) if chooser else None

    def read() -> list[ReadWindow]:
        nonlocal index
        index = chooser.index(page) if chooser else None
        return [decoder.read(window) for window in windows]

    def ask(known: Sequence[ReadWindow], question: str) -> int:
        tokens = 0
        for window in known:
            (decoded,) = decoder.decode(window, [(question, Constraints())])
            tokens += decoded.tokens
            if chooser and index:
                chooser.choose(index, question, decoded, window.window, Constraints())
        return tokens

    def again(known: ReadWindow, before: Decoded) -> Decoded:
        kept = Constraints(analysis=before.analysis, segments=before.segments)
        return decoder.decode(known, [(questions[0], kept)])[0]

    ask(read(), questions[0])  # warms up
    prefill, known = _timed(read, repeats)
    first, _ = _timed(lambda: ask(read(), questions[0]), repeats)
    further = [_timed(partial(ask, known, question), repeats) for question in questions[1:]]
    seconds, tokens = sum(took for took, _ in further), sum(count for _, count in further)
    asked = sum(len(processor.question_ids(question)) * len(windows) for question in questions[1:])
    chains = [(window, decoder.decode(window, [(questions[0], Constraints())])[0]) for window in known]
    window, chain = next(((w, c) for w, c in chains if c.segments), chains[0])
    retry, revised = _timed(lambda: again(window, chain), repeats)
    question = len(processor.question_ids(questions[0]))
    return Ours(
        load=load,
        recognition=None,
        read=prefill,
        first=first,
        further=median(took for took, _ in further),
        retry=retry,
        fed=len(window.window.prompt) + question + chain.tokens,
        retry_fed=question + revised.tokens,
        decoded=_chosen(chain),
        retry_decoded=_chosen(revised),
        answer_tokens=tokens,
        chain_rate=(tokens + asked) / seconds,
        step_rate=step_rate(decoder, known[0], 1, new_tokens, repeats),
        step_rate_8=step_rate(decoder, known[0], 8, new_tokens, repeats),
        page_tokens=sum(len(window.prompt) for window in windows),
        windows=len(windows),
        memory=peak_memory(),
        numerics=decoder.engine.numerics.value,
    )


def _chosen(decoded: Decoded) -> int:
    """Tokens and segments that the model chose; what is forced or read is none of them."""
    return sum(map(len, decoded.logprobs.values()))


def step_rate(decoder: CoTDecoder, read: ReadWindow, rows: int, new_tokens: int, repeats: int) -> float:
    """Tokens a second of bare decoding behind a page."""
    import torch

    start = torch.tensor(decoder.processor.question_ids(QUESTIONS[0])[-1:]).expand(rows, 1)
    seconds, _ = _timed(lambda: greedy(decoder, read, start, new_tokens), repeats)
    return rows * new_tokens / seconds


def greedy(decoder: CoTDecoder, read: ReadWindow, ids: Tensor, new_tokens: int) -> Tensor:
    """Greedy decoding behind a page, step by step as generate does it: (B, 1) -> (B, new_tokens)."""
    import torch

    engine, tokens = decoder.engine, []
    with torch.inference_mode():
        tail = engine.new_tail(len(ids), new_tokens + 1)
        for _ in range(new_tokens):
            hidden = engine.step(decoder.model.embed(ids, None, None), read.cache, tail, [1] * len(ids))
            ids = engine.logits(hidden[:, -1]).argmax(-1, keepdim=True)
            tokens.append(ids)
    return torch.cat(tokens, dim=1)


# -- generate's side ----------------------------------------------------------------------------------------------------


def _generate(page: Page, weights: Path | None, new_tokens: int, repeats: int, dtype: str) -> Generate:
    import torch

    from layoutllm_tool.model.weights import load_weights

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
    import torch

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


# -- measuring ----------------------------------------------------------------------------------------------------------


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
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
