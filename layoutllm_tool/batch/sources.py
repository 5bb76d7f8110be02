"""What a batch is made of: a folder, a file, a glob, or a list (JSONL, CSV); on disk, or by URL through fsspec (extra ``batch``).

Rows hold names, never bytes. Names of a list are untrusted, and so are the links in a folder: every row says in which
``Places`` its document may lie, and opening holds it to them. A row that can't be used is a row all the same, with
its ``problem``. What documents hold is ``documents``' matter.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from layoutllm_tool.documents.fetch import fetch
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.documents.loading import parsed_document
from layoutllm_tool.documents.safety import Access, Limits, read_file, too_many_bytes
from layoutllm_tool.errors import (
    DocumentError,
    DocumentNotAllowed,
    DocumentNotFound,
    DocumentTooLarge,
    DocumentUnreadable,
    LayoutLLMError,
)
from layoutllm_tool.printable import from_cell

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
SCHEMES = frozenset(["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"])
"""Storage that fsspec may open where the caller allows it: its servers are the provider's, or set by the caller's own
environment. Not those whose URL names a server (hdfs, webhdfs, ftp, http, ...): nothing would check its address. Chained
URLs ("zip://...::...") are refused."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_LISTS = (".jsonl", ".ndjson", ".csv")
_COLUMNS = ("document", "path", "file")
_WILD = re.compile(r"[*?\[]")
_MOST_ROWS = 10_000_000
_LAST_PAGE = 1_000_000
_LONGEST_NAME = 10_000


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


@dataclass(frozen=True, slots=True)
class Row:
    """One input: ``name`` is an absolute path or a URL, ``label`` the name as seen from the source, the same on every machine."""

    position: int
    name: str
    label: str
    page: int | None = None
    problem: str = ""
    """Why nothing can be opened, where that is known already."""
    places: Places = ANYWHERE


def rows(
    source: str,
    *,
    page: int | None = None,
    shard: tuple[int, int] | None = None,
    roots: Sequence[str] = (),
    schemes: Sequence[str] = (),
) -> Iterator[Row]:
    """What the source holds, in an order that does not depend on the file system. ``page`` (1-based) where a row names none.

    What a list names, and where a folder's links lead, must lie in the list's own folder, the folder itself, or one of
    ``roots``; storage is opened by URL where ``schemes`` names its scheme, or the source itself has it.

    ``shard`` (i, n), i from 0: the rows whose label's hash falls to i. By hash and not by position, so that a document stays
    where it is when others are added, and all pages of one stay together; positions are those in the whole source.
    DocumentError where there is nothing, or a list can't be read.
    """
    match = _URL.match(source)
    own = {match[1].lower()} if match else set()
    allowed = Places(schemes=tuple(sorted({"https", *schemes, *(own & SCHEMES)})))
    more = tuple(os.path.abspath(root) for root in roots)
    for position, row in enumerate(_found(source, allowed)):
        if position >= _MOST_ROWS:
            raise DocumentTooLarge(f"{source[:200]!r} has more than {_MOST_ROWS:,} rows.", hint="Use --shard or parts.")
        if shard is None or _share(row.label, shard[1]) == shard[0]:
            within = None if row.places.roots is None else (*row.places.roots, *more)
            yield replace(row, position=position, page=row.page or page, places=replace(allowed, roots=within))


def _share(label: str, shards: int) -> int:
    return int.from_bytes(hashlib.sha256(label.encode("utf-8", "surrogatepass")).digest()[:8], "big") % shards


def _found(source: str, allowed: Places) -> Iterator[Row]:
    if not source:
        raise DocumentNotFound("no source was named.", hint="Give a folder, a file, a glob, or a JSONL or CSV list.")
    if _URL.match(source):
        return _remote(source, allowed)
    path = Path(source)
    try:
        if path.is_dir():
            return _folder(path)
        if path.is_file():
            if path.suffix.lower() in _LISTS:
                return _listed(_lines(path.read_bytes()), str(path), _here(path))
            return iter([_row(os.path.abspath(path), path.name)])
    except (OSError, ValueError) as error:
        raise DocumentUnreadable(f"{source[:200]!r} can't be read: {error}.", hint="Check the rights to it.") from error
    if _WILD.search(source):
        return _globbed(source)
    raise DocumentNotFound(f"there is no {source!r}.", hint="Give a folder, a file, a glob, or a JSONL or CSV list.")


