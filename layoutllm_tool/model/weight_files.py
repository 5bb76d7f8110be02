"""A folder of trained weights as untrusted bytes: each file read once, within bounds, and held against what
we know.

What is checked and hashed is what is loaded. Of the configurations only known sizes and switches are taken,
within bounds, and they must agree with the tensors before anything is made of them. What asks for another
computation is refused, and nothing else that they say reaches anybody. Every damaged or foreign folder is a
WeightsMismatch, a file that is not there a WeightsNotFound.

Over 300 lines: one file format, and all that is refused in it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from layoutllm_tool.errors import WeightsMismatch, WeightsNotFound
from layoutllm_tool.printable import printable

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, PARTS = "config.json", "parts.safetensors"
ADAPTER_CONFIG, ADAPTER = "adapter/adapter_config.json", "adapter/adapter_model.safetensors"
CALIBRATION, LOSS_HEAD = "calibration.json", "loss_head.safetensors"
NEEDED = (CONFIG, PARTS, ADAPTER_CONFIG, ADAPTER)
MAY_BE = (CALIBRATION, LOSS_HEAD)
_LARGEST = {PARTS: 2**27, "adapter_model.safetensors": 2**27, LOSS_HEAD: 2**24}
"""Bytes; the others are text."""
_MOST_SIDES = 8
_LARGEST_TEXT, _LARGEST_HEADER = 2**18, 2**22
_DTYPES = {"F32": 4, "F16": 2, "BF16": 2}
_FOLDER = "Name a folder written by save_weights()."
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


def _size(most: int, least: int = 1) -> Any:
    return Field(ge=least, le=most, strict=True)


class EncoderShape(BaseModel):
    """The sizes of a LayoutLMv3 that may differ; everything else is transformers' default."""

    vocab_size: int = _size(300_000)
    hidden_size: int = _size(1024)
    num_hidden_layers: int = _size(24)
    num_attention_heads: int = _size(16)
    intermediate_size: int = _size(4096)
    coordinate_size: int = _size(512)
    shape_size: int = _size(512)
    max_position_embeddings: int = _size(2048)
    hidden_dropout_prob: FiniteFloat = Field(0.1, ge=0, lt=1)
    attention_probs_dropout_prob: FiniteFloat = Field(0.1, ge=0, lt=1)

    @property
    def least_parameters(self) -> int:
        """Of the layers and the table of words: the file must hold at least so many numbers."""
        width = self.hidden_size
        return (
            self.num_hidden_layers * (4 * width * width + 2 * width * self.intermediate_size)
            + self.vocab_size * width
        )


class ModelShape(BaseModel):
    """What of ``config.json`` is taken. The language model's part is that of the base model."""

    encoder_config: EncoderShape
    fusion: Literal["replace", "add"]
    area_format: Literal["boxes", "segments"]
    visual_pool: int = _size(14)
    max_page_tokens: int = _size(1024)
    max_segments: int = _size(1024)
    pointer_size: int = _size(1024)


class AdapterShape(BaseModel):
    """What of ``adapter_config.json`` is taken: a LoRA on layers named in full, never by a pattern."""

    peft_type: Literal["LORA"]
    r: int = _size(256)
    lora_alpha: float = Field(gt=0, le=100_000, allow_inf_nan=False)
    lora_dropout: FiniteFloat = Field(0.0, ge=0, lt=1)
    target_modules: list[_Name] = Field(min_length=1, max_length=32)


class Calibration(BaseModel):
    """The confidence's coefficients and the biases of "none"."""

    answer: dict[str, FiniteFloat] = Field({}, max_length=500)
    none: dict[str, FiniteFloat] = Field({}, max_length=500)
    no_answer_bias: FiniteFloat = 0.0
    key_present_bias: FiniteFloat = 0.0
    held_out: Any = None
    """How well it did; nothing reads it here."""


