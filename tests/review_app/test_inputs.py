"""The review page's API with whatever a page or a program may send: an answer or an error in JSON, and the
batch stays whole.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layoutllm_tool.cot import EXPECTED_TYPES, KINDS, STEPS
from layoutllm_tool.review_app.app import cookie_name, create_app
from tests.review_page import KEY, TOKEN, doubtful_batch
from tests.services import in_process

ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
"""Lone surrogates, NUL and control characters too."""
LARGE = st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, 10**23, 10**400, -(2**63) - 1])
NUMBER = st.one_of(st.integers(), LARGE, st.floats(), st.sampled_from([1e308, -0.0]))
VALUE = st.one_of(st.none(), st.booleans(), NUMBER, ANY_TEXT, st.lists(NUMBER, max_size=4))
BOX = st.one_of(
    st.lists(NUMBER, min_size=4, max_size=4), st.lists(st.floats(0, 1000), min_size=4, max_size=4), VALUE
)


def mostly(usual: Any) -> st.SearchStrategy[Any]:
    return st.one_of(usual, usual, VALUE)


CORRECTION = st.fixed_dictionaries(
    {"step": mostly(st.sampled_from(STEPS))},
    optional={
        "text": mostly(ANY_TEXT), "kind": mostly(st.sampled_from(KINDS)), "page": mostly(st.one_of(st.just(1),
        LARGE)),
        "boxes": mostly(st.lists(BOX, max_size=3)), "avoid": mostly(st.lists(BOX, max_size=3)),
        "spatial": mostly(ANY_TEXT),
        "expected_type": mostly(st.sampled_from(EXPECTED_TYPES)), "wrong": mostly(st.lists(ANY_TEXT,
        max_size=3)),
    },
)  # fmt: skip
REVIEW = st.one_of(
    st.fixed_dictionaries({"correction": CORRECTION}),
    st.fixed_dictionaries({"answer": mostly(ANY_TEXT)}),
    st.fixed_dictionaries(
        {}, optional={"accept": VALUE, "absent": VALUE, "answer": VALUE, "correction": CORRECTION}
    ),
    st.dictionaries(ANY_TEXT, VALUE, max_size=3),
    VALUE,
)
BODY = st.one_of(REVIEW.map(lambda value: json.dumps(value).encode()), st.binary(max_size=50))
IN_PATH = st.one_of(
    ANY_TEXT, NUMBER.map(str), st.sampled_from([KEY, "total", "date", "1", "%00", "..", "%2e%2e", "a" * 5000])
)
PATHS = st.one_of(
    st.builds(
        lambda key, name: f"/api/documents/{key}/fields/{name}", st.one_of(st.just(KEY), IN_PATH), IN_PATH
    ),
    st.builds(
        lambda key, number: f"/api/documents/{key}/pages/{number}", st.one_of(st.just(KEY), IN_PATH), IN_PATH
    ),
    st.builds(lambda key, number: f"/api/documents/{key}/pages/{number}.webp", st.just(KEY), IN_PATH),
    st.builds(lambda name: f"/static/{name}", IN_PATH),
    st.builds(lambda name: f"/{name}", IN_PATH),
)
WHOLE = st.one_of(st.integers(0, 5).map(str), LARGE.map(str), NUMBER.map(str))
SHARE = st.one_of(st.floats(0, 1).map(str), NUMBER.map(str), st.sampled_from(["nan", "inf", "-inf", "1e999"]))
WISHES = {
    "verdict": st.one_of(st.just("satisfied"), ANY_TEXT), "waiting": st.one_of(st.sampled_from(["true", "0"]),
    ANY_TEXT),
    "least": SHARE, "most": SHARE, "text": ANY_TEXT, "offset": WHOLE, "limit": WHOLE, "status": ANY_TEXT,
    "other": ANY_TEXT,
}  # fmt: skip
QUERY = st.fixed_dictionaries({}, optional=WISHES)


class Page:
    """The app of a batch, on an event loop of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self.loop = asyncio.new_event_loop()
        options: Any = {"cookies": {cookie_name(TOKEN): TOKEN}, "headers": {"origin": "http://127.0.0.1"}}
        self._running = in_process(create_app(*doubtful_batch(tmp_path), token=TOKEN), **options)
        self._http = self.loop.run_until_complete(self._running.__aenter__())

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.loop.run_until_complete(self._http.request(method, path, **options))

    def close(self) -> None:
        self.loop.run_until_complete(self._running.__aexit__(None, None, None))
        self.loop.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page(tmp_path)
    yield made
    made.close()


def check(reply: httpx.Response) -> None:
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        assert reply.json()["message"] and "Traceback" not in reply.text


MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(
    body=BODY,
    kind=st.sampled_from(["application/json"] * 9 + ["text/plain"]),
    name=st.sampled_from(["total", "date"]),
)
def test_any_review(page: Page, body: bytes, kind: str, name: str) -> None:
    path = f"/api/documents/{KEY}/fields/{name}"
    check(page.send("POST", path, content=body, headers={"content-type": kind}))
    shown = page.send("GET", path)
    assert shown.status_code == 200 and shown.json()["name"] == name
    assert page.send("GET", "/api/fields").json()["total"] == 2


@MANY
@given(path=PATHS, query=QUERY, method=st.sampled_from(["GET", "HEAD", "POST", "PUT"]))
def test_any_path_and_query(page: Page, path: str, query: dict[str, str], method: str) -> None:
    escaped = quote(path.encode("utf-8", "surrogatepass"), safe="/%")
    given = {name: value.encode("utf-8", "surrogatepass") for name, value in query.items()}
    reply = page.send(method, escaped, params=cast(Any, given), content=b"{}" if method == "POST" else None)
    assert reply.status_code < 500
    if method != "HEAD":
        check(reply)


@MANY
@given(query=QUERY, where=st.sampled_from(["fields", "documents"]))
def test_any_search(page: Page, query: dict[str, str], where: str) -> None:
    given = {name: value.encode("utf-8", "surrogatepass") for name, value in query.items()}
    check(page.send("GET", f"/api/{where}", params=cast(Any, given)))


@pytest.mark.parametrize(
    "body",
    [
        b'{"answer": "\\ud800"}',
        b'{"correction": {"step": "analysis", "text": "\\ud800"}}',
        b'{"correction": {"step": "answer", "wrong": ["\\udfff"]}}',
        b'{"correction": {"step": "area", "page": 1e999}}',
        b'{"correction": {"step": "area", "boxes": [[NaN, 0, 1, 1]]}}',
        b'{"correction": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"answer": "a", "answer": "b"}',
    ],
)  # fmt: skip
def test_what_no_review_can_hold(page: Page, body: bytes) -> None:
    reply = page.send(
        "POST",
        f"/api/documents/{KEY}/fields/total",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert reply.status_code == 422 and reply.json()["message"]


@pytest.mark.parametrize("number", ["2147483648", str(2**63), "9" * 5000, "-1", "1.5", "nan"])
def test_numbers_that_are_none(page: Page, number: str) -> None:
    for place in (f"/api/documents/{KEY}/pages/{number}", f"/api/documents/{KEY}/pages/{number}.webp"):
        assert page.send("GET", place).status_code in (400, 422)
    for where in ("fields", "documents"):
        assert page.send("GET", f"/api/{where}", params={"offset": number}).status_code == 422
