"""Which model a folder holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["model_fingerprint"]


def model_fingerprint(folder: str | Path) -> str:
    """Return sha256 of the names and contents of a folder's files, as 16 hexadecimal digits.

    Raises:
        OSError: a file cannot be read.
    """
    root = Path(folder)
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
