"""Make a validation set of what people decided about a batch's answers.

``training.reviewed`` makes training examples of the same; never use one batch for both.
"""

from __future__ import annotations

from pathlib import Path

from layoutllm_tool.batch.store import Reviewed, Store
from layoutllm_tool.errors import RegistryError
from layoutllm_tool.registry.frozen import Case, Frozen


def frozen_of(folder: Path) -> Frozen:
    """The last decision on each field, in the order of the source and then of the fields' names.

    A field nobody decided on is no case. StoreMismatch where the folder holds no batch; RegistryError where
    nobody decided on anything, or where its documents lie at URLs.
    """
    with Store.open(folder) as store:
        found = [case for one in store.decisions() if (case := _case(store, one))]
        languages = tuple(map(str, store.settings.get("languages", ("eng",))))
    if not found:
        raise RegistryError(
            f"nobody has decided on an answer of {folder} yet.", hint="Do so with `layoutllm view OUT` first."
        )
    return Frozen(tuple(case for _, case in sorted(found, key=lambda one: one[0])), languages)


def _case(store: Store, decision: Reviewed) -> tuple[tuple[int, str], Case] | None:
    """With its place in the order; None where the document has left the source."""
    source, done, after = store.input_of(decision.key), store.document(decision.key), decision.after
    if source is None or done is None or done.sha256 is None:
        return None
    if "://" in source.name:
        raise RegistryError(f"{source.name} is no file.", hint="Freeze what was reviewed of local files.")
    answer = after["cot"].get("answer")
    answers = (str(answer),) if answer is not None else ()
    return (source.position, decision.name), Case(
        Path(source.name), done.sha256, str(after["cot"]["question"]), answers, source.page
    )
