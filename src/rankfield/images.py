"""Opening pictures safely, and always the same way."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from rankfield.errors import ImageError

__all__ = ["MAX_PIXELS", "image_notes", "open_image"]

MAX_PIXELS = 64_000_000
"""Pictures with more pixels are refused before they are decoded: a small file can hold billions."""

_READ = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def open_image(
    source: Path | bytes, *, where: str = "", max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Return a picture as 8-bit RGB, upright.

    CMYK and other colour spaces are converted, 16-bit depth is scaled to 8, transparency is laid
    on white, of an animation the first frame counts, and the EXIF orientation is applied.

    Args:
        source: a path, or the bytes of an encoded picture.
        where: how to name it in an error; the path if empty.
        max_pixels: width times height allowed.

    Raises:
        ImageError: missing, truncated, not a picture, or larger than `max_pixels`.
    """
    where = where or (str(source) if isinstance(source, Path) else "image bytes")
    image = _identify(source, where, max_pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except _READ as error:
        raise ImageError(
            f"the picture cannot be decoded, it may be truncated ({error})",
            where=where,
            remedy="Replace the file, or drop it with `rankfield check --fix`.",
        ) from error


def image_notes(
    source: Path | bytes, *, where: str = "", max_pixels: int = MAX_PIXELS
) -> list[str]:
    """Return what is unusual about a picture that `open_image` converts; empty for plain ones.

    Raises:
        ImageError: as `open_image`.
    """
    where = where or (str(source) if isinstance(source, Path) else "image bytes")
    image = _identify(source, where, max_pixels)
    notes = []
    if image.mode in ("CMYK", "YCCK"):
        notes.append("CMYK, converted to RGB")
    if image.mode.startswith("I") or image.mode == "F":
        notes.append(f"more than 8 bits a channel ({image.mode}), scaled to 8")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        notes.append("transparent, laid on white")
    if getattr(image, "n_frames", 1) > 1:
        notes.append("animated, the first frame counts")
    open_image(source, where=where, max_pixels=max_pixels)
    return notes


def _identify(source: Path | bytes, where: str, max_pixels: int) -> Image.Image:
    """Read the header only, and refuse what would be too large to decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = source if isinstance(source, bytes) else source.read_bytes()
            image = Image.open(io.BytesIO(data))
    except FileNotFoundError:
        raise ImageError(
            "no such picture", where=where, remedy="Add the file, or clear the field of that row."
        ) from None
    except UnidentifiedImageError:
        raise ImageError(
            "not a picture in a known format",
            where=where,
            remedy="Replace the file, or drop it with `rankfield check --fix`.",
        ) from None
    except _READ as error:
        raise ImageError(f"the picture cannot be read ({error})", where=where) from error
    if image.width * image.height > max_pixels:
        raise ImageError(
            f"{image.width} × {image.height} pixels; at most {max_pixels:,} are decoded",
            where=where,
            remedy="Scale the picture down.",
        )
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        overlay = image.convert("RGBA")
        white = Image.new("RGBA", overlay.size, "white")
        return Image.alpha_composite(white, overlay).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale a 16-bit grey picture to 8 bits: Pillow's own conversion would clip it."""
    scale = 1.0 if image.mode == "F" else 255.0 / 65535.0
    return image.convert("F").point(lambda value: value * scale).convert("L")