def _row(name: str, label: str, page: int | None = None, *, root: str | None = None, problem: str = "") -> Row:
    return Row(0, name, label, page, problem, Places(roots=None if root is None else (root,)))


# -- on disk ------------------------------------------------------------------------------------------------------------


def _folder(folder: Path) -> Iterator[Row]:
    top = os.path.abspath(folder)
    empty, shut = True, list[OSError]()
    for where, folders, files in os.walk(top, onerror=shut.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                empty = False
                path = os.path.join(where, name)
                yield _row(path, _label(path, top), root=top)
        while shut:
            empty, error = False, shut.pop()
            yield _row(
                str(error.filename),
                _label(str(error.filename), top),
                problem=f"the folder can't be read: {error.strerror}",
            )
    if empty and not shut:
        raise DocumentNotFound(
            f"{str(folder)!r} holds no documents.", hint=f"Known by: {' '.join(sorted(EXTENSIONS))}."
        )
    for error in shut:
        yield _row(
            str(error.filename), _label(str(error.filename), top), problem=f"the folder can't be read: {error.strerror}"
        )


def _label(path: str, top: str) -> str:
    return Path(os.path.relpath(path, top)).as_posix()


def _globbed(pattern: str) -> Iterator[Row]:
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise DocumentNotFound(f"nothing fits {pattern!r}.", hint="Quote the pattern, so that it arrives as it is.")
    root = os.path.abspath(os.path.dirname(_WILD.split(pattern)[0]) or ".")
    for path in paths:
        yield _row(os.path.abspath(path), Path(path).as_posix(), root=root)


def _here(path: Path) -> str:
    return os.path.abspath(path.parent)


# -- lists --------------------------------------------------------------------------------------------------------------


def _lines(data: bytes) -> list[str]:
    """A name that is no UTF-8 keeps its bytes, as names on disk do."""
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").splitlines(keepends=True)


def _listed(lines: Sequence[str], name: str, base: str) -> Iterator[Row]:
    """A row each, whatever stands in it. DocumentUnreadable where there is none."""
    empty = True
    for number, data in _csv_rows(lines) if name.lower().endswith(".csv") else _json_rows(lines):
        empty = False
        yield _list_row(data, number, base)
    if empty:
        raise DocumentUnreadable(f"{name!r} lists no documents.", hint='A row looks like {"document": "a.pdf"}.')


def _csv_rows(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(lines, restkey="")
    while True:
        try:
            data = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num + 1, error  # the line that it stopped in
        else:
            yield reader.line_num, {str(k).strip().lower(): _value(v) for k, v in data.items()}


def _value(given: Any) -> Any:
    return from_cell(given) if isinstance(given, str) else given


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, error


def _list_row(data: Any, number: int, base: str) -> Row:
    given = f"row {number}"
    try:
        if isinstance(data, Exception):
            raise ValueError(str(data) or type(data).__name__)
        if not isinstance(data, dict):
            raise ValueError("it is no object")
        named = next((data[name] for name in _COLUMNS if data.get(name)), None)
        if not isinstance(named, str) or not named.strip():
            raise ValueError("it names no document")
        given = named
        return _named(named, _page(data.get("page")), base)
    except (ValueError, DocumentError) as error:
        why = str(error)[:300].rstrip(". ")
        return _row(
            given, given, problem=f"row {number}: {why}. A row has `document` (or path, file), and may have `page`"
        )


def _named(given: str, page: int | None, base: str) -> Row:
    if "\0" in given or len(given) > _LONGEST_NAME:
        raise ValueError("no file has such a name")
    if _URL.match(given):
        return _row(given, given, page)
    if _URL.match(base):
        if ".." in PurePosixPath(given).parts or given.startswith("/"):
            raise ValueError("it leads out of the list's own folder")
        return _row(f"{base}/{PurePosixPath(given)}", given, page)
    return _row(os.path.abspath(os.path.join(base, given)), given, page, root=base)


def _page(given: Any) -> int | None:
    if given is None or given == "":
        return None
    text = str(given).strip()[:20]
    if isinstance(given, bool) or not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= _LAST_PAGE:
        raise ValueError(f"page {text!r} is no number from 1")
    return int(text)


# -- by URL -------------------------------------------------------------------------------------------------------------


def _scheme(url: str, allowed: Places) -> str:
    match = _URL.match(url)
    scheme = match[1].lower() if match else ""
    if scheme not in allowed.schemes or "::" in url:
        may = f" Allow it with --allow-scheme {scheme}." if scheme in SCHEMES and "::" not in url else ""
        raise DocumentNotAllowed(
            f"{url[:200]!r} is not opened.", hint=f"Allowed: {', '.join(allowed.schemes) or 'none'}.{may}"
        )
    return scheme


def _storage(url: str) -> tuple[Any, str]:
    """fsspec's file system and the path in it."""
    try:
        import fsspec
    except ImportError as error:
        raise LayoutLLMError("URLs need a package more.", hint="pip install 'layoutllm-tool[batch]'") from error
    with _failing(url):
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]


@contextmanager
def _failing(url: str) -> Iterator[None]:
    """Storage libraries fail with errors of every kind: what they say becomes the document's."""
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
            f"{url[:200]!r} can't be read: {type(error).__name__}: {str(error)[:300]}.", hint="Check the rights to it."
        ) from error


