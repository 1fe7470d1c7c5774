from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from misbehaving_server import MisbehavingServer, png, serving
from rankfield.collect.images import Images, image_type
from rankfield.collect.job import ImagesSection
from rankfield.errors import DataError
from rankfield.web import Fetcher, Journal, Limits, RequestError
from rankfield.web.request_log import RequestLog


def encoded(kind: str, size: tuple[int, int] = (20, 20)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (9, 99, 199)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "webp", "bmp", "tiff", "avif"])
def test_types_are_told_by_contents(kind: str) -> None:
    if kind == "avif" and "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow writes no AVIF")
    assert image_type(encoded(kind)) == kind


def test_what_is_no_image_has_no_type() -> None:
    for data in (b"", b"<svg/>", b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF-3.0", b"RIFF1234WAVE"):
        assert image_type(data) is None


PHOTOS: dict[str, tuple[bytes, str]] = {
    "/a.jpg": (encoded("jpeg"), "image/jpeg"),
    "/untyped": (encoded("png"), ""),
    "/bucket": (encoded("webp"), "binary/octet-stream"),
    "/wrong.png": (encoded("gif"), "image/png"),
    "/html": (b"<html>", "text/html"),
    "/html.png": (b"<html>", "image/png"),
    "/eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "image/png"),
    "/bmp": (encoded("bmp"), "image/bmp"),
    "/small": (png(size=4), "image/png"),
    "/large": (encoded("png", (300, 300)), "image/png"),
    "/heavy": (png() + b"\0" * 30_000, "image/png"),
    "/cut": (encoded("jpeg")[:200], "image/jpeg"),
    "/empty": (b"", "image/png"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[MisbehavingServer]:
    def photo(handler: Any, count: int) -> None:
        data, kind = PHOTOS[handler.path]
        handler.answer(data, kind=kind)

    with serving(dict.fromkeys(PHOTOS, photo)) as running:
        yield running


@pytest.fixture
def photos(server: MisbehavingServer, tmp_path: Path) -> Iterator[tuple[Images, Fetcher]]:
    section = ImagesSection(max_bytes=20_000, max_pixels=50_000)
    limits = Limits(requests_per_second=1e6, retries=1, backoff=0.001, allow_private=True)
    with (
        Journal(tmp_path / "journal.jsonl") as journal,
        RequestLog(tmp_path / "log.jsonl") as log,
        Fetcher(limits, log) as fetcher,
    ):
        yield Images(section, tmp_path, journal, server.url + "/search"), fetcher


@pytest.mark.parametrize(
    ("address", "ending"),
    [("/a.jpg", "jpg"), ("untyped#top", "png"), ("/bucket", "webp"), ("/wrong.png", "gif")],
)
def test_a_photo_is_kept_under_its_hash(
    photos: tuple[Images, Fetcher], tmp_path: Path, address: str, ending: str
) -> None:
    photos[0].get(address, photos[1])
    path = photos[0].path(address)
    data = PHOTOS["/" + address.strip("/").partition("#")[0]][0]
    assert path == f"images/{hashlib.sha256(data).hexdigest()}.{ending}"
    assert (tmp_path / path).read_bytes() == data
    assert photos[0].is_done(address)
    (tmp_path / path).unlink()
    assert not photos[0].is_done(address)  # it is asked for again


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/html", "expected the type image/"),
        ("/html.png", "found something that begins with b'<html>'"),
        ("/eps.png", "found something that begins with b'%!PS"),
        ("/bmp", "expected jpeg, png, webp, gif, found bmp"),
        ("/small", "4 × 4 pixels; sides under 16 are placeholders"),
        ("/large", "300 × 300 pixels; at most 50,000"),
        ("/heavy", "larger than 20,000 bytes"),
        ("/cut", "the image cannot be"),
        ("/empty", "found something that begins with b''"),
        ("/none", "answers 404"),
        ("ftp://x.example/a.png", "expected an address that begins with https"),
        ("data:image/png;base64,###", "not a data: address"),
        ("data:image/png", "not a data: address"),
        ("http://[bad/a.png", "not an address"),
        ("http://x.example:port/a.png", "not a usable address"),
    ],
)
def test_what_is_no_usable_photo_is_refused_once(
    photos: tuple[Images, Fetcher], tmp_path: Path, address: str, message: str
) -> None:
    photos[0].get(address, photos[1])
    assert photos[0].path(address) is None
    assert photos[0].is_done(address)
    assert message in str(photos[0].reason(address))
    assert not (tmp_path / "images").exists()


def test_a_photo_in_a_data_address(photos: tuple[Images, Fetcher], tmp_path: Path) -> None:
    data = png(size=20)
    address = "data:image/png;base64," + base64.b64encode(data).decode()
    photos[0].get(address, photos[1])
    assert (tmp_path / str(photos[0].path(address))).read_bytes() == data


def test_a_failure_that_may_pass_is_not_noted(
    photos: tuple[Images, Fetcher], server: MisbehavingServer
) -> None:
    with pytest.raises(RequestError, match="503"):
        photos[0].get(server.url + "/503", photos[1])
    assert not photos[0].is_done(server.url + "/503")


@pytest.mark.parametrize(
    "entry", [7, {}, {"path": 1, "refused": None}, {"path": "\ud800", "refused": None}]
)
def test_a_malformed_entry_of_the_journal_is_named(tmp_path: Path, entry: object) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        photos = Images(ImagesSection(), tmp_path, journal, "https://shop.example/")
        journal.put(photos._key("a"), entry)
        with pytest.raises(DataError, match=r"journal\.jsonl, row 1: the value in the line is"):
            photos.path("a")


def test_a_path_in_the_journal_that_no_file_can_have(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        photos = Images(ImagesSection(), tmp_path, journal, "https://shop.example/")
        journal.put(photos._key("a"), {"path": "x" * 5000, "refused": None})
        assert not photos.is_done("a")
