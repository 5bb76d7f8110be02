"""Where things lie: the repository, and what may be beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DATA = SHARED / "data"
"""Published data sets. Tests that need one are skipped where it is absent."""
