"""The words of ``pages.toml``."""

import tomllib
from pathlib import Path
from typing import Any

PAGES: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "pages.toml").read_text(encoding="utf-8"))
QUESTIONS: dict[str, list[str]] = PAGES["questions"]
