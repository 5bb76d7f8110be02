"""A folder of trained weights in which a new model replaces the current one only after a comparison.

``evaluation.promotion`` compares; the commands are ``layoutllm models``.
"""

from layoutllm_tool.registry.models import Registry, check_unchanged, resolve

__all__ = ["Registry", "check_unchanged", "resolve"]
