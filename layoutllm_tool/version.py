"""The package's version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """Of the installed package; "(not installed)" in a checkout that was never installed."""
    try:
        return version("layoutllm-tool")
    except PackageNotFoundError:
        return "(not installed)"
