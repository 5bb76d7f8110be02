"""The command line: ``layoutllm COMMAND``. Wiring only.

An error of the package's tree is one line on stderr. Exit codes: 2 where the caller can fix the call (a wrong
file name, a page that does not exist), 1 for other errors (no weights, no OCR engine), 130 after Ctrl-C.
Everything heavy is imported by the command that needs it: ``--help`` imports neither torch nor LangChain.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from layoutllm_tool.commands import (
    across,
    ask,
    batch,
    mcp,
    models,
    plan,
    run,
    select,
    serve,
    split,
    train,
    view,
)
from layoutllm_tool.commands.arguments import add_command
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.protocols import Reader
from layoutllm_tool.version import package_version


def main(argv: Sequence[str] | None = None, *, reader: Reader | None = None) -> int:
    """Run a command and return its exit code. ``reader`` answers in place of the package's own.

    Wrong arguments raise SystemExit(2), as argparse does; ``--help`` and ``--version`` SystemExit(0).
    """
    try:
        options = build_parser().parse_args(argv)
        command: Callable[[argparse.Namespace, Reader | None], int] = options.run
        code = command(options, reader)
        sys.stdout.flush()
    except LayoutLLMError as error:
        _tell(str(error))
        return 2 if error.caller_can_fix else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `layoutllm ... | head`: Python must not flush at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, sqlite3.Error) as error:  # a full disk, a read-only folder: whatever was being written
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        where = f" ({name})" if (name := getattr(error, "filename", None)) else ""
        with suppress(OSError):
            _tell(f"{why}{where}", ". Is the disk full, or the place read-only?")
        return 1
    return code


def _tell(message: str, hint: str = "") -> None:
    from layoutllm_tool.messages import plain_line

    sys.stderr.write(f"layoutllm: {plain_line(message)}{hint}\n")


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options; each sets ``run(options, reader) -> exit code``."""
    parser = argparse.ArgumentParser(
        prog="layoutllm",
        description="Ask a scanned page: answer, place on the page, three reasoning steps, confidence.",
    )
    parser.add_argument("--version", action="version", version=f"layoutllm-tool {package_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (ask, plan, run, batch, across, split, view, select, serve, mcp):
        command.add_to(commands)
    _add_pull(commands)
    _add_bench(commands)
    _add_eval(commands)
    train.add_to(commands)
    models.add_to(commands)
    return parser


def _add_pull(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    short = "fetch the base language model and the sentence encoder"
    text = (
        "Fetch the base language model (98 MB), the sentence encoder (84 MB) and the text model "
        "(478 MB), once. "
        "The first question does this by itself."
    )
    parser = add_command(commands, "pull", _pull, summary=short, description=text)
    place = "take the model file from here instead of downloading"
    parser.add_argument("--from", type=Path, dest="gguf", metavar="FILE.gguf", help=place)


def _pull(options: argparse.Namespace, _reader: Reader | None) -> int:
    from layoutllm_tool.errors import WeightsNotFound
    from layoutllm_tool.model.base import base_model
    from layoutllm_tool.model.sentence_encoder import sentence_encoder_folder
    from layoutllm_tool.model.text_model import text_model_folder

    sys.stdout.write(f"{base_model(quiet=False, gguf=options.gguf)}\n")
    for folder in (sentence_encoder_folder, text_model_folder):
        try:
            sys.stdout.write(f"{folder(quiet=False)}\n")
        except WeightsNotFound as error:  # questions are answered without it, less well
            sys.stderr.write(f"layoutllm: {error}\n")
    return 0


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Measure the first and each further question on a page, decoding and memory, "
        "beside transformers.generate."
    )
    parser = add_command(commands, "bench", _bench, summary="measure speed and memory", description=text)
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="the document to ask (default: the sample invoice)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--training", action="store_true", help="measure training instead, beside the machine's ceiling"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="trained weights (default: the shipped ones)"
    )
    parser.add_argument("--tokens", type=int, default=64, help="tokens that both sides decode")
    parser.add_argument("--repeats", type=int, default=5, help="medians are taken over these")
    parser.set_defaults(run=_bench)


def _bench(options: argparse.Namespace, _reader: Reader | None) -> int:
    if options.training:
        from layoutllm_tool.training import throughput

        found = throughput.measure()
        sys.stdout.write((json.dumps(found, indent=1) if options.json else throughput.show(found)) + "\n")
        return 0
    from layoutllm_tool.evaluation.bench import bench

    return bench(
        options.file,
        json=options.json,
        weights=options.weights,
        new_tokens=options.tokens,
        repeats=options.repeats,
    )


def _add_eval(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "score the model on labelled documents, fit the confidence"
    # Its arguments are parsed by the evaluation itself: nothing is an option here, not even --help.
    parser = commands.add_parser("eval", help=text, add_help=False, prefix_chars="\0")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=_eval)


def _eval(options: argparse.Namespace, _reader: Reader | None) -> int:
    from layoutllm_tool.evaluation.command import main as evaluate

    return evaluate(options.arguments)
