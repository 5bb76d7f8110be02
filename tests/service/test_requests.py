"""The service over HTTP without a socket: what is answered, what is refused and how."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from PIL import Image

from layoutllm_tool.cot import LayoutCoT
from layoutllm_tool.documents import Limits
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import LayoutLLMError, OCRTimeout
from layoutllm_tool.schemas import PAGES_TYPE
from layoutllm_tool.service.app import create_service
from layoutllm_tool.service.queries import DocumentCache, QueryService, ServiceLimits
from layoutllm_tool.testing import FakeOCR, FakeReader, document_from_text
from tests.pdfs import make_pdf, text
from tests.services import in_process

INVOICE = "Invoice no:   4711\nTotal:        12.50"


def pages_of(document: Document) -> bytes:
    return json.dumps({"pages": [page.to_json() for page in document.pages]}).encode()


def png(width: int = 60, height: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), 200).save(buffer, "PNG")
    return buffer.getvalue()


@asynccontextmanager
async def client(reader: Any = None, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(create_service(reader or FakeReader(ocr=FakeOCR(INVOICE)), **options)) as found:
        yield found


async def uploaded(http: httpx.AsyncClient, body: bytes | None = None) -> str:
    body = pages_of(document_from_text(INVOICE)) if body is None else body
    reply = await http.post("/v1/documents", content=body, headers={"content-type": PAGES_TYPE})
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


def error(reply: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert (reply.status_code, reply.json()["kind"]) == (status, kind), reply.text
    assert "Traceback" not in reply.text and "\n" not in reply.json()["message"]
    found: dict[str, Any] = reply.json()
    return found


async def test_a_file_is_kept_by_its_hash_and_asked_about() -> None:
    async with client() as http:
        body = png()
        reply = await http.post("/v1/documents", content=body)
        assert reply.json() == {"id": hashlib.sha256(body).hexdigest(), "pages": 1}
        asked = {"document": reply.json()["id"], "question": "What is the total?"}
        answer = (await http.post("/v1/ask", json=asked)).json()
        assert LayoutCoT.from_json(answer["cot"]).answer == "12.50"
        assert answer["document"] == {"id": asked["document"], "pages": 1}
        page = (await http.get(f"/v1/documents/{asked['document']}")).json()["pages"][0]
        assert (page["width"], page["height"]) == (60, 40) and page["lines"][0][0]["text"] == "Invoice"
        picture = await http.get(f"/v1/documents/{asked['document']}/pages/1.png")
        assert Image.open(io.BytesIO(picture.content)).size == (60, 40)


async def test_a_file_in_the_question_is_one_too() -> None:
    async with client() as http:
        asked = {"data": base64.b64encode(png()).decode(), "question": "What is the total?"}
        answer = (await http.post("/v1/ask", json=asked)).json()
        assert answer["cot"]["answer"] == "12.50"
        again = await http.post(
            "/v1/ask", json={"document": answer["document"]["id"], "question": "Invoice no?"}
        )
        assert again.json()["cot"]["answer"] == "4711"


async def test_a_correction_mends_the_attempt_it_is_sent_with() -> None:
    document = document_from_text("Total:   12.50\n\nTotal:   99.00")
    async with client() as http:
        asked: dict[str, Any] = {
            "document": await uploaded(http, pages_of(document)),
            "question": "What is the total?",
        }
        first = (await http.post("/v1/ask", json=asked)).json()["cot"]
        mend = {"step": "area", "avoid": [first["areas"][0]["box"]], "page": 1}
        reply = await http.post("/v1/ask", json=asked | {"correction": mend, "previous": first})
        assert (first["answer"], reply.json()["cot"]["answer"]) == ("12.50", "99.00")


async def test_steps_are_streamed_and_the_answer_last() -> None:
    async with client() as http:
        asked = {"document": await uploaded(http), "question": "What is the total?"}
        reply = await http.post("/v1/ask", json=asked, headers={"accept": "text/event-stream"})
        events = [block.splitlines() for block in reply.text.strip().split("\n\n")]
        assert [event[0].removeprefix("event: ") for event in events] == [
            "page", "question_analysis", "relevant_area_concentration", "answer_formation", "result",
        ]  # fmt: skip
        assert json.loads(events[-1][1].removeprefix("data: "))["cot"]["answer"] == "12.50"


async def test_an_error_in_a_stream_is_its_last_event() -> None:
    async with client(FakeReader({"Total?": OCRTimeout("page 1 took too long.", hint="Try again.")})) as http:
        asked = {"document": await uploaded(http), "question": "Total?"}
        reply = await http.post("/v1/ask", json=asked, headers={"accept": "text/event-stream"})
        assert (
            reply.text.startswith("event: error\n") and json.loads(reply.text.split("data: ")[1])["retryable"]
        )


async def test_several_uploads_are_one_document() -> None:
    whole = document_from_text("Nothing here", INVOICE)
    parts = [Document("part", "", (page,)) for page in whole.pages]
    async with client() as http:
        ids = [await uploaded(http, pages_of(part)) for part in parts]
        answer = (await http.post("/v1/ask", json={"document": ids, "question": "Total?"})).json()
        assert (answer["cot"]["page"], answer["document"]) == (2, {"id": ids, "pages": 2})
        twice = await uploaded(http, pages_of(document_from_text("Another first page")))
        error(
            await http.post("/v1/ask", json={"document": [ids[0], twice], "question": "?"}),
            422,
            "PageOutOfRange",
        )


@pytest.mark.parametrize(
    ("asked", "status", "kind"),
    [
        ({"question": "Total?"}, 422, "QuestionError"),
        ({"document": "../../etc/passwd", "question": "Total?"}, 422, "QuestionError"),
        ({"document": "a" * 64, "data": "QUJD", "question": "Total?"}, 422, "QuestionError"),
        ({"document": "a" * 64, "question": "Total?"}, 404, "DocumentNotFound"),
        ({"document": "KNOWN", "question": " "}, 422, "QuestionError"),
        ({"document": "KNOWN", "question": "?" * 2001}, 422, "QuestionError"),
        ({"document": "KNOWN", "question": "Total?", "page": 3}, 422, "PageOutOfRange"),
        ({"document": "KNOWN", "question": "Total?", "page": 0}, 422, "QuestionError"),
        ({"document": "KNOWN", "question": "Total?", "correction": {"step": "area"}}, 422, "CorrectionError"),
        ({"document": "KNOWN", "question": "Total?", "correction": {"step": "area", "boxes": [[1, 2]]}}, 422,
        "QuestionError"),
        ({"document": "KNOWN", "question": "Total?", "url": "https://example.org/a.pdf"}, 422,
        "QuestionError"),
        ({"document": "KNOWN", "question": "Total?", "previous": {"question": "Total?"}}, 422,
        "QuestionError"),
        ({"data": "https://example.org/a.pdf", "question": "Total?"}, 422, "DocumentUnreadable"),
        ({"data": base64.b64encode(b"/etc/passwd").decode(), "question": "Total?"}, 422,
        "DocumentUnreadable"),
        ({"data": base64.b64encode(b"%PDF-1.7 broken").decode(), "question": "Total?"}, 422,
        "DocumentUnreadable"),
    ],
)  # fmt: skip
async def test_what_can_not_be_asked_is_refused_with_a_reason(
    asked: dict[str, Any], status: int, kind: str
) -> None:
    async with client() as http:
        known = await uploaded(http)
        sent = {name: known if value == "KNOWN" else value for name, value in asked.items()}
        reply = await http.post("/v1/ask", json=sent)
        assert error(reply, status, kind)["caller_can_fix"]


async def test_broken_json_unknown_paths_and_methods() -> None:
    async with client() as http:
        broken = await http.post(
            "/v1/ask", content=b'{"question": ', headers={"content-type": "application/json"}
        )
        assert "no JSON" in error(broken, 400, "QuestionError")["message"]
        plain = await http.post(
            "/v1/ask", content=b'{"question": "?"}', headers={"content-type": "text/plain"}
        )
        error(plain, 422, "QuestionError")
        error(await http.get("/v1/nothing"), 404, "ServiceError")
        error(await http.get("/v1/ask"), 405, "ServiceError")
        pages = await http.post("/v1/documents", content=b"{}", headers={"content-type": PAGES_TYPE})
        error(pages, 422, "DocumentUnreadable")


@pytest.mark.parametrize(
    "page",
    [
        {"lines": None},
        {"lines": [[]]},
        {"lines": [[{"text": "a", "box": [5, 5, 1, 1]}]]},
        {"lines": [[{"text": "a", "box": [0, 0, 1, 2000]}]]},
        {"lines": [], "image": base64.b64encode(png(10, 10)).decode()},
        {"lines": [], "image": "file:///etc/passwd"},
        {"lines": [], "width": 0},
    ],
)
async def test_pages_that_are_none_are_refused(page: dict[str, Any]) -> None:
    whole = {"number": 1, "width": 60, "height": 40, "text_source": "given", "notices": []} | page
    async with client() as http:
        body = json.dumps({"pages": [whole]}).encode()
        reply = await http.post("/v1/documents", content=body, headers={"content-type": PAGES_TYPE})
        error(reply, 422, "DocumentUnreadable")


async def test_bodies_over_the_limit_are_refused_with_and_without_a_length() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 1024

    async with client(limits=ServiceLimits(body_bytes=8192)) as http:
        error(await http.post("/v1/documents", content=b"x" * 8193), 413, "DocumentTooLarge")
        error(await http.post("/v1/documents", content=endless()), 413, "DocumentTooLarge")
        error(await http.post("/v1/documents", content=b"x" * 8192), 422, "DocumentUnreadable")


async def test_uploads_side_by_side_are_bounded_too() -> None:
    begun = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 8000
            begun.set()
            await asyncio.sleep(0.2)

    async with client(limits=ServiceLimits(body_bytes=9000)) as http:
        sends = [asyncio.create_task(http.post("/v1/documents", content=slow())) for _ in range(6)]
        found = {reply.status_code for reply in await asyncio.gather(*sends)}
        assert found <= {413, 503} and 503 in found


async def test_more_pages_or_pixels_than_allowed_are_refused() -> None:
    limits = ServiceLimits(documents=Limits(max_bytes=1 << 20, max_pages=2, max_picture_bytes=10_000))
    async with client(limits=limits) as http:
        three = await http.post(
            "/v1/documents", content=make_pdf(*(text(word, 50, 700) for word in ("one", "two", "three")))
        )
        assert "has 3 pages" in error(three, 413, "DocumentTooLarge")["message"]
        error(await http.post("/v1/documents", content=png(200, 200)), 413, "DocumentTooLarge")


async def test_the_token_is_asked_for_everywhere_but_for_health() -> None:
    async with client(token="s3cret") as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/readyz")).json()["status"] == "ready"
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "s3cret"},
            {"authorization": "Bearer \xff"},
        ):
            error(
                await http.post(
                    "/v1/documents",
                    content=png(),
                    headers={k.encode(): v.encode("latin-1") for k, v in headers.items()},
                ),
                401,
                "ServiceError",
            )
        reply = await http.post("/v1/documents", content=png(), headers={"authorization": "Bearer s3cret"})
        assert reply.status_code == 201


async def test_other_names_and_other_pages_are_refused() -> None:
    async with client() as http:
        error(await http.get("/healthz", headers={"host": "evil.example"}), 403, "ServiceError")
        error(await http.get("/healthz", headers={"origin": "https://evil.example"}), 403, "ServiceError")
        fine = await http.get(
            "/healthz", headers={"host": "localhost:8765", "origin": "http://localhost:8765"}
        )
        assert fine.status_code == 200
        assert (
            fine.headers["x-content-type-options"] == "nosniff"
            and fine.headers["cache-control"] == "no-store"
        )
        named = await http.get("/healthz", headers={"x-request-id": "mine-1"})
        assert named.headers["x-request-id"] == "mine-1"
        assert (await http.get("/healthz", headers={"x-request-id": "a b\t"})).headers[
            "x-request-id"
        ] != "a b\t"


class Slow(FakeReader):
    """Answers when it is let, and notes who was dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.dropped = asyncio.Event(), 0

    async def aask(self, document: Document, question: str, **options: Any) -> LayoutCoT:
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.dropped += 1
            raise
        return await super().aask(document, question, **options)


