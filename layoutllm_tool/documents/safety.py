"""What may be opened and how much of it: limits, allowed places, and the two ways bytes come in (a file, an https URL).

Documents, their names and the places they are said to lie at are untrusted: a language model may have chosen them.
Content types are *not* decided here, and nothing guards against a program of the same user that swaps a
directory for a symlink between the check and the opening.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import socket
import ssl
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from layoutllm_tool.errors import (
    DocumentError,
    DocumentNotAllowed,
    DocumentNotFound,
    DocumentTooLarge,
    DocumentUnreadable,
)

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a document is taken in. Everything over a limit is a DocumentTooLarge, never a silent cut."""

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
    """Folders files must lie in once symlinks are followed; relative paths are looked for in each of them in turn.
    None allows any file."""
    urls: bool = False
    """Whether https URLs of public addresses are fetched."""

    @classmethod
    def anywhere(cls, *, urls: bool = False) -> Access:
        """For programs in which a person, not a model, names the file."""
        return cls(roots=None, urls=urls)

    def find(self, path: str | os.PathLike[str]) -> Path:
        """The real path of an existing file or folder in an allowed place.

        Raises DocumentNotAllowed, DocumentNotFound. Outside the roots the two can't be told apart, so that nobody
        learns which files exist there.
        """
        name = os.fspath(path)
        bases = (Path.cwd(),) if self.roots is None else self.roots
        allowed = [real for base in bases if (real := _resolve(base / name)) and self._allows(real)]
        if not allowed and self.roots is not None:
            raise DocumentNotAllowed(
                f"{_short(name)} lies outside the folders that documents may be read from.",
                hint=f"Allowed: {', '.join(repr(str(root)) for root in bases)}.",
            )
        for real in allowed:
            if os.path.lexists(real):
                return real
        raise DocumentNotFound(f"there is no file {_short(name)}.", hint="Check the name and the folder.")

    def _allows(self, real: Path) -> bool:
        return self.roots is None or any(real.is_relative_to(root.resolve()) for root in self.roots)


def _resolve(path: Path) -> Path | None:
    """The path with symlinks followed; None for what no file system takes: a NUL, a loop, an overlong name."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def _short(text: str, limit: int = 200) -> str:
    """Quoted so that control characters and line breaks in a name can't pass for anything else."""
    return repr(text if len(text) <= limit else f"{text[:limit]}...")


def read_file(path: str | os.PathLike[str], *, limits: Limits, access: Access) -> tuple[str, bytes]:
    """Name and bytes of an allowed regular file. Raises DocumentNotAllowed, -NotFound, -TooLarge, -Unreadable."""
    real = access.find(path)
    # Non-blocking: a FIFO can't hang us. Not following: a link put there since the check can't lead us away.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(real, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DocumentUnreadable(f"{_short(real.name)} is not a regular file.", hint="Give the path of a file.")
            return real.name, _capped(file.read(limits.max_bytes + 1), real.name, limits)
    except IsADirectoryError as error:
        raise DocumentUnreadable(f"{_short(real.name)} is a folder.", hint="Give the path of a file in it.") from error
    except OSError as error:
        raise DocumentUnreadable(
            f"{_short(real.name)} can't be read: {error.strerror}.", hint="Check its permissions."
        ) from error


def _capped(data: bytes, name: str, limits: Limits) -> bytes:
    if len(data) > limits.max_bytes:
        raise too_many_bytes(name, limits)
    return data


def too_many_bytes(name: str, limits: Limits) -> DocumentTooLarge:
    """The error for more than ``limits.max_bytes``."""
    return DocumentTooLarge(
        f"{_short(name)} is larger than {limits.max_bytes:,} bytes.", hint="Split or compress it, or raise the limit."
    )


