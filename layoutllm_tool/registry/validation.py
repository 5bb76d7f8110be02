"""The validation set of a registry: which page of which document is asked what.

Documents stay where they are. A registry keeps their paths (relative to its folder) and hashes, so a changed
document is found. ``evaluation.promotion`` asks the questions.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from layoutllm_tool.documents import Access, Document, Limits, load_document
from layoutllm_tool.documents.safety import read_file
from layoutllm_tool.errors import DocumentError, DocumentNotAllowed, DocumentNotFound, RegistryError

_MAX_LIST_BYTES = 64 * 2**20
_MAX_NAMED = 10
"""Rows or documents that an error names."""


def _text(most: int) -> Any:
    return StringConstraints(pattern=r"\S", max_length=most)


def _path(given: Any) -> Any:
    if isinstance(given, str) and (not given.strip() or "\0" in given):
        raise ValueError("no document has such a name")
    return given


class ValidationCase(BaseModel):
    """One question. Empty ``answers`` mean that the document does not say; ``page`` is 1-based."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    path: Annotated[Path, Field(alias="document"), BeforeValidator(_path)]
    sha256: str = ""
    """Of the document's bytes; "" before the document was opened."""
    question: Annotated[str, _text(2000)]
    answers: Annotated[tuple[Annotated[str, _text(10_000)], ...], Field(max_length=100)]
    page: Annotated[int | None, Field(strict=True, ge=1)] = None

    def at(self, folder: Path) -> Self:
        """The case with an absolute path; it was relative to the folder."""
        return self.model_copy(update={"path": Path(os.path.abspath(folder / self.path))})

    def relative_to(self, folder: Path) -> Self:
        """The case with a path relative to the folder; on another drive it stays absolute."""
        with suppress(ValueError):
            return self.model_copy(update={"path": Path(os.path.relpath(self.path, os.path.abspath(folder)))})
        return self


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """The cases in their order, and the languages that their pages are read in."""

    cases: tuple[ValidationCase, ...]
    languages: tuple[str, ...] = ("eng",)

    @classmethod
    def read(cls, path: Path, *, languages: Sequence[str] = ("eng",)) -> Self:
        """A list of JSON rows: ``document``, ``question``, ``answers``, and maybe ``page``, ``sha256``.

        RegistryError names the first row that is not valid.
        """
        cases = []
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                try:
                    cases.append(ValidationCase.model_validate_json(line).at(path.parent))
                except ValidationError as error:
                    fault = first_fault(error, "the row")
                    raise _invalid(f"row {number} of {path}: {fault}.") from error
        if not cases:
            raise _invalid(f"{path} holds no questions.")
        return cls(tuple(cases), tuple(languages))

    @property
    def sha256(self) -> str:
        """Of documents' content, pages, questions, answers and languages; paths are left out."""
        known = [list(self.languages), [[c.sha256, c.page, c.question, list(c.answers)] for c in self.cases]]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def documents(self) -> list[list[ValidationCase]]:
        """Group cases by document and page, in the order of first appearance."""
        found: dict[tuple[str, int | None], list[ValidationCase]] = {}
        for case in self.cases:
            found.setdefault((case.sha256, case.page), []).append(case)
        return list(found.values())

    def within(self, access: Access) -> Self:
        """Check the paths: a list may name any file. RegistryError names one that is not allowed."""
        for path in dict.fromkeys(case.path for case in self.cases):
            try:
                with suppress(DocumentNotFound):  # ``hashed`` reports it with all others
                    access.find(path)
            except DocumentNotAllowed as error:
                raise RegistryError(error.message, hint=f"{error.hint} Name others with --root.") from error
        return self

    def hashed(self) -> ValidationSet:
        """Add the documents' hashes; each is opened once. RegistryError names those that can't be used."""
        known: dict[Path, str] = {}
        wrong = []
        for path, page, sha256 in dict.fromkeys((case.path, case.page, case.sha256) for case in self.cases):
            try:
                str(path).encode()
                pages = None if page is None else [page]
                known[path] = load_document(path, pages=pages, access=Access.anywhere()).sha256
            except DocumentError as error:
                wrong.append(error.message)
            except UnicodeEncodeError:
                wrong.append(f"{path} has a name that is not UTF-8.")
            else:
                if sha256 and sha256 != known[path]:
                    wrong.append(f"{path} is not the document with the hash that the list gives.")
        if wrong:
            raise _invalid(f"these documents can't be asked: {_first(wrong)}")
        return replace(self, cases=tuple(c.model_copy(update={"sha256": known[c.path]}) for c in self.cases))

    def check(self) -> None:
        """RegistryError names the documents that changed."""
        changed = []
        for path, sha256 in {case.path: case.sha256 for case in self.cases}.items():
            try:
                if hashlib.sha256(_bytes(path)).hexdigest() != sha256:
                    changed.append(f"{path} holds something else.")
            except DocumentError as error:
                changed.append(error.message)
        if changed:
            raise _changed(changed)


def open_case(case: ValidationCase) -> Document:
    """The case's document, or its page alone, unread. RegistryError where it changed."""
    data = _bytes(case.path)
    if hashlib.sha256(data).hexdigest() != case.sha256:
        raise _changed([f"{case.path} holds something else."])
    return replace(load_document(data, pages=None if case.page is None else [case.page]), name=case.path.name)


def first_fault(error: ValidationError, whole: str) -> str:
    """Where and what, bounded; ``whole`` names the place of a fault in none of its parts."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))[:80] or whole}: {first['msg'][:200]}"


def _bytes(path: Path) -> bytes:
    return read_file(path, limits=Limits(), access=Access.anywhere())[1]


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_LIST_BYTES + 1)
        if len(data) > _MAX_LIST_BYTES:
            raise ValueError(f"more than {_MAX_LIST_BYTES} bytes")
        yield from data.decode("utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"{path} can't be read: {error}.", hint="Name a list of JSON rows in UTF-8."
        ) from error


def _invalid(message: str) -> RegistryError:
    return RegistryError(
        message,
        hint=(
            'A row looks like {"document": "a.pdf", "question": "What is the total?", "answers": ["12.50"]}.'
        ),
    )


def _changed(what: Sequence[str]) -> RegistryError:
    return RegistryError(
        f"documents of the validation set have changed: {_first(what)}",
        hint="Put them back. If they only moved, set the same list again from where it lies now.",
    )


def _first(what: Sequence[str]) -> str:
    rest = f" And {len(what) - _MAX_NAMED} more." if len(what) > _MAX_NAMED else ""
    return " ".join(what[:_MAX_NAMED]) + rest
