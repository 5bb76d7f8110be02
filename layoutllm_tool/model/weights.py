"""Trained weights: what this package ships beside the base model, and how both become one.

A weights folder holds ``config.json``, ``parts.safetensors`` (encoder, projectors, segment embeddings, pointer), ``adapter/``
(LoRA in peft's format), ``calibration.json``, ``loss_head.safetensors`` (see loss_head.py) and a model card; the last three may be
absent. Nothing in it is a pickle.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.errors import WeightsMismatch, WeightsNotFound
from layoutllm_tool.model.base import base_model, base_sha256

if TYPE_CHECKING:
    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
    from layoutllm_tool.model.processing import LayoutLLMProcessor

SHIPPED = Path(__file__).parent.parent / "weights" / "smol"
"""The default weights, inside the package."""
LOSS_HEAD = "loss_head.safetensors"
"""In a weights folder; may be absent."""
CALIBRATION = "calibration.json"
"""In a weights folder; may be absent."""
_PARTS, _ADAPTER = "parts.safetensors", "adapter"


def save_weights(
    model: LayoutLLMForConditionalGeneration, folder: Path, *, base: Path, facts: dict[str, str] | None = None
) -> None:
    """Everything that was trained, in bf16; ``facts`` (seed, data hash, scores ...) go into the metadata."""
    import torch
    from peft import PeftModel
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    model.config.text_config._name_or_path = ""  # no path of the training machine
    model.config.save_pretrained(folder)
    state = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if not name.startswith(("language_model.", "loss_head."))
    }
    save_file(state, folder / _PARTS, metadata={"base_sha256": base_sha256(base)} | (facts or {}))
    if not isinstance(model.language_model, PeftModel):
        raise TypeError("the language model carries no adapter to save")
    adapted = model.language_model
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.bfloat16)
    adapted.save_pretrained(folder / _ADAPTER, safe_serialization=True)
    (folder / _ADAPTER / "README.md").unlink(missing_ok=True)
    # peft writes where the base model lay on the machine that trained: nobody else's business, and of no use elsewhere.
    described = folder / _ADAPTER / "adapter_config.json"
    described.write_text(
        json.dumps(json.loads(described.read_text()) | {"base_model_name_or_path": None}, indent=1) + "\n"
    )
    (folder / LOSS_HEAD).unlink(missing_ok=True)  # it was trained on the parts that lay here before
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)


def load_weights(
    folder: Path | None = None, *, base: Path | None = None, merge: bool = True, judged: bool = True
) -> tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor]:
    """Base model and trained parts as one model in evaluation mode, adapter merged (``merge=False`` keeps it trainable).

    A merged model carries the folder's ``loss_head``, where it has one and ``judged`` is not off.

    WeightsNotFound where the folder lacks a file; WeightsMismatch where it was trained on other base weights.
    """
    import torch
    from peft import PeftModel
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from layoutllm_tool.model.configuration import LayoutLLMConfig
    from layoutllm_tool.model.loss_head import load_loss_head
    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
    from layoutllm_tool.model.processing import LayoutLLMProcessor

    folder = folder or SHIPPED
    for needed in ("config.json", _PARTS, f"{_ADAPTER}/adapter_model.safetensors"):
        if not (folder / needed).is_file():
            raise WeightsNotFound(f"{folder} lacks {needed}.", hint="Name a folder written by save_weights().")
    base = base or base_model()
    with _quiet():
        language_model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    with safe_open(folder / _PARTS, framework="pt") as file:
        trained_on, found = file.metadata()["base_sha256"], base_sha256(base)
        if trained_on != found:
            raise WeightsMismatch(
                f"{folder} was trained on base weights {trained_on[:12]}, but {base} holds {found[:12]}.",
                hint="Run `layoutllm pull` to get the base model it belongs to.",
            )
        state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    model = LayoutLLMForConditionalGeneration(LayoutLLMConfig.from_pretrained(folder), language_model)
    # The adapter comes last: transformers can't tie the weights of a model whose language model carries one.
    with _quiet():
        adapted: Any = PeftModel.from_pretrained(language_model, folder / _ADAPTER, is_trainable=not merge)
    model.language_model = adapted.merge_and_unload() if merge else adapted
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.startswith("language_model.")]
    if missing or unexpected:
        raise WeightsMismatch(
            f"{folder} does not fit its own configuration: missing {missing}, unexpected {unexpected}."
        )
    if merge and judged and (head := load_loss_head(folder, model.config, parts_sha256=parts_sha256(folder))):
        model.loss_head = head
    processor = LayoutLLMProcessor.for_config(model.config, AutoTokenizer.from_pretrained(base))
    return model.eval(), processor


def parts_sha256(folder: Path | None = None) -> str:
    """What a loss head is tied to: the trained parts as they lie in the folder, and the adapter."""
    folder, digest = folder or SHIPPED, hashlib.sha256()
    for name in (_PARTS, f"{_ADAPTER}/adapter_model.safetensors"):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading takes a fraction of a second: a progress bar and other people's deprecations say nothing to whoever asked a page."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def calibration(folder: Path | None = None) -> dict[str, Any]:
    """The confidence's coefficients and the bias of "none", fitted on development data; {} where there are none."""
    path = (folder or SHIPPED) / CALIBRATION
    return dict(json.loads(path.read_text())) if path.is_file() else {}
