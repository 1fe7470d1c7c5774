"""The manifest of a folder: size and SHA-256 of each file, so that damage is noticed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rankfield.errors import InputError
from rankfield.files import MAX_JSON, file_sha256, json_text
from rankfield.paths import inside, read_bytes, require_regular

__all__ = ["MANIFEST", "SEAL", "damage", "write_manifest"]

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
"""Protects the manifest; `sha256sum -c` reads it."""


@dataclass(frozen=True)
class _File:
    bytes: int
    sha256: str


def write_manifest(folder: Path) -> None:
    """Write `manifest.json` about all files in a folder, and `manifest.sha256` about that file.

    Raises:
        OSError: a file cannot be read, or the disk is full.
    """
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = (json_text({"files": files}) + "\n").encode()
    (folder / MANIFEST).write_bytes(text)
    (folder / SEAL).write_bytes(_seal(text))


def damage(folder: Path) -> str | None:
    """Return what is wrong with a folder that has a manifest; None where nothing is.

    Every byte that the manifest speaks of is read, and the manifest's own. Files that it does not
    name are not looked at.
    """
    try:
        text = read_bytes(folder / MANIFEST, MAX_JSON)
        if read_bytes(folder / SEAL, 2 * len(_seal(b""))) != _seal(text):
            return f"{MANIFEST} is not what {SEAL} says"
        files = TypeAdapter(dict[str, dict[str, _File]]).validate_json(text, strict=True)["files"]
    except (ValidationError, KeyError):
        return f"{MANIFEST} is not a manifest"
    except (InputError, OSError) as error:
        return f"{MANIFEST} or {SEAL} {_reason(error)}"
    for name, expected in files.items():
        found = _file_damage(folder, name, expected)
        if found is not None:
            return f"{name} {found}"
    return None


def _file_damage(folder: Path, name: str, expected: _File) -> str | None:
    path = inside(folder, name)
    if path is None:
        return "is outside of the folder"
    try:
        size = require_regular(path)
        if size != expected.bytes:
            return f"has {size:,} bytes, expected {expected.bytes:,}"
        if file_sha256(path) != expected.sha256:
            return "is not what it was when it was written (SHA-256)"
    except (InputError, OSError) as error:
        return _reason(error)
    return None


def _reason(error: InputError | OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "is missing"
    text = error.problem if isinstance(error, InputError) else error.strerror
    return f"cannot be read ({text})"


def _seal(text: bytes) -> bytes:
    return f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode()
