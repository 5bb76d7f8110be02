"""What a first and a further question on a page cost, and how fast the lean engine decodes, beside
``transformers.generate`` on the same merged language model with the same text. The command is ``bench``.

Both sides run in the numbers that are fastest on this CPU, one after the other in processes of their own, so that each has its own peak of memory. Seconds are medians
over the repeats. Memory is the process's largest resident size, the interpreter and the libraries included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.evaluation.baseline import chat_ids
from layoutllm_tool.registry import resolve

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
FURTHER_SHARE, DECODE_RATIO, RETRY_SAVES = 1 / 3, 2.5, 3
"""The aims: a further question under a third of the first; our decoding at least so many times generate's speed; a corrected
step 2 so many times cheaper than asking again from nothing."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Seconds and rates of the lean side. A page of several windows is read and asked window by window."""

    load: float
    """Model and engine, once a process."""
    recognition: float | None
    """Text recognition of the page; None where its words were given."""
    read: float
    """Encoder and prefill of the page."""
    first: float
    """Reading the page and answering the first question, words known."""
    further: float
    """Each of the other questions on the page once it is read."""
    retry: float
    """Step 3 alone, after a correction of step 2: the page and what stands before the correction are kept."""
    fed: int
    """Tokens that go through the model for a first question: the page's, the question's, the chain's."""
    retry_fed: int
    """Tokens that go through it in such a retry: the question's and what stands before the correction are read, not chosen."""
    decoded: int
    """Of ``fed``, those that the model chose."""
    retry_decoded: int
    answer_tokens: int
    """Tokens that the further questions' chains were made of, all together."""
    chain_rate: float
    """Tokens a second while a chain is decoded, question and forced tokens included."""
    step_rate: float
    """Tokens a second of bare decoding, one row: an engine step and its logits a token."""
    step_rate_8: float
    """The same with eight rows at once, all rows' tokens counted."""
    page_tokens: int
    windows: int
    memory: int
    """Bytes."""
    numerics: str
    """In which numbers the language model's products are computed."""


@dataclass(frozen=True, slots=True)
class Generate:
    """The same of ``transformers.generate``."""

    load: float
    prefill: float
    """Up to the first token."""
    first: float
    """The whole call: there is no page to come back to, so every question costs this."""
    rate: float
    """Tokens a second after the first."""
    prompt_tokens: int
    memory: int
    dtype: str
    """Of bfloat16 and float32 the one in which the whole call is faster on this CPU."""


@dataclass(frozen=True, slots=True)
class Report:
    """Both sides and what follows from them."""

    ours: Ours
    generate: Generate
    new_tokens: int
    repeats: int
    threads: int
    cpu: str
    """Its name and abilities."""

    @property
    def further_share(self) -> float:
        return self.ours.further / self.ours.first

    @property
    def decode_ratio(self) -> float:
        return self.ours.step_rate / self.generate.rate

    @property
    def retry_saves(self) -> float:
        """How many times a retry of step 3 is cheaper than asking again from nothing: in seconds, or in tokens that go through the
        model, the lesser."""
        return min(self.ours.first / self.ours.retry, self.ours.fed / max(self.ours.retry_fed, 1))

    @property
    def first_with_recognition(self) -> float | None:
        return None if self.ours.recognition is None else self.ours.recognition + self.ours.first

    def to_json(self) -> dict[str, Any]:
        shares = {
            "further_share": self.further_share,
            "decode_ratio": self.decode_ratio,
            "retry_saves": self.retry_saves,
        }
        return asdict(self) | shares | {"first_with_recognition": self.first_with_recognition}


def measure(
    page: Page,
    *,
    weights: Path | None = None,
    new_tokens: int = 64,
    repeats: int = 5,
    questions: Sequence[str] = QUESTIONS,
) -> Report:
    """Both sides on one page. A page whose text is not known yet is recognised, and the time of that measured.

    Raises ModelError, OCRError. Works on the CPU; on two cores it takes about a minute.
    """
    import multiprocessing

    import torch

    from layoutllm_tool.model.numerics import cpu

    seconds, page = _recognised(page, repeats)
    request = _Request(page, resolve(weights), new_tokens, repeats, tuple(questions))
    context = multiprocessing.get_context("spawn")

    def apart(work: Callable[[_Request], Any]) -> Any:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(work, request).result()

    ours: Ours = apart(_ours)
    generate = fastest([apart(partial(_generate, dtype=dtype)) for dtype in DTYPES])
    return Report(replace(ours, recognition=seconds), generate, new_tokens, repeats, torch.get_num_threads(), cpu())


def fastest(sides: Sequence[Generate]) -> Generate:
    """The rival at its best: each dtype in a process of its own, the one whose whole call is fastest."""
    return min(sides, key=lambda side: side.first)


@dataclass(frozen=True, slots=True)
class _Request:
    page: Page
    weights: Path | None
    new_tokens: int
    repeats: int
    questions: tuple[str, ...]