_SAYS_NOTHING = frozenset(
    [
        "_name_or_path", "architectures", "base_model_name_or_path", "dtype", "inference_mode",
        "megatron_core",
        "peft_version", "qalora_group_size", "task_type", "text_config", "torch_dtype",
        "transformers_version",
    ]
)  # fmt: skip
"""Keys whose value changes nothing here."""


def _encoder_defaults() -> dict[str, Any]:
    from transformers import LayoutLMv3Config

    found: dict[str, Any] = json.loads(json.dumps(LayoutLMv3Config().to_dict()))
    return found


def _adapter_defaults() -> dict[str, Any]:
    from peft import LoraConfig

    found: dict[str, Any] = json.loads(json.dumps(LoraConfig().to_dict()))
    return found


@dataclass(frozen=True)
class WeightFiles:
    """The files of one folder as they were when they were read."""

    folder: Path
    data: Mapping[str, bytes]

    @classmethod
    def read(cls, folder: Path) -> WeightFiles:
        """WeightsNotFound names what the folder lacks, WeightsMismatch what is no file of weights."""
        found = {name: _bytes(folder / name) for name in (*NEEDED, *MAY_BE)}
        if missing := [name for name in NEEDED if found[name] is None]:
            raise WeightsNotFound(f"{folder} lacks {missing[0]}.", hint=_FOLDER)
        return cls(folder, {name: data for name, data in found.items() if data is not None})

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by its name."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.data.items()}

    @property
    def parts_sha256(self) -> str:
        """What a loss head is tied to: the trained parts and the adapter."""
        return hashlib.sha256(
            b"".join(bytes.fromhex(self.hashes[name]) for name in (PARTS, ADAPTER))
        ).hexdigest()

    def shape(self) -> ModelShape:
        """Of the model, in agreement with its tensors. WeightsMismatch."""
        found: ModelShape = self._validated(ModelShape, CONFIG, {"model_type": "layoutllm"})
        self._check_known(CONFIG, self._json(CONFIG)["encoder_config"], EncoderShape, _encoder_defaults())
        held = sum(math.prod(tensor["shape"]) for tensor in self._header(PARTS)[1].values())
        if found.encoder_config.least_parameters > held:
            raise self._mismatch(CONFIG, f"describes more parameters than the {held:,} that {PARTS} holds")
        return found

    def adapter(self) -> AdapterShape:
        """Of the adapter, in agreement with its tensors. WeightsMismatch."""
        found: AdapterShape = self._validated(AdapterShape, ADAPTER_CONFIG, _adapter_defaults())
        for name, tensor in self._header(ADAPTER)[1].items():
            rank = tensor["shape"][0 if ".lora_A." in name else 1 : None][:1]
            if not re.search(r"\.lora_[AB]\.weight$", name) or rank != [found.r]:
                raise self._mismatch(
                    ADAPTER, f"holds {name[:120]!r}, which is no part of a LoRA of rank {found.r}"
                )
        return found

    def calibration(self) -> dict[str, Any]:
        """The coefficients; {} where the folder has none. WeightsMismatch."""
        if CALIBRATION not in self.data:
            return {}
        found: Calibration = self._validated(Calibration, CALIBRATION, {})
        return found.model_dump(exclude={"held_out"}, exclude_unset=True)

    def tensors(self, name: str) -> tuple[dict[str, str], dict[str, Tensor]]:
        """The facts beside the tensors, and the tensors, all of them finite. WeightsMismatch."""
        import torch
        from safetensors.torch import load

        facts, _ = self._header(name)
        try:
            found: dict[str, Tensor] = load(self.data[name])
        except Exception as error:
            raise self._mismatch(name, f"is no safetensors file: {error}") from error
        if broken := next(
            (key for key, tensor in found.items() if not bool(torch.isfinite(tensor).all())), None
        ):
            raise self._mismatch(name, f"holds numbers that are none, in {broken[:120]!r}")
        return facts, found

    def facts(self, name: str) -> dict[str, str]:
        """Those beside the tensors. WeightsMismatch."""
        return self._header(name)[0]

    def check_shapes(self, name: str, wanted: Mapping[str, Sequence[int]]) -> None:
        """WeightsMismatch where the file's tensors, by their header, are not exactly those that are
        wanted.
        """
        found = {key: tensor["shape"] for key, tensor in self._header(name)[1].items()}
        for key in sorted({*found, *wanted}):
            if found.get(key) != (shape := list(wanted[key]) if key in wanted else None):
                raise self._mismatch(
                    name, f"does not fit: {key[:120]} is {found.get(key)}, where {shape} belongs"
                )

    # -- parts -----------------------------------------------------------------------------------------------

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.data[name].decode(), parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise self._mismatch(name, f"is not understood ({str(error)[:200]})") from error

    def _validated(self, kind: type[Any], name: str, defaults: Mapping[str, Any]) -> Any:
        given = self._json(name)
        try:
            found = kind.model_validate(given)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False)[0]
            why = f"{'.'.join(map(str, said['loc']))[:80]}: {said['msg'][:120]}"
            raise self._mismatch(name, f"is not understood ({why})") from error
        self._check_known(name, given, kind, defaults)
        return found

    def _check_known(
        self, name: str, given: dict[str, Any], kind: type[Any], defaults: Mapping[str, Any]
    ) -> None:
        """WeightsMismatch names a key that asks for another computation than ours: it is none of our
        fields, and neither the library's default nor off.
        """
        for key, value in given.items():
            if key in kind.model_fields or key in _SAYS_NOTHING:
                continue
            off = value is None or value is False or value in ("", [], {})
            if value != defaults[key] if key in defaults else not off:
                raise self._mismatch(name, f"asks for what is not known here: {key[:80]} = {str(value)[:80]}")

    def _header(self, name: str) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        """Facts and tensors' descriptions of a safetensors file, as far as sizes go."""
        data = self.data[name]
        size, held = int.from_bytes(data[:8], "little"), 0
        try:
            if not 2 <= size <= min(_LARGEST_HEADER, len(data) - 8):
                raise ValueError(f"a header of {size} bytes")
            header = json.loads(data[8 : 8 + size])
            facts = {str(key): str(value) for key, value in (header.pop("__metadata__", None) or {}).items()}
            for tensor in header.values():
                if len(tensor["shape"]) > _MOST_SIDES:
                    raise ValueError("a tensor of many sides")
                numbers = math.prod(_whole(side) for side in tensor["shape"]) * _DTYPES[tensor["dtype"]]
                begin, end = map(_whole, tensor["data_offsets"])
                if end - begin != numbers or end > len(data) - 8 - size:
                    raise ValueError("tensors that lie outside of it")
                held += numbers
            if held > len(data) - 8 - size:
                raise ValueError("tensors that lie over one another")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._mismatch(name, f"is no safetensors file ({str(error)[:200]})") from error
        return facts, header

    def _mismatch(self, name: str, what: str) -> WeightsMismatch:
        return WeightsMismatch(f"{self.folder / name} {printable(what[:400])}.", hint=_FOLDER)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**40:
        raise ValueError(f"{str(value)[:40]!r} where a size belongs")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _bytes(path: Path) -> bytes | None:
    """None where there is no such file. WeightsMismatch where it is none of ours: no regular file, or too
    large.
    """
    most = _LARGEST.get(path.name, _LARGEST_TEXT)
    try:
        # Non-blocking: a FIFO can't hang us.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise WeightsMismatch(f"{path} can't be read: {error}.", hint="Check the rights to it.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise WeightsMismatch(f"{path} is no regular file.", hint=_FOLDER)
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise WeightsMismatch(f"{path} is larger than {most:,} bytes.", hint=_FOLDER)
    return data
