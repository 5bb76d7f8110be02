"""A folder of trained weights in which a new model replaces the current one only after a comparison.

``evaluation.promotion`` compares; the commands are ``layoutllm models``.
"""

from importlib.metadata import PackageNotFoundError, version

from layoutllm_tool.registry.models import Registry, check_unchanged, resolve

__all__ = ["Registry", "check_unchanged", "package_version", "resolve"]


def package_version() -> str:
    """The package's version; empty in a checkout that was never installed."""
    try:
        return version("layoutllm-tool")
    except PackageNotFoundError:
        return ""
