"""Anything a document can be given as -> Document: paths, bytes, base64, data: and https URLs, pictures,
PDFs.

What a file is gets decided by its content, never by its name. Text recognition is *not* here: pages come with
``lines=None`` unless a PDF's own text layer can be trusted.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.documents.content import content_of, unwrapped
from layoutllm_tool.documents.fetch import fetch
from layoutllm_tool.documents.geometry import Document, Page
from layoutllm_tool.documents.images import as_page, is_picture, normalised, too_many_pixels
from layoutllm_tool.documents.parser_process import POOL
from layoutllm_tool.documents.parsing import ParseRequest
from layoutllm_tool.documents.pdf import is_pdf
from layoutllm_tool.documents.safety import Access, Limits, read_file
from layoutllm_tool.errors import DocumentUnreadable

if TYPE_CHECKING:
    from layoutllm_tool.protocols import Source

_OTHER_TYPES = (
    (re.compile(rb"PK\x03\x04.{0,6000}?word/", re.S), "a Word document"),
    (re.compile(rb"PK\x03\x04.{0,6000}?xl/", re.S), "an Excel workbook"),
    (re.compile(rb"PK\x03\x04.{0,6000}?ppt/", re.S), "a PowerPoint presentation"),
    (re.compile(rb"PK\x03\x04.{0,100}?opendocument", re.S), "an OpenDocument file"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!"), "an archive"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "an old Office document"),
    (re.compile(rb"\{\\rtf"), "an RTF document"),
    (re.compile(rb"%!PS"), "PostScript"),
    (re.compile(rb"AT&TFORM"), "a DjVu document"),
    (
        re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg|<svg)", re.I | re.S),
        "an SVG drawing",
    ),
    (
        re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE html|<html|<head|<body)", re.I | re.S),
        "HTML",
    ),
)


def load_document(
    source: Source,
    *,
    pages: Sequence[int] | None = None,
    limits: Limits | None = None,
    access: Access | None = None,
    password: str | None = None,
) -> Document:
    """The document with its pages' pictures ("RGB" or "L", upright). A Document is given back as it is.

    A ``str`` is a data: URL, an https URL (where ``access.urls``), base64, or else a path under
    ``access.roots``. A LangChain content block stands for what it holds. ``pages`` are 1-based numbers;
    without them all pages are taken, and more than ``limits.max_pages`` are refused. ``password`` opens an
    encrypted PDF. Only the pages taken are drawn, by a child process with limits of its own. Raises
    DocumentError: -NotFound, -NotAllowed, -TooLarge, -Encrypted, -Unreadable, PageOutOfRange.
    """
    if isinstance(source, Document):
        return source
    limits, access, source = limits or Limits(), access or Access(), unwrapped(source)
    if not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        return _from_picture(source, limits)
    POOL.warm()  # it starts while the file is fetched
    name, data = _bytes(source, limits, access)
    return parsed_document(name, data, pages=pages, limits=limits, password=password)


def parsed_document(
    name: str, data: bytes, *, pages: Sequence[int] | None = None, limits: Limits, password: str | None = None
) -> Document:
    """The document of a file's bytes, as ``load_document``."""
    request = ParseRequest(name, None if pages is None else tuple(dict.fromkeys(pages)), limits, password)
    return Document(name, hashlib.sha256(data).hexdigest(), _parsed(data, name, request))


def _from_picture(picture: Any, limits: Limits) -> Document:
    """Its hash is of mode, size and pixels, once it is upright and has eight bits."""
    from PIL import Image as pillow

    if not isinstance(picture, pillow.Image):
        raise DocumentUnreadable(
            f"a {type(picture).__name__} is no document.",
            hint="Give a path, bytes, base64, a URL or a PIL image.",
        )
    if picture.width * picture.height > limits.max_pixels:
        raise too_many_pixels("picture", limits)
    try:
        image = normalised(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise DocumentUnreadable(
            f"the picture can't be decoded ({error}).", hint="Give a complete picture."
        ) from error
    digest = hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes())
    return Document("picture", digest.hexdigest(), (as_page(1, image),))


def _bytes(source: str | os.PathLike[str] | bytes, limits: Limits, access: Access) -> tuple[str, bytes]:
    """Name and content of what is no picture object."""
    if (data := content_of(source, limits)) is not None:
        return "document", data
    if isinstance(source, os.PathLike):
        return read_file(Path(source), limits=limits, access=access)
    assert isinstance(source, str)  # all else is content
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]+://", source):
        return fetch(source.strip(), limits=limits, access=access)
    return read_file(source, limits=limits, access=access)


def _parsed(data: bytes, name: str, request: ParseRequest) -> tuple[Page, ...]:
    """The pages that were asked for, opened in a child process."""
    if not (is_picture(data) or is_pdf(data)):
        raise DocumentUnreadable(
            f"{name!r} is {_described(data)}, which is not read here.",
            hint="Convert it to PDF, PNG, JPEG or TIFF.",
        )
    _, pages = POOL.parse(data, request)
    return tuple(pages)


def _described(data: bytes) -> str:
    if not data.strip(b"\0 \t\r\n"):
        return "an empty file"
    for pattern, description in _OTHER_TYPES:
        if pattern.match(data):
            return description
    try:
        data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(data[:4096]) - 4:  # not merely a character cut in two
            return "of an unknown type"
    return "of an unknown type" if b"\0" in data[:4096] else "plain text"
