"""What a batch is made of: a folder, a file, a glob, or a list (JSONL, CSV); on disk, or by URL through fsspec (extra ``batch``).

Rows hold names, never bytes. Names of a list are untrusted: only the schemes of ``SCHEMES`` are opened, https only at public
addresses. What documents hold is ``documents``' matter.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from layoutllm_tool.documents.fetch import fetch
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.loading import load_document
from layoutllm_tool.documents.safety import Access, Limits, read_file, too_many_bytes
from layoutllm_tool.errors import (
    DocumentError,
    DocumentNotAllowed,
    DocumentNotFound,
    DocumentUnreadable,
    LayoutLLMError,
)

EXTENSIONS = frozenset(
    [
        ".pdf",
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".tif",
        ".tiff",
        ".webp",
        ".gif",
        ".bmp",
        ".ppm",
        ".pgm",
        ".pbm",
        ".jp2",
        ".j2k",
        ".avif",
        ".heic",
        ".heif",
    ]
)
"""What is taken from a folder. What a file really is gets decided by its content, later."""
SCHEMES = frozenset(["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "hdfs", "webhdfs", "memory"])
"""Storage that fsspec opens here. Chained URLs ("zip://...::...") are refused."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_LISTS = (".jsonl", ".ndjson", ".csv")
_COLUMNS = ("document", "path", "file")
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Row:
    """One input: ``name`` is an absolute path or a URL, ``label`` the name as seen from the source, the same on every machine."""

    position: int
    name: str
    label: str
    page: int | None = None


def rows(source: str, *, page: int | None = None, shard: tuple[int, int] | None = None) -> Iterator[Row]:
    """What the source holds, in an order that does not depend on the file system. ``page`` (1-based) where a row names none.

    ``shard`` (i, n), i from 0: the rows whose label's hash falls to i. By hash and not by position, so that a document stays
    where it is when others are added, and all pages of one stay together; positions are those in the whole source.
    DocumentError where there is nothing, or where a list has a bad row (with its number).
    """
    found = _found(source)
    for position, row in enumerate(found):
        if shard is None or _share(row.label, shard[1]) == shard[0]:
            yield replace(row, position=position, page=row.page or page)


def _share(label: str, shards: int) -> int:
    return int.from_bytes(hashlib.sha256(label.encode("utf-8", "surrogatepass")).digest()[:8], "big") % shards


def _found(source: str) -> Iterator[Row]:
    if not source:
        raise DocumentNotFound("no source was named.", hint="Give a folder, a file, a glob, or a JSONL or CSV list.")
    if _URL.match(source):
        return _remote(source)
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        if path.suffix.lower() in _LISTS:
            return _listed(_decoded(path.read_bytes(), str(path)).splitlines(keepends=True), str(path), _here(path))
        return iter([_row(os.path.abspath(path), path.name)])
    if _WILD.search(source):
        return _globbed(source)
    raise DocumentNotFound(f"there is no {source!r}.", hint="Give a folder, a file, a glob, or a JSONL or CSV list.")


def _row(name: str, label: str, page: int | None = None) -> Row:
    return Row(0, name, label, page)


# -- on disk ------------------------------------------------------------------------------------------------------------


def _folder(folder: Path) -> Iterator[Row]:
    top = os.path.abspath(folder)
    empty = True
    for where, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                empty = False
                path = os.path.join(where, name)
                yield _row(path, Path(path).relative_to(top).as_posix())
    if empty:
        raise DocumentNotFound(
            f"{str(folder)!r} holds no documents.", hint=f"Known by: {' '.join(sorted(EXTENSIONS))}."
        )


def _globbed(pattern: str) -> Iterator[Row]:
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise DocumentNotFound(f"nothing fits {pattern!r}.", hint="Quote the pattern, so that it arrives as it is.")
    for path in paths:
        yield _row(os.path.abspath(path), Path(path).as_posix())


def _here(path: Path) -> str:
    return os.path.abspath(path.parent)


# -- lists --------------------------------------------------------------------------------------------------------------


def _listed(lines: Sequence[str], name: str, base: str) -> Iterator[Row]:
    """All rows are read before the first is given: a bad one is told at once, not after nine thousand documents."""
    made = list(_csv_rows(lines) if name.lower().endswith(".csv") else _json_rows(lines))
    if not made:
        raise DocumentUnreadable(f"{name!r} lists no documents.", hint='A row looks like {"document": "a.pdf"}.')
    out = []
    for number, data in made:
        try:
            out.append(_list_row(data, base))
        except (ValueError, DocumentError) as error:
            raise DocumentUnreadable(
                f"row {number} of {name!r}: {error}.", hint="A row has `document` (or path, file), and may have `page`."
            ) from error
    return iter(out)


