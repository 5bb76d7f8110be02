"""RemoteReader against a real service: the same answers, words and errors as with the reader at hand."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image, ImageDraw

from layoutllm_graphs.context import Context
from layoutllm_graphs.workflow import make_graph
from layoutllm_tool import LayoutLLMTool, errors
from layoutllm_tool.cot import Correction
from layoutllm_tool.documents.geometry import Document, Notice, Word
from layoutllm_tool.errors import (
    DocumentError,
    LayoutLLMError,
    OCRLanguageMissing,
    OCRTimeout,
    PageOutOfRange,
    QuestionError,
    ServiceError,
)
from layoutllm_tool.protocols import Progress, Reader
from layoutllm_tool.readers.crop import CropReader
from layoutllm_tool.remote import RemoteReader
from layoutllm_tool.schemas import error_from_json, error_to_json
from layoutllm_tool.service.queries import ServiceLimits
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text, page_from_text
from tests.services import running

TURNED = Notice("turned", "It was turned.")
INVOICE = (
    "Invoice no:   4711\nSubtotal:     10.00\nTax:           2.50\nTotal:        12.50\n\nTotal:        99.00"
)


class Counting(FakeReader):
    """Counts what it is given to read."""

    loads = 0

    def load(self, source: Any, **options: Any) -> Document:
        self.loads += 1
        return super().load(source, **options)


@pytest.fixture
def served() -> Iterator[tuple[Counting, RemoteReader]]:
    behind = Counting(ocr=FakeOCR(INVOICE))
    with running(behind) as address, RemoteReader(address) as reader:
        yield behind, reader


def drawn(path: Path) -> Path:
    image = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(image).text((20, 20), "Total 12.50", fill="black")
    image.save(path)
    return path


def test_it_is_a_reader() -> None:
    assert isinstance(RemoteReader("http://127.0.0.1:1"), Reader)


def test_answers_are_those_of_the_reader_behind(served: tuple[Counting, RemoteReader]) -> None:
    _, remote = served
    document, near = document_from_text("Nothing", INVOICE), FakeReader()
    for question in ("What is the total?", "Invoice no?", "What is the colour?"):
        assert remote.ask(document, question).to_json() == near.ask(document, question).to_json()
        assert remote.ask(document, question, page=1).answer is None
    asked = ["Total?", "Invoice no?", "Tax?"]
    assert [c.to_json() for c in remote.ask_many(document, asked)] == [
        c.to_json() for c in near.ask_many(document, asked)
    ]
    assert remote.ask_many(document, []) == []


def test_a_document_is_sent_once(served: tuple[Counting, RemoteReader]) -> None:
    behind, remote = served
    document = document_from_text(INVOICE)
    for question in ("Total?", "Tax?", "Invoice no?"):
        remote.ask(document, question)
    assert behind.loads == 1


def test_a_picture_comes_back_with_words_and_stays_as_it_was(
    served: tuple[Counting, RemoteReader], tmp_path: Path
) -> None:
    behind, remote = served
    path = drawn(tmp_path / "page.png")
    document, near = remote.load(path), FakeReader(ocr=FakeOCR(INVOICE)).load(path)
    assert document == near and document.name == "page.png"
    image = document.pages[0].image
    assert image is not None and image.tobytes() == Image.open(path).tobytes()
    assert remote.load(path) == document and behind.loads == 1
    assert remote.ask(document, "What is the tax?").answer == "2.50" and behind.loads == 1


def test_a_page_that_is_turned_comes_back_turned(tmp_path: Path) -> None:
    from layoutllm_tool.ocr import recognise_page

    class Turning(FakeReader):
        def load(self, source: Any, **_: Any) -> Document:
            page = source.pages[0]
            turned = page.image.rotate(90, expand=True)
            read = page_from_text(INVOICE).lines
            return Document(
                source.name,
                source.sha256,
                (type(page)(page.number, turned.width, turned.height, read, turned, "fake", (TURNED,)),),
            )

    assert recognise_page is not None
    with running(Turning()) as address, RemoteReader(address) as remote:
        page = remote.load(drawn(tmp_path / "page.png")).pages[0]
        assert (page.width, page.height) == (300, 400) == page.image.size  # type: ignore[union-attr]
        assert page.notices == (TURNED,) and page.lines


def test_known_words_are_not_read_again(served: tuple[Counting, RemoteReader], tmp_path: Path) -> None:
    behind, remote = served
    known = page_from_text("Total:   7.77")
    document = remote.load(drawn(tmp_path / "page.png"), words=[known])
    assert behind.loads == 0
    assert remote.ask(document, "Total?").answer == "7.77"


def test_corrections_mend_the_attempt_they_are_of(served: tuple[Counting, RemoteReader]) -> None:
    _, remote = served
    document = document_from_text(INVOICE)
    first = remote.ask(document, "What is the total?")
    wrong = Correction("area", page=1, avoid=tuple(area.box for area in first.areas))
    second = remote.ask(document, "What is the total?", correction=wrong, previous=first)
    assert (first.answer, second.answer) == ("12.50", "99.00") and second.analysis == first.analysis


async def test_streams_tell_the_steps_and_end_with_the_whole(served: tuple[Counting, RemoteReader]) -> None:
    _, remote = served
    document = document_from_text(INVOICE)
    found = [event async for event in remote.astream(document, "Invoice no?")]
    near = [event async for event in FakeReader().astream(document, "Invoice no?")]
    assert found == near
    told: list[Progress] = []
    cot = await remote.aask(document, "Invoice no?", on_progress=told.append)
    assert cot.answer == "4711" and [event.event for event in told] == [event.event for event in near]
    await remote.aclose()


def test_forgotten_documents_are_sent_again() -> None:
    documents = [document_from_text(f"Total:   {n}.50\n" + "word\n" * 200) for n in range(3)]
    behind = Counting()
    with running(behind, limits=ServiceLimits(memory=1000)) as address, RemoteReader(address) as remote:
        for _ in range(2):
            for n, document in enumerate(documents):
                assert str(remote.ask(document, "Total?").answer).startswith(f"{n}.50")
    assert behind.loads == 6


ALL_ERRORS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LayoutLLMError)
]  # fmt: skip


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_arrives_as_what_it_was(kind: type[LayoutLLMError]) -> None:
    sent = kind("what.", hint="why.")
    found = error_from_json(json.loads(json.dumps(error_to_json(sent))))
    assert (type(found), found.message, found.hint) == (kind, "what.", "why.")
    assert (found.caller_can_fix, found.retryable) == (sent.caller_can_fix, sent.retryable)


@pytest.mark.parametrize(
    "data", [None, [], {}, {"kind": "ValueError"}, {"kind": "os", "message": "x"}, {"message": 1}]
)
def test_what_is_no_error_of_ours_is_one_of_the_service(data: Any) -> None:
    assert type(error_from_json(data, 500)) is ServiceError


@pytest.mark.parametrize(
    "error",
    [OCRLanguageMissing("no jpn.", hint="Install it."), LayoutLLMError("broken."), QuestionError("odd.")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_come_through_and_are_not_tried_again(error: LayoutLLMError, stream: bool) -> None:
    behind = FakeReader({"Total?": error})
    with running(behind) as address, RemoteReader(address) as remote:
        with pytest.raises(type(error)) as caught:
            remote.ask(
                document_from_text(INVOICE), "Total?", on_progress=(lambda _: None) if stream else None
            )
        assert str(caught.value) == str(error) and len(behind.calls) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_worth_it_is_tried_again(stream: bool) -> None:
    behind = FakeReader({"Total?": [OCRTimeout("slow."), OCRTimeout("slow."), "12.50"]})
    with running(behind) as address, RemoteReader(address) as remote:
        asked = remote.ask(
            document_from_text(INVOICE), "Total?", on_progress=(lambda _: None) if stream else None
        )
        assert asked.answer == "12.50" and len(behind.calls) == 3


def test_what_can_be_known_here_is_not_sent() -> None:
    remote, document = RemoteReader("http://127.0.0.1:1", retries=0), document_from_text(INVOICE)
    with pytest.raises(QuestionError):
        remote.ask(document, "  ")
    with pytest.raises(QuestionError):
        remote.ask_many(document, ["Total?", ""])
    with pytest.raises(PageOutOfRange):
        remote.ask(document, "Total?", page=2)
    with pytest.raises(DocumentError):
        remote.load(b"nothing")
    with pytest.raises(ServiceError, match="layoutllm serve"):
        remote.ask(document, "Total?")


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:8765", "ftp://a", "http://u:p@host", "http://a:b", "http://[", "http://a?x=1"]
)
def test_addresses_that_are_none(endpoint: str) -> None:
    with pytest.raises(ServiceError) as caught:
        RemoteReader(endpoint)
    assert caught.value.caller_can_fix and not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[]"),
        (201, b'{"id": "short"}'),
        (502, b"bad gateway"),
        (404, b'{"detail": "no"}'),
    ],
)
def test_servers_that_are_no_service(status: int, body: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    with (
        RemoteReader(f"http://127.0.0.1:{server.server_port}", retries=1) as remote,
        pytest.raises(ServiceError),
    ):
        remote.ask(document_from_text(INVOICE), "Total?")
    server.shutdown()
    server.server_close()


def test_the_token_goes_along_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    document = document_from_text(INVOICE)
    monkeypatch.delenv("LAYOUTLLM_TOKEN", raising=False)
    with running(FakeReader(), token="s3cret") as address:
        with RemoteReader(address) as remote, pytest.raises(ServiceError, match="token"):
            remote.ask(document, "Total?")
        with RemoteReader(address, "s3cret") as remote:
            assert remote.ask(document, "Total?").answer == "12.50"
            assert "s3cret" not in repr(remote)
            again = pickle.loads(pickle.dumps(remote))
            assert again.ask(document, "Total?").answer == "12.50"
            again.close()
        monkeypatch.setenv("LAYOUTLLM_TOKEN", "s3cret")
        tool = LayoutLLMTool(endpoint=address, documents={"invoice": document})
        assert "12.50" in tool.invoke({"document": "invoice", "question": "Total?"})


def test_a_graph_comes_to_the_same_through_it(served: tuple[Counting, RemoteReader], tmp_path: Path) -> None:
    _, remote = served
    path = drawn(tmp_path / "invoice.png")
    request: Any = {
        "document": "invoice.png",
        "task": "Extract invoice number, subtotal, tax and total; "
        "check that subtotal plus tax equals the total",
    }

    def outcome(tool: LayoutLLMTool) -> list[Any]:
        answers: list[Any] = make_graph().invoke(request, context=Context(tool=tool))["answers"]
        return answers

    from layoutllm_tool.documents import Access

    access = Access(roots=(path.parent,))
    near = outcome(LayoutLLMTool(reader=FakeReader(ocr=FakeOCR(INVOICE)), access=access))
    assert outcome(LayoutLLMTool(endpoint=remote.endpoint, access=access)) == near
    assert [answer["answer"] for answer in near][-1] == "12.50"
    tool = LayoutLLMTool(endpoint=remote.endpoint, access=access)
    assert tool.look("invoice.png").pages[0].words and copy.deepcopy(tool).endpoint == remote.endpoint


def test_parts_of_pages_are_read_through_it_too(
    served: tuple[Counting, RemoteReader], tmp_path: Path
) -> None:
    _, remote = served
    document = remote.load(drawn(tmp_path / "page.png"))
    cot = remote.ask(document, "What is the tax?")
    near = FakeReader(ocr=FakeOCR(INVOICE))
    for again in (False, True):
        engine = FakeOCR(
            lambda _: [
                Word("Tax:", page_from_text("Tax:   2.50").words[0].box),
                Word("2.50", page_from_text("Tax:   2.50").words[1].box),
            ]
        )
        found = CropReader(remote, again=again, engine=engine).ask_area(document, "What is the tax?", cot)
        assert found == CropReader(near, again=again, engine=engine).ask_area(
            document, "What is the tax?", cot
        )
