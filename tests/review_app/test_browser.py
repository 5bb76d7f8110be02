"""The review page in Chromium: by keyboard, in both colour schemes, and as a file without a server."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layoutllm_tool.batch.store import Store
from layoutllm_tool.commands import view
from layoutllm_tool.testing import FakeReader
from tests.review_page import EVIL, KEY, LINES, doubtful_batch, served, steered_batch

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]
WRONG = EVIL + " 99"
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium"),
    pytest.mark.timeout(120),
]

_CONTRASTS = """
() => {
  const numbers = (text) => text.match(/-?[\\d.]+(e-?\\d+)?/g).map(Number);
  const rgba = (text) => {
    const [r, g, b, a = 1] = numbers(text.replace("color(srgb", ""));
    const scale = text.startsWith("color") ? 255 : 1;
    return [r * scale, g * scale, b * scale, a];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (node) => {
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 1 || !node.parentElement ? own : over(own, behind(node.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = {};
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    if (!(text || node.placeholder) || !node.getClientRects().length) continue;
    const back = behind(node), style = getComputedStyle(node, node.placeholder ? "::placeholder" : null);
    const ink = rgba(style.color);
    ink[3] *= Number(style.opacity);
    const [low, high] = [light(back), light(over(ink, back))].sort((a, b) => a - b);
    const name = `${node.tagName}#${node.id}.${node.className}: ${node.textContent.trim().slice(0, 30)}`;
    found[name] = (high + 0.05) / (low + 0.05);
  }
  return found;
}
"""


@pytest.fixture
def batch(tmp_path: Path) -> tuple[Path, FakeReader]:
    return doubtful_batch(tmp_path)


@pytest.fixture
def address(batch: tuple[Path, FakeReader]) -> Iterator[str]:
    with served(batch) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    yield context.new_page()
    context.close()


def expect(found: Any) -> Any:
    from playwright.sync_api import expect

    return expect(found)


def opened(page: Any, address: str) -> None:
    page.goto(address)
    expect(page.locator("#answer")).to_have_text(WRONG)
    expect(page.locator(".line")).to_have_count(len(LINES))


def reviews(batch: tuple[Path, FakeReader]) -> list[tuple[str, str | None]]:
    with Store.open(batch[0]) as store:
        return [(one.name, one.after["answer"]) for one in store.reviews()]


def test_in_a_browser_another_box_gives_the_right_answer(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(address)
    expect(page.locator("#answer")).to_have_text(EVIL + " 99")
    expect(page.locator(".line")).to_have_count(len(LINES))
    page.screenshot(path=str(tmp_path / "doubtful.png"))
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")  # before it, the picture has no size
    expect(page.locator("img")).to_have_js_property("complete", True)
    page.keyboard.press("b")
    sheet = page.locator("#marks").bounding_box()
    assert sheet
    at = [
        (sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"])
        for x, y in ((0.08, 0.29), (0.6, 0.35))
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()
    expect(page.locator(".drawn")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("total: 12.50")
    page.keyboard.press("2")
    expect(page.locator("#fields li")).to_have_count(2)
    page.keyboard.press("u")
    expect(page.locator("#answer")).to_have_text("12.50")
    expect(page.locator("rect.answer")).to_have_count(1)
    page.screenshot(path=str(tmp_path / "corrected.png"))
    assert page.evaluate("window.bad") is None and "token" not in page.url


def test_the_next_key_never_hits_the_field_just_reviewed(
    page: Any, address: str, batch: tuple[Path, FakeReader]
) -> None:
    """A reviewed field is sorted anew, as sure: what was at its place is another field."""
    page.goto(address)
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("2")
    expect(page.locator("#fields li b")).to_have_text(["total", "date"])
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#answer")).to_have_text(EVIL + " 99")
    page.keyboard.press("e")
    page.locator("#written").fill("77.00")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("total: 77.00")
    expect(page.locator("#answer")).to_have_text("2 May 2024")
    page.keyboard.press("x")
    expect(page.locator("#status")).to_have_text("date: not in the document")
    expect(page.locator("#question")).to_have_text("Nothing left here.")
    page.keyboard.press("x")  # nothing is open: nothing happens
    page.wait_for_timeout(300)
    with Store.open(batch[0]) as store:
        assert [(one.name, one.after["answer"]) for one in store.reviews()] == [
            ("total", "77.00"),
            ("date", None),
        ]


def test_a_long_list_comes_in_parts(page: Any, address: str, batch: tuple[Path, FakeReader]) -> None:
    with Store.open(batch[0]) as store:
        whole, done = store.fields(KEY), store.document(KEY)
        assert done is not None
        many = [
            replace(whole[1], name=f"date {n:03}", position=n + 2, pending_review=False) for n in range(230)
        ]
        store.put(done, [*whole, *many])
    page.goto(address)
    page.keyboard.press("2")
    expect(page.locator("#count")).to_have_text("232 fields")
    expect(page.locator("#more")).to_have_text("32 more")
    page.locator("#field-199").click()
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("j")
    expect(page.locator("#fields li")).to_have_count(232)
    expect(page.locator("#field-200")).to_have_attribute("aria-selected", "true")


def test_the_exported_file_shows_the_same_without_a_server(
    page: Any, batch: tuple[Path, FakeReader], tmp_path: Path
) -> None:
    parser, file = argparse.ArgumentParser(), tmp_path / "run.html"
    view.add_to(parser.add_subparsers())
    options = parser.parse_args(
        ["view", str(batch[0]), "--export", str(file), "--root", str(batch[0].parent)]
    )
    assert options.run(options, None) == 0
    page.goto(file.as_uri())
    expect(page.locator("#fields li")).to_have_count(2)
    page.keyboard.press("1")
    expect(page.locator("#answer")).to_have_text(EVIL + " 99")
    assert page.evaluate("document.getElementById('picture').naturalWidth") > 100
    assert page.evaluate("window.bad") is None
    page.keyboard.press("a")
    expect(page.locator("#status")).to_contain_text("copy to read")


def test_lines_are_picked_as_the_area_by_keyboard(
    page: Any, address: str, batch: tuple[Path, FakeReader]
) -> None:
    opened(page, address)
    picked, status = page.locator(".picked"), page.locator("#status")
    page.keyboard.press("ArrowDown")  # not before b
    expect(picked).to_have_count(0)
    page.keyboard.press("b")
    for text in LINES[:3]:
        page.keyboard.press("ArrowDown")
        expect(status).to_have_text(text)
    expect(picked).to_have_count(1)
    page.keyboard.press("Shift+ArrowUp")
    expect(picked).to_have_count(2)
    page.keyboard.press("Escape")
    expect(picked).to_have_count(0)
    page.keyboard.press("Enter")  # nothing is picked any more: nothing is sent
    page.keyboard.press("b")
    page.keyboard.press("ArrowUp")
    expect(status).to_have_text(LINES[0])
    for _ in range(9):
        page.keyboard.press("ArrowRight")  # no further than the last
    expect(status).to_have_text(LINES[3])
    page.keyboard.press("ArrowLeft")
    expect(status).to_have_text(LINES[2])
    box = picked.evaluate("(node) => node.getBBox().y")
    assert 300 <= box <= 310
    page.keyboard.press("Enter")
    expect(status).to_have_text("total: 12.50")
    assert reviews(batch) == [("total", "12.50")]


def test_an_answer_is_edited_by_keyboard(page: Any, address: str, batch: tuple[Path, FakeReader]) -> None:
    opened(page, address)
    written = page.locator("#written")
    page.keyboard.press("e")
    expect(written).to_be_focused()
    expect(written).to_have_value(WRONG)
    page.keyboard.type("x a j")  # letters that are keys elsewhere; what stood there is selected, and goes
    expect(written).to_have_value("x a j")
    page.keyboard.press("Escape")
    expect(page.locator("#edit")).to_be_hidden()
    expect(page.locator("#answer")).to_have_text(WRONG)
    page.keyboard.press("e")
    expect(written).to_have_value(WRONG)
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")  # nothing was written
    assert reviews(batch) == []
    page.keyboard.press("e")
    page.keyboard.type(" 12.50 ")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("total: 12.50")
    expect(page.locator("#edit")).to_be_hidden()
    assert reviews(batch) == [("total", "12.50")]
    page.keyboard.press("2")  # the page has the keys again
    expect(page.locator("#fields li")).to_have_count(2)
    page.keyboard.press("u")
    expect(page.locator("#verdict")).to_contain_text("by person")
    expect(page.locator("rect.answer")).to_have_count(1)  # it stands in one place


@pytest.mark.parametrize(("scheme", "back"), [("light", "rgb(244, 245, 247)"), ("dark", "rgb(18, 21, 27)")])
def test_every_text_is_legible_in_both_schemes(
    page: Any, address: str, tmp_path: Path, scheme: str, back: str
) -> None:
    """WCAG AA: a contrast of 4.5."""
    page.emulate_media(color_scheme=scheme)
    opened(page, address)
    page.keyboard.press("2")
    expect(page.locator("#fields li")).to_have_count(2)
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("b")
    page.keyboard.press("e")
    expect(page.locator("#status")).to_contain_text("Drag a box")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == back
    assert (
        page.evaluate("getComputedStyle(document.getElementById('picture')).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    contrasts = page.evaluate(_CONTRASTS)
    assert len(contrasts) > 20 and any("#status" in text for text in contrasts)
    assert {text: round(ratio, 2) for text, ratio in contrasts.items() if ratio < 4.5} == {}
    page.screenshot(path=str(tmp_path / f"{scheme}.png"))
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert min(page.evaluate(_CONTRASTS).values()) >= 4.5


def answers(folder: Path) -> dict[str, str | None]:
    with Store.open(folder) as store:
        return {field.name: field.answer["answer"] for field in store.fields(KEY)}


def test_a_satisfied_answer_is_changed_and_what_depends_on_it_is_done_again(
    page: Any, tmp_path: Path
) -> None:
    folder, reader = steered_batch(tmp_path)
    with served((folder, reader)) as address:
        page.goto(address)
        page.keyboard.press("2")
        expect(page.locator("#fields li")).to_have_count(5)
        reader.calls.clear()
        page.locator("#fields li", has_text="Acme GmbH").filter(has_text="client").click()
        expect(page.locator("body")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#question")).to_have_text("What is the client?")
        page.keyboard.press("e")
        page.locator("#written").fill("Zeta AG")
        page.keyboard.press("Enter")
        expect(page.locator("#fields li", has_text="Rome")).to_have_count(1)
        assert [call.question for call in reader.calls] == ["What is the Zeta AG city?"]
        page.locator("#fields li", has_text="total").first.click()
        expect(page.locator("#question")).to_have_text("What is the total?")
        page.keyboard.press("w")  # no other total stands there
        expect(page.locator("#reasons")).to_contain_text("A person says that this answer is wrong.")
        expect(page.locator("#verdict")).to_contain_text("failed")
        page.locator("[data-act=n]").click()
        expect(page.locator("#verdict")).to_contain_text("satisfied")
        assert answers(folder) == {
            "client": "Zeta AG", "city": "Rome", "tax": "2.00", "total": "12.00", "net": "10.00",
        }  # fmt: skip


def test_a_plan_is_edited_and_run(page: Any, tmp_path: Path) -> None:
    folder, reader = steered_batch(tmp_path)
    with served((folder, reader)) as address:
        page.goto(address)
        page.keyboard.press("2")
        expect(page.locator("#fields li")).to_have_count(5)
        expect(page.locator("body")).to_have_attribute("aria-busy", "false")
        page.keyboard.press("p")
        questions = page.locator("#questions li")
        expect(questions).to_have_count(4)
        assert min(page.evaluate(_CONTRASTS).values()) >= 4.5
        reader.calls.clear()
        questions.nth(1).get_by_label("Question").fill("What is the Zeta AG city?")
        questions.nth(3).get_by_label("Move up").click()
        questions.nth(0).get_by_label("Drop it").click()
        page.locator("#ask").click()
        page.keyboard.type("What is the tax?")
        questions.nth(3).get_by_label("Type").select_option("money")
        page.locator("#constrain").click()
        constraint = page.locator("#constraints li")
        constraint.get_by_label("Kind").select_option("equal")
        constraint.get_by_label("Names").fill("tax, tacks")
        page.locator("#carry").click()
        expect(page.locator("#fault")).to_contain_text(
            "no question is called tacks; known: city, field_4, tax"
        )
        assert list(answers(folder)) == ["client", "city", "tax", "total", "net"] and reader.calls == []
        constraint.get_by_label("Names").fill("tax, field_4")
        page.locator("#carry").click()
        expect(page.locator("#plan")).to_be_hidden()
        expect(page.locator("#status")).to_have_text("The plan was carried out: 5 answers")
        assert answers(folder) == {
            "city": "Rome", "total": "12.00", "tax": "2.00", "field_4": "2.00", "net": "10.00",
        }  # fmt: skip
        asked = {call.question for call in reader.calls}
        assert asked == {"What is the Zeta AG city?", "What is the tax?"}
        page.keyboard.press("p")
        expect(questions).to_have_count(4)
        expect(constraint).to_have_count(1)
