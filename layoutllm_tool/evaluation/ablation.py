"""The paper's ablation on development data: runs that differ in one part each, asked the same questions.

A run is a folder of ``layoutllm train`` (``recipe.json`` and ``weights``). One whose recipe has ``chain = false`` was taught to
answer at once, and is asked that way: greedy text up to the end of its turn, no steps, nothing held to the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.evaluation.asking import Item, Tick
from layoutllm_tool.evaluation.metrics import anls
from layoutllm_tool.evaluation.rows import Question

if TYPE_CHECKING:
    from layoutllm_tool.model.decoding import CoTDecoder, ReadWindow

Ask = Callable[[Item], list[str | None]]
"""An item's questions -> their answers, None for "not in the document"."""
LONGEST = 64
"""Tokens of an answer that is given at once."""


@dataclass(frozen=True, slots=True)
class Rung:
    """Scores of one run: a set's name -> mean ANLS over its questions (None for an unanswerable one scores 1)."""

    name: str
    anls: dict[str, float]
    questions: dict[str, int]


def rung(run: Path, sets: dict[str, Sequence[Item]], tick: Tick | None = None) -> Rung:
    """RecipeError where the folder is no run, or one without weights."""
    try:
        recipe = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
        chain = all(stage["chain"] for stage in recipe["stages"])
    except (OSError, ValueError, KeyError) as error:
        raise RecipeError(f"{run} is no run: {error}.", hint="Give a folder of `layoutllm train`.") from error
    ask = _by_steps(run / "weights") if chain else _at_once(run / "weights")
    scores: dict[str, list[float]] = {}
    for name, items in sets.items():
        scores[name] = []
        for item in items:
            said = ask(item)
            scores[name] += [_score(q, answer) for q, answer in zip(item.questions, said, strict=True)]
            if tick:
                tick(len(item.questions))
    return Rung(run.name, {n: fmean(s) for n, s in scores.items()}, {n: len(s) for n, s in scores.items()})


def _score(question: Question, answer: str | None) -> float:
    return anls(answer, question.gold) if question.gold else float(answer is None)


def _by_steps(weights: Path) -> Ask:
    from layoutllm_tool.readers.local import LayoutLLMReader

    reader = LayoutLLMReader(weights)

    def ask(item: Item) -> list[str | None]:
        document = reader.load(item.path, words=item.words() if item.words else None)
        return [cot.answer for cot in reader.ask_many(document, [q.text for q in item.questions])]

    return ask


def _at_once(weights: Path) -> Ask:
    from layoutllm_tool.model.decoding import CoTDecoder
    from layoutllm_tool.model.weights import load_weights
    from layoutllm_tool.readers.local import LayoutLLMReader

    model = load_weights(weights)
    decoder, reader = CoTDecoder(*model), LayoutLLMReader(model=model)

    def ask(item: Item) -> list[str | None]:
        document: Document = reader.load(item.path, words=item.words() if item.words else None)
        return answer_at_once(decoder, document.pages[0], [q.text for q in item.questions])

    return ask


def answer_at_once(decoder: CoTDecoder, page: Page, questions: Sequence[str]) -> list[str | None]:
    """The first window that answers, window after window; None where each says that it is not in the document."""
    found: list[str | None] = [None] * len(questions)
    for window in decoder.processor.windows(page):
        read = decoder.read(window)
        for number, question in enumerate(questions):
            if found[number] is None:
                found[number] = _greedy(decoder, read, question)
    return found


def _greedy(decoder: CoTDecoder, read: ReadWindow, question: str) -> str | None:
    import torch

    from layoutllm_tool.training.packing import NOT_THERE

    processor, engine = decoder.processor, decoder.engine
    (stop, *_) = processor.template_ids(processor.style.end)
    pending, written = list(processor.question_ids(question)), list[int]()
    suffix = engine.new_suffix(1, len(pending) + LONGEST + 1)
    with torch.inference_mode():
        while len(written) < LONGEST:
            embeds = decoder.model.embed(torch.tensor([pending]), None, None)
            hidden = engine.step(embeds, read.cache, suffix, [len(pending)])
            token = int(engine.logits(hidden[:, -1]).argmax())
            if token == stop:
                break
            written.append(token)
            pending = [token]
    text = str(processor.tokenizer.decode(written)).strip()
    return None if text in ("", NOT_THERE) else text
