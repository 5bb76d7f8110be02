"""``layoutllm select FOLDER --top K``: the documents of a batch that are most worth a person's time, as CSV on stdout.

What it says of itself goes to stderr. Reviewing them is ``layoutllm view``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.commands.arguments import from_one, from_zero
from layoutllm_tool.printable import cell, printable
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from layoutllm_tool.batch.selection import Candidate

_EXAMPLES = """\
examples:
  layoutllm select out/ --top 20 --queue && layoutllm view out/
  layoutllm select out/ --top 20 --subset 200 --seed 1 > hard.csv
  layoutllm batch hard.csv --task "Extract vendor, date and total" -o again/

Of the documents that are done and that nobody has reviewed. Loss: what the loss head expects, the mean over a document's fields; one minus
the confidence where the weights had no loss head (column `measure` says which). The CSV is a source for `layoutllm batch`.
"""
_COLUMNS = ("document", "page", "loss", "measure", "field")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    parser = commands.add_parser(
        "select", help="pick the documents of a batch to annotate", epilog=_EXAMPLES,
        description="Pick the documents of a batch whose predicted loss is highest, for a person to review.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what `layoutllm batch -o` wrote")
    parser.add_argument("--top", type=from_one, required=True, metavar="K", help="how many")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--subset", type=from_one, metavar="N", help="of N documents drawn at random (default: of all)")
    how.add_argument("--random", action="store_true", help="K at random instead, to compare with")
    parser.add_argument("--seed", type=from_zero, default=0, metavar="S", help="of what is drawn (default: 0)")
    parser.add_argument("--queue", action="store_true", help="put their fields into the queue of `layoutllm view`")
    parser.add_argument("--json", action="store_true", help="print one JSON array instead")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """0, with fewer rows where the pool holds fewer. StoreMismatch where the folder holds no batch."""
    from layoutllm_tool.batch.selection import select
    from layoutllm_tool.batch.store import Store

    with Store.open(options.folder) as store:
        found = select(store, options.top, options.subset, options.seed, random=options.random)
        queued = store.queue([one.key for one in found]) if options.queue else None
    text = _json(found) if options.json else _csv(found)
    sys.stdout.write(text)
    sys.stderr.write(_told(found, options, queued))
    return 0


def _json(found: Sequence[Candidate]) -> str:
    listed = json.dumps([_row(one) | {"key": one.key} for one in found], indent=1, ensure_ascii=False)
    return "\n".join(map(printable, listed.split("\n"))) + "\n"


def _csv(found: Sequence[Candidate]) -> str:
    """All texts quoted. A name of which not every character prints is a JSON string: `layoutllm batch` reads it as the name."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    writer.writerows({n: cell(v) if isinstance(v, str) else v for n, v in _row(one).items()} for one in found)
    return out.getvalue()


def _row(one: Candidate) -> dict[str, Any]:
    loss = round(one.loss, 4)
    return {"document": one.name, "page": one.page, "loss": loss, "measure": one.measure, "field": one.field}


def _told(found: Sequence[Candidate], options: argparse.Namespace, queued: int | None) -> str:
    chosen = "at random" if options.random else "the highest loss first"
    measured = {"predicted_loss": "as predicted", "1 - confidence": "as 1 - confidence: not all have a predicted one"}
    told = [f"{len(found)} documents, {chosen}"] + [f"loss {measured[one.measure]}" for one in found[:1]]
    if len(found) < min(options.top, options.subset or options.top):
        told.append("no more are done and not reviewed")
    if queued is not None:
        told.append(f"{queued} fields wait in `layoutllm view {options.folder}`")
    return f"layoutllm: {'; '.join(told)}\n"
