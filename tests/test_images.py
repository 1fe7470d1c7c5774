"""Pictures open as 8-bit RGB, upright, or not at all."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rankfield.errors import ImageError
from rankfield.images import image_notes, open_image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: int = 64) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size, size, channels) if channels > 1 else (size, size)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8), mode)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims these dimensions."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def test_plain_pictures_are_untouched(tmp_path: Path) -> None:
    image = noise()
    image.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(open_image(tmp_path / "a.png")), np.asarray(image))
    assert image_notes(tmp_path / "a.png") == []
    assert image_notes(encoded(image, "JPEG")) == []


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: no such picture"):
        open_image(tmp_path / "gone.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated(kind: str, share: float, tmp_path: Path) -> None:
    whole = encoded(noise(), kind)
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ImageError, match="cut: "):
        open_image(path)


@pytest.mark.parametrize("data", [b"", b"hello, I am text", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_not_a_picture(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"doc 7: .*picture"):
        open_image(data, where="doc 7")


def test_bombs_are_not_decoded() -> None:
    with pytest.raises(ImageError, match=r"3600000000 pixels"):
        open_image(bomb(60_000, 60_000))
    with pytest.raises(ImageError, match=r"10000 × 10000 pixels; at most 64,000,000"):
        open_image(bomb(10_000, 10_000))
    with pytest.raises(ImageError, match="Scale the picture down"):
        image_notes(encoded(noise(), "PNG"), max_pixels=64 * 64 - 1)


def test_cmyk() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    image = open_image(data)
    assert image.mode == "RGB"
    red, green, blue = np.asarray(image).reshape(-1, 3).mean(0)
    assert red > 230
    assert green < 40
    assert blue < 40
    assert image_notes(data) == ["CMYK, converted to RGB"]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    data = encoded(Image.fromarray(values), "PNG")
    pixels = np.asarray(open_image(data))[..., 0].astype(int)
    assert np.abs(pixels - values / 257).max() <= 1
    assert len(np.unique(pixels)) > 250
    (note,) = image_notes(data)
    assert "more than 8 bits" in note


def test_palette_with_transparency_is_laid_on_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    image.putpixel((0, 0), 1)
    data = encoded(image, "PNG", transparency=0)
    opened = open_image(data)
    assert opened.getpixel((0, 0)) == (0, 0, 255)
    assert opened.getpixel((3, 3)) == (255, 255, 255)
    assert image_notes(data) == ["transparent, laid on white"]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(mode: str) -> None:
    image = Image.new(mode, (4, 4), 0)
    data = encoded(image, "PNG")
    assert open_image(data).getpixel((1, 1)) == (255, 255, 255)
    assert image_notes(data) == ["transparent, laid on white"]


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_image(data).getpixel((4, 4)) == (255, 0, 0)
    assert "animated, the first frame counts" in image_notes(data)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LAB", "I;16", "I"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new(mode, (4, 4))
    assert open_image(encoded(image, "TIFF")).mode == "RGB"


def test_exif_rotation_is_applied() -> None:
    image = Image.new("RGB", (20, 10), "red")
    image.paste("blue", (0, 0, 5, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned: upright after a quarter turn clockwise
    opened = open_image(encoded(image, "JPEG", exif=exif, quality=95))
    assert opened.size == (10, 20)
    top = opened.getpixel((5, 1))
    assert isinstance(top, tuple)
    assert top[2] > 200
    assert top[0] < 60
