"""``layoutllm plan FILE --task "..." -o plan.yaml``: what would be asked, as YAML to edit and to run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from layoutllm_tool.commands import arguments
from layoutllm_tool.errors import PlanError
from layoutllm_tool.protocols import Reader

_EXAMPLES = """\
examples:
  layoutllm plan invoice.pdf --task "Extract the items and the total" -o plan.yaml
  layoutllm plan invoice.pdf --schema invoice.schema.json -o plan.yaml
  layoutllm run invoice.pdf --plan plan.yaml
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    parser = arguments.add_command(
        commands, "plan", run, summary="write a task's plan as YAML, to edit and to run",
        description="Plan a task and write the plan as YAML, to be edited by hand and run.",
        examples=_EXAMPLES,
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="the document that it is for")
    arguments.add_task(parser, plan=False)
    place = "write it here, where no file is yet (default: standard output)"
    parser.add_argument("-o", "--out", type=Path, metavar="PLAN.yaml", help=place)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Write the plan, or show it in lines where it goes to a file. LayoutLLMError."""
    from layoutllm_graphs.planning.plan_file import plan_text
    from layoutllm_graphs.planning.planner import plan_task, render
    from layoutllm_tool.documents import Access, load_document
    from layoutllm_tool.extraction.schema import is_schema

    task, _ = arguments.task_of(options)
    planned = plan_task(task)
    document = load_document(options.file, access=Access.anywhere())
    for question in planned.plan.questions:
        if question.page is not None:
            document.page(question.page)
    text = plan_text(planned.plan, task if isinstance(task, dict) and is_schema(task) else None)
    if options.out is None:
        sys.stdout.write(text)
    else:
        _write(options.out, text)
        sys.stdout.write(f"{render(planned.plan)}\n")
    for note in planned.notes:
        sys.stderr.write(f"layoutllm: {note}\n")
    return 0


def _write(place: Path, text: str) -> None:
    """PlanError where a file is there: it may be a plan that somebody has edited."""
    try:
        with place.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PlanError(f"{place} exists.", hint="Name another file, or delete it first.") from None
