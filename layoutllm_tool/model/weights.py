"""Trained weights: what this package ships beside the base model, and how both become one.

A weights folder holds ``config.json``, ``parts.safetensors`` (encoder, projectors, segment embeddings,
pointer), ``adapter/`` (LoRA in peft's format), ``calibration.json``, ``loss_head.safetensors`` (see
loss_head.py) and a model card; the last three may be absent. Nothing in it is a pickle.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.errors import WeightsMismatch
from layoutllm_tool.model.base import base_model, base_sha256
from layoutllm_tool.model.fetched import no_progress_bar
from layoutllm_tool.model.weight_files import ADAPTER, LOSS_HEAD, PARTS, AdapterShape, WeightFiles
from layoutllm_tool.printable import printable

if TYPE_CHECKING:
    from torch import Tensor

    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
    from layoutllm_tool.model.processing import LayoutLLMProcessor

SHIPPED = Path(__file__).parent.parent / "weights" / "smol"
"""The default weights, inside the package."""
_ADAPTER_FOLDER = "adapter"


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
    save_file(state, folder / PARTS, metadata={"base_sha256": base_sha256(base)} | (facts or {}))
    if not isinstance(model.language_model, PeftModel):
        raise TypeError("the language model carries no adapter to save")
    adapted = model.language_model
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.bfloat16)
    adapted.save_pretrained(folder / _ADAPTER_FOLDER, safe_serialization=True)
    (folder / _ADAPTER_FOLDER / "README.md").unlink(missing_ok=True)
    # peft writes where the base model lay on the machine that trained: nobody else's business, and of no
    # use elsewhere.
    described = folder / _ADAPTER_FOLDER / "adapter_config.json"
    described.write_text(
        json.dumps(json.loads(described.read_text()) | {"base_model_name_or_path": None}, indent=1) + "\n"
    )
    (folder / LOSS_HEAD).unlink(missing_ok=True)  # it was trained on the parts that lay here before
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)


def load_weights(
    folder: Path | WeightFiles | None = None,
    *,
    base: Path | None = None,
    merge: bool = True,
    judged: bool = True,
) -> tuple[LayoutLLMForConditionalGeneration, LayoutLLMProcessor]:
    """Base model and trained parts as one model in evaluation mode, adapter merged (``merge=False`` keeps
    it trainable).

    A merged model carries the folder's ``loss_head``, where it has one and ``judged`` is not off. Nothing
    of a configuration that is not known reaches the libraries (``weight_files``).

    WeightsNotFound where the folder lacks a file; WeightsMismatch where it was trained on other base
    weights, or is damaged in any way.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from layoutllm_tool.model.configuration import LayoutLLMConfig
    from layoutllm_tool.model.loss_head import load_loss_head
    from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
    from layoutllm_tool.model.processing import LayoutLLMProcessor

    files = folder if isinstance(folder, WeightFiles) else WeightFiles.read(folder or SHIPPED)
    shape, adapter = files.shape(), files.adapter()
    base = base or base_model()
    trained_on, found = files.facts(PARTS).get("base_sha256", "nothing"), base_sha256(base)
    if trained_on != found:
        raise WeightsMismatch(
            f"{files.folder} was trained on base weights {printable(trained_on[:12])}, "
            f"but {base} holds {found[:12]}.",
            hint="Run `layoutllm pull` to get the base model it belongs to.",
        )
    with _quiet():
        language_model: Any = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.bfloat16, local_files_only=True
        )
    files.check_shapes(ADAPTER, _adapter_shapes(language_model, adapter))
    try:
        config = LayoutLLMConfig(text_config=language_model.config, **shape.model_dump())
        model = LayoutLLMForConditionalGeneration(config, language_model)
        own = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if not name.startswith("language_model.")
        }
        files.check_shapes(PARTS, {name: tensor.shape for name, tensor in own.items()})
        # The adapter comes last: transformers can't tie the weights of a model whose language model carries
        # one.
        with _quiet():
            adapted = _adapted(language_model, adapter, files.tensors(ADAPTER)[1], trainable=not merge)
        model.language_model = adapted.merge_and_unload() if merge else adapted
        model.load_state_dict(files.tensors(PARTS)[1], strict=False)
    except (AssertionError, RuntimeError, ValueError) as error:  # sizes that do not go together
        raise WeightsMismatch(
            f"{files.folder} does not fit its own configuration: {printable(str(error)[:300])}."
        ) from error
    if merge and judged and (head := load_loss_head(files, model.config)):
        model.loss_head = head
    processor = LayoutLLMProcessor.for_config(
        model.config, AutoTokenizer.from_pretrained(base, local_files_only=True)
    )
    return model.eval(), processor


def _adapter_shapes(language_model: Any, adapter: AdapterShape) -> dict[str, list[int]]:
    """Names and shapes of the matrices of a LoRA on those layers, as peft names them."""
    found = {}
    for name, layer in language_model.named_modules():
        if name.rpartition(".")[2] in adapter.target_modules and hasattr(layer, "in_features"):
            found[f"base_model.model.{name}.lora_A.weight"] = [adapter.r, layer.in_features]
            found[f"base_model.model.{name}.lora_B.weight"] = [layer.out_features, adapter.r]
    return found


def _adapted(language_model: Any, shape: AdapterShape, state: dict[str, Tensor], *, trainable: bool) -> Any:
    """The language model with a LoRA of that shape and those numbers. ValueError where they don't go
    together.
    """
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    settings = shape.model_dump(exclude={"peft_type"})
    adapted: Any = get_peft_model(
        language_model, LoraConfig(**settings, task_type="CAUSAL_LM", inference_mode=not trainable)
    )
    wanted = {name for name, _ in adapted.named_parameters() if ".lora_" in name}
    if set_peft_model_state_dict(adapted, state).unexpected_keys or len(state) != len(wanted):
        raise ValueError(f"an adapter of {len(state)} matrices, where {len(wanted)} belong")
    return adapted.eval()


def parts_sha256(folder: Path | None = None) -> str:
    """What a loss head is tied to: the trained parts as they lie in the folder, and the adapter."""
    return WeightFiles.read(folder or SHIPPED).parts_sha256


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading takes a fraction of a second: a progress bar and other people's deprecations say nothing to
    whoever asked a page.
    """
    with no_progress_bar(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def calibration(folder: Path | WeightFiles | None = None) -> dict[str, Any]:
    """The confidence's coefficients and the bias of "none", fitted on development data; {} where there are
    none.
    """
    return (folder if isinstance(folder, WeightFiles) else WeightFiles.read(folder or SHIPPED)).calibration()