async def test_beyond_the_queue_callers_are_told_when_to_come_again() -> None:
    reader = Slow()
    async with client(reader, limits=ServiceLimits(waiting=2)) as http:
        asked = {"document": await uploaded(http), "question": "Total?"}
        first = [asyncio.create_task(http.post("/v1/ask", json=asked)) for _ in range(2)]
        await asyncio.sleep(0.05)
        for headers in ({}, {"accept": "text/event-stream"}):
            reply = await http.post("/v1/ask", json=asked, headers=headers)
            assert error(reply, 503, "ServiceError")["retryable"] and int(reply.headers["retry-after"]) >= 1
        assert (await http.get("/readyz")).status_code == 503
        reader.let.set()
        assert [reply.status_code for reply in await asyncio.gather(*first)] == [200, 200]
        assert (await http.post("/v1/ask", json=asked)).status_code == 200


async def test_a_question_that_takes_too_long_ends_and_is_dropped() -> None:
    reader = Slow()
    async with client(reader, limits=ServiceLimits(seconds=0.2)) as http:
        asked = {"document": await uploaded(http), "question": "Total?"}
        error(await http.post("/v1/ask", json=asked), 504, "ServiceError")
        streamed = await http.post("/v1/ask", json=asked, headers={"accept": "text/event-stream"})
        assert streamed.text.startswith("event: error\n") and "longer than 0.2 s" in streamed.text
        await asyncio.sleep(0.05)
        assert reader.dropped == 2
        assert (await http.get("/readyz")).json()["served"] == 0


