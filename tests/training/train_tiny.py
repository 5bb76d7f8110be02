"""Trains the tiny model for two steps: run alone or by ``accelerate launch`` (see test_recipe.py)."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from layoutllm_tool.training.trainer import Trainer, prepare
from tests import tiny
from tests.training.test_trainer import EXAMPLE, STAGE


def main() -> None:
    stage = replace(STAGE, pages=8, pages_per_step=4, learning_rate=1e-3)
    model, processor = tiny.smol()
    torch.manual_seed(1)
    prepare(model, stage)
    trainer = Trainer(model, processor, lambda _: EXAMPLE, stage, Path(sys.argv[1]))
    trainer.run()
    print(trainer.rank, trainer.world, trainer.log[-1]["loss"])


if __name__ == "__main__":
    main()
