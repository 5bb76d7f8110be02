"""HTML -> PDF (WeasyPrint) -> a page with words and boxes, and where each numbered word stands.

WeasyPrint is an extra (``pip install layoutllm-tool[html]``) and needs the system's Pango. Nothing is ever
fetched: every address is refused. Only the first page counts. Untrusted HTML is rendered in a process of its
own with a limit of time and memory (``isolated``): a style sheet can keep a renderer busy for hours.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.errors import DocumentTooLarge, DocumentUnreadable, TrainingError

if TYPE_CHECKING:
    from weasyprint.text.fonts import FontConfiguration

SECONDS = 60.0
"""For one page in a process of its own."""
MAX_MEMORY = 2 << 30
"""Bytes of address space of that process (where the system can limit it)."""
MAX_OUTPUT = 40_000_000
"""Characters that are taken from that process."""

_SIMPLER = "Give a simpler page."
_CHILD = "from layoutllm_tool.training.html.render import main; main()"


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


@dataclass(frozen=True, slots=True)
class _Print:
    """A PDF, and (x0, y0, x1, y1) of its first page's elements as shares of the page's sides."""

    pdf: bytes
    places: dict[str, tuple[float, float, float, float]]


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


def render(html: str, paper: Paper, *, isolated: bool = False, seconds: float = SECONDS) -> Rendered:
    """The first page. DocumentTooLarge after ``seconds``, DocumentUnreadable where nothing is found."""
    from layoutllm_tool.documents import load_document

    printed = _printed_apart(html, paper, seconds) if isolated else _printed(html, paper)
    page = load_document(printed.pdf, pages=[1]).pages[0]
    if page.notices or not page.lines:  # turned, or its words not trusted: the boxes are not WeasyPrint's
        raise DocumentUnreadable(
            f"the rendered page can't be read back ({'; '.join(page.notices) or 'it has no words'}).",
            hint="Give HTML with upright, visible text.",
        )
    return Rendered(page, {name: _box(place) for name, place in printed.places.items()})


def _box(place: tuple[float, float, float, float]) -> Box:
    return Box.from_pixels(*place, width=1, height=1)


def _printed(html: str, paper: Paper) -> _Print:
    require()
    import weasyprint

    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # else it reports every unknown property
    fonts = _fonts()
    sides = weasyprint.CSS(string=paper.style, font_config=fonts, url_fetcher=refusing())
    source = weasyprint.HTML(string=html, url_fetcher=refusing())
    document = source.render(font_config=fonts, stylesheets=[sides])
    first = document.pages[0]
    size = (first.width, first.height) * 2
    places = {
        name: tuple(round(value / side, 6) for value, side in zip(rectangle, size, strict=True))
        for name, rectangle in first.anchors.items()
    }
    return _Print(document.copy([first]).write_pdf(), places)


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


def _printed_apart(html: str, paper: Paper, seconds: float) -> _Print:
    require()
    job = json.dumps({"html": html, "paper": asdict(paper), "seconds": seconds})
    try:
        done = subprocess.run(  # fixed command; the HTML goes through standard input
            [sys.executable, "-c", _CHILD],
            input=job, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise DocumentTooLarge(f"rendering takes longer than {seconds:g} s.", hint=_SIMPLER) from error
    if done.returncode or len(done.stdout) > MAX_OUTPUT:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise DocumentUnreadable(f"the HTML can't be rendered ({last[0][:200]}).", hint=_SIMPLER)
    return _print_of(done.stdout)


def _print_of(text: str) -> _Print:
    try:
        data = json.loads(text)
        places = {}
        for name, (x0, y0, x1, y1) in data["places"].items():
            places[str(name)] = (float(x0), float(y0), float(x1), float(y1))
        return _Print(base64.b64decode(data["pdf"], validate=True), places)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise DocumentUnreadable("the renderer gave no page.", hint=_SIMPLER) from error


def _limit(seconds: float) -> None:
    """Time and memory of this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def main() -> None:
    """One page: a job as JSON from standard input, its print as JSON to standard output."""
    job = json.load(sys.stdin)
    _limit(job["seconds"])
    printed = _printed(job["html"], Paper(**job["paper"]))
    json.dump({"pdf": base64.b64encode(printed.pdf).decode(), "places": printed.places}, sys.stdout)
