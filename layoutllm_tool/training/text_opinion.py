"""Fits how the text model's opinion is weighed with the fusion head's (``model/text_opinion.py``).

    python -m layoutllm_tool.training.text_opinion --naf DIR --receipts DIR --out FILE

A listwise logistic regression over the options of questions: on written documents that were kept back, on
drawn pages and forms of other seeds, on archive forms and on receipts 300-399 (the pair head and the language
model learned from all of these forms, the text model from some, of the receipts too). Prints the mean worth
of the chosen options by source: the head's, and with the text model on pages left out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.model import fusion_head
from layoutllm_tool.model.choosing import circumstances, is_spoken
from layoutllm_tool.model.fusion_head import FusionHead
from layoutllm_tool.model.options import QUOTED
from layoutllm_tool.model.page_index import Array
from layoutllm_tool.model.text_opinion import CIRCUMSTANCES, FEATURES, TextOpinion
from layoutllm_tool.training.fusion_head import Question, RowMaker, sources, worth_of

PAGES = {"written": 80, "everyday": 25, "drawn": 25, "archive": 50, "receipts": 50}
SEED, FOLDS, DECAY = 7_700_000, 5, 1e-3
ABSENT = 1 / 9
"""Share of questions that a page does not answer, for which "none" is weighed. Chosen between other wordings,
the refusal set and the open everyday questions.
"""
RIGHT = 0.9
"""Least worth of an option that counts as right."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A question: features of its options (O, C * F), their worth (O), and the option that the head takes."""

    source: str
    page: int
    rows: Array
    worth: Array
    head: int


def held_back(naf: Path, receipts: Path) -> Iterator[tuple[str, Page, Sequence[Question]]]:
    """Pages that ``fusion_head.PAGES`` leaves out, with their questions."""
    return sources(SEED, naf, receipts, PAGES, part="test", numbers=range(300, 400))


def weighed(maker: RowMaker, naf: Path, receipts: Path) -> Iterator[Weighed]:
    """Asks the text model about every question that has an option which is right."""
    text, head = TextOpinion(), FusionHead.load(fusion_head.SHIPPED)
    for number, (source, page, asked) in enumerate(held_back(naf, receipts)):
        for one in maker.considered(page, asked):
            p = head.probabilities(one.rows)
            if not is_spoken(one.asked, one.index, p, one.rows):
                continue
            opinion = text.ask(one.index, one.asked.text, one.every, p)
            if opinion is None:
                raise SystemExit("The text model is not there: run `layoutllm pull`.")
            about, first = circumstances(one.rows), int(p.argmax())
            every = opinion.joined(one.every)
            p = np.append(p, [1e-6] * (len(every) - len(p)))
            worth = worth_of(every, one.right)
            if worth.max() >= RIGHT:
                rows = opinion.rows(p, every)
                yield Weighed(
                    source,
                    number,
                    (about[None, :, None] * rows[:, None]).reshape(len(rows), -1),
                    worth,
                    first,
                )


def fit(found: Sequence[Weighed]) -> Array:
    """Weights (C * F) that maximise the likelihood of the right options, with an L2 penalty."""
    longest = max(len(one.rows) for one in found)
    rows = torch.zeros(len(found), longest, len(found[0].rows[0]), dtype=torch.float64)
    shut = torch.full((len(found), longest), -1e9, dtype=torch.float64)
    right = torch.zeros(len(found), longest, dtype=torch.bool)
    for number, one in enumerate(found):
        rows[number, : len(one.rows)] = torch.from_numpy(one.rows)
        shut[number, : len(one.rows)] = 0
        right[number, : len(one.rows)] = torch.from_numpy(one.worth >= RIGHT)
    weights = torch.zeros(rows.shape[2], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scores = torch.log_softmax(rows @ weights + shut, dim=1).masked_fill(~right, -1e9)
        value = DECAY * weights.square().sum() - torch.logsumexp(scores, dim=1).mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return np.asarray(weights.detach().numpy(), np.float32)


def absent_shift(asked: Sequence[Question]) -> float:
    """What is added to the weight of "none": these ask for absent things more often than people do."""
    share = fmean(float(not words) for text, words in asked if not QUOTED.search(text))
    return math.log(ABSENT / (1 - ABSENT)) - math.log(share / (1 - share))


def left_out(found: Sequence[Weighed]) -> dict[str, tuple[int, float, float]]:
    """By source: questions, worth of the head's choice, and of both models' on pages left out of the fit."""
    values: dict[str, list[tuple[float, float]]] = {}
    for fold in range(FOLDS):
        weights = fit([one for one in found if one.page % FOLDS != fold])
        for one in (one for one in found if one.page % FOLDS == fold):
            both = float(one.worth[int((one.rows @ weights).argmax())])
            values.setdefault(one.source, []).append((float(one.worth[one.head]), both))
    means = {source: np.mean(pairs, axis=0) for source, pairs in values.items()}
    return {source: (len(values[source]), float(a), float(b)) for source, (a, b) in means.items()}


def main(arguments: list[str] | None = None) -> None:
    program = "python -m layoutllm_tool.training.text_opinion"
    parser = argparse.ArgumentParser(
        prog=program, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--naf", type=Path, required=True, help="folder of the National Archives Forms")
    parser.add_argument("--receipts", type=Path, required=True, help="folder of SROIE's receipts")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = list(weighed(RowMaker.shipped(with_model=1.0), options.naf, options.receipts))
    for source, (count, head, both) in left_out(found).items():
        sys.stderr.write(f"{source}: {count} questions, head {head:.3f}, with the text model {both:.3f}\n")
    weights = fit(found).reshape(len(CIRCUMSTANCES), len(FEATURES)).T
    weights[FEATURES.index("none"), 0] += absent_shift(
        [one for _, _, asked in held_back(options.naf, options.receipts) for one in asked]
    )
    lines = (
        f"  {json.dumps(name)}: {json.dumps([round(float(w), 4) for w in row])}"
        for name, row in zip(FEATURES, weights, strict=True)
    )
    options.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
