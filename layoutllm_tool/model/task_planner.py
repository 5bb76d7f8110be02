"""Writes what is to be read and computed, a line for each thing wanted: a LoRA of its own on the text model.

It learns from tasks as people type them, in English, German and Japanese (training/task_planner.py). Not
shipped yet: nothing asks it until it plans unseen tasks better than the rules (LOG.md).

The lines are text of a model: ``layoutllm_graphs.planning.plan_lines`` reads them, and believes none whose
words the task does not have.
"""

from __future__ import annotations

from pathlib import Path

import torch

from layoutllm_tool.model.page_text import plain
from layoutllm_tool.model.text_model import ADAPTER, ANSWER, TextModel, text_model_folder

PLANNER = ADAPTER.with_name("task_planner.safetensors")
PLAN_HEAD = (
    "<|im_start|>system\nYou plan what to read from a document and what to compute. Write a line for each "
    "thing wanted, in the words of the task.<|im_end|>\n<|im_start|>user\nTask: "
)
LONGEST_PLAN = 400
"""Tokens."""


class TaskPlanner:
    """Not thread-safe: one caller at a time. Some 0.8 GB."""

    def __init__(self, folder: Path | None = None, adapter: Path = PLANNER) -> None:
        self._model = TextModel(folder or text_model_folder(), adapter)
        self._head = self._model.prefix(PLAN_HEAD)

    @torch.inference_mode()
    def lines(self, task: str) -> str:
        """The plan of the task, as the model writes it."""
        return self._model.write(self._head, plain(task) + ANSWER, LONGEST_PLAN)
