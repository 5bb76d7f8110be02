"""Downloads https URLs from public addresses, with redirects, within a time limit.

Every address that the host name resolves to must be public. Proxies from the environment are not used.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from urllib.parse import SplitResult, urljoin, urlsplit

from layoutllm_tool.documents.safety import Access, Limits, shown, too_many_bytes
from layoutllm_tool.errors import DocumentError, DocumentNotAllowed, DocumentNotFound, DocumentUnreadable

_REDIRECTS = (301, 302, 303, 307, 308)
_NOT_GLOBAL = tuple(
    ipaddress.ip_network(block)
    for block in (
        # Blocks of IANA's special-purpose registries that Python 3.11 takes for global.
        "192.0.0.0/24", "192.88.99.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24",
        "240.0.0.0/4",
        "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fec0::/10",
    )
)  # fmt: skip


def fetch(url: str, *, limits: Limits, access: Access) -> tuple[str, bytes]:
    """Name and bytes from an https URL, redirects followed, each checked anew.

    Ends after ``limits.url_seconds``, whatever the server does: it runs in a thread, whose sockets are shut
    down then. Raises DocumentNotAllowed, -NotFound, -TooLarge, -Unreadable.
    """
    if not access.urls:
        raise DocumentNotAllowed(
            f"{shown(url)} is a URL, and URLs are turned off.", hint="Give the path of a file."
        )
    download = _Download(url, limits)
    threading.Thread(target=download.run, name="layoutllm-fetch", daemon=True).start()
    try:
        return download.outcome.result(timeout=limits.url_seconds)
    except DocumentError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # a future's TimeoutError is an OSError
        late = isinstance(error, TimeoutError)
        reason = f"took longer than {limits.url_seconds:g} s" if late else f"failed ({type(error).__name__})"
        raise DocumentUnreadable(
            f"fetching {shown(url)} {reason}.", hint="Download the file and give its path."
        ) from error
    finally:
        download.cut()


class _Download:
    """One download. ``run`` it in a thread; ``cut`` ends it from another."""

    def __init__(self, url: str, limits: Limits) -> None:
        self.url, self.limits = url, limits
        self.deadline = time.monotonic() + limits.url_seconds
        self.outcome: Future[tuple[str, bytes]] = Future()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._over = False

    def run(self) -> None:
        try:
            self.outcome.set_result(self._follow())
        except BaseException as error:  # noqa: BLE001  fetch() waits for the outcome
            self.outcome.set_exception(error)

    def keep(self, connected: socket.socket) -> None:
        """Keep the socket: ``http.client`` drops its own where a server announces that it will close."""
        with self._lock:
            self._sockets.append(connected)
        if self._over:
            self.cut()

    def cut(self) -> None:
        """Make every current and later read fail."""
        with self._lock:
            self._over, sockets, self._sockets = True, self._sockets, []
        for one in sockets:
            with suppress(OSError):  # it had ended by itself
                one.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                one.close()

    def _follow(self) -> tuple[str, bytes]:
        url, limits = self.url, self.limits
        for _ in range(limits.max_redirects + 1):
            parts = _checked(url)
            connection = _PinnedConnection(parts.hostname or "", parts.port or 443, self)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(
                "GET", target, headers={"User-Agent": "layoutllm-tool", "Accept-Encoding": "identity"}
            )
            response = connection.getresponse()
            if response.status in _REDIRECTS:
                url = urljoin(url, response.getheader("Location") or "")
                continue
            if response.status != 200:
                raise DocumentNotFound(
                    f"{shown(url)} answers with status {response.status}.", hint="Check the URL."
                )
            name = parts.path.rsplit("/", 1)[-1] or parts.hostname or "document"
            data = response.read(limits.max_bytes + 1)
            if len(data) > limits.max_bytes:
                raise too_many_bytes(name, limits)
            if response.length:  # less came than the header promised
                raise http.client.IncompleteRead(b"", response.length)
            return name, data
        raise DocumentNotAllowed(
            f"{shown(url)}: more than {limits.max_redirects} redirects.", hint="Give the final URL."
        )


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DocumentNotAllowed(f"{shown(url)} is not a URL.", hint="Give an https URL.") from error
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or port == 0:
        raise DocumentNotAllowed(
            f"{shown(url)} is not allowed.", hint="Only https URLs without a user name in them are fetched."
        )
    if any(ord(character) <= 32 or ord(character) > 126 for character in url):
        raise DocumentNotAllowed(
            f"{shown(url)} holds spaces or unusual characters.", hint="Percent-encode the URL."
        )
    return parts


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet.

    Not private, loopback, link-local, multicast, reserved or of another special purpose, nor an IPv6 form of
    such an IPv4 address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return is_public(str(ip.ipv4_mapped))
    if any(ip in block for block in _NOT_GLOBAL):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local)


def public_address(host: str, port: int) -> str:
    """An IP address of the host; DocumentNotAllowed where any of its addresses is not public."""
    addresses = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not addresses or not all(is_public(address) for address in addresses):
        raise DocumentNotAllowed(
            f"{shown(host)} is not a public address.", hint="Only documents on the open internet are fetched."
        )
    return addresses[0]


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to the address that was checked: a second look-up of the name might give another."""

    def __init__(self, host: str, port: int, download: _Download) -> None:
        self._tls = ssl.create_default_context()
        self._download = download
        left = download.deadline - time.monotonic()
        super().__init__(host, port, timeout=max(left, 0.001), context=self._tls)

    def connect(self) -> None:
        address = public_address(self.host, self.port)
        plain = socket.create_connection((address, self.port), self.timeout)
        self._download.keep(plain)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self._download.keep(self.sock)
        self.sock.do_handshake()
