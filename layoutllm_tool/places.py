"""Folders of the user's that the package writes to: one variable, LAYOUTLLM_HOME, moves them all."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LAYOUTLLM_HOME"


def cache_folder() -> Path:
    """Where fetched models and what was recognised are kept."""
    from platformdirs import user_cache_path

    return Path(os.environ.get(VARIABLE) or user_cache_path("layoutllm", appauthor=False))


def state_folder() -> Path:
    """Where runs that go on are kept."""
    from platformdirs import user_state_path

    given = os.environ.get(VARIABLE)
    return Path(given) / "state" if given else user_state_path("layoutllm", appauthor=False)
