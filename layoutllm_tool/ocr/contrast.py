"""Evening out a page's contrast, for faint print and uneven light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_SHRINK = 8
"""The background is estimated on a picture so many times smaller."""
_BORDER = 0.3
"""What is darker than this share of the paper is black already: solid print, the scanner's lid."""


def even(image: Image) -> Image:
    """Greyscale ("L") of the same size: every pixel by the paper's brightness around it, then stretched.

    The paper's brightness is a blurred local maximum. The darkest percent of what is no border becomes black, the brighter two
    fifths white: text covers far less of a page than that.
    """
    from PIL import Image as pillow
    from PIL import ImageFilter

    grey = image.convert("L")
    small = grey.resize((max(1, grey.width // _SHRINK), max(1, grey.height // _SHRINK)), pillow.Resampling.BOX)
    paper = small.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.BoxBlur(4))
    around = np.asarray(paper.resize(grey.size, pillow.Resampling.BILINEAR), dtype=np.float32)
    ratio = np.clip(np.asarray(grey, dtype=np.float32) / np.maximum(around, 1.0), 0.0, 1.0)
    inked = ratio[ratio > _BORDER]
    low, high = np.percentile(inked, (1, 60)) if inked.size else (0.0, 1.0)
    stretched = np.clip((ratio - low) / max(float(high - low), 1e-3), 0.0, 1.0)
    return pillow.fromarray((stretched * 255).astype(np.uint8))
