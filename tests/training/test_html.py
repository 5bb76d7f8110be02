"""HTML pages: rendered, and read back into questions that keep the schema's promises."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from layoutllm_tool.errors import TrainingError
from layoutllm_tool.training import html
from layoutllm_tool.training.html.marks import marked
from layoutllm_tool.training.html.render import Paper, refusing, render
from layoutllm_tool.training.html.templates import page
from layoutllm_tool.training.schema import QA, Example
from tests.training.pages import check


def _lacking() -> str:
    try:
        html.require()
    except TrainingError as error:
        return str(error)
    return ""


LACKING = _lacking()
needs_weasyprint = pytest.mark.skipif(bool(LACKING), reason=LACKING or "WeasyPrint is there")


def document(body: str) -> str:
    return f"<html><head/><body>{body}</body></html>"


def asked(source: str, seed: int = 0) -> tuple[Example, dict[str, QA]]:
    """A page's questions by what they look for."""
    example = html.from_source(document(source), "test", Random(seed))
    check(example)
    return example, {qa.analysis.key: qa for qa in example.questions if isinstance(qa, QA)}


def test_cells_know_their_rows_and_columns_even_where_merged() -> None:
    source = """<table><tr><th rowspan="2">Area</th><th colspan="2">Sales</th><th rowspan="2">Note</th></tr>
        <tr><th>2023</th><th>2024</th></tr><tr><th rowspan="2">North</th><td>1</td><td>2</td><td>a</td></tr>
        <tr><td>3</td><td>4</td><td>b</td></tr><tr><th>South</th><td colspan="2">5</td><td/></tr></table>"""
    (table,) = marked(document(source)).tables
    cells = [(c.value.text, [p.text for p in c.row], [p.text for p in c.column]) for c in table.cells]
    assert ("4", ["North"], ["Sales", "2024"]) in cells and ("", ["South"], ["Note"]) in cells
    assert "5" not in [value for value, _, _ in cells] and len(cells) == 7
    assert table.label_head and table.label_head.text == "Area"


def test_templates_are_well_formed_and_carry_facts() -> None:
    for seed in range(300):
        source, _ = page(Random(seed))
        facts = marked(source)
        assert len(facts.pairs) + sum(len(table.cells) for table in facts.tables) >= 4
        assert facts.html.count("{") > 15


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
        """<h1 data-value="t" data-kind="title" data-ask="What is the title?" data-about="title">Delivery
        note</h1>
        <dl><dt style="text-transform: uppercase" data-key="a">Order no:</dt><dd data-value="a">4711</dd>
        <dt data-key="b">Sent on:</dt><dd data-value="b"/></dl>
        <p style="visibility: hidden"><span data-key="h">Secret</span> <span data-value="h">1234</span></p>
        <p><span data-key="d">Date:</span><span data-value="d">24.12.2024</span></p>"""
    )
    assert found["title"].answer == "Delivery note" and found["title"].formation.relation == "top of page"
    assert found["ORDER NO"].answer == "4711" and found["ORDER NO"].formation.relation == "below"
    assert found["ORDER NO"].lines[0] != found["ORDER NO"].words[0][0]
    assert found["Date"].answer == "24.12.2024" and found["Date"].formation.relation == "inside"
    assert "Secret" not in found and "1234" not in example.page.text


@needs_weasyprint
def test_equal_keys_are_told_apart_by_their_section_or_dropped() -> None:
    block = (
        '<div data-section="{0}"><h2>{0}</h2><span data-key="k{1}">Name:</span> '
        '<span data-value="k{1}">{2}</span></div>'
    )
    two = block.format("Seller", 1, "Ann Lee") + block.format("Buyer", 2, "Bo Moe")
    found = html.from_source(document(two), "test", Random(3)).questions
    answers = {qa.answer: qa.question for qa in found if qa.answer}
    assert "Seller" in answers["Ann Lee"] and "Buyer" in answers["Bo Moe"]
    twice = document(block.format("Seller", 1, "Ann") * 2)
    assert html.from_source(twice, "test", Random(3)).questions == ()


@needs_weasyprint
def test_choices_and_extremes() -> None:
    rows = (("North", "1,200"), ("South", "950"), ("West", "1,010"))
    cells = "".join(f"<tr><td>{name}</td><td>{units}</td></tr>" for name, units in rows)
    source = f"""<div data-key="p">Priority</div>
        <p>[ ] <span data-choice="p" data-checked="no">Low</span></p>
        <p>[X] <span data-choice="p" data-checked="yes">High</span></p>
        <table><tr><th>Region</th><th>Units</th></tr>{cells}</table>"""
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
