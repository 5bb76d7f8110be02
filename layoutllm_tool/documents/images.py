"""Picture files -> page pictures: upright, eight bits, "RGB" or "L", nothing half-read. Pillow; pillow-heif for HEIC.

PDFs are *not* here (``pdf.py``); skew and orientation of the scanned text are text recognition's business.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from layoutllm_tool.documents.safety import Limits
from layoutllm_tool.errors import DocumentTooLarge, DocumentUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF")
"""Decoders that untrusted bytes may reach. Not, for instance, EPS, which would start Ghostscript."""
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF, BigTIFF
    b"GIF8",
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),  # JPEG 2000: file, code stream
)


def is_picture(data: bytes) -> bool:
    """Whether the first bytes are those of a picture format that can be read here."""
    if data.startswith(_MAGIC) or is_heic(data) or _is_avif(data):
        return True
    if data[:2] == b"BM":  # with the four reserved bytes, lest a text that begins with BM is meant
        return data[6:10] == bytes(4)
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#":  # PBM, PGM, PPM
        return len(data) > 2
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def is_heic(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and not _is_avif(data)


def _is_avif(data: bytes) -> bool:
    # "mif1" is common to HEIC and AVIF: the compatible brands that follow tell them apart.
    return data[4:8] == b"ftyp" and (data[8:12] in (b"avif", b"avis") or b"avif" in data[16:64])


def picture_pages(
    data: bytes, name: str, *, limits: Limits, pages: Sequence[int] | None
) -> tuple[int, dict[int, tuple[Image, str]]]:
    """Number of pages in the file, and {1-based number: (picture, notice or "")} of those asked for (None: all).

    Only TIFF has pages; of an animation the first frame is the page, and the notice says so. Numbers past the end are
    left to the caller. Raises DocumentTooLarge, DocumentUnreadable.
    """
    from PIL import Image as pillow
    from PIL import ImageFile

    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DocumentUnreadable(
            "another part of this program told Pillow to accept truncated pictures.",
            hint="Set PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False.",
        )
    try:
        with _open_heic(data, name, limits) if is_heic(data) else _open(data) as opened:
            return _frames(opened, name, limits, pages)
    except (DocumentTooLarge, DocumentUnreadable):
        raise
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning, MemoryError) as error:
        raise too_many_pixels(name, limits) from error
    # Pillow's decoders meet damage with nearly every exception there is (struct.error, SyntaxError, KeyError, ...).
    except Exception as error:
        raise DocumentUnreadable(
            f"the picture {name!r} is damaged or incomplete ({type(error).__name__}).",
            hint="Open it in a viewer and save it anew as PNG, or get the file again.",
        ) from error


def _open(data: bytes) -> Image:
    from PIL import Image as pillow

    pillow.init()  # knows its formats only once all plug-ins are loaded, and some builds lack some of them
    return pillow.open(io.BytesIO(data), formats=[name for name in _FORMATS if name in pillow.OPEN])


def _open_heic(data: bytes, name: str, limits: Limits) -> Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise DocumentUnreadable(
            f"{name!r} is a HEIC picture, and the plug-in for those is not installed.",
            hint="Run: pip install pillow-heif, or convert the picture to JPEG or PNG.",
        ) from error
    heif = pillow_heif.open_heif(io.BytesIO(data))
    _check_pixels(heif.size, name, limits)  # decoding starts with to_pillow()
    picture: Image = heif.to_pillow()
    return picture


def _frames(
    opened: Image, name: str, limits: Limits, pages: Sequence[int] | None
) -> tuple[int, dict[int, tuple[Image, str]]]:
    frames = getattr(opened, "n_frames", 1)
    if opened.format != "TIFF":
        notice = f"an animation of {frames} frames: only the first is read" if frames > 1 else ""
        # MPO: a photo followed by its previews, no animation.
        return 1, {1: (_one(opened, name, limits), "" if opened.format == "MPO" else notice)}
    wanted = range(1, frames + 1) if pages is None else [page for page in pages if 1 <= page <= frames]
    if len(wanted) > limits.max_pages:
        return frames, {}  # the caller's error: it knows how to say which pages to choose
    found = {}
    for page in wanted:
        opened.seek(page - 1)
        found[page] = (_one(opened, name, limits), "")
    return frames, found


def _one(frame: Image, name: str, limits: Limits) -> Image:
    _check_pixels(frame.size, name, limits)
    frame.load()
    return normalised(frame)


def _check_pixels(size: tuple[int, int], name: str, limits: Limits) -> None:
    """To be called before the pixels are decoded."""
    if size[0] * size[1] > limits.max_pixels:
        raise too_many_pixels(name, limits)


def too_many_pixels(name: str, limits: Limits) -> DocumentTooLarge:
    """The error for a picture of more than ``limits.max_pixels``."""
    return DocumentTooLarge(
        f"a picture in {name!r} has more than {limits.max_pixels:,} pixels.",
        hint="Scale it down (a page needs about 2000 pixels on its long side).",
    )


def normalised(image: Image) -> Image:
    """A new picture: EXIF rotation applied, transparency over white, "L" for greys and "RGB" for colours.

    Wider samples (16 and 32 bits, floats) are scaled to eight bits, not clipped.
    """
    from PIL import Image as pillow
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        return _eight_bits(upright)
    if upright.mode in ("1", "L") and not upright.has_transparency_data:
        return upright.convert("L")
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        white = pillow.new("RGBA", layered.size, "white")
        flat = pillow.alpha_composite(white, layered)
        return flat.convert("L" if upright.mode in ("L", "LA", "La", "1") else "RGB")
    return upright.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Integers are scaled by the bits they use (a 12-bit scan stays bright), floats by their range."""
    import numpy as np
    from PIL import Image as pillow

    samples = np.nan_to_num(np.asarray(image).astype(np.float64))
    low, top = min(float(samples.min()), 0.0), float(samples.max())
    if image.mode == "F":  # usually 0-1 or 0-255
        top = next((usual for usual in (1.0, 255.0) if top <= usual), top)
    else:
        low, top = 0.0, float(2 ** max(int(top).bit_length(), 8) - 1)
    scaled = (samples - low) / (top - low) * 255.0
    return pillow.fromarray(np.clip(np.round(scaled), 0, 255).astype(np.uint8))