def _csv_rows(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(lines, restkey="")
    try:
        for data in reader:
            yield reader.line_num, {str(k).strip().lower(): v for k, v in data.items()}
    except csv.Error as error:
        yield reader.line_num, error


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                yield number, error


def _list_row(data: Any, base: str) -> Row:
    if isinstance(data, Exception):
        raise ValueError(str(data))
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    given = next((data[name] for name in _COLUMNS if data.get(name)), None)
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise ValueError("it names no document")
    page = _page(data.get("page"))
    if _URL.match(given):
        _scheme(given)
        return _row(given, given, page)
    if _URL.match(base):
        return _row(f"{base}/{PurePosixPath(given)}", given, page)
    return _row(os.path.abspath(os.path.join(base, given)), given, page)


def _page(given: Any) -> int | None:
    if given is None or given == "":
        return None
    if isinstance(given, bool) or not str(given).strip().isdecimal() or int(given) < 1:
        raise ValueError(f"page {given!r} is no number from 1")
    return int(given)


# -- by URL -------------------------------------------------------------------------------------------------------------


def _scheme(url: str) -> str:
    match = _URL.match(url)
    scheme = match[1].lower() if match else ""
    if (scheme != "https" and scheme not in SCHEMES) or "::" in url:
        raise DocumentNotAllowed(f"{url[:200]!r} is not opened.", hint=f"Known: https, {', '.join(sorted(SCHEMES))}.")
    return scheme


def _storage(url: str) -> tuple[Any, str]:
    """fsspec's file system and the path in it."""
    try:
        import fsspec
    except ImportError as error:
        raise LayoutLLMError("URLs need a package more.", hint="pip install 'layoutllm-tool[batch]'") from error
    try:
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except ImportError as error:
        raise LayoutLLMError(f"{_scheme(url)}:// needs a package more: {error}.", hint="pip install it.") from error


def _remote(url: str) -> Iterator[Row]:
    if _scheme(url) == "https":
        return iter([_row(url, url)])
    storage, path = _storage(url)
    if path.lower().endswith(_LISTS):
        lines = _text(url).splitlines(keepends=True)
        return _listed(lines, url, url.rsplit("/", 1)[0])
    if not _WILD.search(path) and storage.isfile(path):
        return iter([_row(url, path.rsplit("/", 1)[-1])])
    paths = sorted(storage.glob(path) if _WILD.search(path) else storage.find(path))
    top = re.split(_WILD, path)[0].rsplit("/", 1)[0] if _WILD.search(path) else path.rstrip("/")
    found = [p for p in paths if PurePosixPath(p).suffix.lower() in EXTENSIONS and "/." not in p.removeprefix(top)]
    if not found:
        raise DocumentNotFound(f"{url!r} holds no documents.", hint=f"Known by: {' '.join(sorted(EXTENSIONS))}.")
    return (_row(storage.unstrip_protocol(p), p.removeprefix(top).lstrip("/")) for p in found)


def _text(url: str) -> str:
    return _decoded(read_bytes(url)[1], url)


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentUnreadable(f"{name!r} is no text: {error}.", hint="Save it as UTF-8.") from error


# -- a document ---------------------------------------------------------------------------------------------------------


def read_bytes(name: str, *, limits: Limits | None = None) -> tuple[str, bytes]:
    """The last part of a name of ``rows``, and what it holds. DocumentError."""
    limits = limits or Limits()
    if not _URL.match(name):
        return read_file(name, limits=limits, access=Access.anywhere())
    if _scheme(name) == "https":
        return fetch(name, limits=limits, access=Access.anywhere(urls=True))
    storage, path = _storage(name)
    try:
        with storage.open(path, "rb") as file:
            data = file.read(limits.max_bytes + 1)
    except FileNotFoundError as error:
        raise DocumentNotFound(f"there is no {name!r}.", hint="Check the name.") from error
    except OSError as error:
        raise DocumentUnreadable(f"{name!r} can't be read: {error}.", hint="Check the rights to it.") from error
    if len(data) > limits.max_bytes:
        raise too_many_bytes(name, limits)
    return name.rsplit("/", 1)[-1], bytes(data)


def digest(name: str) -> str:
    """SHA-256 of the document's bytes. DocumentError."""
    return hashlib.sha256(read_bytes(name)[1]).hexdigest()


def asked_pages(plan: Mapping[str, Any], page: int | None) -> list[int] | None:
    """Which pages (1-based) a batch looks at, where its row names that page or none; None for all: a question names none."""
    asked = {question.get("page") or page for question in plan["questions"]}
    numbers = sorted(number for number in asked if number is not None)
    return None if None in asked else numbers


def open_document(name: str, *, pages: Sequence[int] | None = None) -> Document:
    """The document of that name, or those pages of it (1-based), unread. DocumentError."""
    if not _URL.match(name):
        return load_document(Path(name), pages=pages, access=Access.anywhere())
    short, data = read_bytes(name)
    return replace(load_document(data, pages=pages), name=short)
