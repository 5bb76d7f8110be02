"""``layoutllm select FOLDER --top K``: list the documents of a batch to review first, as CSV on stdout.

The summary goes to stderr. Reviewing them is ``layoutllm view``.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.commands.arguments import add_command, from_one, from_zero
from layoutllm_tool.commands.show import json_text
from layoutllm_tool.printable import cell
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from layoutllm_tool.batch.selection import Candidate

_EXAMPLES = """\
examples:
  layoutllm select out/ --top 20 --queue && layoutllm view out/
  layoutllm select out/ --top 20 --subset 200 --seed 1 > hard.csv
  layoutllm batch hard.csv --task "Extract vendor, date and total" -o again/

Of the documents that are done and that nobody has reviewed. Loss: what the loss head expects, the mean over a
document's fields; one minus the confidence where the weights had no loss head (column `measure` says which).
The CSV is a source for `layoutllm batch`.
"""
_COLUMNS = ("document", "page", "loss", "measure", "field")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    text = "Pick the documents of a batch whose predicted loss is highest, for a person to review."
    short = "pick the documents of a batch to annotate"
    parser = add_command(commands, "select", run, summary=short, description=text, examples=_EXAMPLES)
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="what `layoutllm batch -o` wrote")
    add("--top", type=from_one, required=True, metavar="K", help="how many")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--subset", type=from_one, metavar="N", help="of N documents drawn at random (default: of all)"
    )
    how.add_argument("--random", action="store_true", help="K at random instead, to compare with")
    add("--seed", type=from_zero, default=0, metavar="S", help="of what is drawn (default: 0)")
    add("--queue", action="store_true", help="put their fields into the queue of `layoutllm view`")
    add("--json", action="store_true", help="print one JSON array instead")


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """0, with fewer rows where the pool holds fewer. StoreMismatch where the folder holds no batch."""
    from layoutllm_tool.batch.selection import select
    from layoutllm_tool.batch.store import Store

    with Store.open(options.folder) as store:
        found = select(store, options.top, options.subset, options.seed, random=options.random)
        queued = store.queue([one.key for one in found]) if options.queue else None
    rows = [_row(one) for one in found]
    if options.json:
        sys.stdout.write(json_text([row | {"key": one.key} for row, one in zip(rows, found, strict=True)]))
    else:
        sys.stdout.write(_csv(rows))
    sys.stderr.write(_summary(found, options, queued))
    return 0


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """All texts quoted. A name with characters that do not print is a JSON string."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows)
    return out.getvalue()


def _row(one: Candidate) -> dict[str, Any]:
    loss = round(one.loss, 4)
    return {"document": one.name, "page": one.page, "loss": loss, "measure": one.measure, "field": one.field}


def _summary(found: Sequence[Candidate], options: argparse.Namespace, queued: int | None) -> str:
    chosen = "at random" if options.random else "the highest loss first"
    measured = {
        "predicted_loss": "as predicted",
        "1 - confidence": "as 1 - confidence: not all have a predicted one",
    }
    parts = [f"{len(found)} documents, {chosen}"] + [f"loss {measured[one.measure]}" for one in found[:1]]
    if len(found) < min(options.top, options.subset or options.top):
        parts.append("no more are done and not reviewed")
    if queued is not None:
        parts.append(f"{queued} fields wait in `layoutllm view {options.folder}`")
    return f"layoutllm: {'; '.join(parts)}\n"
