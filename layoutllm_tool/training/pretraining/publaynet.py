"""PubLayNet samples (annotations CDLA-Permissive-1.0): pictures of pages with five kinds of regions, as COCO JSON.

Boxes are ``[x, y, width, height]`` in pixels. There are no words: DLA and descriptions only.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.errors import DocumentUnreadable
from layoutllm_tool.training.pretraining import files
from layoutllm_tool.training.pretraining.known import Known, Region

_NAMES = {"text": "text block"}
"""Kinds that a question calls otherwise."""


class PubLayNet:
    """A folder of ``samples.json`` and its pictures; DocumentNotFound where it is not one."""

    words, regions = False, True

    def __init__(self, folder: Path) -> None:
        self._folder = files.folder(folder, "PubLayNet samples", "samples.json")
        data = files.parsed((folder / "samples.json").read_bytes(), "samples.json")
        try:
            self._images = sorted((int(i["id"]), str(i["file_name"])) for i in data["images"])
            kinds = {int(c["id"]): _NAMES.get(c["name"], str(c["name"])) for c in data["categories"]}
            self._found: dict[int, list[tuple[str, list[float]]]] = {number: [] for number, _ in self._images}
            for note in data["annotations"]:
                self._found[int(note["image_id"])].append((kinds[int(note["category_id"])], _bbox(note)))
        except (KeyError, TypeError, ValueError) as error:
            raise DocumentUnreadable(f"samples.json is not COCO JSON: {error!r}.", hint="Fetch it again.") from error
        if not self._images:
            raise DocumentUnreadable("samples.json names no pictures.", hint="Fetch it again.")

    def __len__(self) -> int:
        return len(self._images)

    def __call__(self, rng: Random) -> Known:
        return self.item(rng.randrange(len(self)))

    def item(self, number: int) -> Known:
        """The number-th page by its picture's id."""
        key, name = self._images[number]
        image = files.picture(self._folder, name)
        regions = [
            Region(kind, Box.from_pixels(x, y, x + w, y + h, width=image.width, height=image.height))
            for kind, (x, y, w, h) in self._found[key]
        ]
        regions.sort(key=lambda r: (r.box.y0, r.box.x0, r.kind))
        page = Page(1, image.width, image.height, (), image, "given")
        return Known(f"publaynet/{Path(name).stem}", page, "page of a medical article", tuple(regions))


def _bbox(note: Any) -> list[float]:
    x, y, width, height = (float(v) for v in note["bbox"])
    return [x, y, width, height]
