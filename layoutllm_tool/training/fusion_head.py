"""Trains the fusion head: which option answers a question. Never on FUNSD, CORD or ``tests/data``.

    python -m layoutllm_tool.training.fusion_head --naf DIR --receipts DIR --out FILE

Rows come from pages with the fields of ``synthetic/vocabulary``, asked in their wordings, from drawn forms,
the National Archives Forms and SROIE receipts 000-299. A row is a question with its options' features; on
most pages the shipped language model is asked first, which takes some seconds a page.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from statistics import fmean

import numpy as np

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.page_layout import Run, WordId
from layoutllm_tool.model import pair_head
from layoutllm_tool.model.candidates import candidates_of, with_currency
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.grammar import DecodingConstraints
from layoutllm_tool.model.option_features import NAMES, features
from layoutllm_tool.model.options import Asked, Option, Outcome
from layoutllm_tool.model.page_index import Array, PageIndex
from layoutllm_tool.model.pair_head import PairHead
from layoutllm_tool.model.sentence_encoder import SentenceEncoder, sentence_encoder_folder
from layoutllm_tool.model.weight_files import WeightFiles
from layoutllm_tool.model.weights import SHIPPED, load_weights
from layoutllm_tool.training import naf, receipts
from layoutllm_tool.training.pair_head import Row, ensemble, save_head
from layoutllm_tool.training.schema import Example
from layoutllm_tool.training.synthetic import build, written

GOOD = 0.6
"""Least overlap of the best option with the words that answer; rows that have none better teach nothing."""
HIDDEN, MEMBERS, EPOCHS = 32, 4, 20
REAL = 3
"""How often rows of real forms are counted."""
WITH_MODEL = 0.8
"""Share of the pages whose rows have the language model's answer."""
PAGES = {"everyday": 440, "drawn": 73, "receipts": 73, "archive": 150}
"""Of each source. Documents written by hand did not help: LOG.md, 2026-11-29."""
ABSENT = (2 / 9, 1 / 6)
"""Share of questions that a page does not answer, for which "none" is weighed: of those whose key it names,
and of others. Chosen between forms whose keys are all filled, the refusal set, and questions in other words
than the page's."""
ARCHIVE = 600
"""Archive forms from this one on are kept back: of the next head; what the shipped one saw is not known."""
MOST_WORDS, TOGETHER, QUESTIONS = 450, 8, 10

Question = tuple[str, tuple[WordId, ...]]
"""With the words that answer it, () for none."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A question on a page with its options, before they are weighed; ``right`` is the words that answer."""

    index: PageIndex
    asked: Asked
    outcome: Outcome | None
    every: list[Option]
    right: Run

    @property
    def rows(self) -> Array:
        """Features of the options (O, F)."""
        return features(self.index, self.asked, self.outcome, self.every)


@dataclass
class RowMaker:
    """Makes rows with the shipped parts; ``with_model`` is the share that has the language model's answer."""

    decoder: CoTDecoder
    encoder: SentenceEncoder
    head: PairHead
    rng: Random
    with_model: float = WITH_MODEL

    @classmethod
    def shipped(cls, *, with_model: float = WITH_MODEL) -> RowMaker:
        files = WeightFiles.read(SHIPPED)
        decoder, biases = CoTDecoder(*load_weights(files)), files.calibration()
        decoder.grammar.no_answer_bias = biases["no_answer_bias"]
        decoder.grammar.key_present_bias = biases["key_present_bias"]
        encoder = SentenceEncoder(sentence_encoder_folder())
        return cls(decoder, encoder, PairHead.load(pair_head.SHIPPED), Random(1), with_model)

    def rows(self, page: Page, asked: Sequence[Question]) -> Iterator[Row]:
        """A row for each question with a good option."""
        for one in self.considered(page, asked):
            worth = worth_of(one.every, one.right)
            if worth.max() >= GOOD:
                yield Row(one.rows, worth)

    def considered(self, page: Page, asked: Sequence[Question]) -> Iterator[Considered]:
        """Nothing for full pages and those of several windows."""
        windows = self.decoder.processor.windows(page)
        if not asked or len(windows) != 1 or len(page.words) > MOST_WORDS:
            return
        index = PageIndex.of(page, self.encoder)
        read = self.decoder.read(windows[0]) if self.rng.random() < self.with_model else None
        for start in range(0, len(asked), TOGETHER):
            part = asked[start : start + TOGETHER]
            vectors = self.encoder.encode([question for question, _ in part]).numpy()
            outcomes: list[Outcome | None] = [None] * len(part)
            if read is not None:
                limits = [(question, DecodingConstraints()) for question, _ in part]
                outcomes = [Outcome.of(one, windows[0].lines) for one in self.decoder.decode(read, limits)]
            for (question, words), vector, outcome in zip(part, vectors, outcomes, strict=True):
                known = Asked.of(question, index, vector)
                every = candidates_of(index, known, outcome, self.head)
                right = with_currency(index.layout, tuple(index.layout.by_id[i] for i in words))
                yield Considered(index, known, outcome, every, right)


