"""``layoutllm serve``: one reader behind HTTP, for callers on this machine or, with a token, elsewhere."""

from __future__ import annotations

import argparse
import logging
import os

from layoutllm_tool.commands import arguments
from layoutllm_tool.errors import ServiceError
from layoutllm_tool.protocols import Reader

_TOKEN = "LAYOUTLLM_TOKEN"
_EXAMPLES = """\
examples:
  layoutllm serve
  curl --data-binary @invoice.pdf http://127.0.0.1:8765/v1/documents
  curl --json '{"document": "<id>", "question": "What is the total?"}' http://127.0.0.1:8765/v1/ask
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    text = (
        "Answer questions over HTTP: POST /v1/documents, POST /v1/ask, POST /v1/extract. "
        "Callers who ask at once are decoded together."
    )
    parser = arguments.add_command(
        commands, "serve", run, summary="answer questions over HTTP", description=text, examples=_EXAMPLES
    )
    arguments.add_address(parser, 8765)
    add = parser.add_argument
    add("--token", help=f"asked of every caller; better in the environment, as {_TOKEN}")
    for name, default, metavar, text in (
        ("--waiting", 128, "N", "callers at once, others get 503"),
        ("--seconds", 120, "N", "for one request"),
        ("--memory", 1024, "MB", "for kept documents"),
        ("--expires", 60, "MINUTES", "an unused document is forgotten"),
    ):
        said = f"{text} (default: %(default)s)"
        add(name, type=arguments.from_one, default=default, metavar=metavar, help=said)
    arguments.add_reading(parser, password=False)
    add("--verbose", action="store_true", help="a line on stderr for each request")


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM. LayoutLLMError where it can't listen, or strangers need no token."""
    from layoutllm_graphs.extract_tool import aextract
    from layoutllm_tool.service.app import create_service
    from layoutllm_tool.service.queries import ServiceLimits
    from layoutllm_tool.service.serving import LOOPBACK, address, listen, serve

    token = options.token if options.token is not None else os.environ.get(_TOKEN)
    local = options.host in LOOPBACK
    if not local and not token:
        hint = f"Set a token: {_TOKEN}=... layoutllm serve."
        error = ServiceError(f"{options.host} can be reached from elsewhere.", hint=hint)
        error.caller_can_fix = True
        raise error
    limits = ServiceLimits(
        waiting=options.waiting,
        seconds=float(options.seconds),
        memory=options.memory * 2**20,
        expires=options.expires * 60.0,
    )
    # Elsewhere the names are a proxy's, and the token keeps other pages out.
    hosts = (*LOOPBACK, options.host) if local else None
    made = reader or arguments.reading_options(options).reader
    app = create_service(made, limits=limits, token=token or None, hosts=hosts, extract=aextract)
    if options.verbose:
        logging.basicConfig(format="layoutllm: %(message)s")
        logging.getLogger("layoutllm_tool.service").setLevel(logging.INFO)
    listening = listen(options.host, options.port)
    serve(app, listening, address(listening, options.host))
    return 0