def _recognised(page: Page, repeats: int) -> tuple[float | None, Page]:
    """Read by the real engine, nothing cached."""
    if page.lines is not None:
        return None, page
    from layoutllm_tool.ocr import ReadingCache, recognise_page

    return _timed(lambda: recognise_page(page, cache=ReadingCache()), min(repeats, 3))


# -- our side -----------------------------------------------------------------------------------------------------------


def _ours(request: _Request) -> Ours:
    from layoutllm_tool.model.choosing import Chooser
    from layoutllm_tool.model.decoding import CoTDecoder
    from layoutllm_tool.model.weights import load_weights

    begun = time.perf_counter()
    decoder, chooser = CoTDecoder(*load_weights(request.weights)), Chooser.load()
    load = time.perf_counter() - begun
    return measure_ours(
        decoder, request.page, request.questions, request.new_tokens, request.repeats, load=load, chooser=chooser
    )


def measure_ours(
    decoder: CoTDecoder,
    page: Page,
    questions: Sequence[str],
    new_tokens: int,
    repeats: int,
    *,
    load: float = 0.0,
    chooser: Chooser | None = None,
) -> Ours:
    """In this process. At least two questions: the first one's words are asked again with every repeat. With a ``chooser``, reading
    and asking include its part."""
    from layoutllm_tool.model.grammar import Constraints

    windows = decoder.processor.windows(page)

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
    further = [_timed(lambda q=question: ask(known, q), repeats) for question in questions[1:]]  # type: ignore[misc]
    chains = [(window, decoder.decode(window, [(questions[0], Constraints())])[0]) for window in known]
    window, chain = next(((w, c) for w, c in chains if c.segments), chains[0])
    question = len(decoder.processor.question_ids(questions[0]))
    retry, mended = _timed(lambda: again(window, chain), repeats)
    tokens = sum(count for _, count in further)
    asked = sum(len(decoder.processor.question_ids(question)) * len(windows) for question in questions[1:])
    return Ours(
        load=load, recognition=None, read=prefill, first=first, further=median(seconds for seconds, _ in further),
        retry=retry, fed=len(window.window.prompt) + question + chain.tokens, retry_fed=question + mended.tokens, decoded=_chosen(chain), retry_decoded=_chosen(mended), answer_tokens=tokens, chain_rate=(tokens + asked) / sum(seconds for seconds, _ in further),
        step_rate=step_rate(decoder, known[0], 1, new_tokens, repeats),
        step_rate_8=step_rate(decoder, known[0], 8, new_tokens, repeats),
        page_tokens=sum(len(window.prompt) for window in windows), windows=len(windows), memory=peak_memory(),
        numerics=decoder.engine.numerics.value,
    )  # fmt: skip


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
    """Greedy decoding behind a page without a grammar, step by step as generate does it: (B, 1) -> (B, new_tokens)."""
    import torch

    engine, said = decoder.engine, []
    with torch.inference_mode():
        suffix = engine.new_suffix(len(ids), new_tokens + 1)
        for _ in range(new_tokens):
            hidden = engine.step(decoder.model.embed(ids, None, None), read.cache, suffix, [1] * len(ids))
            ids = engine.logits(hidden[:, -1]).argmax(-1, keepdim=True)
            said.append(ids)
    return torch.cat(said, dim=1)


# -- generate's side ----------------------------------------------------------------------------------------------------


def _generate(request: _Request, dtype: str) -> Generate:
    import torch

    from layoutllm_tool.model.weights import load_weights

    begun = time.perf_counter()
    model, processor = load_weights(request.weights)
    language_model, tokenizer = model.language_model.to(getattr(torch, dtype)), processor.tokenizer
    del model, processor
    load = time.perf_counter() - begun
    return measure_generate(
        language_model,
        tokenizer,
        request.page.text,
        request.questions[0],
        request.new_tokens,
        request.repeats,
        load=load,
    )


def measure_generate(
    language_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, page_text: str, question: str, new_tokens: int,
    repeats: int, *, load: float = 0.0,
) -> Generate:  # fmt: skip
    """In this process: exactly ``new_tokens`` tokens (at least two), greedy, whatever the model would like to say."""
    import torch

    ids = torch.tensor([chat_ids(tokenizer, page_text, question)])

    def say(count: int) -> None:
        language_model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=count, max_new_tokens=count,
            pad_token_id=tokenizer.eos_token_id,
        )  # fmt: skip

    with torch.inference_mode():
        say(2)  # warms up
        prefill, _ = _timed(lambda: say(1), repeats)
        first, _ = _timed(lambda: say(new_tokens), repeats)
    return Generate(
        load=load, prefill=prefill, first=first, rate=(new_tokens - 1) / max(first - prefill, 1e-9),
        prompt_tokens=ids.shape[1], memory=peak_memory(), dtype=str(language_model.dtype).removeprefix("torch."),
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
