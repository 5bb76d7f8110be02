"""The registry of models: what is promoted and what is not, what a kill leaves, what is found when somebody tampers."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool.errors import RegistryError
from layoutllm_tool.evaluation.promotion import Decision, promote
from layoutllm_tool.registry import Registry, folders, log, models, resolve
from layoutllm_tool.registry.frozen import Frozen
from layoutllm_tool.registry.history import stack
from layoutllm_tool.testing import FakeReader
from tests.registries import BAD, GOLD, SHIPPED, Readers, registry, validation, weights

Change = Callable[[Path], object]


@pytest.fixture(autouse=True)
def _small_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing the real weights every time is most of what a test would do."""
    monkeypatch.setattr(models, "PACKAGED", weights(tmp_path / "packaged", {}, seed=99))


@pytest.fixture
def place(tmp_path: Path) -> Registry:
    return registry(tmp_path)


def offer(place: Registry, folder: Path, make: Readers | None = None, **options: Any) -> Decision:
    return promote(place, folder, make or Readers(), **{"setting": "", **options})


def events(place: Registry) -> list[str]:
    return [entry["event"] for entry in place.log.entries()]


# -- promotion ----------------------------------------------------------------------------------------------------------


def test_a_better_model_takes_the_place(place: Registry, tmp_path: Path) -> None:
    parent = folders.parts_sha256(folders.files(tmp_path / "packaged"))
    better = weights(tmp_path / "better", stage_1_data_sha256="ab" * 32, start_sha256=parent)
    decision = offer(place, better)
    assert decision.promoted and decision.replaces == "shipped" and decision.worse == ()
    assert (decision.candidate.anls, decision.candidate.right, decision.candidate.refused) == (1.0, 8, 2)
    assert (decision.current.anls, decision.current.right, decision.current.questions) == (0.75, 6, 8)
    kept = place.weights()
    assert place.current == decision.model and kept == place.folder / "models" / decision.model
    assert {p.name for p in (place.folder / "models").iterdir()} == {decision.model}
    entry = place.log.entries()[-1]
    assert entry["event"] == "promoted" and entry["parent"] == entry["replaces"] == "shipped"
    assert entry["facts"]["stage_1_data_sha256"] == "ab" * 32 and entry["facts"]["seed"] == "0"
    assert entry["validation"] == place.validation.sha256 and entry["tolerance"] == 0.0
    answers = json.loads((place.folder / "scores" / f"{entry['candidate']['sha256'][:16]}.json").read_bytes())
    assert [a["answer"] for a in answers] == [*GOLD.values(), *GOLD.values()]


def test_a_worse_model_is_refused_with_what_became_worse(place: Registry, tmp_path: Path) -> None:
    decision = offer(place, weights(tmp_path / "bad", BAD))
    assert not decision.promoted and place.current == "shipped" and events(place)[-1] == "refused"
    assert [(w.document, w.question, w.before, w.after, w.lost) for w in decision.worse] == [
        (f"{number}.png", "vendor?", "ACME", "nobody", 1.0) for number in range(2)
    ]
    assert not any((place.folder / "models").iterdir())
    assert [(m.id, m.state) for m in place.models()] == [("shipped", "current"), (decision.model, "refused")]


def test_no_worse_is_enough_and_a_tolerance_allows_less(place: Registry, tmp_path: Path) -> None:
    assert offer(place, weights(tmp_path / "same", SHIPPED)).promoted
    bad = weights(tmp_path / "bad", BAD)
    assert not offer(place, bad, tolerance=0.24).promoted
    asked = Readers()
    assert offer(place, bad, asked, tolerance=0.25).promoted  # 0.5 against 0.75
    assert asked.asked == []  # both were asked before, under the same conditions
    assert place.log.entries()[-1]["tolerance"] == 0.25
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(RegistryError, match="tolerance"):
            offer(place, bad, tolerance=wrong)


def test_scores_are_remembered_only_under_the_same_conditions(place: Registry, tmp_path: Path) -> None:
    offer(place, weights(tmp_path / "a", BAD))
    later = Readers()
    offer(place, weights(tmp_path / "b", BAD, seed=1), later)
    assert len(later.asked) == 1 and later.asked[0] is not None  # the shipped ones were not asked anew
    elsewhere = Readers()
    offer(place, weights(tmp_path / "c", BAD, seed=2), elsewhere, setting="another text recognition")
    assert elsewhere.asked[0] is None and len(elsewhere.asked) == 2
    for file in (place.folder / "scores").iterdir():  # an answer that was improved by hand
        file.write_text(file.read_text().replace("99.99", "12.50"))
    forged = Readers()
    offer(place, weights(tmp_path / "d", BAD, seed=3), forged)
    assert forged.asked[0] is None


