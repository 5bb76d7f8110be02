"""Open the documents of a batch: files, https, and storage by URL through fsspec (extra ``batch``).

Names are untrusted: ``Places`` says where a document may lie, and opening checks it. What documents hold is
``documents``' matter; which documents there are is ``inputs``'.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layoutllm_tool.documents.fetch import fetch
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.loading import parsed_document
from layoutllm_tool.documents.safety import Access, Limits, read_file, too_many_bytes
from layoutllm_tool.errors import DocumentNotAllowed, DocumentNotFound, DocumentUnreadable, LayoutLLMError

SCHEMES = frozenset(["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"])
"""Storage that fsspec may open where the caller allows it: its servers are the provider's, or set by the
caller's own environment. Schemes whose URL names a server (hdfs, webhdfs, ftp, http, ...) are left out:
nothing would check its address. Chained URLs ("zip://...::...") are refused."""
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")


@dataclass(frozen=True, slots=True)
class Places:
    """Where documents may lie."""

    roots: tuple[str, ...] | None = None
    """Folders that files must lie in once links are followed; None for any file."""
    schemes: tuple[str, ...] = ("https",)
    """Of URLs that are opened: https at public addresses, and of ``SCHEMES``."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.schemes) - SCHEMES - {"https"}):
            raise DocumentNotAllowed(
                f"{', '.join(unknown)[:200]} is no storage that is opened here.",
                hint=f"Known: https, {', '.join(sorted(SCHEMES))}.",
            )

    @property
    def access(self) -> Access:
        return Access(roots=None if self.roots is None else tuple(map(Path, self.roots)), urls=True)


ANYWHERE = Places()
"""For names that the caller chose."""


def checked_scheme(url: str, allowed: Places) -> str:
    """The URL's scheme. DocumentNotAllowed where it is not one of the allowed ones."""
    match = URL.match(url)
    scheme = match[1].lower() if match else ""
    if scheme not in allowed.schemes or "::" in url:
        may = f" Allow it with --allow-scheme {scheme}." if scheme in SCHEMES and "::" not in url else ""
        raise DocumentNotAllowed(
            f"{url[:200]!r} is not opened.", hint=f"Allowed: {', '.join(allowed.schemes) or 'none'}.{may}"
        )
    return scheme


def storage_of(url: str) -> tuple[Any, str]:
    """fsspec's file system and the path in it."""
    try:
        import fsspec
    except ImportError as error:
        raise LayoutLLMError(
            "URLs need a package more.", hint="pip install 'layoutllm-tool[batch]'"
        ) from error
    with storage_errors(url):
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Storage libraries raise errors of every kind; each becomes a DocumentError."""
    try:
        yield
    except LayoutLLMError:
        raise
    except FileNotFoundError as error:
        raise DocumentNotFound(f"there is no {url[:200]!r}.", hint="Check the name.") from error
    except ImportError as error:
        raise LayoutLLMError(
            f"{url.partition(':')[0]}:// needs a package more: {error}.", hint="pip install it."
        ) from error
    except Exception as error:
        raise DocumentUnreadable(
            f"{url[:200]!r} can't be read: {type(error).__name__}: {str(error)[:300]}.",
            hint="Check the rights to it.",
        ) from error


def read_bytes(name: str, *, places: Places = ANYWHERE) -> tuple[str, bytes]:
    """The last part of an input's name, and the document's bytes. DocumentError."""
    limits = Limits()
    if not URL.match(name):
        return read_file(name, limits=limits, access=places.access)
    if checked_scheme(name, places) == "https":
        return fetch(name, limits=limits, access=places.access)
    storage, path = storage_of(name)
    with storage_errors(name), storage.open(path, "rb") as file:
        data = file.read(limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        raise too_many_bytes(name, limits)
    return name.rsplit("/", 1)[-1], bytes(data)


def digest(name: str, *, places: Places = ANYWHERE) -> str:
    """SHA-256 of the document's bytes. DocumentError."""
    return hashlib.sha256(read_bytes(name, places=places)[1]).hexdigest()


def asked_pages(plan: Mapping[str, Any], page: int | None) -> list[int] | None:
    """The pages (1-based) that a batch reads of an input; None for all, where a question names none."""
    asked = {question.get("page") or page for question in plan["questions"]}
    numbers = sorted(number for number in asked if number is not None)
    return None if None in asked else numbers


def open_document(name: str, *, pages: Sequence[int] | None = None, places: Places = ANYWHERE) -> Document:
    """The document of that name, or those pages of it (1-based), unread. DocumentError."""
    short, data = read_bytes(name, places=places)
    return parsed_document(short, data, pages=pages, limits=Limits())
