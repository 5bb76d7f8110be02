"""Records over HTTP: what is read, what is refused and how, and what happens to those nobody waits for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from layoutllm_graphs.extract_tool import aextract
from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import ModelError, OCRTimeout
from layoutllm_tool.schemas import RecordOut
from layoutllm_tool.service.queries import ServiceLimits
from layoutllm_tool.testing import FakeReader, document_from_text
from tests.service.test_requests import Slow, client, error, pages_of, png, uploaded

SCHEMA = {
    "type": "object", "required": ["total", "vendor"],
    "properties": {"total": {"type": "number"}, "vendor": {"type": "string"}},
}  # fmt: skip


async def extracted(http: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await http.post("/v1/extract", json={"json_schema": SCHEMA} | body)


async def test_a_record_with_its_evidence() -> None:
    async with client(extract=aextract) as http:
        reply = await extracted(http, document=await uploaded(http))
    found = reply.json()
    assert reply.status_code == 200 and set(found) == {"record", "fields", "notes", "notices", "pages"}
    assert found["record"] == {"total": 12.5, "vendor": None}
    fields = RecordOut.model_validate(found).fields
    total, vendor = fields["/total"], fields["/vendor"]
    assert (total.text, total.page, total.verdict) == ("12.50", 1, "satisfied")
    assert vendor.problem == "missing" and vendor.reasons


async def test_a_page_and_several_uploads() -> None:
    whole = document_from_text("Total:   1.50", "Total:   2.50")
    async with client(extract=aextract) as http:
        ids = [await uploaded(http, pages_of(Document("part", "", (page,)))) for page in whole.pages]
        for page, total in ((1, 1.5), (2, 2.5)):
            reply = await extracted(http, document=ids, page=page)
            assert reply.json()["record"]["total"] == total


def within(inner: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": inner}}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 422, "QuestionError"),
        ({"document": "../../etc/passwd"}, 422, "QuestionError"),
        ({"document": "a" * 64}, 404, "DocumentNotFound"),
        ({"document": "KNOWN", "page": 3}, 422, "PageOutOfRange"),
        ({"document": "KNOWN", "page": 0}, 422, "QuestionError"),
        ({"document": "KNOWN", "question": "Total?"}, 422, "QuestionError"),
        ({"document": "KNOWN", "json_schema": None}, 422, "QuestionError"),
        ({"document": "KNOWN", "json_schema": "total"}, 422, "QuestionError"),
        ({"document": "KNOWN", "json_schema": {"a" * 201: 1}}, 422, "QuestionError"),
        ({"document": "KNOWN", "json_schema": {}}, 422, "PlanError"),
        ({"document": "KNOWN", "json_schema": {"questions": [{"name": "a", "text": "b"}]}}, 422, "PlanError"),
        ({"document": "KNOWN", "json_schema": within({"$ref": "#"})}, 422, "PlanError"),
        ({"document": "KNOWN", "json_schema": within({"type": "file\x1b[31m"})}, 422, "PlanError"),
        ({"document": "KNOWN", "json_schema": within({"description": "x" * 300_000})}, 422, "PlanError"),
        ({"data": "https://example.org/a.pdf"}, 422, "DocumentUnreadable"),
    ],
)
async def test_what_can_not_be_read_is_refused_with_a_reason(
    body: dict[str, Any], status: int, kind: str
) -> None:
    async with client(extract=aextract) as http:
        known = await uploaded(http)
        sent = {name: known if value == "KNOWN" else value for name, value in body.items()}
        found = error(await extracted(http, **sent), status, kind)
        assert found["caller_can_fix"] and found["message"].isprintable() and len(found["message"]) < 700
        assert (await http.get("/readyz")).json()["served"] == 0


async def test_a_body_that_is_none_is_told_what_it_looks_like() -> None:
    async with client(extract=aextract) as http:
        for body in (b"[" * 5000, b'{"json_schema": NaN}', b"\xff"):
            reply = await http.post("/v1/extract", content=body, headers={"content-type": "application/json"})
            assert '"json_schema": {"type": "object"' in error(reply, 400, "QuestionError")["hint"]


async def test_errors_of_the_reader_are_the_services() -> None:
    question = "Which company issued this document?"
    for raised, status, kind in (
        (OCRTimeout("page 1 took too long."), 503, "OCRTimeout"),
        (ModelError("odd."), 500, "ModelError"),
        (RuntimeError("secret detail"), 500, "ServiceError"),
    ):
        async with client(FakeReader({question: raised}), extract=aextract) as http:
            found = error(await extracted(http, document=await uploaded(http)), status, kind)
            assert "secret" not in json.dumps(found)


async def test_an_extraction_that_takes_too_long_ends_and_its_questions_are_dropped() -> None:
    reader = Slow()
    async with client(reader, limits=ServiceLimits(seconds=0.5), extract=aextract) as http:
        error(await extracted(http, document=await uploaded(http)), 504, "ServiceError")
        await asyncio.sleep(0.1)
        assert reader.dropped == 1 and (await http.get("/readyz")).json()["served"] == 0


async def test_an_extraction_takes_a_place_in_the_queue() -> None:
    reader = Slow()
    async with client(reader, limits=ServiceLimits(waiting=1), extract=aextract) as http:
        document = await uploaded(http)
        first = asyncio.create_task(extracted(http, document=document))
        while (await http.get("/readyz")).json()["served"] < 1:
            await asyncio.sleep(0.01)
        reply = await extracted(http, document=document)
        assert error(reply, 503, "ServiceError")["retryable"] and int(reply.headers["retry-after"]) >= 1
        reader.let.set()
        assert (await first).json()["record"]["total"] == 12.5


async def test_the_token_is_asked_for() -> None:
    async with client(token="s3cret", extract=aextract) as http:
        error(await extracted(http, document="a" * 64), 401, "ServiceError")


async def test_openapi_describes_it_and_without_an_extractor_there_is_none() -> None:
    async with client(extract=aextract) as http:
        said = (await http.get("/openapi.json")).json()
    path = said["paths"]["/v1/extract"]["post"]
    asked = path["requestBody"]["content"]["application/json"]["schema"]
    assert asked["required"] == ["json_schema"] and "doubtful" in path["description"]
    assert path["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/RecordOut")
    async with client() as http:
        error(await extracted(http, data=png().hex()), 404, "ServiceError")
        assert "/v1/extract" not in (await http.get("/openapi.json")).json()["paths"]
