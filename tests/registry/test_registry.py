"""The registry of models: what is promoted and what is not, what a kill leaves, what is found when somebody
tampers.
"""

from __future__ import annotations

import errno
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
from layoutllm_tool.model.weight_files import NEEDED
from layoutllm_tool.model.weights import parts_sha256
from layoutllm_tool.registry import Registry, models, records, resolve
from layoutllm_tool.registry.records import FILE, Comparison
from layoutllm_tool.registry.validation import ValidationSet
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


def comparisons(place: Registry) -> list[Comparison]:
    return records.read(place.folder).comparisons


# -- promotion -----------------------------------------------------------------------------------------------


def test_a_better_model_takes_the_place(place: Registry, tmp_path: Path) -> None:
    parent = parts_sha256(tmp_path / "packaged")
    better = weights(tmp_path / "better", stage_1_data_sha256="ab" * 32, start_sha256=parent)
    decision = offer(place, better)
    assert decision.promoted and decision.replaces == "shipped" and decision.worse == ()
    assert (decision.candidate.anls, decision.candidate.right, decision.candidate.refused) == (1.0, 8, 2)
    assert (decision.current.anls, decision.current.right, decision.current.questions) == (0.75, 6, 8)
    kept = place.weights()
    assert place.current == decision.model and kept == place.folder / "models" / decision.model
    assert {p.name for p in (place.folder / "models").iterdir()} == {decision.model}
    (made,) = comparisons(place)
    assert made.promoted and made.parent == made.replaces == "shipped"
    assert made.facts["stage_1_data_sha256"] == "ab" * 32 and made.facts["seed"] == "0"
    assert made.conditions["validation"] == place.validation.sha256 and made.tolerance == 0.0
    answers = place.answers(place.fingerprint(decision.model), made.conditions)
    assert answers and [a["answer"] for a in answers] == [*GOLD.values(), *GOLD.values()]


def test_a_worse_model_is_refused_with_what_became_worse(place: Registry, tmp_path: Path) -> None:
    decision = offer(place, weights(tmp_path / "bad", BAD))
    assert not decision.promoted and place.current == "shipped" and not comparisons(place)[-1].promoted
    assert [(w.document, w.question, w.before, w.after, w.lost) for w in decision.worse] == [
        (f"{number}.png", "vendor?", "ACME", "nobody", 1.0) for number in range(2)
    ]
    assert not any((place.folder / "models").iterdir())
    assert [(m["id"], m["state"]) for m in place.models()] == [
        ("shipped", "current"),
        (decision.model, "refused"),
    ]


def test_no_worse_is_enough_and_a_tolerance_allows_less(place: Registry, tmp_path: Path) -> None:
    assert offer(place, weights(tmp_path / "same", SHIPPED)).promoted
    bad = weights(tmp_path / "bad", BAD)
    assert not offer(place, bad, tolerance=0.24).promoted
    asked = Readers()
    assert offer(place, bad, asked, tolerance=0.25).promoted  # 0.5 against 0.75
    assert asked.asked == []  # both were asked before, under the same conditions
    assert comparisons(place)[-1].tolerance == 0.25
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

    with pytest.raises(
        RegistryError, match=r"8 of 8 questions to the current model ended in an error.*cannot read"
    ):
        offer(place, weights(tmp_path / "a"), Failing())
    assert comparisons(place) == [] and not any((place.folder / "models").iterdir())


def test_only_known_files_are_copied(place: Registry, tmp_path: Path) -> None:
    folder = weights(tmp_path / "a")
    for name in ("evil.pkl", "modeling.py", "adapter/adapter_model.bin", "MODEL_CARD.md"):
        (folder / name).write_text("x")
    kept = place.folder / "models" / offer(place, folder).model
    found = {p.relative_to(kept).as_posix() for p in kept.rglob("*") if p.is_file()}
    assert found == {*NEEDED, "MODEL_CARD.md"}


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
    assert comparisons(place) == []


# -- rolling back --------------------------------------------------------------------------------------------


def test_back_twice_and_no_further(place: Registry, tmp_path: Path) -> None:
    first = offer(place, weights(tmp_path / "a")).model
    second = offer(place, weights(tmp_path / "b", seed=1)).model
    assert [m["state"] for m in place.models()] == ["", "promoted", "current"]
    assert place.roll_back()[0] == first and place.current == first
    assert [m["state"] for m in place.models()] == ["", "current", "rolled back"]
    assert place.roll_back()[0] == "shipped" and place.weights() is None
    with pytest.raises(RegistryError, match="nothing to go back to"):
        place.roll_back()
    assert offer(place, tmp_path / "b").model == second  # and forward again
    assert place.roll_back()[0] == "shipped"


