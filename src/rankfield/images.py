"""Opening images safely, and always the same way."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from rankfield.errors import ImageError, InputError
from rankfield.paths import read_bytes, require_regular

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "image_head",
    "image_notes",
    "loaded_image",
    "open_image",
    "small_webp",
]

MAX_PIXELS = 64_000_000
"""Images with more pixels are refused before they are decoded: a small file can hold billions."""
MAX_BYTES = 256 << 20
"""Files of images with more bytes are refused before they are read."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""The formats that are decoded. Pillow knows others; of those some call helper programs."""

_SMALL = 16 << 20
_STRIP = 1_000_000
_ANIMATION = 2
_TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")
_FIX = "Replace the file, or drop it with `rankfield check --fix`."


class _Pixels:
    """A budget of pixels over all threads: one image of the largest size, or many small ones."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit
        self._freed = threading.Condition()

    @contextmanager
    def held(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many, or for all if they are more than all."""
        share = min(pixels, self._limit)
        with self._freed:
            self._freed.wait_for(lambda: self._left >= share)
            self._left -= share
        try:
            yield
        finally:
            with self._freed:
                self._left += share
                self._freed.notify_all()


_BUDGET = _Pixels(MAX_PIXELS)


def open_image(
    source: Path | bytes | Image.Image, *, where: str = "", max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Return an image as 8-bit RGB, upright.

    CMYK and other colour spaces are converted, 16-bit depth is scaled to 8, transparency is laid
    on white, of an animation the first frame counts, and the EXIF orientation is applied.

    Args:
        source: a path, or the bytes of an encoded image; its format is one of `FORMATS`. Or an
            image that Pillow opened, which stays as it is.
        where: how to name it in an error; the path if empty.
        max_pixels: width times height allowed.

    Raises:
        ImageError: missing, not a regular file, truncated, not an image in one of these formats,
            or larger than `max_pixels` or `MAX_BYTES`.
    """
    with loaded_image(source, where=where, max_pixels=max_pixels) as image:
        return image


@contextmanager
def loaded_image(
    source: Path | bytes | Image.Image, *, where: str = "", max_pixels: int = MAX_PIXELS
) -> Iterator[Image.Image]:
    """Yield what `open_image` returns, and keep room for it until the block ends.

    However many threads are in such blocks, their images together have at most `MAX_PIXELS`
    pixels, or there is one alone: a thread waits for the others. A thread must not be in two.

    Raises:
        ImageError: as `open_image`.
    """
    with _identified(source, where, max_pixels) as (image, name):
        yield _decoded(image, name)


def small_webp(source: Path | bytes, *, side: int, quality: int, method: int) -> bytes:
    """Return a small form of an image as WebP.

    Args:
        source: the file of the image, or its content.
        side: pixels of the longer side, at most.
        quality: 0 to 100, as Pillow's encoder takes it.
        method: 0, fast, to 6, small, as Pillow's encoder takes it.

    Raises:
        ImageError: as `open_image`.
    """
    out = io.BytesIO()
    with loaded_image(source) as image:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        image.save(out, "WEBP", quality=quality, method=method)
    return out.getvalue()


def image_notes(
    source: Path | bytes, *, where: str = "", max_pixels: int = MAX_PIXELS
) -> list[str]:
    """Return what is unusual about an image that `open_image` converts; empty for plain ones.

    Raises:
        ImageError: as `open_image`.
    """
    with _identified(source, where, max_pixels) as (image, name):
        notes = []
        if image.mode in ("CMYK", "YCCK"):
            notes.append("CMYK, converted to RGB")
        if image.mode.startswith("I") or image.mode == "F":
            notes.append(f"more than 8 bits a channel ({image.mode}), scaled to 8")
        if image.mode in _TRANSPARENT or "transparency" in image.info:
            notes.append("transparent, laid on white")
        _decoded(image, name)
        if _is_animated(image):
            notes.append("animated, the first frame counts")
    return notes


def image_head(source: Path | bytes) -> tuple[int, int, str]:
    """Return width, height and format of an image, of which only the head is read.

    Raises:
        ImageError: missing, not a regular file, or not an image in one of `FORMATS`.
    """
    name = _name(source)
    if isinstance(source, bytes):
        image = _opened(io.BytesIO(source), name)
        return image.width, image.height, image.format or ""
    with _file_errors(name):
        require_regular(source, ImageError)
        with source.open("rb") as file:
            image = _opened(file, name)
            return image.width, image.height, image.format or ""


@contextmanager
def _identified(
    source: Path | bytes | Image.Image, where: str, max_pixels: int
) -> Iterator[tuple[Image.Image, str]]:
    """Yield an image of which only the head is read, and hold its share of the budget."""
    name = where or _name(source)
    if isinstance(source, Image.Image):
        _require_pixels(source, max_pixels, name)
        with _BUDGET.held(source.width * source.height):
            yield _copied(source, name), name
        return
    with _file_errors(name):
        size = len(source) if isinstance(source, bytes) else require_regular(source, ImageError)
    # a large file takes all the room before it is read, others when their pixels are known
    with _BUDGET.held(MAX_PIXELS if size > _SMALL else 0):
        with _file_errors(name):
            data = source if isinstance(source, bytes) else read_bytes(source, MAX_BYTES)
        image = _opened(io.BytesIO(data), name)
        copies = _copies(image)
        _require_pixels(image, max_pixels // copies, name)
        with _BUDGET.held(0 if size > _SMALL else copies * image.width * image.height):
            yield image, name


def _require_pixels(image: Image.Image, most: int, name: str) -> None:
    if image.width * image.height > most:
        raise ImageError(
            f"{image.width} × {image.height} pixels; at most {most:,} are decoded",
            where=name,
            remedy="Scale the image down.",
        )


def _copied(image: Image.Image, name: str) -> Image.Image:
    """Return a copy, which conversion may change; a lazily opened image is read."""
    try:
        return image.copy()
    except Exception as error:  # a decoder may raise anything
        raise ImageError(f"the image cannot be read ({error})", where=name) from error


def _copies(image: Image.Image) -> int:
    """Return how many canvases more than a still image's an animation counts as.

    Their decoders hold the frame before beside each, in four channels.
    """
    return _ANIMATION if image.format in ("WEBP", "AVIF") and _is_animated(image) else 1


def _name(source: Path | bytes | Image.Image) -> str:
    if isinstance(source, Path):
        return str(source)
    return "image bytes" if isinstance(source, bytes) else "image"


@contextmanager
def _file_errors(name: str) -> Iterator[None]:
    """Turn the failures of reading a file into an `ImageError`."""
    try:
        yield
    except FileNotFoundError:
        raise ImageError(
            "no such image", where=name, remedy="Add the file, or clear the field of that row."
        ) from None
    except InputError as error:
        raise ImageError(error.problem, where=name, remedy=_FIX) from None
    except (OSError, ValueError) as error:  # the last: a null character in its name
        raise ImageError(f"the image cannot be read ({error})", where=name) from error


def _opened(file: IO[bytes], name: str) -> Image.Image:
    """Read the head."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageError("not an image in a known format", where=name, remedy=_FIX) from None
    except Exception as error:  # a decoder may raise anything
        raise ImageError(f"the image cannot be read ({error})", where=name) from error


def _decoded(image: Image.Image, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image)
    except Exception as error:  # a decoder may raise anything
        raise ImageError(
            f"the image cannot be decoded, it may be truncated ({error})",
            where=name,
            remedy=_FIX,
        ) from error


def _is_animated(image: Image.Image) -> bool:
    """Return whether there is a second frame; no further one is looked for."""
    try:
        if image.format == "TIFF":  # counts all its frames
            image.seek(1)
            return True
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a decoder may raise anything
        return False


def _to_rgb(image: Image.Image) -> Image.Image:
    deep = image.mode.startswith("I") or image.mode == "F"
    transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    if not (deep or transparent):
        return image.convert("RGB")
    out = Image.new("RGB", image.size)
    rows = max(_STRIP // max(image.width, 1), 1)
    # strip by strip: a copy of the whole for each step would take several times its memory
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip = _to_eight_bits(strip) if deep else strip
        out.paste(_on_white(strip) if transparent else strip.convert("RGB"), (0, top))
    return out


def _on_white(image: Image.Image) -> Image.Image:
    overlay = image.convert("RGBA")
    white = Image.new("RGBA", overlay.size, "white")
    return Image.alpha_composite(white, overlay).convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale a 16-bit grey image to 8 bits: Pillow's own conversion would clip it."""
    scale = 1.0 if image.mode == "F" else 255.0 / 65535.0
    return image.convert("F").point(lambda value: value * scale).convert("L")
