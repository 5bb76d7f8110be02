"""Folders of weights from elsewhere: read once, within bounds, and refused in words wherever they are not
what they should be.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from layoutllm_tool.errors import RegistryError, WeightsMismatch, WeightsNotFound
from layoutllm_tool.model.weight_files import (
    ADAPTER,
    ADAPTER_CONFIG,
    CALIBRATION,
    CONFIG,
    LOSS_HEAD,
    NEEDED,
    PARTS,
    WeightFiles,
)
from layoutllm_tool.model.weights import SHIPPED, load_weights
from layoutllm_tool.registry import check_unchanged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped weights, to be damaged."""
    shutil.copytree(SHIPPED, tmp_path / "weights")
    return tmp_path / "weights"


def checked(folder: Path) -> None:
    """Everything that is looked at before the base model is."""
    files = WeightFiles.read(folder)
    files.shape()
    files.adapter()
    files.calibration()
    for name in (PARTS, ADAPTER, *({LOSS_HEAD} & set(files.data))):
        files.tensors(name)


def changed(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    data = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(change(data)))


def test_the_shipped_weights_are_what_they_should_be() -> None:
    checked(SHIPPED)
    files = WeightFiles.read(SHIPPED)
    assert files.shape().encoder_config.hidden_size == 384 and files.adapter().r == 16
    assert files.calibration()["answer"]["bias"] and set(files.hashes) >= set(NEEDED)


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_that_is_not_there_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(WeightsNotFound, match=name.replace(".", r"\.")):
        checked(folder)


