"""The untuned backbone: the base language model asked with the page's plain text in its own chat template.

It replies with a sentence around the value; ``unwrap`` removes it, so that the value alone is scored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from layoutllm_tool.model.base import base_model

NEW_TOKENS = 40
_SLOT = "(the page goes here)"
_QUOTED = re.compile(r"[\"“”]([^\"“”]+)[\"“”]")
_AFTER = re.compile(
    r"(?:,? which |,? and (?:the|it|is) |\.\s+(?:It|The|This|That|These|However|Therefore|I) ).*$", re.DOTALL
)
_LEAD = re.compile(r"^.*?(?:\bis(?: listed as| given as)?\b|\bare\b|\bwas\b|:)\s+(?=\S)", re.I | re.S)


def unwrap(sentence: str, question: str = "") -> str:
    """The value in a sentence, by three rules in this order.

    1. What follows the value goes: a clause ("which ...", "and the ..."), a second sentence ("It ...").
    2. The first quoted text that the question does not hold ('The "total" is "9.00".' -> '9.00').
       Else what follows the first "is", "are", "was" or colon ("The date is: 1 May." -> "1 May").
    3. Of that the first line, without dashes, asterisks and a full stop at its ends.

    A text without any of them is the value as it stands.
    """
    asked = question.lower()
    quoted = [text for text in _QUOTED.findall(sentence) if text.strip().lower() not in asked]
    text = quoted[0] if quoted else _LEAD.sub("", _AFTER.sub("", sentence.strip()), count=1).lstrip(": ")
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[0].strip(" *-\t").removesuffix(".").strip(" *\"'") if lines else ""


def chat_ids(tokenizer: PreTrainedTokenizerBase, page_text: str, question: str) -> list[int]:
    """The model's own chat template around page and question, up to where it answers.

    Page and question are tokenised by themselves, special tokens switched off: a page can't end its own turn.
    """
    turn = [{"role": "user", "content": _SLOT}]
    whole = str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
    before, _, after = whole.partition(_SLOT)

    def ids(text: str, **options: Any) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, **options)["input_ids"])

    return ids(before) + ids(f"{page_text}\n\n{question}", split_special_tokens=True) + ids(after)


class PlainBackbone:
    """``transformers.generate`` on the base model in bf16, greedy. Loaded when it is made (about a second).

    The page last asked about stays in the cache of keys and values: a further question on it costs its own
    tokens and the answer's. Not for several threads.
    """

    def __init__(self, folder: Path | None = None, *, new_tokens: int = NEW_TOKENS) -> None:
        folder = folder or base_model()
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self.model: PreTrainedModel = model.eval()
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        self.new_tokens = new_tokens
        # transformers renames it: the old name warns at every call, earlier releases don't know the new one.
        self._named = "cache" if "cache" in signature(self.model.forward).parameters else "past_key_values"
        self._cached_ids: list[int] = []
        self._cache: DynamicCache | None = None

    def say(self, page_text: str, question: str) -> str:
        """The model's own words, greedy, at most ``new_tokens`` tokens."""
        asked = chat_ids(self.tokenizer, page_text, question)
        cache = self._behind(asked)
        ids = torch.tensor([asked])
        with torch.inference_mode():
            out = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=self.new_tokens,
                pad_token_id=self.tokenizer.eos_token_id, **{self._named: cache},
            )  # fmt: skip
        self._cached_ids, self._cache = asked, cache
        return str(self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))

    def _behind(self, asked: Sequence[int]) -> DynamicCache:
        """The cache, cut back to the tokens (all but the last) that this prompt shares with the last one.

        Empty where an earlier call broke off in the middle.
        """
        cache, known = self._cache, self._cached_ids
        self._cache = None
        differing = (i for i, (a, b) in enumerate(zip(asked, known, strict=False)) if a != b)
        same = min(next(differing, min(len(asked), len(known))), len(asked) - 1)
        if cache is None or same == 0:
            return DynamicCache(config=self.model.config)
        if spare := cache.get_seq_length() - same:
            cache.crop(-spare)
        return cache

    def ask(self, page_text: str, question: str) -> str:
        """The value, its sentence taken off."""
        return unwrap(self.say(page_text, question), question)
