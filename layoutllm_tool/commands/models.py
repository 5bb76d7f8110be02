"""``layoutllm models``: a registry of trained weights. ``evaluation.promotion`` compares them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layoutllm_tool.commands.arguments import add_command, add_languages, make_reader
from layoutllm_tool.messages import plain_line, quote
from layoutllm_tool.protocols import Reader

if TYPE_CHECKING:
    from layoutllm_tool.evaluation.promotion import Decision, Worse

_EXAMPLES = """\
examples:
  layoutllm models set-validation validation.jsonl --registry models/
  layoutllm models promote out/adapted/weights --registry models/
  layoutllm models list --registry models/
  layoutllm models rollback --registry models/
  layoutllm ask invoice.pdf "What is the total?" --weights models/     the registry's current model

A row of VALIDATION.jsonl: {"document": "a.pdf", "page": 1, \
"question": "What is the total?", "answers": ["12.50"]}
`document` is relative to the list, `page` may be left out, \
"answers": [] says that the document does not answer.
The folder of a batch stands for what people decided on in `layoutllm view`, \
in the batch's languages. Train on none of
these documents. A promotion that is refused exits with 3.
"""
_MOST_WORSE = 10


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its own commands."""
    parser = commands.add_parser(
        "models", help="promote trained weights, or go back to earlier ones", epilog=_EXAMPLES,
        description="A registry of weights: a new model replaces the current one only if it is no worse on "
        "a validation set.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    text = "Make a registry with this validation set, which stays as it is."
    made = _command(below, "set-validation", _set_validation, text)
    made.add_argument(
        "validation", type=Path, metavar="VALIDATION",
        help="a list of documents, questions and answers (.jsonl), or the folder of a reviewed batch",
    )  # fmt: skip
    made.add_argument(
        "--root", type=Path, action="append", default=[], metavar="DIR",
        help="documents may lie here too (default: the list's folder; for a batch, the working directory)",
    )  # fmt: skip
    add_languages(made)
    text = "Ask both models the validation set; the new one has to be no worse."
    made = _command(below, "promote", _promote, text)
    made.add_argument("weights", type=Path, metavar="WEIGHTS", help="a folder of `layoutllm train`")
    lower = "how much lower it may score (default: 0)"
    made.add_argument("--tolerance", type=float, default=0.0, metavar="ANLS", help=lower)
    made = _command(below, "list", _list, "Show the models, which is current, and where each comes from.")
    made.add_argument("--json", action="store_true", help="print one JSON object, with all facts")
    _command(below, "rollback", _rollback, "Make the model before the last promotion the current one again.")


def _command(below: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    made = add_command(below, name, run, summary=text, description=text)
    made.add_argument("--registry", type=Path, required=True, metavar="DIR", help="the registry's folder")
    return made


def _set_validation(options: argparse.Namespace, _reader: Reader | None) -> int:
    """RegistryError where a row or a document can't be used, or models were promoted by another set."""
    from layoutllm_tool.documents import Access
    from layoutllm_tool.registry import Registry
    from layoutllm_tool.registry.validation import ValidationSet

    home = Path.cwd() if options.validation.is_dir() else options.validation.absolute().parent
    access = Access(roots=(home, *map(Path.absolute, options.root)))
    if options.validation.is_dir():
        from layoutllm_tool.evaluation.reviewed import validation_of

        found = validation_of(options.validation)
    else:
        found = ValidationSet.read(options.validation, languages=options.lang)
    made = Registry.set_validation(options.registry, found.within(access)).validation
    documents = len({case.sha256 for case in made.cases})
    _print(f"validation set: {len(made.cases)} questions on {documents} documents, {made.sha256[:16]}")
    return 0


def _promote(options: argparse.Namespace, reader: Reader | None) -> int:
    """0: the model is current now; 3: it was refused. RegistryError where nothing could be decided."""
    from layoutllm_tool.evaluation.promotion import promote
    from layoutllm_tool.evaluation.report import progress
    from layoutllm_tool.registry import Registry

    registry = Registry(options.registry)
    decision = promote(
        registry, options.weights, (lambda _weights, _languages: reader) if reader else make_reader,
        setting="" if reader else _recognition(), tolerance=options.tolerance, bar=progress,
    )  # fmt: skip
    _print_decision(decision)
    return 0 if decision.promoted else 3


def _recognition() -> str:
    """What reads pictures here, with its version: another one may read other words."""
    from layoutllm_tool.errors import OCRNotInstalled
    from layoutllm_tool.ocr import default_engine

    try:
        engine = default_engine()
    except OCRNotInstalled:  # documents with a text layer need none
        return "no text recognition"
    return str(getattr(engine, "fingerprint", engine.name))


def _print_decision(decision: Decision) -> None:
    new, old = decision.candidate, decision.current
    scores = f"ANLS {new.anls:.4f} against {old.anls:.4f} of {decision.replaces}"
    right = (
        f"right {new.right} against {old.right} of {new.questions}, "
        f"refused {new.refused} against {old.refused}"
    )
    allowed = f", tolerance {decision.tolerance:g}" if decision.tolerance else ""
    _print(f"{'promoted' if decision.promoted else 'refused'} {decision.model}: {scores}; {right}{allowed}")
    for one in decision.worse[:_MOST_WORSE]:
        _print(f"  worse: {_worse(one)}")
    if (more := len(decision.worse) - _MOST_WORSE) > 0:
        _print(f"  and {more} more; all answers are in the registry's folder `scores`")


def _worse(one: Worse) -> str:
    was, now = (
        quote(answer, 60) if answer is not None else "no answer" for answer in (one.before, one.after)
    )
    asked = f"{plain_line(one.document, 60)}: {plain_line(one.question, 80)}"
    return f"{asked} {was} became {now} ({-one.lost:+.2f})"


def _list(options: argparse.Namespace, _reader: Reader | None) -> int:
    """RegistryError, once all is shown, where the current model's files are not what was promoted."""
    from layoutllm_tool.registry import Registry

    registry = Registry(options.registry)
    models = registry.models()
    if options.json:
        known = {"current": registry.current, "models": models}
        sys.stdout.write(json.dumps(known, indent=1) + "\n")
    else:
        for line in _lines(models):
            _print(line)
    registry.weights()
    return 0


def _lines(models: Sequence[dict[str, Any]]) -> list[str]:
    """In columns. Never cut: ids are there to be copied."""
    head = ["", "model", "state", "parent", "when", "ANLS", "before", "asked", "recipe", "seed"]
    rows = [head, *map(_cells, models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _cells(model: dict[str, Any]) -> list[str]:
    facts = [plain_line(str(model["facts"].get(name, "")), 24) for name in ("recipe", "seed")]
    scores = [f"{score:.4f}" if score is not None else "" for score in (model["anls"], model["against"])]
    when, mark = model["at"][:16].replace("T", " "), "*" if model["state"] == "current" else ""
    parent, asked = (model["parent"] or "")[:16], str(model["questions"] or "")
    return [mark, model["id"], model["state"], parent, when, *scores, asked, *facts]


def _rollback(options: argparse.Namespace, _reader: Reader | None) -> int:
    from layoutllm_tool.registry import Registry

    current, replaced, skipped = Registry(options.registry).roll_back()
    damaged = f" (damaged, and skipped: {', '.join(skipped)})" if skipped else ""
    _print(f"current: {current}, in place of {replaced}{damaged}")
    return 0


def _print(line: str) -> None:
    sys.stdout.write(plain_line(line) + "\n")
