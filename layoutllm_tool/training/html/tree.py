"""Untrusted HTML -> a bounded tree of safe elements -> HTML. Standard library only.

What is not listed here is removed: scripts, frames, pictures, links, forms, styles that name a resource. The
content of unknown tags moves to the element around them. This is *not* a full HTML5 parser: it adds only the
end tags that are often left out in lists and tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

from layoutllm_tool.errors import DocumentTooLarge, DocumentUnreadable

MAX_CHARACTERS = 200_000
MAX_ELEMENTS = 4000
MAX_DEPTH = 60
MAX_STYLE = 20_000
"""Characters of all style sheets together."""
MAX_SPAN = 30
"""Rows or columns that one cell may cover."""
DATA = ("key", "value", "kind", "ask", "about", "section", "choice", "checked")
"""``data-`` attributes that carry facts: see marks.py."""

_INLINE = ("span", "b", "i", "em", "strong", "u", "small", "sup", "sub", "code", "mark", "label")
_TAGS = frozenset((
    *_INLINE, "body", "div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "br", "hr", "ul", "ol", "li", "dl",
    "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "section", "article",
    "header", "footer", "main", "aside", "address", "blockquote", "figure", "figcaption", "fieldset",
    "legend", "pre",
))  # fmt: skip
_VOID = frozenset(("br", "hr"))
_EMPTY = frozenset((
    "area", "base", "col", "embed", "img", "input", "link", "meta", "param", "source", "track", "wbr",
))  # fmt: skip
"""Without content in HTML, and not let in."""
_SWALLOWED = frozenset((
    "script", "style", "iframe", "noscript", "object", "applet", "svg", "math", "template", "title", "audio",
    "video", "canvas", "select", "textarea", "frameset", "noframes", "noembed", "xmp", "plaintext",
))  # fmt: skip
"""Dropped with their content."""
_ENDS = {
    "td": ("td", "th"), "th": ("td", "th"), "tr": ("td", "th", "tr"), "li": ("li",), "dt": ("dt", "dd"),
    "dd": ("dt", "dd"), "p": ("p",),
    **dict.fromkeys(("tbody", "tfoot"), ("td", "th", "tr", "thead", "tbody")),
}  # fmt: skip
"""Elements that the start of another one ends."""
_WALLS = frozenset(("table", "ul", "ol", "dl", "div", "section", "body"))
_TAG = re.compile(r"<(?!/?[a-zA-Z][^<>]{0,2000}>)")
"""A sign that begins no tag. The standard parser takes time without bounds over tags that never end."""
_NAME = re.compile(r"[A-Za-z][\w -]{0,80}")
_AT_RULE = re.compile(
    r"@(?:import|charset|namespace)[^;{}]*;?|@(?:font-face|page)[^{}]*(?:\{(?:[^{}]|\{[^{}]*\})*\})?", re.I
)
_REMOTE = re.compile(r"\b(?:url|image|src|image-set|cross-fade|element)\s*\(", re.I)
_FORBIDDEN = re.compile(r"\\|<|@import|@font-face|url\s*\(|expression\s*\(|javascript:", re.I)


@dataclass(slots=True)
class Element:
    """A tag, its attributes and its content in order."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        """The element and all below it, in document order."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    @property
    def text(self) -> str:
        """Its words with single spaces between."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child._texts()
                yield "" if child.tag in _INLINE or child.tag.startswith("x-") else " "

    def data(self, name: str) -> str:
        """The ``data-`` attribute, "" where there is none."""
        return self.attributes.get(f"data-{name}", "")


@dataclass(frozen=True, slots=True)
class Source:
    """A page that is safe to render: its body and its style sheet."""

    body: Element
    style: str

    def html(self) -> str:
        """A whole HTML document."""
        head = f'<head><meta charset="utf-8"><style>{self.style}</style></head>'
        return f"<!DOCTYPE html><html>{head}{_written(self.body)}</html>"


def parse(html: str) -> Source:
    """DocumentTooLarge where it is over a limit above, DocumentUnreadable where no text is left."""
    if len(html) > MAX_CHARACTERS:
        raise _too_large(f"{len(html):,} characters", f"{MAX_CHARACTERS:,}")
    parser = _Parser()
    parser.feed(_TAG.sub("&lt;", _bare(html)))
    parser.close()
    source = Source(parser.root, clean_style("\n".join(parser.styles)))
    if not source.body.text:
        hint = "Give a page with visible text."
        raise DocumentUnreadable("the HTML has no text outside of scripts.", hint=hint)
    return source


def _bare(html: str) -> str:
    """Without comments, declarations and processing instructions."""
    parts, at = [], 0
    while (start := html.find("<!--", at)) >= 0:
        parts.append(html[at:start])
        end = html.find("-->", start + 4)
        at = end + 3 if end >= 0 else len(html)
    parts.append(html[at:])
    return re.sub(r"<[!?][^<>]*>", "", "".join(parts))


def clean_style(css: str, *, most: int = MAX_STYLE) -> str:
    """Without comments, imports, fonts, page sizes, resources; "" where something stays doubtful."""
    if len(css) > most:
        raise _too_large(f"{len(css):,} characters of style", f"{most:,}")
    css = re.sub(r"/\*.*?(?:\*/|\Z)", " ", css, flags=re.S)
    parts = re.split(r"([;{}])", _AT_RULE.sub("", css))
    css = "".join("" if _REMOTE.search(part) else part for part in parts)
    return "" if _FORBIDDEN.search(css) else css


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("body")
        self.styles: list[str] = []
        self._open = [self.root]
        self._swallowing: list[str] = []
        self._elements = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _EMPTY:
            return
        if self._swallowing or tag in _SWALLOWED:
            if len(self._swallowing) > MAX_ELEMENTS:
                raise _too_large("more elements", f"{MAX_ELEMENTS:,}")
            self._swallowing.append(tag)
        elif tag in _TAGS and tag != "body":
            self._end_implied(tag)
            self._add(Element(tag, _attributes(attrs)))
        elif tag == "body":
            self.root.attributes |= _attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SWALLOWED:
            return
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._swallowing:
            if tag in self._swallowing:
                while self._swallowing.pop() != tag:
                    pass
            return
        if tag not in _VOID and tag != "body" and any(e.tag == tag for e in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._swallowing:
            self._open[-1].children.append(_printable(data))
        elif self._swallowing == ["style"]:
            self.styles.append(data)

    def _add(self, element: Element) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise _too_large("more or deeper elements", f"{MAX_ELEMENTS:,} elements, {MAX_DEPTH} levels")
        self._open[-1].children.append(element)
        if element.tag not in _VOID:
            self._open.append(element)

    def _end_implied(self, tag: str) -> None:
        for at in range(len(self._open) - 1, 0, -1):
            if self._open[at].tag in _WALLS:
                return
            if self._open[at].tag == _ENDS.get(tag, ("",))[-1] or self._open[at].tag in _ENDS.get(tag, ()):
                del self._open[at:]
                if tag not in ("tr", "tbody", "tfoot"):
                    return


def _attributes(found: list[tuple[str, str | None]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in found:
        if (clean := _attribute(name, value or "")) and name not in kept:
            kept[name] = clean
    return kept


def _attribute(name: str, value: str) -> str:
    """The value as it may pass, "" for not at all."""
    if name in ("class", "id", "role"):
        return value if _NAME.fullmatch(value) and not value.startswith("word-") else ""
    if name == "style":
        return clean_style(value, most=MAX_STYLE) if not re.search(r"[{}@]", value) else ""
    if name in ("colspan", "rowspan"):
        return str(min(max(int(value), 1), MAX_SPAN)) if re.fullmatch(r"[0-9]{1,6}", value) else ""
    if name.startswith("data-") and name[5:] in DATA:
        return " ".join(_printable(value).split())[:200]
    return ""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)


def _written(node: Element | str) -> str:
    if isinstance(node, str):
        return escape(node, quote=False)
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in node.attributes.items())
    if node.tag in _VOID:
        return f"<{node.tag}{attributes}>"
    return f"<{node.tag}{attributes}>{''.join(map(_written, node.children))}</{node.tag}>"


def _too_large(what: str, limit: str) -> DocumentTooLarge:
    return DocumentTooLarge(f"the HTML has {what}; the limit is {limit}.", hint="Give a shorter page.")