async def test_a_bug_is_an_error_without_a_traceback() -> None:
    async with client(FakeReader({"Total?": RuntimeError("secret detail")})) as http:
        asked = {"document": await uploaded(http), "question": "Total?"}
        found = error(await http.post("/v1/ask", json=asked), 500, "ServiceError")
        assert "secret" not in json.dumps(found) and not found["retryable"]
        streamed = await http.post("/v1/ask", json=asked, headers={"accept": "text/event-stream"})
        assert "secret" not in streamed.text and streamed.text.startswith("event: error")


@pytest.mark.parametrize("error", [LayoutLLMError("no weights."), RuntimeError("of a library")])
async def test_a_reader_that_can_not_begin_is_told_by_readyz(error: Exception) -> None:
    class Broken(FakeReader):
        async def aask(self, *_: Any, **__: Any) -> LayoutCoT:
            raise error

    async with client(Broken) as http:
        await asyncio.sleep(0.05)
        reply = await http.get("/readyz")
        told = (
            "no weights."
            if isinstance(error, LayoutLLMError)
            else "the reader could not be loaded: RuntimeError."
        )
        assert (reply.status_code, reply.json()["error"]["message"]) == (503, told)


async def test_one_upload_by_many_is_read_once() -> None:
    ocr = FakeOCR(INVOICE)
    async with client(FakeReader(ocr=ocr)) as http:
        replies = await asyncio.gather(*(http.post("/v1/documents", content=png()) for _ in range(16)))
        assert {reply.status_code for reply in replies} == {201} and ocr.calls == 1


def test_kept_documents_go_by_age_and_by_room() -> None:
    now = [0.0]
    kept = DocumentCache(memory=100_000, expires=60, clock=lambda: now[0])
    for name in "abc":
        kept[name] = document_from_text("word " * 100)
    assert len(kept) == 3
    assert kept.use("a") is not None
    kept["d"] = document_from_text("word " * 100)
    assert kept.use("b") is None and kept.use("a") is not None and kept.currsize <= 100_000
    now[0] = 61
    assert kept.use("a") is None and kept.currsize == 0
    kept["large"] = document_from_text("word " * 1000)
    assert kept.use("large") is not None


async def test_a_service_counts_itself_free_again_after_errors() -> None:
    queries = QueryService(FakeReader(), ServiceLimits(waiting=1))
    for _ in range(3):
        with pytest.raises(LayoutLLMError):
            await queries.take(b"nothing", "file")
    assert queries.served == 0
    queries.close()
