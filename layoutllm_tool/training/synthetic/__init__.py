"""Synthetic pages, with every word's box and every answer known."""

from layoutllm_tool.training.synthetic.build import drawn, example, examples
from layoutllm_tool.training.synthetic.places import Drawn

__all__ = ["Drawn", "drawn", "example", "examples"]
