"""The paper's ablation on development data: python -m scripts.ablation RUN... --data DIR

Runs that differ in one part each are asked the same questions. A run is a folder of ``layoutllm train``
(``recipe.json`` and ``weights``). One whose recipe has ``chain = false`` was taught to answer at once, and is
asked that way: greedy text up to the end of its turn, without steps or constraints.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.errors import RecipeError
from layoutllm_tool.evaluation.datasets import funsd, sample, synthetic
from layoutllm_tool.evaluation.metrics import anls
from layoutllm_tool.evaluation.report import progress, table
from layoutllm_tool.evaluation.results import Question
from layoutllm_tool.evaluation.run import Item, Tick
from layoutllm_tool.model.decoding import CoTDecoder, ReadWindow
from layoutllm_tool.model.weights import load_weights
from layoutllm_tool.readers.local import LayoutLLMReader
from layoutllm_tool.training.packing import NOT_THERE

Ask = Callable[[Item], list[str | None]]
"""An item's questions -> their answers, None for "not in the document"."""
LONGEST = 64
"""Tokens of an answer that is given at once."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one run: a set's name -> mean ANLS over its questions (None for an unanswerable one scores 1)."""

    name: str
    anls: dict[str, float]
    questions: dict[str, int]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("ablation", description="Runs that differ in one part each, compared.")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of `layoutllm train`")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a folder with FUNSD's forms")
    parser.add_argument("--limit", type=int, default=150, metavar="N", help="questions on forms (150)")
    parser.add_argument("--pages", type=int, default=25, help="to be drawn (default: 25)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here")
    options = parser.parse_args(arguments)
    sets = {"drawn pages": synthetic.items(pages=options.pages)}
    if options.data:
        sets["forms"] = sample(funsd.items(options.data / "forms"), options.limit, 0, "forms")
    questions = sum(len(item.questions) for items in sets.values() for item in items)
    with progress("Asking", questions * len(options.runs)) as tick:
        found = [score_run(run, sets, tick) for run in options.runs]
    headings = [f"{name} ({count})" for name, count in found[0].questions.items()]
    rows: list[list[str | float]] = [[scores.name, *scores.anls.values()] for scores in found]
    Console().print(table("Ablation: mean ANLS", ["run", *headings], rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")
    return 0


def score_run(run: Path, sets: dict[str, list[Item]], tick: Tick | None = None) -> Scores:
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
            scores[name] += [_score(q, answer) for q, answer in zip(item.questions, ask(item), strict=True)]
            if tick:
                tick(len(item.questions))
    return Scores(run.name, {n: fmean(s) for n, s in scores.items()}, {n: len(s) for n, s in scores.items()})


def _score(question: Question, answer: str | None) -> float:
    return anls(answer, question.gold) if question.gold else float(answer is None)


def _by_steps(weights: Path) -> Ask:
    reader = LayoutLLMReader(weights)

    def ask(item: Item) -> list[str | None]:
        return [cot.answer for cot in reader.ask_many(item.load(reader), [q.text for q in item.questions])]

    return ask


def _at_once(weights: Path) -> Ask:
    model = load_weights(weights)
    decoder, reader = CoTDecoder(*model), LayoutLLMReader(model=model)

    def ask(item: Item) -> list[str | None]:
        return answer_at_once(decoder, item.load(reader).pages[0], [q.text for q in item.questions])

    return ask


def answer_at_once(decoder: CoTDecoder, page: Page, questions: Sequence[str]) -> list[str | None]:
    """The answer of the first window that gives one; None where each says that it is not in the document."""
    found: list[str | None] = [None] * len(questions)
    for window in decoder.processor.windows(page):
        read = decoder.read(window)
        for number, question in enumerate(questions):
            if found[number] is None:
                found[number] = _greedy(decoder, read, question)
    return found


def _greedy(decoder: CoTDecoder, read: ReadWindow, question: str) -> str | None:
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


if __name__ == "__main__":
    sys.exit(main())
