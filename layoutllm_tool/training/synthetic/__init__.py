"""Pages drawn by ourselves, with every word's box and every answer known: training data without labels or licences."""

from layoutllm_tool.training.synthetic.build import Drawn, drawn, example, examples

__all__ = ["Drawn", "drawn", "example", "examples"]
