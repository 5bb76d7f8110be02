"""A page as its file has it, and the way back to it from the page as it was turned and levelled to be read.

Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Transform = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): (x, y) goes to (a x + b y + c, d x + e y + f)."""


@dataclass(frozen=True, slots=True)
class Original:
    """Its size in pixels, as a viewer shows it (EXIF and the PDF's own rotation applied).

    To be read it was turned by ``turn`` degrees clockwise (0, 90, 180, 270), then by ``skew`` degrees
    counter-clockwise about its middle, on a sheet that holds all of it.
    """

    width: int
    height: int
    turn: int = 0
    skew: float = 0.0

    def transform(self, width: int, height: int) -> Transform:
        """From the page as it was read, of that size in pixels, to the original. Both frames are 0-1000."""
        (c, f), (right, over), (along, down) = (
            self._point(x, y, width, height) for x, y in ((0, 0), (1000, 0), (0, 1000))
        )
        return (right - c) / 1000, (along - c) / 1000, c, (over - f) / 1000, (down - f) / 1000, f

    def _point(self, x: float, y: float, width: int, height: int) -> tuple[float, float]:
        """A point of the page as it was read, on the original."""
        sideways = self.turn in (90, 270)
        wide, high = (self.height, self.width) if sideways else (self.width, self.height)
        dx, dy = x * width / 1000 - width / 2, y * height / 1000 - height / 2
        angle = math.radians(self.skew)
        x = math.cos(angle) * dx - math.sin(angle) * dy + wide / 2
        y = math.sin(angle) * dx + math.cos(angle) * dy + high / 2
        turned = {90: (y, wide - x), 180: (wide - x, high - y), 270: (high - y, x)}
        x, y = turned.get(self.turn, (x, y))
        return 1000 * x / self.width, 1000 * y / self.height


def moved(transform: Transform, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = transform
    return a * x + b * y + c, d * x + e * y + f
