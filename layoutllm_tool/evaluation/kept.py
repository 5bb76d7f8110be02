"""A folder of measurements that is taken up again, and readers that end: what several long measurements share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from layoutllm_tool.errors import RecipeError
from layoutllm_tool.protocols import Reader

FILE = "settings.json"


def belongs(folder: Path, settings: Mapping[str, Any]) -> None:
    """Says in the folder, made if need be, what it is measured with. RecipeError where that is something else: what lies there would
    pass for a measurement of this."""
    place = folder / FILE
    told = json.dumps(settings, indent=1, sort_keys=True, default=str) + "\n"
    if place.exists():
        if (known := place.read_text(encoding="utf-8")) != told:
            was, now = json.loads(known), json.loads(told)
            other = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
            raise RecipeError(
                f"{folder} holds a measurement with another {', '.join(other)}.", hint="Name another folder."
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise RecipeError(f"{folder} is not empty, and holds no measurement.", hint="Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    place.write_text(told, encoding="utf-8")


@contextmanager
def lent(reader: Reader) -> Iterator[Reader]:
    """The reader, which is closed at the end if it can be: its thread would hold the model, and another follows."""
    try:
        yield reader
    finally:
        if close := getattr(reader, "close", None):
            close()