def worth_of(every: list[Option], words: Run) -> Array:
    """(O): overlap of each option's words with those that answer; "none" is worth 1 where none do."""
    right = {word.id for word in words}
    return np.array(
        [float(not right) if o.none else len(o.ids & right) / len(o.ids | right) for o in every], np.float32
    )


def everyday(seed: int, numbers: range) -> Iterator[tuple[Page, list[Question]]]:
    from layoutllm_tool.training.synthetic.everyday import pages

    for page, asked in pages(seed, numbers):
        yield page, [(one.question, one.words) for one in asked]


def of_examples(examples: Iterable[Example]) -> Iterator[tuple[Page, list[Question]]]:
    """Drawn pages, or receipts: never those from 400 on."""
    for one in examples:
        yield one.page, [(qa.question, qa.words) for qa in one.qas]


def real(
    folder: Path, *, seed: int = 0, start: int = 0, stop: int | None = None
) -> Iterator[tuple[Page, list[Question]]]:
    """The National Archives Forms from ``start`` to ``stop``: filled fields, blank ones, and keys of other
    forms with none.
    """
    rng, before = Random(seed), ["Middle initial", "Registration number"]
    for form in islice(naf.forms(folder), start, stop):
        yield form.page, [(qa.question, qa.words) for qa in naf.questions(form, rng, before)]
        before = [pair.key for pair in form.pairs] or before


def no_answer_bias(rows: Sequence[Row]) -> list[float]:
    """What lowers the log-odds of "none": rows ask for absent things more often than people do."""
    share = fmean(float(row.worth[0] == 1) for row in rows)
    return [math.log(share / (1 - share)) - math.log(absent / (1 - absent)) for absent in ABSENT]


def sources(
    seed: int,
    naf: Path,
    folder: Path,
    pages: Mapping[str, int],
    *,
    part: str = "train",
    numbers: Sequence[int] = range(300),
) -> Iterator[tuple[str, Page, Sequence[Question]]]:
    """Pages with some of their questions, so many of each source, the same for a seed. ``part`` ("train",
    "test") is that of the written documents and archive forms, ``numbers`` are receipts.
    """
    rng, held_back = Random(seed), part == "test"
    by_hand = written.documents(part)
    drawn = (written.page(rng, one) for one in rng.sample(by_hand, len(by_hand)))
    found = {
        "everyday": everyday(seed, range(10**6)),
        "written": ((page, [(one.question, one.words) for one in asked]) for page, asked in drawn),
        "drawn": of_examples(build.example(seed, number) for number in range(10**6)),
        "receipts": of_examples(receipts.examples(folder, numbers, seed=seed)),
        "archive": real(
            naf, seed=seed, start=ARCHIVE if held_back else 0, stop=None if held_back else ARCHIVE
        ),
    }
    for name, source in found.items():
        for page, asked in islice(source, pages.get(name, 0)):
            yield name, page, rng.sample(asked, min(QUESTIONS, len(asked)))


def main(arguments: list[str] | None = None) -> int:
    program = "python -m layoutllm_tool.training.fusion_head"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--naf", type=Path, required=True, help="folder of the National Archives Forms")
    parser.add_argument("--receipts", type=Path, required=True, help="folder of SROIE's receipts")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    maker, rows = RowMaker.shipped(), list[Row]()
    for name, page, asked in sources(options.seed, options.naf, options.receipts, PAGES):
        rows += (REAL if name == "archive" else 1) * list(maker.rows(page, asked))
    sys.stderr.write(f"{len(rows)} rows\n")
    tensors = ensemble(rows, members=MEMBERS, hidden=HIDDEN, epochs=EPOCHS)
    tensors["no_answer_bias"] = np.array(no_answer_bias(rows), np.float32)
    save_head(tensors, options.out, features=",".join(NAMES), rows=str(len(rows)), seed=str(options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
