"""Images open as 8-bit RGB, upright, or not at all."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rankfield import images
from rankfield.errors import ImageError
from rankfield.images import FORMATS, image_head, image_notes, loaded_image, open_image


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


def test_plain_images_are_untouched(tmp_path: Path) -> None:
    image = noise()
    image.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(open_image(tmp_path / "a.png")), np.asarray(image))
    assert image_notes(tmp_path / "a.png") == []
    assert image_notes(encoded(image, "JPEG")) == []


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: no such image"):
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
def test_not_a_image(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"doc 7: .*image"):
        open_image(data, where="doc 7")


def test_bombs_are_not_decoded() -> None:
    with pytest.raises(ImageError, match=r"3600000000 pixels"):
        open_image(bomb(60_000, 60_000))
    with pytest.raises(ImageError, match=r"10000 × 10000 pixels; at most 64,000,000"):
        open_image(bomb(10_000, 10_000))
    with pytest.raises(ImageError, match="Scale the image down"):
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


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_an_animation_counts_twice_for_its_decoder_holds_two_canvases(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    still = encoded(frames[0], kind)
    moving = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert open_image(still, max_pixels=256).size == (16, 16)
    assert open_image(moving, max_pixels=512).size == (16, 16)
    for read in (open_image, image_notes):
        with pytest.raises(ImageError, match="16 × 16 pixels; at most 255 are decoded"):
            read(moving, max_pixels=511)


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


def test_only_the_listed_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gs"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"
    for data in (page, b"P6\n2 2\n255\n" + bytes(12), b"SIMPLE  =                    T"):
        for look in (open_image, image_notes, image_head):
            with pytest.raises(ImageError, match="not an image in a known format"):
                look(data)
    assert not ran.exists()
    for kind in FORMATS:
        file = io.BytesIO()
        Image.new("RGB", (20, 10), "red").save(file, kind)
        assert image_head(file.getvalue()) == (20, 10, kind)
        assert open_image(file.getvalue()).size == (20, 10)


def test_whatever_a_decoder_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFile

    file = io.BytesIO()
    Image.new("RGB", (20, 10)).save(file, "JPEG")
    for error in (OverflowError("x"), MemoryError("x"), struct.error("x"), RecursionError("x")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
        with pytest.raises(ImageError, match="cannot be decoded"):
            open_image(file.getvalue())


def test_special_and_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.png")
    for look in (open_image, image_notes, image_head):
        with pytest.raises(ImageError, match=r"a\.png: not a regular file"):
            look(tmp_path / "a.png")
    Image.new("RGB", (20, 10)).save(tmp_path / "b.png")
    monkeypatch.setattr("rankfield.images.MAX_BYTES", 50)
    with pytest.raises(ImageError, match=r"b\.png: [0-9]+ bytes; at most 50 are read"):
        open_image(tmp_path / "b.png")


def test_strips_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 4), dtype=np.uint8)
    deep = np.random.default_rng(1).integers(0, 65536, (60, 50), dtype=np.uint16)
    expected = []
    for image in (Image.fromarray(pixels), Image.fromarray(deep)):
        file = io.BytesIO()
        image.save(file, "PNG")
        monkeypatch.setattr("rankfield.images._STRIP", 10**9)
        expected.append(np.asarray(open_image(file.getvalue())))
        monkeypatch.setattr("rankfield.images._STRIP", 7 * 50)
        assert (np.asarray(open_image(file.getvalue())) == expected[-1]).all()
    alpha = pixels[..., 3:] / 255
    white = pixels[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(expected[0] - white).max() <= 1
    assert np.abs(expected[1][..., 0] - deep / 257).max() <= 1


def test_the_pixels_of_all_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankfield.images._BUDGET", images._Pixels(1000))
    file = io.BytesIO()
    Image.new("RGB", (20, 20)).save(file, "PNG")
    held: list[int] = []
    most: list[int] = []

    def use(_: int) -> None:
        with loaded_image(file.getvalue()) as image:
            held.append(image.width * image.height)
            most.append(sum(held))
            time.sleep(0.005)
            held.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(24)))
    assert max(most) <= 1000
    with pytest.raises(ZeroDivisionError), loaded_image(file.getvalue()):
        _ = 1 / 0
    assert images._BUDGET._left == 1000
