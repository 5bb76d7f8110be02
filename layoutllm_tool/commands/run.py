"""``layoutllm run FILE --task "..."``: plans, asks, checks and mends, and shows it as it happens.

Runs are kept in a SQLite file (or Postgres) and go on where they were cut off. Progress goes to stderr, the
result to stdout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.commands import arguments
from layoutllm_tool.commands.show import PIPED, json_text, tell_doubts
from layoutllm_tool.errors import PlanError
from layoutllm_tool.messages import plain_line
from layoutllm_tool.places import state_folder
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from rich.table import Table

    from layoutllm_graphs.state import Answer, Outcome

_EXAMPLES = """\
examples:
  layoutllm run receipt.jpg --task "Extract vendor, date and total"
  layoutllm run invoice.pdf --schema invoice.schema.json --json
  layoutllm run invoice.pdf --plan plan.yaml
  layoutllm run receipt.jpg --task "Extract vendor, date and total" --amend total "a 12.50"
  layoutllm run invoice.pdf --task "Extract subtotal, tax and total; \
check that subtotal plus tax equals the total" --review
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    short = "carry out a document task: plan, ask, check, mend"
    text = (
        "Carry out a document task: plan the questions, ask them, check the answers against "
        "the page, and ask again from the step that failed."
    )
    parser = arguments.add_command(commands, "run", run, summary=short, description=text, examples=_EXAMPLES)
    add = parser.add_argument
    add("file", metavar="FILE", help="PDF, PNG, JPEG, TIFF, ...")
    arguments.add_task(parser)
    add("--page", type=int, metavar="N", help="look at this page only, counting from 1")
    add("--json", action="store_true", help="print one JSON object in place of the table")
    add("--review", action="store_true", help="decide on doubtful answers here, in the terminal")
    add(
        "--amend", nargs=2, action="append", default=[], metavar=("NAME", "REPLY"),
        help="change an answer of this task's last run, by a reply as in --review",
    )  # fmt: skip
    arguments.add_attempts(parser)
    arguments.add_min_confidence(parser)
    arguments.add_escalation(parser)
    add("--writer", default="", metavar="MODEL", help="a chat model that summarises, translates, explains")
    add("--once", action="store_true", help="ask once and check, mend nothing")
    add(
        "--checkpoints",
        metavar="PLACE",
        help="a SQLite file or a postgres:// URL; default: with the user's state",
    )
    arguments.add_reading(parser)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """0 where every answer and every value of the record is satisfied or a person's, else 3.

    LayoutLLMError.
    """
    outcome = _carry_out(options, reader)
    if options.json:
        sys.stdout.write(json_text(outcome))
    else:
        _show(outcome)
    from layoutllm_graphs.doubts import doubts

    found = doubts(outcome)
    tell_doubts(((name, " ".join(reasons)) for name, reasons in found.items()), len(found))
    return 3 if found else 0


def _show(outcome: Outcome) -> None:
    """The answers, the rows of each table, and the record as JSON; notes and tokens on stderr."""
    from rich.console import Console

    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED
    console.print(_table(outcome["answers"]))
    questions = {question["name"]: question for question in outcome["plan"].get("questions", [])}
    for answer in outcome["answers"]:
        if answer.get("rows"):
            console.print(_rows(answer, questions[answer["name"]]))
    if "record" in outcome:
        sys.stdout.write(json_text(outcome["record"]))
    for note in (*outcome["notes"], *_costs(outcome)):
        sys.stderr.write(f"layoutllm: {note}\n")


def _costs(outcome: Outcome) -> Iterator[str]:
    """What went to a chat model, and the tokens that it took."""
    if escalation := outcome.get("escalation"):
        asked, replaced, share = len(escalation["asked"]), len(escalation["replaced"]), escalation["share"]
        yield f"asked the chat model {asked} ({share:.0%}) of the questions, took {replaced} answers"
    for model, used in outcome.get("usage", {}).items():
        yield plain_line(f"{model}: {used['input_tokens']:,} tokens in, {used['output_tokens']:,} out")


