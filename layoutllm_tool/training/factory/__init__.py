"""Pages drawn by ourselves, with every word's box and every answer known: training data without labels or licences."""

from layoutllm_tool.training.factory.build import example, examples

__all__ = ["example", "examples"]
