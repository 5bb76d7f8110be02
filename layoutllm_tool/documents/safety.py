"""What may be opened and how much of it: limits, allowed places, and how a file in an allowed place is
opened.

Documents, their names and the places they are said to lie at are untrusted: a language model may have
chosen them. What is checked is what is opened: a file or a directory that is swapped for a link after the
check is refused. Content types are *not* decided here; URLs are ``fetch``'s.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from layoutllm_tool.errors import DocumentNotAllowed, DocumentNotFound, DocumentTooLarge, DocumentUnreadable

LONGEST_PATH = 4096
"""Characters. What is longer is no path: following it takes minutes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a document is taken in. Everything over a limit is a DocumentTooLarge, never a silent
    cut.
    """

    max_bytes: int = 100_000_000
    """Of the file, or of what a URL or base64 text holds."""
    max_pixels: int = 80_000_000
    """Of one page's picture. Pillow has a ceiling of its own at 179 million."""
    max_pages: int = 50
    """Taken from one document at once; ``pages=`` chooses which."""
    max_picture_bytes: int = 512 * 2**20
    """Of all pages' pictures together, as they are kept."""
    max_words: int = 200_000
    """Of all pages together, where a file brings its own text."""
    page_seconds: float = 30.0
    """For one page: opening the file up to it, drawing it, reading its text."""
    document_seconds: float = 120.0
    """For opening all pages that were asked for."""
    url_seconds: float = 30.0
    """For a whole download, redirects included."""
    max_redirects: int = 5

    def __post_init__(self) -> None:
        if wrong := [name for name in self.__slots__ if getattr(self, name) < 0]:
            raise ValueError(f"limits are not negative: {', '.join(wrong)}")


@dataclass(frozen=True, slots=True)
class Access:
    """Which places documents may come from. The default: files under the working directory, and no URLs."""

    roots: tuple[Path, ...] | None = field(default_factory=lambda: (Path.cwd(),))
    """Folders files must lie in once symlinks are followed; relative paths are looked for in each of them
    in turn. None allows any file.
    """
    urls: bool = False
    """Whether https URLs of public addresses are fetched."""

    @classmethod
    def anywhere(cls, *, urls: bool = False) -> Access:
        """For programs in which a person, not a model, names the file."""
        return cls(roots=None, urls=urls)

    def find(self, path: str | os.PathLike[str]) -> Path:
        """The real path of an existing file or folder in an allowed place.

        Raises DocumentNotAllowed, DocumentNotFound. Outside the roots the two can't be told apart, so that
        nobody learns which files exist there.
        """
        return self._find(path)[0]

    def _find(self, path: str | os.PathLike[str]) -> tuple[Path, Path | None]:
        """The real path, and the real root that it lies in (None where any file is allowed)."""
        name = os.fspath(path)
        if len(name) > LONGEST_PATH:
            raise DocumentNotFound(
                f"a text of {len(name):,} characters is no path, and no document in base64.",
                hint="Give a path, or a PDF's or picture's bytes.",
            )
        bases = (Path.cwd(),) if self.roots is None else self.roots
        found = [(real, self._root_of(real)) for base in bases if (real := resolved(base / name))]
        allowed = [(real, root) for real, root in found if self.roots is None or root is not None]
        if not allowed and self.roots is not None:
            raise DocumentNotAllowed(
                f"{shown(name)} lies outside the folders that documents may be read from.",
                hint=f"Allowed: {', '.join(repr(str(root)) for root in bases)}.",
            )
        for real, root in allowed:
            if os.path.lexists(real):
                return real, root
        raise DocumentNotFound(f"there is no file {shown(name)}.", hint="Check the name and the folder.")

    def _root_of(self, real: Path) -> Path | None:
        roots = (resolved(root) for root in self.roots or ())
        return next((root for root in roots if root is not None and real.is_relative_to(root)), None)

    @contextmanager
    def open(self, path: str | os.PathLike[str]) -> Iterator[OpenFile]:
        """An allowed regular file, opened once: its name, its version and its bytes are all of that one file.

        Raises as ``find``, and DocumentUnreadable for what is no regular file or can't be read.
        """
        real, root = self._find(path)
        try:
            descriptor = _open_beneath(real, root)
        except OSError as error:
            raise _unopened(real.name, error) from error
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "not a regular file"
            raise DocumentUnreadable(f"{shown(real.name)} is {kind}.", hint="Give the path of a file.")
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield OpenFile(real.name, file, (about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size))


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that was opened in an allowed place."""

    name: str
    """The last part of its path."""
    file: BinaryIO
    version: tuple[int, int, int, int]
    """Device, inode, time of the last change in nanoseconds, size: another content has another version."""

    def read(self, limits: Limits) -> bytes:
        """All of it. DocumentTooLarge, DocumentUnreadable."""
        blocks, size = [], 0
        try:
            while size <= limits.max_bytes and (
                block := self.file.read(min(2**24, limits.max_bytes + 1 - size))
            ):
                blocks.append(block)
                size += len(block)
        except OSError as error:
            raise _unopened(self.name, error) from error
        if size > limits.max_bytes:
            raise too_many_bytes(self.name, limits)
        return b"".join(blocks)


def _unopened(name: str, error: OSError) -> DocumentUnreadable:
    return DocumentUnreadable(
        f"{shown(name)} can't be read: {error.strerror}.", hint="Check its permissions."
    )


def _open_beneath(real: Path, root: Path | None) -> int:
    """A descriptor of the file at a path without links, as it was when it was checked.

    Every directory below the root is opened without following links, each in the one before it. A directory
    that has become a link since the check is an OSError. (``openat2`` does the same in one call, on Linux
    alone.)
    """
    # Non-blocking: a FIFO can't hang us.
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    )
    if root is None or root == real or os.open not in os.supports_dir_fd:
        return os.open(real, flags)
    *folders, name = real.relative_to(root).parts
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for part in folders:
        try:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    try:
        return os.open(name, flags, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def resolved(path: Path) -> Path | None:
    """The path with symlinks followed; None for what no file system takes: a NUL, a loop, an overlong
    name.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def shown(text: str, limit: int = 200) -> str:
    """Quoted so that control characters and line breaks in a name can't pass for anything else."""
    return repr(text if len(text) <= limit else f"{text[:limit]}...")


def read_file(path: str | os.PathLike[str], *, limits: Limits, access: Access) -> tuple[str, bytes]:
    """Name and bytes of an allowed regular file. Raises DocumentNotAllowed, -NotFound, -TooLarge,
    -Unreadable.
    """
    with access.open(path) as opened:
        return opened.name, opened.read(limits)


def too_many_bytes(name: str, limits: Limits) -> DocumentTooLarge:
    """The error for more than ``limits.max_bytes``."""
    return DocumentTooLarge(
        f"{shown(name)} is larger than {limits.max_bytes:,} bytes.",
        hint="Split or compress it, or raise the limit.",
    )
