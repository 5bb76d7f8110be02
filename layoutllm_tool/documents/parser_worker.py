"""The child process that opens untrusted files: requests on stdin, pages on stdout, until stdin ends.

A frame is four bytes of length, that many bytes of JSON, and as many raw bytes as the JSON says. Limits its
memory and files before it reads anything, and its processor time for each document.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import sys
import threading
from contextlib import suppress
from typing import Any, BinaryIO

LENGTH = struct.Struct(">I")
MEMORY = 1280 * 2**20
"""Bytes of address space. With the pictures that the parent keeps (max_picture_bytes), less than 2 GB."""
_FILES = 64


def main() -> None:
    """Serves until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches all processes of a terminal: the parent decides
    inward, outward = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # what a decoder prints is no part of the protocol
    threading.Thread(target=_end_with_parent, args=(inward.fileno(),), daemon=True).start()
    _preload()
    _limit()
    _send(outward, {"ready": True})
    while (header := _read_header(inward)) is not None:
        data = inward.read(header["raw"])
        if len(data) < header["raw"]:
            return
        _serve(header["request"], data, outward)


def _end_with_parent(descriptor: int) -> None:
    """Exit once the other end of stdin is closed: nobody waits for the page."""
    if not hasattr(select, "poll"):  # not on this system: the limit of processor time remains
        return
    closed = select.poll()
    closed.register(descriptor, 0)  # poll reports a closed pipe without any event mask
    closed.poll()
    os._exit(0)


def _preload() -> None:
    """Imports while nothing is waited for: once the limits hold, few files can be opened."""
    import numpy  # noqa: F401
    import pypdfium2  # noqa: F401
    from PIL import Image

    import layoutllm_tool.documents.parsing  # noqa: F401

    Image.init()
    # One thread each: on a machine with many cores their stacks alone would fill the address space.
    with suppress(ImportError):
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.options.DECODE_THREADS = 1


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on this system: the deadlines of the parent remain
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):  # fmt: skip
        with suppress(ValueError, OSError):  # an outer limit is stricter
            resource.setrlimit(what, (most, most))


def _limit_seconds(seconds: float) -> None:
    """Of processor time for the next document: twice what the parent waits."""
    with suppress(ImportError, OverflowError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + 2 * seconds) + 10
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _read_header(inward: BinaryIO) -> Any:
    length = inward.read(LENGTH.size)
    return json.loads(inward.read(LENGTH.unpack(length)[0])) if len(length) == LENGTH.size else None


def _serve(asked: dict[str, Any], data: bytes, outward: BinaryIO) -> None:
    from layoutllm_tool.documents.parsing import ParseRequest, parse
    from layoutllm_tool.errors import DocumentError

    request = ParseRequest.from_json(asked)
    _limit_seconds(request.limits.document_seconds)
    try:
        for part in parse(data, request):
            if isinstance(part, int):
                _send(outward, {"total": part})
            else:
                _send_page(outward, part)
        _send(outward, {"end": True})
    except DocumentError as error:
        _send(
            outward, {"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}
        )
    except MemoryError:
        # The memory is fragmented: end, so that the parent starts another child.
        _send(outward, {"error": {"kind": "MemoryError", "message": "", "hint": ""}})
        sys.exit(1)


def _send_page(outward: BinaryIO, page: Any) -> None:
    from layoutllm_tool.documents.page_frames import bands, packed

    head, block = packed(page, page.image)
    _send(outward, {"page": head.to_json()}, block)
    for band in bands(head, page.image):
        outward.write(band)
    outward.flush()


def _send(outward: BinaryIO, head: dict[str, Any], raw: bytes = b"") -> None:
    encoded = json.dumps(head).encode()
    outward.write(LENGTH.pack(len(encoded)) + encoded)
    outward.write(raw)
    outward.flush()


if __name__ == "__main__":
    main()