def fetch(url: str, *, limits: Limits, access: Access) -> tuple[str, bytes]:
    """Name and bytes from an https URL, redirects followed, each checked anew.

    Every address the host name resolves to must be public, and the connection goes to the very address that was
    checked. Proxies from the environment are not used. Raises DocumentNotAllowed, -NotFound, -TooLarge, -Unreadable.
    """
    if not access.urls:
        raise DocumentNotAllowed(f"{_short(url)} is a URL, and URLs are turned off.", hint="Give the path of a file.")
    connections: list[_PinnedConnection] = []
    # Taken before the watchdog starts: what it cuts has always expired, and is never taken for the end of the data.
    deadline = time.monotonic() + limits.url_seconds
    # Socket timeouts start anew with every byte: only closing from outside ends a server that drips.
    watchdog = threading.Timer(limits.url_seconds, _cut, args=(connections,))
    watchdog.daemon = True
    watchdog.start()
    try:
        return _follow(url, limits, deadline, connections)
    except DocumentError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = any(connection.expired for connection in connections) or isinstance(error, TimeoutError)
        reason = f"took longer than {limits.url_seconds:g} s" if late else f"failed ({type(error).__name__})"
        raise DocumentUnreadable(
            f"fetching {_short(url)} {reason}.", hint="Download the file and give its path."
        ) from error
    finally:
        watchdog.cancel()
        for connection in connections:
            connection.close()


def _follow(url: str, limits: Limits, deadline: float, connections: list[_PinnedConnection]) -> tuple[str, bytes]:
    for _ in range(limits.max_redirects + 1):
        parts = _checked(url)
        connection = _PinnedConnection(parts.hostname or "", parts.port or 443, deadline)
        connections.append(connection)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": "layoutllm-tool", "Accept-Encoding": "identity"})
        response = connection.getresponse()
        if response.status in _REDIRECTS:
            url = urljoin(url, response.getheader("Location") or "")
            continue
        if response.status != 200:
            raise DocumentNotFound(f"{_short(url)} answers with status {response.status}.", hint="Check the URL.")
        name = parts.path.rsplit("/", 1)[-1] or parts.hostname or "document"
        data = response.read(limits.max_bytes + 1)
        if connection.expired:  # a connection cut by the watchdog can look like the end of the data
            raise TimeoutError
        if response.length and len(data) <= limits.max_bytes:  # less came than the header promised
            raise http.client.IncompleteRead(b"", response.length)
        return name, _capped(data, name, limits)
    raise DocumentNotAllowed(f"{_short(url)}: more than {limits.max_redirects} redirects.", hint="Give the final URL.")


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DocumentNotAllowed(f"{_short(url)} is not a URL.", hint="Give an https URL.") from error
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or port == 0:
        raise DocumentNotAllowed(
            f"{_short(url)} is not allowed.", hint="Only https URLs without a user name in them are fetched."
        )
    if any(ord(character) <= 32 or ord(character) > 126 for character in url):
        raise DocumentNotAllowed(f"{_short(url)} holds spaces or unusual characters.", hint="Percent-encode the URL.")
    return parts


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet: not private, loopback, link-local, multicast or reserved,
    nor an IPv6 form that wraps an IPv4 address past this check."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if ip.sixtofour or ip.teredo or ip in _NAT64:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_loopback)


def public_address(host: str, port: int) -> str:
    """An IP address of the host; DocumentNotAllowed where any of its addresses is not public."""
    addresses = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not addresses or not all(is_public(address) for address in addresses):
        raise DocumentNotAllowed(
            f"{_short(host)} is not a public address.", hint="Only documents on the open internet are fetched."
        )
    return addresses[0]


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to the address that was checked: a second look-up of the name might give another."""

    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._tls = ssl.create_default_context()
        self._deadline = deadline
        super().__init__(host, port, timeout=max(deadline - time.monotonic(), 0.001), context=self._tls)

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self._deadline

    def connect(self) -> None:
        address = public_address(self.host, self.port)
        self.sock = socket.create_connection((address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)
        if self.expired:
            raise TimeoutError


def _cut(connections: list[_PinnedConnection]) -> None:
    """Makes a read that is under way in another thread fail at once."""
    for connection in connections:
        if connection.sock is not None:
            with contextlib.suppress(OSError):  # it had ended by itself
                connection.sock.shutdown(socket.SHUT_RDWR)
