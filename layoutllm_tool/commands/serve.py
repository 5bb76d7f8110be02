"""``layoutllm serve``: one reader behind HTTP, for callers on this machine or, with a token, elsewhere."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from layoutllm_tool.commands.arguments import add_languages, from_one
from layoutllm_tool.errors import LayoutLLMError, ServiceError
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
    text = "Answer questions over HTTP: POST /v1/documents, POST /v1/ask. Callers who ask at once are decoded together."
    parser = commands.add_parser(
        "serve", help="answer questions over HTTP", description=text, epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", metavar="NAME", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, metavar="N", help="default: 8765; 0 takes a free one")
    parser.add_argument("--token", help=f"asked of every caller; better in the environment, as {_TOKEN}")
    parser.add_argument("--waiting", type=from_one, default=128, metavar="N", help="callers at once, others get 503 (default: 128)")  # fmt: skip
    parser.add_argument("--seconds", type=from_one, default=120, metavar="N", help="for one request (default: 120)")
    parser.add_argument(
        "--memory", type=from_one, default=1024, metavar="MB", help="for kept documents (default: 1024)"
    )
    parser.add_argument("--expires", type=from_one, default=60, metavar="MINUTES", help="an unused document is forgotten (default: 60)")  # fmt: skip
    add_languages(parser)
    parser.add_argument("--weights", type=Path, metavar="DIR", help="trained weights other than the shipped ones")
    parser.add_argument("--verbose", action="store_true", help="a line on stderr for each request")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Serves until Ctrl-C or SIGTERM. LayoutLLMError where it can't listen, or would listen to strangers without a token."""
    from layoutllm_tool.web.listening import address, listen
    from layoutllm_tool.web.middleware import LOOPBACK

    token = options.token if options.token is not None else os.environ.get(_TOKEN)
    local = options.host in LOOPBACK
    if not local and not token:
        error = ServiceError(f"{options.host} can be reached from elsewhere.", hint=f"Set a token: {_TOKEN}=... layoutllm serve.")  # fmt: skip
        error.mendable = True
        raise error
    try:
        import uvicorn

        from layoutllm_tool.web.protocol import settings
    except ImportError as error:
        raise LayoutLLMError("the service needs more packages.", hint="pip install 'layoutllm-tool[web]'") from error
    from layoutllm_tool.web.serve import create_service

    app = create_service(
        reader or (lambda: _reader(options)), limits=_limits(options), token=token or None,
        # Elsewhere the names are a proxy's, and the token keeps other pages out.
        hosts=(*LOOPBACK, options.host) if local else None,
    )  # fmt: skip
    if options.verbose:
        _verbose()
    listening = listen(options.host, options.port)
    sys.stderr.write(f"layoutllm: {address(listening, options.host)}\n")
    sys.stderr.flush()
    with listening, suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, **settings())).run(sockets=[listening])
    return 0


def _limits(options: argparse.Namespace):  # type: ignore[no-untyped-def]  # ServiceLimits, imported where it is needed
    from layoutllm_tool.web.desk import ServiceLimits

    return replace(
        ServiceLimits(), waiting=options.waiting, seconds=float(options.seconds), memory=options.memory * 2**20,
        expires=options.expires * 60.0,
    )  # fmt: skip


def _reader(options: argparse.Namespace) -> Reader:
    from layoutllm_tool.readers.local import LayoutLLMReader

    return LayoutLLMReader(options.weights, languages=options.lang)


def _verbose() -> None:
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("layoutllm: %(message)s"))
    log = logging.getLogger("layoutllm_tool.web")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
