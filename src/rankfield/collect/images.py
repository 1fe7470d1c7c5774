"""Images: downloaded within limits, checked, kept under the hash of their contents."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urldefrag, urljoin

from rankfield.collect.job import ImagesSection
from rankfield.errors import ImageError
from rankfield.files import new_file
from rankfield.images import loaded_image
from rankfield.paths import is_file
from rankfield.unicode_text import half_surrogate
from rankfield.web import Answer, Fetcher, Journal, Request, RequestError

__all__ = ["Images", "image_type"]

_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)
_ENDINGS = {"jpeg": "jpg"}
_ACCEPTED = ("image/", "application/octet-stream", "binary/octet-stream")


def image_type(data: bytes) -> str | None:
    """Return jpeg, png, gif, webp, avif, bmp or tiff by the first bytes; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    return next((kind for start, kind in _SIGNATURES if data.startswith(start)), None)


class Images:
    """The images of a job, in `folder`/images.

    base: the address that relative ones start from.
    allow_private: that of the limits, which decides what is refused.
    """

    def __init__(
        self,
        section: ImagesSection,
        folder: Path,
        journal: Journal,
        base: str,
        *,
        allow_private: bool = False,
    ) -> None:
        self.section = section
        self._settings = f"{section.model_dump_json()} {allow_private}"
        self.folder = folder
        self.journal = journal
        self.base = base
        self._writing = threading.Lock()

    def path(self, address: str) -> str | None:
        """Return where an image stands, relative to the folder; None if it cannot be had."""
        entry = self._entry(address)
        return entry["path"] if entry else None

    def reason(self, address: str) -> str | None:
        """Return why an image was refused for good; None if it was not."""
        entry = self._entry(address)
        return entry["refused"] if entry else None

    def is_done(self, address: str) -> bool:
        """Return whether the image is here, or was refused for good."""
        return self._entry(address) is not None

    def get(self, address: str, fetcher: Fetcher) -> None:
        """Download one image, or note why it is refused; both are final.

        Raises:
            RequestError: it could not be had this time.
        """
        try:
            if address.startswith("data:"):
                data = _data_of(address)
                path = self._kept(data, data[:12])
            else:
                request = Request(
                    self._url(address),
                    accept=_ACCEPTED,
                    max_bytes=self.section.max_bytes,
                    refusal_counts=False,
                )
                path = fetcher.fetch(request, self._answered)
        except RequestError as error:
            if error.passing:
                raise
            self.journal.put(self._key(address), {"path": None, "refused": error.problem})
        else:
            self.journal.put(self._key(address), {"path": path, "refused": None})

    def _url(self, address: str) -> str:
        try:
            return urldefrag(urljoin(self.base, address.strip()))[0]
        except ValueError as error:
            raise RequestError(f"not an address ({error})") from None

    def _key(self, address: str) -> str:
        """Return what the journal knows an image by: other settings may refuse or keep others."""
        return "photo " + hashlib.sha256(f"{self._settings} {address}".encode()).hexdigest()

    def _entry(self, address: str) -> dict[str, Any] | None:
        entry = self.journal.read(self._key(address), _path_or_refusal)
        if entry and entry["path"] and not is_file(self.folder / entry["path"]):
            return None  # somebody removed the file
        return entry

    def _answered(self, answer: Answer) -> str:
        return self._kept(answer.body, answer.beginning(12).encode())

    def _kept(self, data: bytes, beginning: bytes) -> str:
        """Check an image, write it and return its path.

        Raises:
            RequestError: it is none, of another type, too large or too small; final.
        """
        section = self.section
        kind = image_type(data)
        if kind not in section.types:
            found = kind or f"something that begins with {beginning!r}"
            raise RequestError(f"expected {', '.join(section.types)}, found {found}")
        if len(data) > section.max_bytes:
            raise RequestError(f"the image is larger than {section.max_bytes:,} bytes")
        try:
            with loaded_image(data, max_pixels=section.max_pixels) as image:
                size = image.size
        except ImageError as error:
            raise RequestError(error.problem) from None
        if min(size) < section.min_side:
            raise RequestError(
                f"{size[0]} × {size[1]} pixels; sides under {section.min_side} are placeholders"
            )
        path = f"images/{hashlib.sha256(data).hexdigest()}.{_ENDINGS.get(kind, kind)}"
        # one at a time: `new_file` looks at the process's umask
        with self._writing:
            if (self.folder / path).is_file():
                return path
            with new_file(self.folder / path) as temporary, temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return path


def _path_or_refusal(value: Any) -> dict[str, Any]:
    """Return what the journal holds of an image: where it stands, or why it is refused."""
    entry = {key: value[key] for key in ("path", "refused")}
    if not all(text is None or isinstance(text, str) for text in entry.values()):
        raise ValueError("expected texts")
    if half_surrogate(entry) is not None:
        raise ValueError("half of a surrogate pair")
    return entry


def _data_of(address: str) -> bytes:
    """Return what a data: address holds."""
    head, comma, text = address.partition(",")
    try:
        if not comma:
            raise ValueError("no comma")
        raw = unquote_to_bytes(text)
        return base64.b64decode(raw, validate=True) if head.endswith(";base64") else raw
    except (ValueError, binascii.Error) as error:
        raise RequestError(f"not a data: address ({error})") from None
