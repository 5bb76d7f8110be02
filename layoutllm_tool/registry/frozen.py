"""The frozen validation set: which page of which document is asked what, known by the content of the documents.

Documents stay where they are; a registry holds their places (relative to it) and hashes, so a set means the same wherever it
lies, and one that was touched is found. Asking is ``evaluation.promotion``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from layoutllm_tool.documents import Access, Document, Limits, load_document
from layoutllm_tool.documents.safety import read_file
from layoutllm_tool.errors import DocumentError, DocumentNotAllowed, DocumentNotFound, RegistryError

FILE = "validation.jsonl"
_LONGEST_LIST = 64 * 2**20
_LONGEST_QUESTION, _LONGEST_ANSWER, _MOST_ANSWERS = 2000, 10_000, 100
_TOLD = 10
"""Rows or documents that an error names."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question. ``answers`` () means that the document does not say; ``page`` (1-based) restricts it to that page."""

    path: Path
    sha256: str
    """Of the document's bytes; "" before it was looked at."""
    question: str
    answers: tuple[str, ...]
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """The set, in its order, with the languages that its pages are read in."""

    cases: tuple[Case, ...]
    languages: tuple[str, ...] = ("eng",)

    @classmethod
    def read(cls, path: Path, *, languages: Sequence[str] = ("eng",)) -> Self:
        """A list of JSON rows: ``document`` (relative to the list), ``question``, ``answers``, and maybe ``page``, ``sha256``.

        RegistryError names the first row that is none.
        """
        cases = []
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                try:
                    cases.append(_case(json.loads(line), path.parent))
                except (ValueError, RecursionError) as error:
                    raise _bad(f"row {number} of {path}: {error}.") from error
        if not cases:
            raise _bad(f"{path} holds no questions.")
        return cls(tuple(cases), tuple(languages))

    @property
    def sha256(self) -> str:
        """Of documents' content, pages, questions, answers and languages; not of where the documents lie."""
        known = [list(self.languages), [[c.sha256, c.page, c.question, list(c.answers)] for c in self.cases]]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def documents(self) -> list[list[Case]]:
        """Cases of the same document and page together, in the order of first appearance."""
        found: dict[tuple[str, int | None], list[Case]] = {}
        for case in self.cases:
            found.setdefault((case.sha256, case.page), []).append(case)
        return list(found.values())

    def within(self, access: Access) -> Self:
        """The set as it is: a list from elsewhere may name any file. RegistryError names one that lies outside."""
        for path in dict.fromkeys(case.path for case in self.cases):
            try:
                with suppress(DocumentNotFound):  # told with all others that can't be asked
                    access.find(path)
            except DocumentNotAllowed as error:
                raise RegistryError(error.message, hint=f"{error.hint} Name others with --root.") from error
        return self

    def looked_at(self) -> Frozen:
        """The set with its documents' hashes, each opened once. RegistryError names those that can't be used."""
        known: dict[Path, str] = {}
        wrong = []
        for path, page, said in dict.fromkeys((case.path, case.page, case.sha256) for case in self.cases):
            if not _writable(path):
                wrong.append(f"{path} has a name that is no UTF-8.")
                continue
            try:
                known[path] = load_document(
                    path, pages=None if page is None else [page], access=Access.anywhere()
                ).sha256
            except DocumentError as error:
                wrong.append(error.message)
            else:
                if said and said != known[path]:
                    wrong.append(f"{path} is not the document with the hash that the list gives.")
        if wrong:
            raise _bad(f"these documents can't be asked: {_told(wrong)}")
        return replace(self, cases=tuple(replace(case, sha256=known[case.path]) for case in self.cases))

    def check(self) -> None:
        """RegistryError names the documents that are not what they were."""
        changed = []
        for path, sha256 in {case.path: case.sha256 for case in self.cases}.items():
            try:
                found = hashlib.sha256(_bytes(path)).hexdigest()
            except DocumentError as error:
                changed.append(error.message)
            else:
                if found != sha256:
                    changed.append(f"{path} holds something else.")
        if changed:
            raise _changed(changed)

    def write(self, folder: Path) -> bytes:
        """``FILE``'s content, for a registry in that folder."""
        rows = (
            {
                "document": _relative(case.path, folder), "sha256": case.sha256, "page": case.page,
                "question": case.question, "answers": list(case.answers),
            }
            for case in self.cases
        )  # fmt: skip
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def opened(case: Case) -> Document:
    """The case's document, or its page alone, unread. RegistryError where it is not what it was."""
    data = _bytes(case.path)
    if hashlib.sha256(data).hexdigest() != case.sha256:
        raise _changed([f"{case.path} holds something else."])
    return replace(load_document(data, pages=None if case.page is None else [case.page]), name=case.path.name)


def _bytes(path: Path) -> bytes:
    return read_file(path, limits=Limits(), access=Access.anywhere())[1]


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_LIST + 1)
        if len(data) > _LONGEST_LIST:
            raise ValueError(f"more than {_LONGEST_LIST} bytes")
        yield from data.decode("utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise RegistryError(f"{path} can't be read: {error}.", hint="Name a list of JSON rows in UTF-8.") from error


def _case(row: Any, folder: Path) -> Case:
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    document, question, answers = row.get("document"), row.get("question"), row.get("answers")
    if not isinstance(document, str) or not document.strip() or "\0" in document:
        raise ValueError("`document` names none")
    if not isinstance(question, str) or not question.strip() or len(question) > _LONGEST_QUESTION:
        raise ValueError(f"`question` is no text of at most {_LONGEST_QUESTION} characters")
    if not isinstance(answers, list) or len(answers) > _MOST_ANSWERS:
        raise ValueError(f"`answers` is no list of at most {_MOST_ANSWERS} texts")
    if not all(isinstance(a, str) and a.strip() and len(a) <= _LONGEST_ANSWER for a in answers):
        raise ValueError("an answer is empty, overlong or no text; [] says that the document has none")
    sha256 = row.get("sha256") or ""
    if not isinstance(sha256, str):
        raise ValueError("`sha256` is no text")
    "".join([document, question, *answers]).encode()  # a lone surrogate could never be written down
    path = Path(os.path.abspath(folder / document))
    return Case(path, sha256, question, tuple(answers), _page(row.get("page")))


def _page(given: Any) -> int | None:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
        raise ValueError("`page` is no number from 1")
    return given


def _writable(path: Path) -> bool:
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, os.path.abspath(folder))).as_posix()
    except ValueError:  # another drive
        return str(path)


def _bad(message: str) -> RegistryError:
    return RegistryError(
        message, hint='A row looks like {"document": "a.pdf", "question": "What is the total?", "answers": ["12.50"]}.'
    )


def _changed(what: Sequence[str]) -> RegistryError:
    return RegistryError(
        f"the frozen documents are not what they were: {_told(what)}",
        hint="Put them back. If they only moved, freeze the same list again from where it lies now.",
    )


def _told(what: Sequence[str]) -> str:
    rest = f" And {len(what) - _TOLD} more." if len(what) > _TOLD else ""
    return " ".join(what[:_TOLD]) + rest
