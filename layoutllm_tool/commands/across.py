"""``layoutllm across FILE FILE ... --task "compare the totals"``: one field of several documents, as JSON."""

from __future__ import annotations

import argparse
import sys

from layoutllm_tool.commands import arguments
from layoutllm_tool.commands.show import json_text, tell_doubts
from layoutllm_tool.protocols import Reader

_EXAMPLES = """\
examples:
  layoutllm across march.pdf april.pdf --task "compare the totals"
  layoutllm across a.pdf b.pdf c.pdf --task "add up the totals"
  layoutllm across a.pdf b.pdf c.pdf --task "which has the highest total"
  layoutllm across a.pdf b.pdf statement.pdf --task "which invoices are not in the statement"
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    short = "compare or add up one field of several documents"
    text = "Ask several documents for the same field, and compute the answer over all of them."
    parser = arguments.add_command(
        commands, "across", run, summary=short, description=text, examples=_EXAMPLES
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="PDF, PNG, JPEG, TIFF, ...")
    parser.add_argument("--task", required=True, metavar="TEXT", help="as in the examples")
    arguments.add_attempts(parser)
    arguments.add_min_confidence(parser)
    arguments.add_weights(parser)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """0, or 3 where the answer, or a value that it is formed from, is doubtful. LayoutLLMError."""
    from layoutllm_graphs.across import across
    from layoutllm_graphs.context import Context
    from layoutllm_tool.documents import Access
    from layoutllm_tool.tool import LayoutLLMTool

    tool = LayoutLLMTool(reader=reader or arguments.make_reader(options.weights), access=Access.anywhere())
    context = Context(tool, max_attempts=options.max_attempts, min_confidence=options.min_confidence)
    found = across(options.files, options.task, context=context)
    sys.stdout.write(json_text(found.to_json()))
    tell_doubts((("answer", reason) for reason in found.reasons), len(found.reasons))
    return 3 if found.reasons else 0
