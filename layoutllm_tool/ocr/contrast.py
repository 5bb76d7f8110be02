"""Evening out a page's contrast, for faint print and uneven light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

_SHRINK = 8
"""The background is estimated on a picture so many times smaller."""
_SAMPLE = 2**23
"""Pixels that are computed with at once; of larger pictures the percentiles are taken from every n-th row."""
_BORDER = 0.3
"""Darker than this share of the paper is solid print or the scanner's lid, and stays out of the
percentiles.
"""


def even(image: Image) -> Image:
    """Greyscale ("L") of the same size: every pixel by the paper's brightness around it, then stretched.

    The paper's brightness is a blurred local maximum. Outside borders the darkest percent becomes black, the
    brightest 40 percent white: text covers far less of a page than the rest.
    """
    from PIL import Image as pillow
    from PIL import ImageFilter

    grey = image.convert("L")
    small = grey.resize(
        (max(1, grey.width // _SHRINK), max(1, grey.height // _SHRINK)), pillow.Resampling.BOX
    )
    paper = small.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.BoxBlur(4))
    dark, around = np.asarray(grey), np.asarray(paper.resize(grey.size, pillow.Resampling.BILINEAR))
    sampled = slice(None, None, max(1, -(-dark.size // _SAMPLE)))
    ratio = _ratio(dark[sampled], around[sampled])
    inked = ratio[ratio > _BORDER]
    low, high = np.percentile(inked, (1, 60)) if inked.size else (0.0, 1.0)
    del ratio, inked
    stretched = np.empty_like(dark)
    rows = max(1, _SAMPLE // dark.shape[1])
    for top in range(0, len(dark), rows):
        band = slice(top, top + rows)
        level = (_ratio(dark[band], around[band]) - low) / max(float(high - low), 1e-3)
        stretched[band] = (np.clip(level, 0.0, 1.0) * 255).astype(np.uint8)
    return pillow.fromarray(stretched)


def _ratio(dark: NDArray[np.uint8], around: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Each pixel by the paper's brightness around it, 0-1."""
    return np.clip(dark.astype(np.float32) / np.maximum(around.astype(np.float32), 1.0), 0.0, 1.0)
