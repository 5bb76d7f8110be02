"""JSON from strangers: what is refused, what it costs, and that nobody else waits for it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from layoutllm_tool.schemas import PAGES_TYPE
from layoutllm_tool.service import security
from layoutllm_tool.service.schemas import MOST_WORDS
from layoutllm_tool.strict_json import BodyUnreadable, parse, read_json
from layoutllm_tool.testing import FakeReader
from tests.service.test_requests import client, error, uploaded

DEEP = b"[" * 5000 + b"]" * 5000
ODD = {
    "deep": (b'{"question": ' + DEEP + b"}", 400),
    "deep objects": (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
    "NaN": (b'{"question": NaN}', 400),
    "infinite": (b'{"question": "?", "page": -Infinity}', 400),
    "too large for a float": (b'{"question": "?", "page": 1e999}', 422),
    "a number of 5,000 digits": (b'{"question": "?", "page": ' + b"9" * 5000 + b"}", 400),
    "a number of 100 digits": (b'{"question": "?", "page": ' + b"9" * 100 + b"}", 422),
    "a name twice": (b'{"question": "?", "question": "!"}', 400),
    "a lone surrogate": (b'{"document": "%s", "question": "\\ud800"}', 422),
    "a lone low surrogate": (b'{"document": "%s", "question": "a\\uDFFFb"}', 422),
    "a surrogate in a name": (b'{"document": "%s", "question": "?", "\\ud800": 1}', 422),
    "a surrogate in a correction": (
        b'{"document": "%s", "question": "?", "correction": {"step": "answer", "wrong": ["\\ud83d"]}}', 422,
    ),
    "no UTF-8": (b'{"document": "%s", "question": "\xff"}', 400),
    "a surrogate in UTF-8": (b'{"document": "%s", "question": "\xed\xa0\x80"}', 400),
    "UTF-16": ('{"question": "?"}'.encode("utf-16"), 400),
    "nothing": (b"", 400),
    "a list": (b"[]", 422),
    "a long name": (b'{"' + b"a" * 100_000 + b'": 1}', 422),
    "a control character": (b'{"question": "?", "\\u001b[31m": 1}', 422),
    "too many values": (b'{"document": [' + b"1," * 100_000 + b"1]}", 413),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
async def test_odd_questions_are_errors_in_json(name: str) -> None:
    body, status = ODD[name]
    async with client() as http:
        known = await uploaded(http)
        body = body.replace(b"%s", known.encode())
        reply = await http.post("/v1/ask", content=body, headers={"content-type": "application/json"})
        found = error(reply, status, "QuestionError")
        assert found["caller_can_fix"] and len(found["message"]) < 700 and found["message"].isprintable()


async def test_a_pair_of_surrogates_is_a_character() -> None:
    assert parse(b'["\\ud83d\\ude00"]') == ["\U0001f600"]
    async with client(FakeReader({"\U0001f600?": "yes"})) as http:
        body = json.dumps({"document": await uploaded(http), "question": "\U0001f600?"})
        reply = await http.post("/v1/ask", content=body, headers={"content-type": "application/json"})
        assert reply.json()["cot"]["answer"] == "yes"


PAGE = {"number": 1, "width": 10, "height": 10, "text_source": "", "notices": []}
WORD = {"text": "a", "box": [1, 1, 2, 2], "confidence": None}


@pytest.mark.parametrize(
    ("pages", "status"),
    [
        ([PAGE | {"lines": [[WORD | {"text": "\ud800"}]]}], 422),
        ([PAGE | {"lines": [[WORD | {"box": [1, 1, 2, 10**30]}]]}], 422),
        ([PAGE | {"lines": [[WORD | {"colour": 1}]]}], 422),
        ([PAGE | {"lines": [["word"]]}], 422),
        ([PAGE | {"lines": [[]]}], 422),
        ([PAGE | {"lines": [[WORD] * 2001]}], 422),
        ([PAGE | {"number": n, "lines": [[WORD] * 1000] * 60} for n in (1, 2)], 413),
        ([PAGE | {"lines": [[WORD] * 2000] * 100}], 413),
    ],
)
async def test_odd_pages_are_errors_in_json(pages: Any, status: int) -> None:
    async with client() as http:
        body = json.dumps({"pages": pages}).encode()
        reply = await http.post("/v1/documents", content=body, headers={"content-type": PAGES_TYPE})
        error(reply, status, "DocumentTooLarge" if status == 413 else "DocumentUnreadable")


async def test_as_many_words_as_are_allowed_are_taken() -> None:
    lines = [[WORD] * 1000] * (MOST_WORDS // 1000)
    async with client() as http:
        known = await uploaded(http, json.dumps({"pages": [PAGE | {"lines": lines}]}).encode())
        page = (await http.get(f"/v1/documents/{known}")).json()["pages"][0]
        assert sum(map(len, page["lines"])) == MOST_WORDS


class Anything(BaseModel):
    a: float | str | list[int] | dict[str, str] | None = None


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(VALUES.map(lambda value: json.dumps(value).encode()), st.binary(), st.text().map(str.encode))
)
def test_a_body_is_read_or_refused(body: bytes) -> None:
    try:
        value = parse(body)
    except BodyUnreadable as refused:
        assert refused.status in (400, 413, 422) and refused.message.isprintable()
    else:
        json.dumps(value, ensure_ascii=False, allow_nan=True).encode()
    try:
        read_json(Anything, body)
    except BodyUnreadable as refused:
        assert "\n" not in refused.message


async def test_the_service_answers_while_a_body_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return read_json(*args)

    async with client() as http:
        known = await uploaded(http)
        monkeypatch.setattr(security, "read_json", slow)
        large = {"document": known, "question": "What is the total?", "data": None, "page": None}
        body = json.dumps(large).encode() + b" " * 2_000_000
        task = asyncio.create_task(
            http.post("/v1/ask", content=body, headers={"content-type": "application/json"})
        )
        assert await asyncio.to_thread(begun.wait, 60)
        assert (await http.get("/healthz")).status_code == 200 and not task.done()
        go_on.set()
        assert (await task).json()["cot"]["answer"] == "12.50"


def test_other_threads_run_while_a_body_is_parsed() -> None:
    """Counted in turns that another thread gets, not in seconds."""
    from layoutllm_tool.service.queries import ServiceLimits
    from layoutllm_tool.service.schemas import opened

    body = json.dumps({"pages": [PAGE | {"lines": [[WORD] * 1000] * (MOST_WORDS // 1000)}]}).encode()
    limits, before = ServiceLimits(), sys.getswitchinterval()
    turns, done = 0, threading.Event()

    def other() -> None:
        nonlocal turns
        while not done.wait(0.001):
            turns += 1

    thread = threading.Thread(target=other)
    sys.setswitchinterval(0.001)
    try:
        thread.start()
        opened(body, "pages", limits.documents)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(before)
    assert turns >= 20


COSTLY = """
import asyncio, resource, sys
from layoutllm_tool.testing import FakeReader
from layoutllm_tool.schemas import PAGES_TYPE
from layoutllm_tool.service.app import create_service
from tests.services import in_process
N = 60_000_000
BODIES = {
    "words": lambda: b'{"pages":[{"number":1,"width":9,"height":9,"lines":[['
    + b'{"text":"a","box":[1,1,2,2]},' * (N // 29),
    "numbers": lambda: b"[" + b"1," * (N // 2),
    "objects": lambda: b"[" + b"{}," * (N // 3),
    "deep": lambda: b"[" * N,
    "names": lambda: b'{"a":' * (N // 5),
    "escapes": lambda: b'{"question":"' + b"\\\\u0041" * (N // 6) + b'"}',
    "a text": lambda: b'{"question":"' + b"a" * N + b'"}',
    "a wide text": lambda: b'{"question":"' + b"a" * N + "\\U0001f600".encode() + b'"}',
    "a number": lambda: b'{"page":' + b"1" * N + b"}",
    "a wide name": lambda: b'{"' + b"a" * N + "\\U0001f600".encode() + b'":1}', "blanks": lambda: b" " * N,
}
async def main(body):
    async with in_process(create_service(FakeReader())) as http:
        for path, kind in (("ask", "application/json"), ("documents", PAGES_TYPE)):
            print((await http.post(f"/v1/{path}", content=body, headers={"content-type": kind})).status_code)
resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000, 1_200_000_000))
asyncio.run(main(BODIES[sys.argv[1]]()))
"""


@pytest.mark.parametrize(
    "name",
    ["words", "numbers", "objects", "deep", "names", "escapes", "a text", "a wide text", "a number",
    "a wide name", "blanks"],
)  # fmt: skip
def test_sixty_megabytes_of_json_take_little_memory(name: str) -> None:
    pytest.importorskip("resource")
    run = subprocess.run([sys.executable, "-c", COSTLY, name], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    assert {int(status) for status in run.stdout.split()} <= {400, 413, 422}, run.stdout
