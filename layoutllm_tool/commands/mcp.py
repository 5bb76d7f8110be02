"""``layoutllm mcp``: an MCP server on standard input and output. A client starts it; see its settings for where."""

from __future__ import annotations

import argparse
from pathlib import Path

from layoutllm_tool.protocols import Reader

_EXAMPLE = """\
a client's settings:
  {"mcpServers": {"layoutllm": {"command": "layoutllm", "args": ["mcp", "--root", "/home/me/documents"]}}}
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    text = "An MCP server over stdio with one tool, ask_document."
    parser = commands.add_parser(
        "mcp", help="be an MCP server", description=text, epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--root", type=Path, action="append", metavar="DIR",
        help="documents may lie under this folder; may be repeated (default: the client's roots, else the working directory)",
    )  # fmt: skip
    parser.add_argument("--endpoint", metavar="URL", help="ask a `layoutllm serve` instead of loading the model here")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="trained weights other than the shipped ones")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Serves until the client hangs up. DocumentNotAllowed where a root is no folder."""
    from layoutllm_tool.mcp_server import create_server, serve_stdio

    serve_stdio(create_server(reader or _reader(options), roots=options.root))
    return 0


def _reader(options: argparse.Namespace) -> Reader | None:
    if options.endpoint:
        from layoutllm_tool.remote import RemoteReader

        return RemoteReader(options.endpoint)
    if options.weights:
        from layoutllm_tool.readers.local import LayoutLLMReader

        return LayoutLLMReader(options.weights)
    return None
