"""What the reader's parts are worth: one is taken out, the others stay."""

from __future__ import annotations

import numpy as np
import pytest

from layoutllm_tool.documents.key_value_features import NAMES
from layoutllm_tool.evaluation.ablation import PARTS, shuffled, without
from layoutllm_tool.model.choosing import Chooser
from layoutllm_tool.model.decoding import CoTDecoder
from layoutllm_tool.model.fusion_head import SHIPPED as FUSION
from layoutllm_tool.model.fusion_head import FusionHead
from layoutllm_tool.model.pair_head import SHIPPED, PairHead
from layoutllm_tool.model.text_opinion import TextOpinion
from layoutllm_tool.readers.scheduler import Loaded
from layoutllm_tool.testing import page_from_text
from tests import tiny


def loaded() -> Loaded:
    model, processor = tiny.smol()
    pair, fusion = PairHead.load(SHIPPED), FusionHead.load(FUSION)
    return CoTDecoder(model, processor), {}, Chooser(pair, fusion, None, text=TextOpinion())


def test_shuffled_boxes_are_the_pages_own_in_another_order() -> None:
    page = page_from_text("Name: Ada Byron\nDue date: 3 May 1990\nTotal due: 42.10")
    other = shuffled(page)
    assert other == shuffled(page) and other.text == page.text
    before, after = ([word.box for line in p.lines or () for word in line.words] for p in (page, other))
    assert before != after and sorted(before, key=repr) == sorted(after, key=repr)


@pytest.mark.parametrize("part", PARTS)
def test_one_part_is_taken_out(part: str) -> None:
    decoder, _, chooser = without(part, loaded())
    assert (float(decoder.model.gate) == 0) == (part == "encoder")
    assert (chooser is None) == (part == "choice")
    if chooser is not None:
        assert chooser.uses_model == (part != "language-model")
        assert (chooser.text is None) == (part == "text-model")
        rows = np.random.default_rng(0).normal(size=(3, len(NAMES))).astype(np.float32)
        uniform = bool(np.allclose(np.exp(chooser.pair.logprobs(rows)), 1 / 3, atol=1e-3))
        assert uniform == (part == "pair-head")
