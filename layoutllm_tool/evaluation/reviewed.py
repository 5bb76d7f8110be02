"""What people said of a batch's answers, as a validation set. As training examples: ``training.reviewed``;
never both.
"""

from __future__ import annotations

from pathlib import Path

from layoutllm_tool.batch.store import ReviewRecord, Store
from layoutllm_tool.errors import RegistryError
from layoutllm_tool.registry.validation import ValidationCase, ValidationSet


def validation_of(folder: Path) -> ValidationSet:
    """The last word on each field, in the order of the source and then of the fields' names; a field nobody
    decided on is no case.

    StoreMismatch where the folder holds no batch; RegistryError where nobody decided on anything, or where
    its documents lie at URLs.
    """
    with Store.open(folder) as store:
        found = [case for one in store.decisions() if (case := _case(store, one))]
        languages = tuple(map(str, store.settings.get("languages", ("eng",))))
    if not found:
        raise RegistryError(
            f"nobody has decided on an answer of {folder} yet.",
            hint="Review answers with `layoutllm view OUT` first.",
        )
    return ValidationSet(tuple(case for _, case in sorted(found, key=lambda one: one[0])), languages)


def _case(store: Store, said: ReviewRecord) -> tuple[tuple[int, str], ValidationCase] | None:
    """With its place in the order; None where the document has left the source."""
    source, done, after = store.input_of(said.key), store.document(said.key), said.after
    if source is None or done is None or done.sha256 is None:
        return None
    if "://" in source.name:
        raise RegistryError(
            f"{source.name} is no file.", hint="Use what was reviewed of files on this machine."
        )
    answer = after["cot"].get("answer")
    answers = (str(answer),) if answer is not None else ()
    return (source.position, said.name), ValidationCase(
        path=Path(source.name), sha256=done.sha256, question=str(after["cot"]["question"]), answers=answers,
        page=source.page,
    )  # fmt: skip