def test_calibration_and_configuration_make_another_model(place: Registry, tmp_path: Path) -> None:
    first = weights(tmp_path / "a")
    known = offer(place, first).model
    with pytest.raises(RegistryError, match="current one already"):
        offer(place, first)
    (first / "calibration.json").write_text("{}")
    assert offer(place, first).model not in (known, "shipped")


def test_an_error_decides_nothing(place: Registry, tmp_path: Path) -> None:
    class Failing(Readers):
        def __call__(self, folder: Path | None, languages: Any) -> FakeReader:
            return FakeReader({**SHIPPED, "total?": RegistryError("cannot read")})

    before = place.log.head()
    with pytest.raises(RegistryError, match=r"8 of 8 questions to the current model ended in an error.*cannot read"):
        offer(place, weights(tmp_path / "a"), Failing())
    assert place.log.head() == before and not any((place.folder / "models").iterdir())


def test_only_known_files_are_copied(place: Registry, tmp_path: Path) -> None:
    folder = weights(tmp_path / "a")
    for name in ("evil.pkl", "modeling.py", "adapter/adapter_model.bin", "MODEL_CARD.md"):
        (folder / name).write_text("x")
    kept = place.folder / "models" / offer(place, folder).model
    found = {p.relative_to(kept).as_posix() for p in kept.rglob("*") if p.is_file()}
    assert found == {*folders.NEEDED, "MODEL_CARD.md"}


@pytest.mark.parametrize("broken", ["config.json", "parts.safetensors"])
def test_what_is_no_folder_of_weights_is_refused(place: Registry, tmp_path: Path, broken: str) -> None:
    folder = weights(tmp_path / "a")
    (folder / broken).unlink()
    with pytest.raises(RegistryError, match=f"lacks {broken}"):
        offer(place, folder)
    for data in (b"", b"\xff" * 64, (2**40).to_bytes(8, "little"), (8).to_bytes(8, "little") + b"[" * 8):
        (folder / "config.json").write_text("{}")
        (folder / "parts.safetensors").write_bytes(data)
        with pytest.raises(RegistryError, match="no safetensors file"):
            offer(place, folder)
    assert events(place) == ["created", "frozen"]


# -- rolling back -------------------------------------------------------------------------------------------------------


def test_back_twice_and_no_further(place: Registry, tmp_path: Path) -> None:
    first = offer(place, weights(tmp_path / "a")).model
    second = offer(place, weights(tmp_path / "b", seed=1)).model
    assert [m.state for m in place.models()] == ["", "promoted", "current"]
    assert place.roll_back()["model"] == first and place.current == first
    assert [m.state for m in place.models()] == ["", "current", "rolled back"]
    assert place.roll_back()["model"] == "shipped" and place.weights() is None
    with pytest.raises(RegistryError, match="nothing to go back to"):
        place.roll_back()
    assert events(place)[-2:] == ["rolled back"] * 2
    assert offer(place, tmp_path / "b").model == second  # and forward again
    assert place.roll_back()["model"] == "shipped"


def test_a_damaged_model_is_skipped_on_the_way_back(place: Registry, tmp_path: Path) -> None:
    first, second, _ = (offer(place, weights(tmp_path / name, seed=n)).model for n, name in enumerate("abc"))
    (place.folder / "models" / second / "config.json").write_text("{}")
    entry = place.roll_back()
    assert (entry["model"], entry["skipped"]) == (first, [second]) and place.current == first


def test_a_rollback_during_a_promotion_is_seen(place: Registry, tmp_path: Path) -> None:
    first = offer(place, weights(tmp_path / "a")).model

    class Meanwhile(Readers):
        def __call__(self, folder: Path | None, languages: Any) -> Any:
            Registry(place.folder).roll_back()
            return super().__call__(folder, languages)

    asked = Meanwhile()
    decision = offer(place, weights(tmp_path / "b", SHIPPED), asked)
    assert (
        decision.promoted and decision.replaces == "shipped"
    )  # and worse than the model that it was first held against
    assert first not in stack(place.log.entries()) and len(asked.asked) == 1


# -- kills --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """No Exception: nothing may catch it, as nothing catches a kill."""