def _remote(url: str, allowed: Places) -> Iterator[Row]:
    if _scheme(url, allowed) == "https":
        return iter([_row(url, url)])
    storage, path = _storage(url)
    if path.lower().endswith(_LISTS):
        return _listed(_lines(read_bytes(url, places=allowed)[1]), url, url.rsplit("/", 1)[0])
    with _failing(url):
        if not _WILD.search(path) and storage.isfile(path):
            return iter([_row(url, path.rsplit("/", 1)[-1])])
        paths = sorted(storage.glob(path) if _WILD.search(path) else storage.find(path))
    top = re.split(_WILD, path)[0].rsplit("/", 1)[0] if _WILD.search(path) else path.rstrip("/")
    found = [p for p in paths if PurePosixPath(p).suffix.lower() in EXTENSIONS and "/." not in p.removeprefix(top)]
    if not found:
        raise DocumentNotFound(f"{url!r} holds no documents.", hint=f"Known by: {' '.join(sorted(EXTENSIONS))}.")
    return (_row(storage.unstrip_protocol(p), p.removeprefix(top).lstrip("/")) for p in found)


# -- a document ---------------------------------------------------------------------------------------------------------


def read_bytes(name: str, *, limits: Limits | None = None, places: Places = ANYWHERE) -> tuple[str, bytes]:
    """The last part of a name of ``rows``, and what it holds. DocumentError."""
    limits = limits or Limits()
    if not _URL.match(name):
        return read_file(name, limits=limits, access=places.access)
    if _scheme(name, places) == "https":
        return fetch(name, limits=limits, access=places.access)
    storage, path = _storage(name)
    with _failing(name), storage.open(path, "rb") as file:
        data = file.read(limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        raise too_many_bytes(name, limits)
    return name.rsplit("/", 1)[-1], bytes(data)


def digest(name: str, *, places: Places = ANYWHERE) -> str:
    """SHA-256 of the document's bytes. DocumentError."""
    return hashlib.sha256(read_bytes(name, places=places)[1]).hexdigest()


def asked_pages(plan: Mapping[str, Any], page: int | None) -> list[int] | None:
    """Which pages (1-based) a batch looks at, where its row names that page or none; None for all: a question names none."""
    asked = {question.get("page") or page for question in plan["questions"]}
    numbers = sorted(number for number in asked if number is not None)
    return None if None in asked else numbers


def open_document(name: str, *, pages: Sequence[int] | None = None, places: Places = ANYWHERE) -> Document:
    """The document of that name, or those pages of it (1-based), unread. DocumentError."""
    short, data = read_bytes(name, places=places)
    return parsed_document(short, data, pages=pages, limits=Limits())
