"""A folder of measurements that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layoutllm_tool.errors import RecipeError

FILE = "settings.json"


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder if need be and write the settings into it.

    RecipeError where it holds a measurement with other settings, which would pass for one with these.
    """
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
