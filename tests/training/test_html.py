"""HTML pages: made harmless, rendered, and read back into questions that keep the schema's promises."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from layoutllm_tool.documents import align
from layoutllm_tool.errors import DocumentError, DocumentTooLarge, DocumentUnreadable, TrainingError
from layoutllm_tool.training import html
from layoutllm_tool.training.html.marks import marked
from layoutllm_tool.training.html.render import Paper, refusing, render
from layoutllm_tool.training.html.templates import page
from layoutllm_tool.training.html.tree import clean_style, parse
from layoutllm_tool.training.schema import QA, Example


def _lacking() -> str:
    try:
        html.require()
    except TrainingError as error:
        return str(error)
    return ""


LACKING = _lacking()
needs_weasyprint = pytest.mark.skipif(bool(LACKING), reason=LACKING or "WeasyPrint is there")


def check(example: Example) -> None:
    """What the schema promises of every question."""
    lines = example.page.lines or ()
    for qa in example.questions:
        assert isinstance(qa, QA)
        assert qa.question.strip() and all(0 <= line < len(lines) for line in qa.lines)
        assert len(set(qa.lines)) == len(qa.lines)
        if qa.answer is None:
            assert qa.lines == () and qa.words == () and qa.formation.relation == "none"
        elif not qa.words:
            assert qa.analysis.operation == "reasoning" and qa.lines and qa.answer
        else:
            text = align.joined(example.page, qa.words)
            first, last = (align.joined(example.page, (word,)) for word in (qa.words[0], qa.words[-1]))
            at = text.find(qa.answer)
            assert 0 <= at < len(first) and at + len(qa.answer) > len(text) - len(last)
            assert {line for line, _ in qa.words} <= set(qa.lines) and list(qa.words) == sorted(qa.words)


def asked(source: str, seed: int = 0) -> tuple[Example, dict[str, QA]]:
    """A page's questions by what they look for."""
    example = html.from_source(parse(source), "test", Random(seed))
    check(example)
    return example, {qa.analysis.key: qa for qa in example.questions if isinstance(qa, QA)}


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<ScRiPt src='http://evil.example/x.js'></sCrIpT >",
        "<script>never closed",
        "<iframe src='file:///etc/passwd'>inner</iframe>",
        "<img src='file:///etc/passwd'><img src=http://evil.example/p.png onerror=alert(1)>",
        "<object data='file:///etc/passwd'><embed src='x'></object>",
        "<link rel=stylesheet href='http://evil.example/x.css'><base href='http://evil.example/'>",
        "<meta http-equiv=refresh content='0;url=http://evil.example'>",
        "<svg><image href='file:///etc/passwd'/></svg>",
        "<a href='javascript:alert(1)' onclick='evil()'>click</a>",
        "<style>@import url(http://evil.example/x.css); p { color: red }</style>",
        "<style>@im\\70ort 'http://evil.example/x.css';</style>",
        "<style>/* */@import/**/'http://evil.example/x.css';</style>",
        "<style>p { background: u\\72l(file:///etc/passwd) }</style>",
        "<style>@font-face { font-family: x; src: url(http://evil.example/x.ttf) }</style>",
        "<p style='background: url(file:///etc/passwd)'>painted</p>",
        '<p style="color: red" data-key="&quot;><script>x</script>">quoted</p>',
        "<!-- <script> --><p title='<script>'>x</p>",
    ],
)
def test_nothing_hostile_passes(hostile: str) -> None:
    written = parse(f"<p>Before</p>{hostile}").html().lower()
    assert "before" in written
    for bad in ("<script", "<iframe", "<img", "<object", "<link", "<base", "<svg", "<a ", "javascript:",
        "onclick", "onerror",
                "evil.example", "file:", "@import", "url(", "\\", "alert(1)"):  # fmt: skip
        assert bad not in written, bad
    assert parse(written).html().lower() == written


