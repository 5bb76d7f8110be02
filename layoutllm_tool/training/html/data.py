"""The words of ``pages.toml``."""

import tomllib
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "pages.toml"
PAGES: dict[str, dict[str, Any]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
QUESTIONS: dict[str, list[str]] = PAGES["questions"]
