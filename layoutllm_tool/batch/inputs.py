"""What a batch is made of: a folder, a file, a glob, or a list (JSONL, CSV); on disk, or by URL.

Inputs hold names, never bytes. Names of a list are untrusted, and so are the links in a folder: every input
says in which ``Places`` its document may lie. A row of a list that can't be used is an input all the same,
with its ``problem``.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from layoutllm_tool.batch import sources
from layoutllm_tool.batch.sources import ANYWHERE, URL, Places
from layoutllm_tool.errors import DocumentError, DocumentNotFound, DocumentTooLarge, DocumentUnreadable
from layoutllm_tool.printable import from_cell

EXTENSIONS = frozenset(
    [
        ".pdf", ".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".ppm", ".pgm",
        ".pbm",
        ".jp2", ".j2k", ".avif", ".heic", ".heif",
    ]
)  # fmt: skip
"""What is taken from a folder. Its content decides later what a file really is."""
_LISTS = (".jsonl", ".ndjson", ".csv")
_COLUMNS = ("document", "path", "file")
_WILD = re.compile(r"[*?\[]")
_MAX_INPUTS = 10_000_000
_MAX_PAGE = 1_000_000
_MAX_NAME_LENGTH = 10_000
_KNOWN = "Give a folder, a file, a glob, or a JSONL or CSV list."


@dataclass(frozen=True, slots=True)
class BatchInput:
    """``name``: an absolute path or a URL. ``label``: relative to the source, the same on every machine."""

    position: int
    name: str
    label: str
    page: int | None = None
    problem: str = ""
    """Why nothing can be opened, where that is known already."""
    places: Places = ANYWHERE


def batch_inputs(
    source: str, *, page: int | None = None, shard: tuple[int, int] | None = None, roots: Sequence[str] = (),
    schemes: Sequence[str] = (),
) -> Iterator[BatchInput]:  # fmt: skip
    """What the source holds, in an order that does not depend on the file system.

    ``page`` (1-based) is used where a row names none. What a list names, and where a folder's links lead,
    must lie in the list's own folder, the folder itself, or one of ``roots``; storage is opened by URL where
    ``schemes`` names its scheme, or the source itself has it.

    ``shard`` (i, n), i from 0: the rows whose label's hash falls to i, so a document stays where it is when
    others are added, and all its pages stay together. Positions are those in the whole source. DocumentError
    where there is nothing, or a list can't be read.
    """
    match = URL.match(source)
    own = {match[1].lower()} if match else set()
    allowed = Places(schemes=tuple(sorted({"https", *schemes, *(own & sources.SCHEMES)})))
    more = tuple(os.path.abspath(root) for root in roots)
    for position, row in enumerate(_found(source, allowed)):
        if position >= _MAX_INPUTS:
            raise DocumentTooLarge(
                f"{source[:200]!r} has more than {_MAX_INPUTS:,} rows.", hint="Use --shard or parts."
            )
        if shard is None or _share(row.label, shard[1]) == shard[0]:
            within = None if row.places.roots is None else (*row.places.roots, *more)
            yield replace(
                row, position=position, page=row.page or page, places=replace(allowed, roots=within)
            )


def _share(label: str, shards: int) -> int:
    return int.from_bytes(hashlib.sha256(label.encode("utf-8", "surrogatepass")).digest()[:8], "big") % shards


def _found(source: str, allowed: Places) -> Iterator[BatchInput]:
    if not source:
        raise DocumentNotFound("no source was named.", hint=_KNOWN)
    if URL.match(source):
        return _remote(source, allowed)
    path = Path(source)
    try:
        if path.is_dir():
            return _folder(path)
        if path.is_file():
            if path.suffix.lower() in _LISTS:
                return _listed(_lines(path.read_bytes()), str(path), os.path.abspath(path.parent))
            return iter([_input(os.path.abspath(path), path.name)])
    except (OSError, ValueError) as error:
        raise DocumentUnreadable(
            f"{source[:200]!r} can't be read: {error}.", hint="Check the rights to it."
        ) from error
    if _WILD.search(source):
        return _globbed(source)
    raise DocumentNotFound(f"there is no {source!r}.", hint=_KNOWN)


def _input(
    name: str, label: str, page: int | None = None, *, root: str | None = None, problem: str = ""
) -> BatchInput:
    return BatchInput(0, name, label, page, problem, Places(roots=None if root is None else (root,)))


# -- on disk -------------------------------------------------------------------------------------------------


def _folder(folder: Path) -> Iterator[BatchInput]:
    top = os.path.abspath(folder)
    empty, unreadable = True, list[OSError]()
    for where, folders, files in os.walk(top, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                empty = False
                path = os.path.join(where, name)
                yield _input(path, _label(path, top), root=top)
    if empty and not unreadable:
        raise _nothing_in(folder)
    for error in unreadable:
        path = str(error.filename)
        yield _input(path, _label(path, top), problem=f"the folder can't be read: {error.strerror}")


def _nothing_in(source: object) -> DocumentNotFound:
    return DocumentNotFound(
        f"{str(source)!r} holds no documents.", hint=f"Known by: {' '.join(sorted(EXTENSIONS))}."
    )


def _label(path: str, top: str) -> str:
    return Path(os.path.relpath(path, top)).as_posix()


def _globbed(pattern: str) -> Iterator[BatchInput]:
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise DocumentNotFound(
            f"nothing fits {pattern!r}.", hint="Quote the pattern, so that it arrives as it is."
        )
    root = os.path.abspath(os.path.dirname(_WILD.split(pattern)[0]) or ".")
    for path in paths:
        yield _input(os.path.abspath(path), Path(path).as_posix(), root=root)


# -- lists ---------------------------------------------------------------------------------------------------


def _lines(data: bytes) -> list[str]:
    """Decode a list; a name that is not UTF-8 keeps its bytes."""
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").splitlines(keepends=True)


def _listed(lines: Sequence[str], name: str, base: str) -> Iterator[BatchInput]:
    """One input a row, whatever stands in it. DocumentUnreadable where there is none."""
    empty = True
    for number, data in _csv_rows(lines) if name.lower().endswith(".csv") else _json_rows(lines):
        empty = False
        yield _list_row(data, number, base)
    if empty:
        raise DocumentUnreadable(
            f"{name!r} lists no documents.", hint='A row looks like {"document": "a.pdf"}.'
        )


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
            named = ((str(name).strip().lower(), value) for name, value in data.items())
            yield reader.line_num, {n: from_cell(v) if isinstance(v, str) else v for n, v in named}


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, error


def _list_row(data: Any, number: int, base: str) -> BatchInput:
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
        return _input(
            given,
            given,
            problem=f"row {number}: {why}. A row has `document` (or path, file), and may have `page`",
        )


def _named(given: str, page: int | None, base: str) -> BatchInput:
    if "\0" in given or len(given) > _MAX_NAME_LENGTH:
        raise ValueError("no file has such a name")
    if URL.match(given):
        return _input(given, given, page)
    if URL.match(base):
        if ".." in PurePosixPath(given).parts or given.startswith("/"):
            raise ValueError("it leads out of the list's own folder")
        return _input(f"{base}/{PurePosixPath(given)}", given, page)
    return _input(os.path.abspath(os.path.join(base, given)), given, page, root=base)


def _page(given: Any) -> int | None:
    if given is None or given == "":
        return None
    text = str(given).strip()[:20]
    if (
        isinstance(given, bool)
        or not (text.isascii() and text.isdecimal())
        or not 1 <= int(text) <= _MAX_PAGE
    ):
        raise ValueError(f"page {text!r} is no number from 1")
    return int(text)


# -- by URL --------------------------------------------------------------------------------------------------


def _remote(url: str, allowed: Places) -> Iterator[BatchInput]:
    if sources.checked_scheme(url, allowed) == "https":
        return iter([_input(url, url)])
    storage, path = sources.storage_of(url)
    if path.lower().endswith(_LISTS):
        return _listed(_lines(sources.read_bytes(url, places=allowed)[1]), url, url.rsplit("/", 1)[0])
    with sources.storage_errors(url):
        if not _WILD.search(path) and storage.isfile(path):
            return iter([_input(url, path.rsplit("/", 1)[-1])])
        paths = sorted(storage.glob(path) if _WILD.search(path) else storage.find(path))
    top = re.split(_WILD, path)[0].rsplit("/", 1)[0] if _WILD.search(path) else path.rstrip("/")
    found = [
        p for p in paths if PurePosixPath(p).suffix.lower() in EXTENSIONS and "/." not in p.removeprefix(top)
    ]
    if not found:
        raise _nothing_in(url)
    return (_input(storage.unstrip_protocol(p), p.removeprefix(top).lstrip("/")) for p in found)