def test_style_keeps_what_is_harmless() -> None:
    css = (
        "td { border: 1px solid } @page { size: 9000px } p { background: url(x.png); color: red } "
        "b { src: local(x) }"
    )
    assert "".join(clean_style(css).split()) == "td{border:1pxsolid}p{;color:red}b{src:local(x)}"
    assert clean_style("p { color: red } @import 'x'; b {}").split() == [
        "p",
        "{",
        "color:",
        "red",
        "}",
        "b",
        "{}",
    ]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x" * 200_001, DocumentTooLarge),
        ("<b>x</b>" * 4001, DocumentTooLarge),
        ("<div>" * 100 + "x", DocumentTooLarge),
        ("<style>" + "a{}" * 9000 + "</style>x", DocumentTooLarge),
        ("<script>all of it</script>", DocumentUnreadable),
        ("", DocumentUnreadable),
    ],
)
def test_oversize_and_empty_html_is_refused(source: str, error: type[DocumentError]) -> None:
    with pytest.raises(error, match=r"Give a"):
        parse(source)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["<a ", "<!--", "<?", "<p x='", "&#", "<![CDATA[", "</"])
def test_unclosed_markup_takes_no_long_time(piece: str) -> None:
    assert "Text" in parse("<p>Text</p>" + piece * (190_000 // len(piece))).html()


def test_cells_know_their_rows_and_columns_even_where_merged() -> None:
    source = parse(
        """<table><tr><th rowspan=2>Area<th colspan=2>Sales<th rowspan=2>Note</tr><tr><th>2023<th>2024</tr>
        <tr><th rowspan=2>North<td>1<td>2<td>a<tr><td>3<td>4<td>b<tr><th>South<td colspan=2>5<td></table>"""
    )
    (table,) = marked(source).tables
    cells = [(c.value.text, [p.text for p in c.row], [p.text for p in c.column]) for c in table.cells]
    assert ("4", ["North"], ["Sales", "2024"]) in cells and ("", ["South"], ["Note"]) in cells
    assert "5" not in [value for value, _, _ in cells] and len(cells) == 7
    assert table.label_head and table.label_head.text == "Area"


def test_huge_spans_are_cut_to_size() -> None:
    (table,) = marked(
        parse("<table><tr><th colspan=999999>A<tr><td>x<td>y<tr><td>z<td rowspan=99999>w</table>")
    ).tables
    assert len(table.cells) <= 4


def test_chat_models_get_the_rules_and_their_pages_are_made_harmless(tmp_path: Path) -> None:
    prompts: list[str] = []

    def write(prompt: str) -> str:
        prompts.append(prompt)
        if len(prompts) == 2:
            return "<script>only</script>"
        return f"Here it is:\n```html\n<p>Page {len(prompts)}</p><script src=http://x></script>\n```\nEnjoy"

    kept = list(html.keep(write, tmp_path / "pages", 3, seed=4))
    assert [path.name for path in kept] == ["4-00000.html", "4-00002.html"]
    assert all("data-key" in prompt and "No scripts" in prompt for prompt in prompts)
    assert "script" not in kept[0].read_text() and "Enjoy" not in kept[0].read_text()
    assert list(html.keep(write, tmp_path / "pages", 1, seed=4)) == kept[:1] and len(prompts) == 3
    assert html.kept(tmp_path / "pages") == tuple(kept)
    with pytest.raises(TrainingError, match="no page"):
        html.kept(tmp_path)


def test_templates_pass_the_sieve_unharmed() -> None:
    for seed in range(12):
        source, _ = page(Random(seed))
        facts = marked(parse(source))
        assert len(facts.pairs) + sum(len(table.cells) for table in facts.tables) >= 4
        assert facts.source.style.count("{") > 15


def test_imports_without_heavy_packages() -> None:
    heavy = ("torch", "pydantic", "langchain_core", "pypdfium2", "weasyprint")
    code = (
        f"import sys; from layoutllm_tool.training import html, mrc, sampling; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@needs_weasyprint
@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://evil.example/", "data:text/css,p{}", "relative.css"]
)
def test_every_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="nothing is fetched"):
        refusing().fetch(url)


@needs_weasyprint
def test_the_renderer_itself_fetches_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.css"
    secret.write_text("p::after { content: 'leaked' }")
    found = render(f"<link rel=stylesheet href='{secret.as_uri()}'><p id=a>Some plain words</p>", Paper())
    assert found.page.text == "Some plain words"
    assert found.boxes["a"].covers((found.page.lines or ())[0].box)


@needs_weasyprint
def test_facts_are_found_where_they_stand() -> None:
    example, found = asked(
        """<style>dt { text-transform: uppercase } .no { visibility: hidden }</style>
        <h1 data-value=t data-kind=title data-ask="What is the title?" data-about=title>Delivery note</h1>
        <dl><dt data-key=a>Order no:<dd data-value=a>4711
        <dt data-key=b>Sent on:<dd data-value=b></dl>
        <p class=no><span data-key=h>Secret</span> <span data-value=h>1234</span></p>
        <p><span data-key=d>Date:</span><span data-value=d>24.12.2024</span></p>"""
    )
    assert found["title"].answer == "Delivery note" and found["title"].formation.relation == "top of page"
    assert found["ORDER NO"].answer == "4711" and found["ORDER NO"].formation.relation == "below"
    assert found["ORDER NO"].lines[0] != found["ORDER NO"].words[0][0]
    assert found["Date"].answer == "24.12.2024" and found["Date"].formation.relation == "inside"
    assert "Secret" not in found and "1234" not in example.page.text


@needs_weasyprint
def test_equal_keys_are_told_apart_by_their_section_or_dropped() -> None:
    block = (
        '<div data-section="{0}"><h2>{0}</h2><span data-key=k{1}>Name:</span> '
        "<span data-value=k{1}>{2}</span></div>"
    )
    two = block.format("Seller", 1, "Ann Lee") + block.format("Buyer", 2, "Bo Moe")
    found = html.from_source(parse(two), "test", Random(3)).questions
    answers = {qa.answer: qa.question for qa in found if qa.answer}
    assert "Seller" in answers["Ann Lee"] and "Buyer" in answers["Bo Moe"]
    assert html.from_source(parse(block.format("Seller", 1, "Ann") * 2), "test", Random(3)).questions == ()


@needs_weasyprint
def test_choices_and_extremes() -> None:
    source = """<div data-key=p>Priority</div><p>[ ] <span data-choice=p data-checked=no>Low</span></p>
        <p>[X] <span data-choice=p data-checked=yes>High</span></p><table><tr><th>Region<th>Units</tr>
        <tr><td>North<td>1,200<tr><td>South<td>950<tr><td>West<td>1,010</table>"""
    seen: dict[str, set[str]] = {}
    for seed in range(12):
        for key, qa in asked(source, seed)[1].items():
            if qa.answer:
                seen.setdefault(key, set()).add(qa.answer)
    assert (
        seen["Priority"] == {"High"} and seen["Priority, High"] == {"Yes"} and seen["Priority, Low"] == {"No"}
    )
    assert seen["highest Units"] == {"North"} and seen["lowest Units"] == {"South"}
    assert seen["South, Units"] == {"950"}


@needs_weasyprint
def test_template_pages_keep_the_schemas_promises() -> None:
    examples = [html.example(7, number) for number in range(8)]
    for example in examples:
        check(example)
        assert (
            3 <= len(example.questions) <= 8
            and example.page.image is not None
            and example.page.text_source == "pdf"
        )
    every = [qa for example in examples for qa in example.questions]
    assert 0.08 < sum(qa.answer is None for qa in every) / len(every) < 0.4
    kinds = Counter(qa.analysis.kind for qa in every if isinstance(qa, QA))
    assert len(kinds) >= 3
    again = html.example(7, 3)
    assert again == examples[3] and again.page.image is not None and examples[3].page.image is not None
    assert again.page.image.tobytes() == examples[3].page.image.tobytes()


@needs_weasyprint
def test_written_pages_are_rendered_in_a_process_of_their_own(tmp_path: Path) -> None:
    body = "".join(
        f"<p><span data-key=k{n}>Key{n}:</span> <span data-value=k{n}>value {n}</span></p>" for n in range(6)
    )
    (path,) = html.keep(lambda _: body, tmp_path, 1, seed=0)
    example = html.written_example(path, seed=1)
    check(example)
    assert example.source == "html/written/0-00000" and "Key3: value 3" in example.page.text
    with pytest.raises(DocumentTooLarge, match="longer than"):
        render("<p>slow</p>", Paper(), isolated=True, seconds=0.01)
