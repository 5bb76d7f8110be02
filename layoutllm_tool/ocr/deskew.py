"""The skew of a scanned page, from its ink. Small angles only; ``recognise`` finds quarter turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Points = tuple[NDArray[np.float64], NDArray[np.float64]]

LARGEST = 10.0
"""Largest angle searched on either side, in degrees."""
_SIDE = 1000
_MOST_POINTS = 60_000
_CONTRAST = 40
"""Of 255, against the mean of the surroundings."""
_LEAST_INK = 20
"""Pixels. Two small letters have 40, the specks of a page that was never printed on 10."""
_CLEARER = 1.15
"""Least ratio of the rows' sharpness with the turn to that without."""


def is_blank(image: Image) -> bool:
    """Whether nothing stands out from the paper. Ignores what shines through from the back."""
    if min(image.size) < 3:
        return True
    return len(_ink(_small(image))[0]) < _LEAST_INK


def skew(image: Image) -> float:
    """Degrees counter-clockwise (as for ``Image.rotate``) that make the rows level; 0.0 where unclear.

    The angle whose row profile has the sharpest edges: coarse steps first, then to a tenth of a degree.
    """
    import numpy as np

    if is_blank(image):
        return 0.0
    points = _thinned(_ink(_small(image)))
    coarse = np.arange(-LARGEST, LARGEST + 0.1, 0.5)
    scores = [_sharpness(points, angle) for angle in coarse]
    best = float(coarse[int(np.argmax(scores))])
    fine = np.arange(best - 0.4, best + 0.41, 0.1)
    sharp = [_sharpness(points, angle) for angle in fine]
    found = round(float(fine[int(np.argmax(sharp))]), 1)
    # At the largest angle the profile still rises: no row was found.
    if abs(found) >= LARGEST or max(sharp) < _CLEARER * _sharpness(points, 0.0):
        return 0.0
    return found


def levelled(image: Image, degrees: float) -> Image:
    """The picture turned counter-clockwise and enlarged to hold all of it, with corners in paper colour."""
    from PIL import Image as pillow

    turned = image.convert("RGB") if image.mode not in {"L", "RGB"} else image
    return turned.rotate(degrees, pillow.Resampling.BICUBIC, expand=True, fillcolor=_paper(turned))


def _small(image: Image) -> Image:
    """Greyscale, at most _SIDE pixels a side."""
    grey = image if image.mode == "L" else image.convert("RGB").convert("L")
    factor = max(grey.size) / _SIDE
    return grey.reduce(int(factor + 0.999)) if factor > 1 else grey


def _ink(grey: Image) -> Points:
    """x and y of what differs from its surroundings, dark on light or light on dark."""
    import numpy as np
    from PIL import ImageFilter

    around = np.asarray(grey.filter(ImageFilter.BoxBlur(15)), dtype=np.int16)
    ys, xs = np.nonzero(np.abs(around - np.asarray(grey, dtype=np.int16)) > _CONTRAST)
    return xs.astype(np.float64), ys.astype(np.float64)


def _thinned(points: Points) -> Points:
    xs, ys = points
    step = max(1, -(-len(xs) // _MOST_POINTS))
    return xs[::step], ys[::step]


def _sharpness(points: Points, degrees: float) -> float:
    """Sum of squared differences of ink between rows, of the page turned counter-clockwise."""
    import numpy as np

    xs, ys = points
    angle = np.radians(degrees)
    rows = ys * np.cos(angle) - xs * np.sin(angle)
    profile = np.bincount((rows - rows.min()).astype(np.int64))
    return float(np.square(np.diff(profile.astype(np.float64))).sum())


def _paper(image: Image) -> int | tuple[int, ...]:
    """The median colour of the picture's edges."""
    import numpy as np

    pixels = np.asarray(image)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    median = np.median(edges, axis=0)
    return int(median) if median.ndim == 0 else tuple(int(value) for value in median)
