"""Questions a second through a real HTTP service: python -m scripts.service_benchmark

The same questions are asked by one caller after another and by many at once, and the answers compared. The
service is a process of its own on this machine, so that transport is measured, too. Its pages are read before
the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice, zip_longest
from typing import Any

from layoutllm_tool.documents.geometry import Document
from layoutllm_tool.errors import ServiceError
from layoutllm_tool.remote import RemoteReader
from layoutllm_tool.samples import INVOICE, LETTER

CALLERS = 64
START_SECONDS = 180.0
"""For a service to load its model: the first time it converts the weights."""
_INVOICE = (
    "invoice number; invoice date; due date; total due; subtotal; tax amount; tax rate; customer's name; "
    "customer's address; vendor's name; vendor's address; vendor's phone number; e-mail address; order "
    "number; payment terms; bank account; IBAN; currency; discount; shipping cost; first item; quantity "
    "of the first item; unit price of the first item; second item; quantity of the second item; price of "
    "the last item; delivery date; customer number; contact person; web address; reference; number of "
    "pages"
)
_LETTER = (
    "notice period; date of the letter; sender's name; sender's address; recipient's name; recipient's "
    "address; subject; deadline; amount mentioned; reference number; phone number; e-mail address; place "
    "of work; start date; end date; monthly rent; deposit; signature; contract number; first sentence; "
    "purpose of the letter; title of the writer; city; postal code; country; year; month; company; "
    "department; attachment; salutation; closing phrase"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds are wall clock, of all questions together."""

    callers: int
    alone_seconds: float
    together_seconds: float
    lost: int
    """Questions without an answer, of either way."""
    differing: int
    """Questions answered otherwise at once: decoded beside others, a tie may fall the other way."""

    @property
    def alone(self) -> float:
        """Questions a second, one caller after another."""
        return self.callers / self.alone_seconds

    @property
    def together(self) -> float:
        return self.callers / self.together_seconds

    def to_json(self) -> dict[str, Any]:
        rates = {"alone_per_second": round(self.alone, 3), "together_per_second": round(self.together, 3)}
        return asdict(self) | rates | {"times": round(self.together / self.alone, 2)}


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a question was lost. ServiceError."""
    parser = argparse.ArgumentParser("service_benchmark", description="One caller, then 64 at once.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    sys.stderr.write("Measuring: the same questions one by one and at once, some minutes on two cores ...\n")
    with started() as address:
        found = measure(address)
    sys.stdout.write((json.dumps(found.to_json(), indent=1) if options.json else show(found)) + "\n")
    return int(found.lost > 0)


def show(found: Measured) -> str:
    """The numbers in words."""
    times = found.together / found.alone
    return "\n".join(
        [
            f"{found.callers} questions, one caller after another: {found.alone:.2f} a second.",
            f"{found.callers} callers at once: {found.together:.2f} a second, {times:.2f} times as many.",
            f"Lost: {found.lost}. Answered otherwise at once: {found.differing}.",
        ]
    )


def measure(endpoint: str, *, callers: int = CALLERS) -> Measured:
    """Both ways, one after the other, on the sample documents."""
    with RemoteReader(endpoint, timeout=600.0, retries=8) as reader:
        asked = questions([reader.load(INVOICE), reader.load(LETTER)], callers)
        for document in {document.sha256: document for document, _ in asked}.values():
            reader.ask(document, "What is the date?")
        begun = time.perf_counter()
        alone = [reader.ask(document, question).to_json() for document, question in asked]
        between = time.perf_counter()
        together = asyncio.run(_at_once(reader, asked))
        ended = time.perf_counter()
    texts = [question for _, question in asked]
    pairs = [*zip(alone, texts, strict=True), *zip(together, texts, strict=True)]
    lost = sum(cot["question"] != text for cot, text in pairs)
    differing = sum(a["answer"] != b["answer"] for a, b in zip(alone, together, strict=True))
    return Measured(len(asked), between - begun, ended - between, lost, differing)


def questions(documents: Sequence[Document], count: int) -> list[tuple[Document, str]]:
    """Different questions about the samples, one document and the other in turn."""
    pairs = zip_longest(_INVOICE.split("; "), _LETTER.split("; "))
    asked = ((document, name) for pair in pairs for document, name in zip(documents, pair, strict=True))
    return list(islice(((document, f"What is the {name}?") for document, name in asked if name), count))


async def _at_once(reader: RemoteReader, asked: Sequence[tuple[Document, str]]) -> list[dict[str, Any]]:
    try:
        cots = await asyncio.gather(*(reader.aask(document, question) for document, question in asked))
    finally:
        await reader.aclose()
    return [cot.to_json() for cot in cots]


@contextmanager
def started(command: Sequence[str] | None = None) -> Iterator[str]:
    """The address of a service that ends with the block. ServiceError where it doesn't come up."""
    command = command or (sys.executable, "-m", "layoutllm_tool", "serve", "--port", "0")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        address = _address(process)
        _ready(address, process)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    """As it is printed; whatever else is printed is passed on."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in process.stderr or ():
            said.put(line)
        said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    with suppress(queue.Empty):
        while (line := said.get(timeout=START_SECONDS)) is not None:
            if line.startswith("layoutllm: http"):
                return line.removeprefix("layoutllm: ").strip()
            sys.stderr.write(line)
    raise ServiceError("the service did not start.", hint="Run `layoutllm serve` to see why.")


def _ready(address: str, process: subprocess.Popen[str]) -> None:
    import httpx

    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            reply = httpx.get(f"{address}/readyz", timeout=30, trust_env=False)
        except httpx.TimeoutException:
            continue
        if reply.status_code == 200:
            return
        if reply.json().get("status") == "failed":
            raise ServiceError(f"the service is not ready: {reply.json()['error']['message']}")
        time.sleep(0.2)
    raise ServiceError("the service did not get ready.", hint="Run `layoutllm serve` to see why.")


if __name__ == "__main__":
    sys.exit(main())