def _kill_at(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, after: bool = False) -> None:
    real = getattr(where, name)

    def killed(*arguments: Any, **options: Any) -> Any:
        if after:
            real(*arguments, **options)
        raise Killed(name)

    monkeypatch.setattr(where, name, killed)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("where", "name"),
    [
        (folders, "_copy"), (folders, "copy"), (models.Registry, "keep_answers"), (os, "rename"),
        (models.Registry, "_take"), (log.Log, "append"), (log, "sync_folder"),
    ],
)  # fmt: skip
def test_a_kill_leaves_the_old_model_or_the_new_one(
    place: Registry, tmp_path: Path, where: Any, name: str, after: bool
) -> None:
    old = offer(place, weights(tmp_path / "a", SHIPPED)).model
    better = weights(tmp_path / "b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_a, **_k: None)  # a kill tidies nothing up
        _kill_at(patch, where, name, after=after)
        with pytest.raises(Killed):
            offer(place, better)
    again = Registry(place.folder)
    assert again.weights() is not None
    if again.current == old:
        assert offer(again, better).promoted
    assert again.current != old and again.weights() is not None
    assert not offer(again, weights(tmp_path / "c", BAD)).promoted
    assert not list((again.folder / "models").glob(".incoming*"))  # what a kill left goes with the next promotion


_PROMOTES = """
import sys, time
from pathlib import Path
from layoutllm_tool.evaluation.promotion import promote
from layoutllm_tool.registry import Registry

def make(folder, _languages):
    print("asking", flush=True)
    time.sleep(60)

promote(Registry(Path(sys.argv[1])), Path(sys.argv[2]), make, setting="")
"""


def test_a_real_kill_leaves_no_lock_behind(place: Registry, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROMOTES, str(place.folder), str(weights(tmp_path / "a"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "asking\n"
        with pytest.raises(RegistryError, match="another promotion"):
            offer(place, tmp_path / "a")
        process.kill()
    assert len(list((place.folder / "models").iterdir())) == 1 and place.current == "shipped"
    model = offer(place, tmp_path / "a").model
    assert {p.name for p in (place.folder / "models").iterdir()} == {model}


def test_every_length_of_a_half_written_line_counts_as_not_written(place: Registry, tmp_path: Path) -> None:
    before = place.log.path.read_bytes()
    offer(place, weights(tmp_path / "a"))
    after = place.log.path.read_bytes()
    for cut in (*range(len(before), len(before) + 40), len(after) - 2, len(after) - 1):
        place.log.path.write_bytes(after[:cut])
        assert place.current == "shipped" and events(place) == ["created", "frozen"]
    assert offer(place, tmp_path / "a").promoted and events(place)[2:] == ["promoted"]
    assert place.log.path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("at", ["append", "write_whole"])
def test_a_kill_while_freezing_is_mended_by_freezing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    _kill_at(monkeypatch, log.Log if at == "append" else models, at, after=True)
    with pytest.raises(Killed):
        registry(tmp_path)
    monkeypatch.undo()
    with pytest.raises(RegistryError, match="no validation set"):
        _ = Registry(tmp_path / "registry").validation
    assert events(registry(tmp_path)) == ["created", "frozen"]


def test_a_full_disk_is_told_and_changes_nothing(
    place: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = offer(place, weights(tmp_path / "a")).model
    weights(tmp_path / "b", seed=1)
    real, left = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    for writes in range(100):
        left = writes
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(RegistryError, match="could not be written"):
                offer(place, tmp_path / "b")
        assert not list((place.folder / "models").glob(".incoming*")) and place.weights() is not None
        if place.current != first:  # the line is whole by now: the entry stands
            break
    assert writes > 8 and place.current != first


# -- tampering ----------------------------------------------------------------------------------------------------------


def _rechained(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """A forger who knows how the chain is made."""
    entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    change(entries)
    lines, head = [], ""
    for number, entry in enumerate(entries):
        lines.append(json.dumps(entry | {"number": number, "previous": head}).encode())
        head = hashlib.sha256(lines[-1]).hexdigest()
    path.write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"tolerance": 0.0', b'"tolerance": 0.5', 1),
        lambda data: data.replace(b'"anls": 1.0', b'"anls": 2.0', 1),
        lambda data: b"".join(data.splitlines(keepends=True)[:1] + data.splitlines(keepends=True)[2:]),
        lambda data: b"".join(reversed(data.splitlines(keepends=True))),
        lambda data: b"".join(data.splitlines(keepends=True)[1:]),
        lambda data: data.replace(b"\n", b"\n\n", 1),
        lambda data: data.replace(b"{", b"", 1),
        lambda data: b"[" * 100_000 + b"\n" + data,
        lambda data: b"[]\n" + data,
        lambda data: b"\xff\n" + data,
        lambda _: b"",
    ],
)
def test_a_changed_log_is_found(place: Registry, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    for seed in range(2):
        offer(place, weights(tmp_path / str(seed), seed=seed))
    data = place.log.path.read_bytes()
    assert change(data) != data
    place.log.path.write_bytes(change(data))
    for use in (resolve, Registry):
        with pytest.raises(RegistryError, match=r"changed by hand|lost its beginning"):
            use(place.folder)
    with pytest.raises(RegistryError):
        registry(tmp_path)


def test_a_cut_off_tail_shows_in_the_head(place: Registry, tmp_path: Path) -> None:
    offer(place, weights(tmp_path / "a"))
    head = place.log.head()
    lines = place.log.path.read_bytes().splitlines(keepends=True)
    place.log.path.write_bytes(b"".join(lines[:-1]))
    assert place.log.head() != head


@pytest.mark.parametrize("name", ["../../outside", "/etc", "..", "0123456789abcdeF", "0123456789abcde\n", "", 7, None])
def test_a_forged_log_names_no_place_outside(place: Registry, tmp_path: Path, name: Any) -> None:
    offer(place, weights(tmp_path / "a"))
    weights(tmp_path / "outside")
    _rechained(place.log.path, lambda entries: entries[-1].update(model=name))
    with pytest.raises(RegistryError, match="names no model"):
        resolve(place.folder)
    with pytest.raises(RegistryError):
        Registry(place.folder).weights("../../outside")


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: (kept / "config.json").write_text("{}"),
        lambda kept: (kept / "adapter/adapter_model.safetensors").write_bytes(b"x"),
        lambda kept: (kept / "calibration.json").write_text('{"none_bias": 9}'),
        lambda kept: (kept / "parts.safetensors").unlink(),
        shutil.rmtree,
    ],
)
def test_a_changed_model_is_not_used(place: Registry, tmp_path: Path, change: Change) -> None:
    model = offer(place, weights(tmp_path / "a")).model
    change(place.folder / "models" / model)
    with pytest.raises(RegistryError, match=r"not what was promoted|lacks"):
        resolve(place.folder)
    with pytest.raises(RegistryError):
        offer(place, weights(tmp_path / "b", seed=1))
    assert place.roll_back()["model"] == "shipped"
    assert offer(place, tmp_path / "a").model == model and place.weights() is not None  # and it comes back whole


# -- the frozen set -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "documents/1.png").write_bytes((top / "documents/0.png").read_bytes()),
        lambda top: (top / "documents/1.png").unlink(),
    ],
)
def test_a_changed_document_is_named(place: Registry, tmp_path: Path, change: Change) -> None:
    change(tmp_path)
    with pytest.raises(RegistryError, match=r"1\.png") as caught:
        offer(place, weights(tmp_path / "a"))
    assert "0.png" not in str(caught.value) and events(place) == ["created", "frozen"]


def test_a_changed_list_is_refused(place: Registry, tmp_path: Path) -> None:
    path = place.folder / "validation.jsonl"
    path.write_text(path.read_text().replace("12.50", "99.99"))
    with pytest.raises(RegistryError, match="not the list that was frozen"):
        offer(place, weights(tmp_path / "a"))


def test_another_set_only_while_nothing_was_promoted(place: Registry, tmp_path: Path) -> None:
    other = validation(tmp_path / "other", {"total?": "1"})
    Registry.freeze(place.folder, Frozen.read(other))
    registry(tmp_path)
    assert events(place) == ["created", "frozen", "frozen", "frozen"] and len(place.validation.cases) == 8
    offer(place, weights(tmp_path / "a"))
    with pytest.raises(RegistryError, match="new registry"):
        Registry.freeze(place.folder, Frozen.read(other))
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "documents", moved / "documents")
    shutil.copy(tmp_path / "list.jsonl", moved)
    shutil.rmtree(tmp_path / "documents")
    with pytest.raises(RegistryError, match="freeze the same list again"):
        offer(place, weights(tmp_path / "b", seed=1))
    Registry.freeze(place.folder, Frozen.read(moved / "list.jsonl"))
    assert offer(place, tmp_path / "b").promoted and len(place.log.entries()) == 6