def _carry_out(options: argparse.Namespace, reader: Reader | None) -> Outcome:
    from layoutllm_graphs.amend import amend
    from layoutllm_graphs.chat_models import chat_model
    from layoutllm_graphs.context import Context
    from layoutllm_graphs.runs import carry_out, checkpoints, thread_of
    from layoutllm_graphs.state import Request
    from layoutllm_graphs.workflow import build_workflow
    from layoutllm_tool.commands.live import Watch
    from layoutllm_tool.documents import Access
    from layoutllm_tool.tool import LayoutLLMTool

    task, schema = arguments.task_of(options)
    reading = arguments.reading_options(options)
    reader = reader or reading.reader()
    looking = LayoutLLMTool(reader=reader, access=Access.anywhere(), options=reading)
    document = looking.look(options.file, options.page)
    read_as = document.sha256 if reading.reads_as_usual else f"{document.sha256} {reading}"
    # The checkpoints may be anybody's: a run that goes on with them opens nothing else, whatever they name.
    tool = LayoutLLMTool(reader=reader, access=Access(roots=()), documents={options.file: document})
    request = Request(document=options.file, task=task, page=options.page, schema=schema)
    context = Context(
        tool=tool, max_attempts=1 if options.once else options.max_attempts, review=options.review,
        min_confidence=options.min_confidence,
        escalate=chat_model(options.escalate) if options.escalate else None,
        max_escalations=options.max_escalations,
        writer=chat_model(options.writer) if options.writer else None,
    )  # fmt: skip
    with checkpoints(options.checkpoints or _default_place()) as saver:
        graph, thread = build_workflow().compile(checkpointer=saver), thread_of(read_as, request)
        config: Any = {"configurable": {"thread_id": thread}}
        command = amend(graph, config, answers=_replies(options.amend), tool=tool) if options.amend else None
        with Watch(enabled=not options.json) as watch:
            return carry_out(
                graph, request, thread=thread, context=context, command=command,
                on_event=watch.take,
                reply=watch.reply if options.review else None,
            )  # fmt: skip


def _replies(amended: Sequence[Sequence[str]]) -> dict[str, Any]:
    """PlanError for a reply that the terminal does not know."""
    from layoutllm_tool.commands.live import HELP, parse

    found = {name: parse(line) for name, line in amended}
    if unknown := [name for name, reply in found.items() if reply is None]:
        told = " ".join(HELP.split())
        raise PlanError(f"the reply for {unknown[0]} is none.", hint=f"Replies: {told}")
    return found


def _table(answers: Sequence[Answer]) -> Table:
    """What was found, how sure, and what speaks against it."""
    from rich.table import Table
    from rich.text import Text

    from layoutllm_tool.commands.live import VERDICTS

    table = Table("field", "answer", "page", "box", "confidence", "verdict", "reasons")
    for answer in answers:
        rows = answer.get("rows")
        said = answer["error"] or (f"{len(rows)} rows" if rows else answer["answer"])
        sure = "" if answer["confidence"] is None else f"{answer['confidence']:.2f}"
        table.add_row(
            answer["name"], Text(plain_line(said or "not in the document")),
            str(answer["page"] or ""), str(answer["box"] or ""), sure,
            Text(answer["verdict"], style=VERDICTS.get(answer["verdict"], "")),
            Text(plain_line("; ".join(answer["reasons"]))),
        )  # fmt: skip
    return table


def _rows(answer: Answer, question: Mapping[str, Any]) -> Table:
    """A table's rows as printed, counted from 0 as in the record."""
    from rich.table import Table
    from rich.text import Text

    columns = {"/".join(column["path"]) or column["name"]: column["name"] for column in question["columns"]}
    table = Table("", *columns.values(), title=answer["name"], title_justify="left")
    for number, row in enumerate(answer["rows"]):
        table.add_row(str(number), *(Text(plain_line(_text_of(row.get(key)))) for key in columns))
    return table


def _text_of(cell: Any) -> str:
    """A cell as printed; rows within the row one after another."""
    if isinstance(cell, list):
        return "; ".join(" | ".join(map(_text_of, row.values())) for row in cell)
    return cell["text"] if cell else ""


def _default_place() -> Path:
    return state_folder() / "runs.sqlite"
