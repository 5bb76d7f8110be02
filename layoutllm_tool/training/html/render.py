"""HTML -> PDF (WeasyPrint) -> a page with words and boxes, and where each numbered word stands.

WeasyPrint is an extra (``pip install layoutllm-tool[html]``) and needs the system's Pango. Nothing is ever
fetched: every address is refused. Only the first page counts. It is *not* for untrusted HTML: a style sheet
can keep a renderer busy for hours.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.errors import DocumentUnreadable, TrainingError

if TYPE_CHECKING:
    from weasyprint.text.fonts import FontConfiguration


@dataclass(frozen=True, slots=True)
class Paper:
    """Sides and margin in points."""

    width: float = 595.0
    height: float = 842.0
    margin: float = 40.0

    @property
    def style(self) -> str:
        return f"@page {{ size: {self.width:g}pt {self.height:g}pt; margin: {self.margin:g}pt }}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The page as read back from the PDF, and the boxes (0-1000) of elements by their ``id``."""

    page: Page
    boxes: dict[str, Box]


def require() -> None:
    """TrainingError, which says what to install, where pages can't be rendered on this machine."""
    from PIL import ImageFile

    strict = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as error:
        packages = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        raise TrainingError(
            f"HTML pages can't be rendered: {error}.",
            hint=f"pip install 'layoutllm-tool[html]', and the system's Pango (Debian: {packages}).",
        ) from error
    finally:  # WeasyPrint's import makes all of this process take truncated pictures for whole ones
        ImageFile.LOAD_TRUNCATED_IMAGES = strict


def render(html: str, paper: Paper) -> Rendered:
    """The first page. TrainingError without WeasyPrint, DocumentUnreadable where nothing is found."""
    from layoutllm_tool.documents import load_document

    pdf, boxes = _printed(html, paper)
    page = load_document(pdf, pages=[1]).pages[0]
    if page.notices or not page.lines:  # turned, or its words not trusted: the boxes are not WeasyPrint's
        why = "; ".join(map(str, page.notices)) or "it has no words"
        raise DocumentUnreadable(
            f"the rendered page can't be read back ({why}).",
            hint="Give HTML with upright, visible text.",
        )
    return Rendered(page, boxes)


def _printed(html: str, paper: Paper) -> tuple[bytes, dict[str, Box]]:
    """A PDF, and the boxes of its first page's elements."""
    require()
    import weasyprint

    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # else it reports every unknown property
    fonts = _fonts()
    sides = weasyprint.CSS(string=paper.style, font_config=fonts, url_fetcher=refusing())
    source = weasyprint.HTML(string=html, url_fetcher=refusing())
    document = source.render(font_config=fonts, stylesheets=[sides])
    first = document.pages[0]
    boxes = {
        name: Box.from_pixels(*corners, width=first.width, height=first.height)
        for name, corners in first.anchors.items()
    }
    return document.copy([first]).write_pdf(), boxes


@lru_cache(maxsize=1)
def refusing() -> Any:
    """WeasyPrint's fetcher that refuses every address: URLFetchingError inside WeasyPrint."""
    from weasyprint.urls import URLFetcher

    class Refusing(URLFetcher):  # type: ignore[misc,unused-ignore]
        def fetch(self, url: str, headers: Any = None) -> NoReturn:
            raise ValueError(f"nothing is fetched while rendering, {url[:80]!r} neither")

    return Refusing()


@lru_cache(maxsize=1)
def _fonts() -> FontConfiguration:
    """Which fonts the system has: read once."""
    from weasyprint.text.fonts import FontConfiguration

    return FontConfiguration()
