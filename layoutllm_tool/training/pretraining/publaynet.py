"""PubLayNet samples (annotations CDLA-Permissive-1.0): pages with five kinds of regions, COCO JSON.

Boxes are ``[x, y, width, height]`` in pixels. There are no words: DLA and descriptions only.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from layoutllm_tool.documents.geometry import Box, Page
from layoutllm_tool.training.pretraining import files
from layoutllm_tool.training.pretraining.known import Known, Region, Source, by_place

_NAMES = {"text": "text block"}
"""Kinds that a question calls otherwise."""
Bounds = tuple[float, float, float, float]


class PubLayNet(Source):
    """A folder of ``samples.json`` and its pictures; DocumentNotFound where it is not one."""

    words = False

    def __init__(self, folder: Path) -> None:
        self._folder = files.folder(folder, "PubLayNet samples", "samples.json")
        data = files.read_json(folder / "samples.json")
        try:
            super().__init__(sorted((int(i["id"]), str(i["file_name"])) for i in data["images"]))
            kinds = {int(c["id"]): _NAMES.get(c["name"], str(c["name"])) for c in data["categories"]}
            self._found: dict[int, list[tuple[str, Bounds]]] = {number: [] for number, _ in self.items}
            for note in data["annotations"]:
                x, y, width, height = map(float, note["bbox"])
                kind = kinds[int(note["category_id"])]
                self._found[int(note["image_id"])].append((kind, (x, y, x + width, y + height)))
        except (KeyError, TypeError, ValueError) as error:
            raise files.damaged(f"samples.json is not COCO JSON: {error!r}.") from error
        if not self.items:
            raise files.damaged("samples.json names no pictures.")

    def item(self, number: int, rng: Random) -> Known:
        key, name = self.items[number]
        image = files.picture(self._folder, name)
        size = {"width": image.width, "height": image.height}
        boxes = ((kind, Box.from_pixels(*bounds, **size)) for kind, bounds in self._found[key])
        regions = by_place(Region(kind, box) for kind, box in boxes)
        page = Page(1, image.width, image.height, (), image, "given")
        return Known(f"publaynet/{Path(name).stem}", page, "page of a medical article", regions)