def test_a_damaged_model_is_skipped_on_the_way_back(place: Registry, tmp_path: Path) -> None:
    first, second, _ = (offer(place, weights(tmp_path / name, seed=n)).model for n, name in enumerate("abc"))
    (place.folder / "models" / second / "config.json").write_text("{}")
    third = place.current
    assert place.roll_back() == (first, third, [second]) and place.current == first


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
    assert first not in records.read(place.folder).champions and len(asked.asked) == 1


# -- kills ---------------------------------------------------------------------------------------------------


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
        (records, "write_file"), (models, "_copy"), (Registry, "keep_answers"), (os, "rename"), (os,
        "replace"),
        (Registry, "_take"), (records, "write"), (records, "write_whole"), (records, "sync_folder"),
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
    assert not list(
        (again.folder / "models").glob(".incoming*")
    )  # what a kill left goes with the next promotion


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


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_while_setting_the_validation_set_is_repaired_by_setting_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    _kill_at(monkeypatch, records, "write_whole", after=after)
    with pytest.raises(Killed):
        registry(tmp_path)
    monkeypatch.undo()
    assert len(registry(tmp_path).validation.cases) == 8


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
        if place.current != first:  # registry.json was replaced by now
            break
    assert writes == 8 and place.current != first


# -- tampering -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"anls":1.0', b'"anls":"high"', 1).replace(
            b'"anls": 1.0', b'"anls": "high"', 1
        ),
        lambda data: data.replace(b"{", b"", 1),
        lambda data: data[: len(data) // 2],
        lambda data: b"[" * 100_000 + data,
        lambda data: b"\xff" + data,
        lambda _: b"[]",
        lambda _: b"",
    ],
)
def test_a_damaged_file_is_refused(place: Registry, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    offer(place, weights(tmp_path / "a"))
    path = place.folder / FILE
    data = path.read_bytes()
    assert change(data) != data
    path.write_bytes(change(data))
    for use in (resolve, Registry):
        with pytest.raises(RegistryError, match="is damaged"):
            use(place.folder)
    with pytest.raises(RegistryError):
        registry(tmp_path)


def test_a_registry_that_lost_its_file_is_not_made_anew(place: Registry, tmp_path: Path) -> None:
    offer(place, weights(tmp_path / "a"))
    (place.folder / FILE).unlink()
    with pytest.raises(RegistryError, match="has lost its"):
        registry(tmp_path)


@pytest.mark.parametrize(
    "name", ["../../outside", "/etc", "..", "0123456789abcdeF", "0123456789abcde\n", "", 7, None]
)
def test_a_forged_file_names_no_place_outside(place: Registry, tmp_path: Path, name: Any) -> None:
    offer(place, weights(tmp_path / "a"))
    weights(tmp_path / "outside")
    path = place.folder / FILE
    forged = json.loads(path.read_bytes())
    forged["champions"][-1] = forged["comparisons"][-1]["model"] = name
    path.write_text(json.dumps(forged))
    with pytest.raises(RegistryError, match="is damaged"):
        resolve(place.folder)
    with pytest.raises(RegistryError):
        place.weights("../../outside")


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: (kept / "config.json").write_text("{}"),
        lambda kept: (kept / "adapter/adapter_model.safetensors").write_bytes(b"x"),
        lambda kept: (kept / "calibration.json").write_text('{"no_answer_bias": 9}'),
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
    assert place.roll_back()[0] == "shipped"
    assert (
        offer(place, tmp_path / "a").model == model and place.weights() is not None
    )  # and it comes back whole


# -- the validation set --------------------------------------------------------------------------------------


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
    assert "0.png" not in str(caught.value) and comparisons(place) == []


def test_a_changed_list_is_refused(place: Registry, tmp_path: Path) -> None:
    path = place.folder / FILE
    path.write_text(path.read_text().replace("12.50", "99.99"))
    with pytest.raises(RegistryError, match="was edited"):
        offer(place, weights(tmp_path / "a"))


def test_another_set_only_while_nothing_was_promoted(place: Registry, tmp_path: Path) -> None:
    other = validation(tmp_path / "other", {"total?": "1"})
    Registry.set_validation(place.folder, ValidationSet.read(other))
    registry(tmp_path)
    assert len(place.validation.cases) == 8
    offer(place, weights(tmp_path / "a"))
    with pytest.raises(RegistryError, match="new registry"):
        Registry.set_validation(place.folder, ValidationSet.read(other))
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "documents", moved / "documents")
    shutil.copy(tmp_path / "list.jsonl", moved)
    shutil.rmtree(tmp_path / "documents")
    with pytest.raises(RegistryError, match="set the same list again"):
        offer(place, weights(tmp_path / "b", seed=1))
    Registry.set_validation(place.folder, ValidationSet.read(moved / "list.jsonl"))
    assert offer(place, tmp_path / "b").promoted


