"""Synthetic pages, with every word's box and every answer known."""

from layoutllm_tool.training.synthetic.build import Drawn, drawn, example, examples

__all__ = ["Drawn", "drawn", "example", "examples"]
