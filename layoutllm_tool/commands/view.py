"""``layoutllm view FOLDER``: the review page of a batch, on this machine."""

from __future__ import annotations

import argparse
import secrets
import sys
import webbrowser
from contextlib import suppress
from functools import partial
from pathlib import Path

from layoutllm_tool.commands.arguments import add_places, stored_places
from layoutllm_tool.errors import LayoutLLMError
from layoutllm_tool.protocols import Reader


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command with its options."""
    text = "Look at a batch's answers on their pages, and decide on those that wait: in a browser, on this machine."
    parser = commands.add_parser("view", help="review a batch in the browser", description=text)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what `layoutllm batch -o` wrote")
    parser.add_argument("--host", default="127.0.0.1", metavar="NAME", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8450, metavar="N", help="default: 8450; 0 takes a free one")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.add_argument("--export", type=Path, metavar="FILE.html", help="write one file to send to somebody, and stop")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="trained weights other than the shipped ones")
    add_places(parser, default="the working directory")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, reader: Reader | None = None) -> int:
    """Serves until Ctrl-C. StoreMismatch where the folder holds no batch."""
    from layoutllm_tool.batch.store import Store

    with Store.open(options.folder) as store:
        languages = tuple(store.settings.get("languages") or ("eng",))
    places = stored_places(options)
    build = partial(_reader, reader, options.weights, languages)
    if options.export:
        from layoutllm_tool.messages import plain_line
        from layoutllm_tool.web.export import export

        if missing := export(options.folder, options.export, build, places=places):
            sys.stderr.write(plain_line(f"layoutllm: {len(missing)} pages without a picture; {missing[0]}") + "\n")
        return 0
    try:
        import uvicorn

        from layoutllm_tool.web.protocol import settings
    except ImportError as error:
        raise LayoutLLMError(
            "the review page needs more packages.", hint="pip install 'layoutllm-tool[web]'"
        ) from error
    from layoutllm_tool.web.listening import address, listen
    from layoutllm_tool.web.middleware import LOOPBACK
    from layoutllm_tool.web.view import create_app

    listening, token = listen(options.host, options.port), secrets.token_urlsafe(24)
    app = create_app(options.folder, build, token=token, hosts=(*LOOPBACK, options.host), places=places)
    place = f"{address(listening, options.host)}/?token={token}"
    sys.stderr.write(f"layoutllm: {place}\n")
    if not options.no_browser:
        webbrowser.open(place)
    with listening, suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, **settings())).run(sockets=[listening])
    return 0


def _reader(given: Reader | None, weights: Path | None, languages: tuple[str, ...]) -> Reader:
    """Reads in the batch's languages: the lines have to be the same."""
    from layoutllm_tool.readers.local import LayoutLLMReader

    return given or LayoutLLMReader(weights, languages=languages)
