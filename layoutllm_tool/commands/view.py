"""``layoutllm view FOLDER``: the review page of a batch, on this machine."""

from __future__ import annotations

import argparse
import secrets
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

from layoutllm_tool.commands import arguments
from layoutllm_tool.protocols import Reader


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    text = (
        "Look at a batch's answers on their pages, and decide on those that wait: "
        "in a browser, on this machine."
    )
    parser = arguments.add_command(
        commands, "view", run, summary="review a batch in the browser", description=text
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="what `layoutllm batch -o` wrote")
    arguments.add_address(parser, 8450)
    add("--no-browser", action="store_true", help="print the address, open nothing")
    add("--export", type=Path, metavar="FILE.html", help="write one file to send to somebody, and stop")
    arguments.add_weights(parser)
    arguments.add_places(parser, default="the working directory")


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Serve until Ctrl-C. StoreMismatch where the folder holds no batch."""
    build = _reader_of(options, reader)
    if options.export:
        return _export(options, build)
    from layoutllm_tool.review_app.app import create_app
    from layoutllm_tool.service.serving import LOOPBACK, address, listen, serve

    listening, token = listen(options.host, options.port), secrets.token_urlsafe(24)
    hosts = (*LOOPBACK, options.host)
    app = create_app(options.folder, build, token=token, hosts=hosts, places=arguments.stored_places(options))
    place = f"{address(listening, options.host)}/?token={token}"
    if not options.no_browser:
        webbrowser.open(place)
    serve(app, listening, place)
    return 0


def _export(options: argparse.Namespace, build: Callable[[], Reader]) -> int:
    from layoutllm_tool.messages import plain_line
    from layoutllm_tool.review_app.export import export

    if missing := export(options.folder, options.export, build, places=arguments.stored_places(options)):
        sys.stderr.write(
            plain_line(f"layoutllm: {len(missing)} pages without a picture; {missing[0]}") + "\n"
        )
    return 0


def _reader_of(options: argparse.Namespace, given: Reader | None) -> Callable[[], Reader]:
    """Build a reader of the batch's languages: the lines have to be the same."""
    from layoutllm_tool.batch.store import Store

    with Store.open(options.folder) as store:
        languages = tuple(store.settings.get("languages") or ("eng",))
    return lambda: given or arguments.make_reader(options.weights, languages)