def test_a_registry_moves_with_its_documents(tmp_path: Path) -> None:
    registry(tmp_path / "here")
    os.rename(tmp_path / "here", tmp_path / "there")
    assert offer(Registry(tmp_path / "there/registry"), weights(tmp_path / "a")).promoted


def test_a_page_alone_is_asked(tmp_path: Path) -> None:
    from layoutllm_tool.samples import LETTER

    row = {"document": str(LETTER), "question": "Notice period?", "page": 2, "answers": ["two months"]}
    (tmp_path / "list.jsonl").write_text(json.dumps(row))
    place = Registry.set_validation(tmp_path / "registry", ValidationSet.read(tmp_path / "list.jsonl"))
    reader = FakeReader()
    decision = promote(place, weights(tmp_path / "a"), lambda _w, _l: reader, setting="")
    assert decision.candidate.anls == 1.0 and place.validation.cases[0].page == 2
    (tmp_path / "list.jsonl").write_text(json.dumps(row | {"page": 3}))
    with pytest.raises(RegistryError, match="can't be asked"):
        Registry.set_validation(tmp_path / "other", ValidationSet.read(tmp_path / "list.jsonl"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "row",
    [
        "[]", "{", "[" * 100_000, '{"document": "a.png", "question": "q"}',
        '{"document": "", "question": "q", "answers": []}',
        '{"document": "a.png", "question": " ", "answers": []}',
        '{"document": "a.png", "question": "q", "answers": "x"}',
        '{"document": "a.png", "question": "q", "answers": [""]}',
        '{"document": "a.png", "question": "q", "answers": [1]}',
        '{"document": "a.png", "question": "\\ud800", "answers": []}',
        '{"document": "a\\u0000", "question": "q", "answers": []}',
        '{"document": "a.png", "question": "q", "answers": [], "page": 0}',
        '{"document": "a.png", "question": "q", "answers": [], "page": true}',
    ],
)  # fmt: skip
def test_a_row_that_is_none_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "list.jsonl").write_text(f'{{"document": "a.png", "question": "q", "answers": []}}\n{row}\n')
    with pytest.raises(RegistryError, match="row 2 of"):
        ValidationSet.read(tmp_path / "list.jsonl")


def test_lists_without_questions_or_with_other_documents(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text("\n\n")
    with pytest.raises(RegistryError, match="no questions"):
        ValidationSet.read(tmp_path / "list.jsonl")
    with pytest.raises(RegistryError, match="can't be read"):
        ValidationSet.read(tmp_path / "absent.jsonl")
    path = validation(tmp_path)
    path.write_text(path.read_text().replace("{", '{"sha256": "' + "0" * 64 + '", ', 1))
    with pytest.raises(RegistryError, match="not the document with the hash"):
        Registry.set_validation(tmp_path / "registry", ValidationSet.read(path))


# -- folders -------------------------------------------------------------------------------------------------


def test_facts_are_bounded(place: Registry, tmp_path: Path) -> None:
    many = {f"stage_{number:03d}": "x" * 10_000 for number in range(200)}
    with place.staged(weights(tmp_path / "a", GOLD, seed=0, **many)) as candidate:
        found = candidate.facts
    assert len(found) == 64 and max(map(len, found.values())) == 500 and found["seed"] == "0"


# -- several at once, and whoever reads ----------------------------------------------------------------------


def test_of_two_promotions_at_once_one_is_told_to_wait(place: Registry, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Readers):
        def __call__(self, folder: Path | None, languages: Any) -> Any:
            begun.set()
            assert go_on.wait(30)
            return super().__call__(folder, languages)

    weights(tmp_path / "a"), weights(tmp_path / "b", seed=1)
    done: list[Decision] = []
    first = threading.Thread(
        target=lambda: done.append(offer(Registry(place.folder), tmp_path / "a", Slow()))
    )
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
