"""What the large providers' LangChain packages send for a picture, and what is made of their replies.

A server on this machine takes the requests: nothing leaves it. Skips a provider whose package is missing.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.language_models import BaseChatModel
from PIL import Image

from layoutllm_tool.errors import ModelError
from layoutllm_tool.readers.chat import ChatModelReader
from tests.readers.test_chat import reply
from tests.readers.test_chat_pictures import TEXT, pictured

SAID = reply([3, 4], "12.50")


def _openai(url: str) -> dict[str, Any]:
    return {"model": "gpt-5", "api_key": "none", "base_url": url, "max_retries": 0}


def _anthropic(url: str) -> dict[str, Any]:
    return {"model": "claude-sonnet-4-6", "api_key": "none", "base_url": url, "max_retries": 0}


def _google(url: str) -> dict[str, Any]:
    return {"model": "gemini-2.5-flash", "google_api_key": "none", "base_url": url, "max_retries": 1}


OPENAI: dict[str, Any] = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-5",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SAID}}],
    "usage": {"prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 950},
}  # fmt: skip
ANTHROPIC: dict[str, Any] = {
    "id": "1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
    "stop_reason": "end_turn", "content": [{"type": "text", "text": SAID}],
    "usage": {"input_tokens": 900, "output_tokens": 50},
}  # fmt: skip
GOOGLE: dict[str, Any] = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": SAID}]}, "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 900, "candidatesTokenCount": 50, "totalTokenCount": 950},
    "modelVersion": "gemini-2.5-flash",
}  # fmt: skip


def _openai_parts(sent: dict[str, Any]) -> tuple[str, list[Any]]:
    """The system's text, and the picture's data URL among the human's parts."""
    system, human = sent["messages"]
    return system["content"], [
        part.get("image_url", {}).get("url", part["type"]) for part in human["content"]
    ]


def _anthropic_parts(sent: dict[str, Any]) -> tuple[str, list[Any]]:
    (human,) = sent["messages"]
    system = sent["system"] if isinstance(sent["system"], str) else sent["system"][0]["text"]
    return system, [_url(p["source"]) if p["type"] == "image" else p["type"] for p in human["content"]]


def _url(source: dict[str, Any]) -> str:
    assert source["type"] == "base64"
    return f"data:{source['media_type']};base64,{source['data']}"


def _google_parts(sent: dict[str, Any]) -> tuple[str, list[Any]]:
    (human,) = sent["contents"]
    system = sent["systemInstruction"]["parts"][0]["text"]
    data = [part.get("inlineData") for part in human["parts"]]
    return system, [_inline(one) if one else "text" for one in data]


def _inline(data: dict[str, str]) -> str:
    """URL-safe base64, as protocol buffers have it in JSON, as plain base64."""
    plain = data["data"].replace("-", "+").replace("_", "/")
    return f"data:{data['mime_type']};base64,{plain}"


Provider = tuple[str, str, Callable[[str], Any], dict[str, Any], Callable[[dict[str, Any]], Any]]
PROVIDERS: list[Provider] = [
    ("langchain_openai", "ChatOpenAI", _openai, OPENAI, _openai_parts),
    ("langchain_anthropic", "ChatAnthropic", _anthropic, ANTHROPIC, _anthropic_parts),
    ("langchain_google_genai", "ChatGoogleGenerativeAI", _google, GOOGLE, _google_parts),
]
each_provider = pytest.mark.parametrize(
    ("package", "name", "settings", "answer", "parts"), PROVIDERS, ids=[name for _, name, *_ in PROVIDERS]
)


class Server:
    """Answers every request with ``answer``, or an HTTP status without one; keeps what was sent."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] | int = 500
        self.sent: list[dict[str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.sent.append(json.loads(body))
                known = isinstance(server.answer, dict)
                said = json.dumps(server.answer if known else {"error": {"message": "overloaded"}}).encode()
                self.send_response(200 if isinstance(server.answer, dict) else server.answer)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *unused: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever)
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


def model_of(package: str, name: str, settings: Any) -> BaseChatModel:
    pytest.importorskip(package)
    made: BaseChatModel = getattr(importlib.import_module(package), name)(**settings)
    return made


@each_provider
def test_the_picture_arrives_and_the_reply_is_read(
    package: str, name: str, settings: Any, answer: Any, parts: Any, server: Server
) -> None:
    model, server.answer = model_of(package, name, settings(server.url)), answer
    with get_usage_metadata_callback() as usage:
        cot = ChatModelReader(model, images=True).ask(pictured(TEXT), "What is the total?")
    assert cot.answer == "12.50" and cot.grounded
    system, (before, picture, after) = parts(server.sent[0])
    assert system.startswith("You answer one question") and (before, after) == ("text", "text")
    head, data = picture.split(",", 1)
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (190, 260)
    assert "What is the total?" in json.dumps(server.sent[0])
    (used,) = usage.usage_metadata.values()
    assert (used["input_tokens"], used["output_tokens"], used["total_tokens"]) == (900, 50, 950)


@each_provider
async def test_async_and_sent_back(
    package: str, name: str, settings: Any, answer: Any, parts: Any, server: Server
) -> None:
    model = model_of(package, name, settings(server.url))
    server.answer = json.loads(json.dumps(answer).replace(json.dumps(SAID)[1:-1], "Sorry."))
    with pytest.raises(ModelError, match="no JSON"):
        await ChatModelReader(model, images=True).aask(pictured(TEXT), "Total?")
    assert len(server.sent) == 2 and "no JSON object" in json.dumps(server.sent[1])


@each_provider
def test_a_providers_error_is_a_model_error(
    package: str, name: str, settings: Any, answer: Any, parts: Any, server: Server
) -> None:
    model, server.answer = model_of(package, name, settings(server.url)), 400
    with pytest.raises(ModelError, match="the chat model failed"):
        ChatModelReader(model, images=True).ask(pictured(TEXT), "Total?")