def test_a_registry_moves_with_its_documents(tmp_path: Path) -> None:
    registry(tmp_path / "here")
    os.rename(tmp_path / "here", tmp_path / "there")
    assert offer(Registry(tmp_path / "there/registry"), weights(tmp_path / "a")).promoted


def test_a_page_alone_is_asked(tmp_path: Path) -> None:
    from layoutllm_tool.samples import LETTER

    row = {"document": str(LETTER), "question": "Notice period?", "page": 2, "answers": ["two months"]}
    (tmp_path / "list.jsonl").write_text(json.dumps(row))
    place = Registry.freeze(tmp_path / "registry", Frozen.read(tmp_path / "list.jsonl"))
    reader = FakeReader()
    decision = promote(place, weights(tmp_path / "a"), lambda _w, _l: reader, setting="")
    assert decision.candidate.anls == 1.0 and place.validation.cases[0].page == 2
    (tmp_path / "list.jsonl").write_text(json.dumps(row | {"page": 3}))
    with pytest.raises(RegistryError, match="can't be asked"):
        Registry.freeze(tmp_path / "other", Frozen.read(tmp_path / "list.jsonl"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "row",
    [
        "[]", "{", "[" * 100_000, '{"document": "a.png", "question": "q"}', '{"document": "", "question": "q", "answers": []}',
        '{"document": "a.png", "question": " ", "answers": []}', '{"document": "a.png", "question": "q", "answers": "x"}',
        '{"document": "a.png", "question": "q", "answers": [""]}', '{"document": "a.png", "question": "q", "answers": [1]}',
        '{"document": "a.png", "question": "\\ud800", "answers": []}', '{"document": "a\\u0000", "question": "q", "answers": []}',
        '{"document": "a.png", "question": "q", "answers": [], "page": 0}',
        '{"document": "a.png", "question": "q", "answers": [], "page": true}',
    ],
)  # fmt: skip
def test_a_row_that_is_none_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "list.jsonl").write_text(f'{{"document": "a.png", "question": "q", "answers": []}}\n{row}\n')
    with pytest.raises(RegistryError, match="row 2 of"):
        Frozen.read(tmp_path / "list.jsonl")


