"""A document given as content, not as a place: bytes, a data: URL, base64, a LangChain content block.

Paths, URLs and picture objects are no content. Whether the bytes are a document is ``loading``'s.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from layoutllm_tool.documents.images import is_picture
from layoutllm_tool.documents.pdf import is_pdf
from layoutllm_tool.documents.safety import LONGEST_PATH, Limits, too_many_bytes
from layoutllm_tool.errors import DocumentUnreadable

_SHORTEST = 40
"""Characters of base64: a shorter text is a path."""
_MOST_PERCENTS = 1_000_000
"""Characters of a data: URL that are written as %41: each takes a hundred bytes to undo."""
_IN_BLOCKS = ("base64", "data", "file_data", "url", "image_url", "file", "source")
"""Where a content block holds its document, in LangChain's, OpenAI's and Anthropic's forms."""
_ENCODED = ("base64", "data", "file_data")
_DEEPEST = 3


def content_of(source: Any, limits: Limits) -> bytes | None:
    """The bytes of a document that is given as content; None for a path, a URL and anything else.

    DocumentTooLarge, DocumentUnreadable.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        if memoryview(source).nbytes > limits.max_bytes:
            raise too_many_bytes("document", limits)
        return bytes(source)
    if not isinstance(source, str):
        return None
    if source[:5].lower() == "data:":
        return _data_url(source, limits)
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]+://", source):
        return None
    return _base64(source, limits)


def unwrapped(source: Any) -> Any:
    """What a LangChain content block, or a list with one of them, holds; anything else as it is.

    Texts beside a document are left out. DocumentUnreadable where there is no document, or more than one.
    """
    if isinstance(source, list | tuple) and all(isinstance(one, Mapping) for one in source):
        blocks = [one for one in source if one.get("type") != "text"]
        if len(blocks) != 1:
            raise _no_block(f"the list holds {len(blocks)} documents")
        source = blocks[0]
    return _held(source, _DEEPEST) if isinstance(source, Mapping) else source


def _held(block: Mapping[str, Any], deep: int) -> Any:
    name = next((name for name in _IN_BLOCKS if block.get(name)), None)
    value = block[name] if name else None
    if isinstance(value, Mapping) and deep:
        return _held(value, deep - 1)
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise _no_block("the content block holds no document")
    if name in _ENCODED and value[:5].lower() != "data:":
        return _decoded_strictly(value)
    return value


def _no_block(problem: str) -> DocumentUnreadable:
    hint = 'For instance {"type": "file", "base64": "...", "mime_type": "application/pdf"}.'
    return DocumentUnreadable(f"{problem}.", hint=hint)


def _decoded_strictly(text: str) -> bytes:
    try:
        return _decoded(text.encode("ascii"))
    except ValueError as error:
        raise DocumentUnreadable(
            f"the base64 text is damaged ({error}).", hint="Encode the file anew."
        ) from error


def _data_url(url: str, limits: Limits) -> bytes:
    header, comma, body = url.partition(",")
    if len(body) > 3 * limits.max_bytes or body.count("%") > _MOST_PERCENTS:
        raise too_many_bytes("data: URL", limits)
    try:
        data = unquote_to_bytes(body)
        if header.lower().endswith(";base64"):
            data = _decoded(data)
    except (ValueError, binascii.Error) as error:
        raise DocumentUnreadable(
            f"the data: URL is damaged ({error}).", hint="Encode the file anew."
        ) from error
    if not comma or not data:
        raise DocumentUnreadable(
            "the data: URL is empty.", hint='It looks like "data:image/png;base64,iVBOR...".'
        )
    if len(data) > limits.max_bytes:
        raise too_many_bytes("data: URL", limits)
    return data


def _decoded(text: bytes) -> bytes:
    """Base64 in either alphabet, line breaks and missing padding forgiven."""
    plain = b"".join(text.split()).replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


def _base64(text: str, limits: Limits) -> bytes | None:
    """The bytes where the text is base64 of a type that is known here, or too long for a path; None for a
    path, which looks much the same.
    """
    try:
        start = _decoded("".join(text[:2000].split())[:1368].encode("ascii"))
        if not (is_pdf(start) or is_picture(start) or len(text) > LONGEST_PATH):
            return None
        if len(text) > 2 * limits.max_bytes:
            raise too_many_bytes("base64 text", limits)
        if len(text) < _SHORTEST:
            return None
        data = _decoded(text.encode("ascii"))
    except ValueError:
        return None
    if len(data) > limits.max_bytes:
        raise too_many_bytes("base64 text", limits)
    return data