@pytest.mark.parametrize("name", [*NEEDED, CALIBRATION, LOSS_HEAD])
@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "not text", "folder", "fifo", "large"])
def test_a_damaged_file_is_a_mismatch(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    match damage:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "large":
            path.touch()
            os.truncate(path, 2**30)
        case _:
            made = {
                "empty": b"",
                "half": data[: len(data) // 2],
                "zeros": bytes(len(data)),
                "not text": b"\xff" * 90,
            }
            path.write_bytes(made[damage])
    with pytest.raises(WeightsMismatch, match=path.name.replace(".", r"\.")):
        checked(folder)


HOSTILE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a wide encoder": (CONFIG, lambda c: c | {"encoder_config": c["encoder_config"] | {"hidden_size": 2048}}),
    "an endless encoder": (
        CONFIG,
        lambda c: c | {"encoder_config": c["encoder_config"] | {"hidden_size": 10**9}},
    ),
    "many layers": (
        CONFIG,
        lambda c: c | {"encoder_config": c["encoder_config"] | {"num_hidden_layers": 48}},
    ),
    "a huge vocabulary": (
        CONFIG,
        lambda c: c | {"encoder_config": c["encoder_config"] | {"vocab_size": 300_000}},
    ),
    "many segments": (CONFIG, lambda c: c | {"max_segments": 10**8}),
    "no layers": (CONFIG, lambda c: c | {"encoder_config": c["encoder_config"] | {"num_hidden_layers": 0}}),
    "a size in words": (
        CONFIG,
        lambda c: c | {"encoder_config": c["encoder_config"] | {"hidden_size": "384"}},
    ),
    "an unknown fusion": (CONFIG, lambda c: c | {"fusion": "eval"}),
    "no object": (CONFIG, lambda c: [c]),
    "a pattern": (ADAPTER_CONFIG, lambda c: c | {"target_modules": "(a+)+$"}),
    "a pattern in a list": (ADAPTER_CONFIG, lambda c: c | {"target_modules": [".*"]}),
    "another kind of adapter": (ADAPTER_CONFIG, lambda c: c | {"peft_type": "VERA"}),
    "another rank": (ADAPTER_CONFIG, lambda c: c | {"r": 17}),
    "a huge rank": (ADAPTER_CONFIG, lambda c: c | {"r": 10**6}),
    "many heads": (
        CONFIG,
        lambda c: c | {"encoder_config": c["encoder_config"] | {"num_attention_heads": 64}},
    ),
    "endless pages": (CONFIG, lambda c: c | {"max_page_tokens": 8192}),
    "small patches": (CONFIG, lambda c: c | {"encoder_config": c["encoder_config"] | {"patch_size": 4}}),
    "another activation": (
        CONFIG,
        lambda c: c | {"encoder_config": c["encoder_config"] | {"hidden_act": "relu"}},
    ),
    "a padding outside the table": (
        CONFIG,
        lambda c: c | {"encoder_config": c["encoder_config"] | {"pad_token_id": 9}},
    ),
    "an attention by name": (CONFIG, lambda c: c | {"_attn_implementation": "kernels-community/evil"}),
    "an encoder's attention by name": (
        CONFIG,
        lambda c: (
            c | {"encoder_config": c["encoder_config"] | {"_attn_implementation": "kernels-community/evil"}}
        ),
    ),
    "code by name": (CONFIG, lambda c: c | {"auto_map": {"AutoModel": "evil.Model"}}),
    "another scale": (ADAPTER_CONFIG, lambda c: c | {"use_rslora": True}),
    "other scales": (ADAPTER_CONFIG, lambda c: c | {"alpha_pattern": {".*": 64}}),
    "another layer": (ADAPTER_CONFIG, lambda c: c | {"modules_to_save": ["lm_head"]}),
    "a library by name": (ADAPTER_CONFIG, lambda c: c | {"auto_mapping": {"parent_library": "os"}}),
    "a coefficient too many": (CALIBRATION, lambda c: c | {"other": 1.0}),
    "no weight": (CALIBRATION, lambda c: c | {"answer": {"bias": "much"}}),
    "not a number": (CALIBRATION, lambda c: c | {"no_answer_bias": float("nan")}),
    "without end": (CALIBRATION, lambda c: c | {"no_answer_bias": float("inf")}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_configuration_is_held_against_bounds(folder: Path, what: str) -> None:
    name, change = HOSTILE[what]
    changed(folder, name, change)
    with pytest.raises(WeightsMismatch, match=Path(name).name.partition("_")[0]):
        checked(folder)


def test_deep_json_is_a_mismatch(folder: Path) -> None:
    (folder / CONFIG).write_text("[" * 100_000)
    with pytest.raises(WeightsMismatch, match=r"config\.json"):
        checked(folder)


def header(said: object, data: bytes = b"") -> bytes:
    encoded = json.dumps(said).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


HEADERS = {
    "a header larger than the file": struct.pack("<Q", 2**40),
    "a list": header([]),
    "a tensor larger than the file": header(
        {"a": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}}
    ),
    "a tensor that lies outside": header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
    "other offsets": header({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 8]}}, bytes(8)),
    "tensors over one another": header(
        {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "abc"}, bytes(8)
    ),
    "a negative size": header({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, -8]}}, bytes(8)),
    "an unknown type": header({"a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)),
    "a shape in words": header({"a": {"dtype": "F32", "shape": "12", "data_offsets": [0, 8]}}, bytes(8)),
    "a tensor of many sides": header(
        {"a": {"dtype": "F32", "shape": [2**39] * 80_000, "data_offsets": [0, 4]}}, bytes(4)
    ),
    "facts that are none": header({"__metadata__": 3}),
}


@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize("name", [PARTS, ADAPTER, LOSS_HEAD])
def test_tensors_lie_in_their_file(folder: Path, name: str, what: str) -> None:
    (folder / name).write_bytes(HEADERS[what])
    with pytest.raises(WeightsMismatch, match=Path(name).name.replace(".", r"\.")):
        checked(folder)


def test_numbers_that_are_none_are_refused(folder: Path) -> None:
    state = load_file(folder / PARTS)
    state[next(iter(state))].flatten()[0] = torch.nan
    save_file(state, folder / PARTS, metadata={"base_sha256": "0"})
    with pytest.raises(WeightsMismatch, match="numbers that are none"):
        checked(folder)


def test_what_changes_nothing_is_allowed_and_reaches_nobody(folder: Path) -> None:
    """Keys of other versions of the libraries that are off, and facts about the training."""
    quiet = {"new_switch": False, "new_list": [], "dtype": "float32", "transformers_version": "evil"}
    changed(
        folder,
        CONFIG,
        lambda c: c | quiet | {"encoder_config": c["encoder_config"] | quiet, "text_config": "evil"},
    )
    changed(folder, ADAPTER_CONFIG, lambda c: c | {"new_config": None, "base_model_name_or_path": "evil"})
    files = WeightFiles.read(folder)
    assert "evil" not in repr(files.shape()) + repr(files.adapter())


def test_a_kind_that_was_not_fitted_stays_left_out(folder: Path) -> None:
    changed(folder, CALIBRATION, lambda c: {"answer": c["answer"]})
    assert set(WeightFiles.read(folder).calibration()) == {"answer"}


def test_a_refusal_is_one_line_that_prints(folder: Path) -> None:
    changed(folder, CALIBRATION, lambda c: {"answer": {"\x1b[31m\nevil\u202e": "much"}})
    with pytest.raises(WeightsMismatch) as refused:
        checked(folder)
    assert str(refused.value).isprintable()


def test_what_was_hashed_is_what_is_loaded(folder: Path) -> None:
    """A registry's model is swapped after its files were read: the hashes are of the bytes in memory."""
    files = WeightFiles.read(folder)
    (folder / CALIBRATION).write_text("{}")
    assert files.calibration()["answer"] and WeightFiles.read(folder).calibration() == {}
    assert files.hashes != WeightFiles.read(folder).hashes
    with pytest.raises(RegistryError, match="was changed"):
        check_unchanged(folder, files.hashes)


def _wide_adapter(rank: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        save_file({}, folder / ADAPTER)
        changed(folder, ADAPTER_CONFIG, lambda c: c | {"r": rank})

    return make


def _wide_loss_head(folder: Path) -> None:
    known = {
        "parts_sha256": WeightFiles.read(folder).parts_sha256,
        "hidden_layers": ",".join(["1"] * 30),
        "hidden": "4096",
    }
    save_file({"a": torch.zeros(1)}, folder / LOSS_HEAD, metadata=known)


def _foreign_parts(folder: Path) -> None:
    """As large as is read, and of nothing that belongs there."""
    facts = WeightFiles.read(folder).facts(PARTS)
    save_file({"x": torch.zeros(2**26 - 2**12, dtype=torch.bfloat16)}, folder / PARTS, metadata=facts)


def _hostile(name: str) -> Callable[[Path], None]:
    return lambda folder: changed(folder, *HOSTILE[name])


GREEDY: dict[str, Callable[[Path], None]] = {
    "an adapter": _wide_adapter(256), "a wider adapter": _wide_adapter(1024), "a loss head": _wide_loss_head,
    "parts": _foreign_parts,
} | {name: _hostile(name) for name in HOSTILE if HOSTILE[name][0] == CONFIG}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", GREEDY)
def test_hostile_weights_take_no_memory(folder: Path, what: str) -> None:
    """One gigabyte more than the imports, of which half is the base model, mapped and copied."""
    GREEDY[what](folder)
    code = """
        import resource, sys
        from pathlib import Path
        import peft, torch, transformers
        from layoutllm_tool.errors import WeightsMismatch
        from layoutllm_tool.model import modeling, processing
        from layoutllm_tool.model.weights import load_weights
        before = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (before * 1024 + 2**30,) * 2)
        try:
            load_weights(Path(sys.argv[1]))
        except WeightsMismatch as error:
            print("refused", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("refused")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change"),
    [
        (CONFIG, lambda c: c | {"max_segments": 255}),
        (CONFIG, lambda c: c | {"pointer_size": 128}),
        (CONFIG, lambda c: c | {"encoder_config": c["encoder_config"] | {"intermediate_size": 1024}}),
        (CONFIG, lambda c: c | {"encoder_config": c["encoder_config"] | {"num_attention_heads": 7}}),
        (CONFIG, lambda c: c | {"encoder_config": c["encoder_config"] | {"coordinate_size": 63}}),
        (ADAPTER_CONFIG, lambda c: c | {"target_modules": ["q_proj"]}),
        (ADAPTER_CONFIG, lambda c: c | {"target_modules": ["no_such_layer"]}),
    ],
)
def test_sizes_that_do_not_go_together_are_a_mismatch(
    folder: Path, name: str, change: Callable[[Any], Any]
) -> None:
    changed(folder, name, change)
    with pytest.raises(WeightsMismatch):
        load_weights(folder)
