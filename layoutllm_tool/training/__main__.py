"""Train the shipped weights: ``python -m layoutllm_tool.training --receipts DIR --out RUN [--weights FOLDER]``.

Killed at any moment, the same command goes on from the last checkpoint. The weights are written when the run has ended, or
by ``--export`` from the checkpoint there is.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

from layoutllm_tool.documents import load_document
from layoutllm_tool.documents.geometry import Page
from layoutllm_tool.documents.safety import Access
from layoutllm_tool.model.base import base_model
from layoutllm_tool.model.modeling import LayoutLLMForConditionalGeneration
from layoutllm_tool.model.processing import LayoutLLMProcessor
from layoutllm_tool.model.weights import SHIPPED, save_weights
from layoutllm_tool.ocr import ReadingCache, recognise_page
from layoutllm_tool.training.mixture import Mixture
from layoutllm_tool.training.trainer import Recipe, Trainer, add_adapter


def receipt_pages(receipts: Path) -> object:
    """The pages of receipts as OCR reads them; every reading is kept on disk."""
    cache = ReadingCache.on_disk()
    access = Access(roots=(receipts,))

    @lru_cache(maxsize=64)
    def page(number: int) -> Page:
        document = load_document(receipts / "images" / f"{number:03d}.jpg", access=access)
        return recognise_page(document.pages[0], cache=cache)

    return page


def main() -> None:
    options = _options().parse_args()
    recipe = replace(Recipe(), pages=options.pages, seed=options.seed)
    torch.manual_seed(recipe.seed)
    base = base_model(quiet=False)
    model = LayoutLLMForConditionalGeneration.around(AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16))
    processor = LayoutLLMProcessor.for_config(model.config, AutoTokenizer.from_pretrained(base))
    model.freeze_for(recipe.stage)
    add_adapter(model, recipe)
    mixture = Mixture(options.receipts, receipt_pages(options.receipts), seed=recipe.seed)  # type: ignore[arg-type]
    trainer = Trainer(model, processor, mixture, recipe, options.out)
    if options.export:
        trainer.resume()
    else:
        until = time.monotonic() + options.minutes * 60 if options.minutes else math.inf
        trainer.run(until=until, report=_report(trainer, Console()))
    if options.export or trainer.step >= trainer.steps:
        facts = {"seed": str(recipe.seed), "pages": str(trainer.step * recipe.pages_per_step)}
        save_weights(model, options.weights, base=base, facts=facts)


def _report(trainer: Trainer, console: Console):  # type: ignore[no-untyped-def]
    def report(row: dict[str, float]) -> None:
        if row["step"] % 10 == 0:
            last = trainer.log[-10:]
            loss = sum(r["loss"] for r in last) / len(last)
            seconds = sum(r["seconds"] for r in last) / len(last)
            left = (trainer.steps - row["step"]) * seconds / 60
            console.print(
                f"step {row['step']:.0f}/{trainer.steps}  loss {loss:.3f}  {seconds:.1f} s/step  {left:.0f} min left"
            )

    return report


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m layoutllm_tool.training", description=__doc__)
    parser.add_argument("--receipts", type=Path, required=True, help="folder with images, lines and entities (SROIE)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoint and metrics")
    parser.add_argument(
        "--weights", type=Path, default=SHIPPED, help="where the weights go (default: into the package)"
    )
    parser.add_argument("--pages", type=int, default=Recipe.pages, help="pages in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="stop, resumably, after so long")
    parser.add_argument("--export", action="store_true", help="write the weights of the checkpoint there is, and stop")
    return parser


if __name__ == "__main__":
    main()
