"""A folder of trained weights in which a new model takes the place of the current one only after a comparison, and every step is
written down. Comparing them is ``evaluation.promotion``; the commands are ``layoutllm models``."""

from layoutllm_tool.registry.models import Registry, check_unchanged, resolve

__all__ = ["Registry", "check_unchanged", "resolve"]
