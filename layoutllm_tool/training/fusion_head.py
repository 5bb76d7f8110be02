"""Trains the fusion head: which option answers a question. Minutes on one core; never on FUNSD, CORD or ``tests/data``.

    python -m layoutllm_tool.training.fusion_head --pages 1500 --naf DIR --out FILE

Rows come from pages with the fields of ``synthetic/vocabulary``, asked in their wordings, from drawn pages (training/factory)
and from the National Archives Forms. A row is a question with its options' features.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import numpy as np

from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.key_values import WordId
from layoutllm_tool.model.candidates import Asked, Option, candidates_of
from layoutllm_tool.model.option_features import NAMES, features
from layoutllm_tool.model.page_index import PageIndex
from layoutllm_tool.model.pair_head import SHIPPED, PairHead
from layoutllm_tool.model.sentence_encoder import SentenceEncoder, sentence_encoder_folder
from layoutllm_tool.training.naf import Form, forms
from layoutllm_tool.training.pair_head import Row, ensemble, save_head

GOOD = 0.6
"""Least overlap of the best option with the words that answer; rows that have none better teach nothing."""
HIDDEN, MEMBERS, EPOCHS = 32, 4, 24
NOISE = 0.05
"""Of features, so that small differences of a page change nothing."""

Question = tuple[str, tuple[WordId, ...]]
"""With the words that answer it, () for none."""


def rows_of(page: Page, questions: Iterable[Question], encoder: SentenceEncoder, head: PairHead) -> Iterator[Row]:
    """A row for each question that has a good option."""
    asked = list(questions)
    if not asked or not page.lines:
        return
    index = PageIndex.of(page, encoder)
    vectors = encoder.encode([question for question, _ in asked]).numpy()
    for (question, words), vector in zip(asked, vectors, strict=True):
        one = Asked.of(question, index, vector)
        every = candidates_of(index, one, None, head)
        worth = worth_of(every, words)
        if worth.max() >= GOOD:
            yield Row(features(index, one, None, every), worth)


def worth_of(every: list[Option], words: tuple[WordId, ...]) -> np.ndarray:
    """(O): overlap of each option's words with those that answer; "none" is worth 1 where none do."""
    right = set(words)
    return np.array(
        [float(not right) if o.none else len(o.ids & right) / len(o.ids | right) for o in every], np.float32
    )


def everyday(seed: int, numbers: range) -> Iterator[tuple[Page, list[Question]]]:
    from layoutllm_tool.training.synthetic.everyday import pages

    for page, asked in pages(seed, numbers):
        yield page, [(one.question, one.words) for one in asked]


def drawn(seed: int, numbers: range) -> Iterator[tuple[Page, list[Question]]]:
    from layoutllm_tool.training.factory.build import example

    for number in numbers:
        one = example(seed, number)
        yield one.page, [(qa.question, qa.words) for qa in one.qas]


_FORMS = ('What is the content in the "{}" field?', 'What is the "{}" in the given document?', "What is the {}?", "{}?")


def real(folder: Path, *, seed: int = 0) -> Iterator[tuple[Page, list[Question]]]:
    """The National Archives Forms: printed keys with what was written there, blank ones and keys of other forms with none."""
    rng, before = Random(seed), ["Middle initial", "Registration number"]
    for form in forms(folder):
        yield form.page, list(_of_form(form, rng, before))
        before = [pair.key for pair in form.pairs] or before


def _of_form(form: Form, rng: Random, others: list[str]) -> Iterator[Question]:
    own = {pair.key.casefold() for pair in form.pairs}
    for pair in rng.sample(form.pairs, min(len(form.pairs), 6)):
        yield rng.choice(_FORMS).format(pair.key), tuple(pair.words)
    for pair in rng.sample(form.blanks, min(len(form.blanks), 4)):
        yield rng.choice(_FORMS).format(pair.key), ()
    strange = [key for key in others if key.casefold() not in own]
    for key in rng.sample(strange, min(len(strange), 1)):
        yield rng.choice(_FORMS).format(key), ()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m layoutllm_tool.training.fusion_head", description=__doc__)
    parser.add_argument("--pages", type=int, default=1500, help="to be drawn, of each kind")
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--naf", type=Path, help="folder of the National Archives Forms")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    encoder, head = SentenceEncoder(sentence_encoder_folder()), PairHead.load(SHIPPED)
    numbers = range(options.pages)
    sources = [everyday(options.seed, numbers), drawn(options.seed, numbers)]
    if options.naf:
        sources.append(real(options.naf))
    rows = [row for source in sources for page, asked in source for row in rows_of(page, asked, encoder, head)]
    sys.stderr.write(f"{len(rows)} rows\n")
    tensors = ensemble(rows, members=MEMBERS, hidden=HIDDEN, epochs=EPOCHS)
    save_head(tensors, options.out, features=",".join(NAMES), rows=str(len(rows)), seed=str(options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