def test_lists_without_questions_or_with_other_documents(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text("\n\n")
    with pytest.raises(RegistryError, match="no questions"):
        Frozen.read(tmp_path / "list.jsonl")
    with pytest.raises(RegistryError, match="can't be read"):
        Frozen.read(tmp_path / "absent.jsonl")
    path = validation(tmp_path)
    path.write_text(path.read_text().replace("{", '{"sha256": "' + "0" * 64 + '", ', 1))
    with pytest.raises(RegistryError, match="not the document with the hash"):
        Registry.freeze(tmp_path / "registry", Frozen.read(path))


# -- folders ------------------------------------------------------------------------------------------------------------


def test_hashes_are_those_that_a_training_run_writes(tmp_path: Path) -> None:
    from layoutllm_tool.model.weights import parts_sha256

    for folder in (weights(tmp_path / "a"), weights(tmp_path / "b", seed=1)):
        assert folders.parts_sha256(folders.files(folder)) == parts_sha256(folder)
    assert folders.parts_sha256({}) == "" == folders.parts_sha256({"parts.safetensors": "no hash"})


def test_facts_are_bounded(tmp_path: Path) -> None:
    many = {f"stage_{number:03d}": "x" * 10_000 for number in range(200)}
    found = folders.facts(weights(tmp_path / "a", GOLD, seed=0, **many))
    assert len(found) == 64 and max(map(len, found.values())) == 500 and found["seed"] == "0"


# -- several at once, and whoever reads ---------------------------------------------------------------------------------


def test_of_two_promotions_at_once_one_is_told_to_wait(place: Registry, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Readers):
        def __call__(self, folder: Path | None, languages: Any) -> Any:
            begun.set()
            assert go_on.wait(30)
            return super().__call__(folder, languages)

    weights(tmp_path / "a"), weights(tmp_path / "b", seed=1)
    done: list[Decision] = []
    first = threading.Thread(target=lambda: done.append(offer(Registry(place.folder), tmp_path / "a", Slow())))
    first.start()
    assert begun.wait(30)
    with pytest.raises(RegistryError, match="another promotion is at work") as caught:
        offer(place, tmp_path / "b")
    assert caught.value.retryable and place.current == "shipped"
    go_on.set()
    first.join(30)
    assert done[0].promoted and offer(place, tmp_path / "b").replaces == done[0].model


def test_what_a_folder_means(place: Registry, tmp_path: Path) -> None:
    assert resolve(None) is None and resolve(tmp_path / "any") == tmp_path / "any"
    assert resolve(place.folder) is None
    model = offer(place, weights(tmp_path / "a")).model
    assert resolve(place.folder) == place.folder / "models" / model
    with pytest.raises(RegistryError, match="no registry"):
        Registry(tmp_path / "any")
