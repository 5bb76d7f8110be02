"""``layoutllm mcp``: an MCP server on standard input and output. A client starts it."""

from __future__ import annotations

import argparse
from pathlib import Path

from layoutllm_tool.commands.arguments import add_command, add_reading, reading_options
from layoutllm_tool.protocols import Reader

_EXAMPLE = """\
a client's settings:
  {"mcpServers": {"layoutllm": {"command": "layoutllm", "args": ["mcp", "--root", "/home/me/documents"]}}}
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    text = "An MCP server over stdio with two tools, ask_document and extract_document."
    parser = add_command(
        commands, "mcp", run, summary="be an MCP server", description=text, examples=_EXAMPLE
    )
    default = "(default: the client's roots, else the working directory)"
    root = f"documents may lie under this folder; may be repeated {default}"
    parser.add_argument("--root", type=Path, action="append", metavar="DIR", help=root)
    parser.add_argument(
        "--endpoint", metavar="URL", help="ask a `layoutllm serve` instead of loading the model here"
    )
    add_reading(parser)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Serve until the client hangs up. DocumentNotAllowed where a root is no folder."""
    from layoutllm_graphs.extract_tool import ExtractDocumentTool
    from layoutllm_tool.mcp_server import create_server, serve_stdio

    if options.endpoint and not reader:
        from layoutllm_tool.remote import RemoteReader

        reader = RemoteReader(options.endpoint)
    reading = reading_options(options)
    if reader is None and not reading.reads_as_usual:
        reader = reading.reader()
    server = create_server(
        reader, roots=options.root, extract=lambda tool: ExtractDocumentTool(tool=tool),
        options=reading,
    )  # fmt: skip
    serve_stdio(server)
    return 0
