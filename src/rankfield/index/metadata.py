"""What an index was made with, and the file that says it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rankfield import __version__
from rankfield.durable import sync
from rankfield.errors import InputError
from rankfield.files import json_text, new_file, read_json_object
from rankfield.nearby import nearby_place

__all__ = [
    "HEADER",
    "Header",
    "IndexMetadata",
    "change_metadata",
    "header_before",
    "header_version",
    "is_index",
    "read_header",
    "set_aside",
    "write_header",
]

HEADER = "index.json"
_BEFORE, _DAMAGED = "previous.json", "damaged.json"
_FORMAT = 1


class IndexMetadata(BaseModel):
    """What an index was made with.

    model, model_fingerprint: the model's name, and `encoders.fingerprint.model_fingerprint`.
    data, data_fingerprint: the data set's name, and the sha256 of its ids and of the fields
        that the model embeds.
    dimension: of the vectors.
    dtype: "float32", or "float16": vectors rounded to it, in half the space.
    precision: in which the model computed its matrix products, "float32" or "bfloat16".
    first_pass, oversample: how a search looks at all documents (`search.ResidentCorpus`).
    recall: recall@10 against an exact search, by the share of the documents that a filter keeps, as
        it was when the index was built; empty where every search is exact.
    store_place, store_name: where a store keeps its copy ("" is the index's folder), and under
        which name.
    text_fields: the stored columns that are text fields of the documents, to show a hit.
    built: when, UTC, as ISO 8601.
    rankfield: the version that built it.
    model_path, data_path: where both are, from the index's folder (`nearby_text`), or "".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: str
    model_fingerprint: str
    data: str
    data_fingerprint: str
    dimension: int
    dtype: str = "float32"
    precision: str = "float32"
    first_pass: str = "none"
    oversample: int = 16
    recall: dict[str, float] = {}
    store_place: str = ""
    store_name: str = ""
    text_fields: list[str] = []
    built: str = ""
    rankfield: str = __version__
    model_path: str = ""
    data_path: str = ""

    def origin(self) -> dict[str, Any]:
        """Return all that the vectors depend on: not when they were made, nor where."""
        left_out = {"built", "model_path", "data_path", "store_name", "oversample", "recall"}
        return self.model_dump(exclude=left_out)

    def model_place(self, folder: str | Path) -> Path | None:
        """Return where the model was, for an index in `folder`; None where that is not known."""
        return nearby_place(self.model_path, Path(folder) / HEADER)

    def data_place(self, folder: str | Path) -> Path | None:
        """Return where the data set was, for an index in `folder`; None where it is not known."""
        return nearby_place(self.data_path, Path(folder) / HEADER)


class Header(BaseModel):
    """The file `index.json`: which store, what it was made with, and the store's own state."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int = _FORMAT
    store: str
    metadata: IndexMetadata
    state: dict[str, Any]


def header_version(header: Header) -> str:
    """Return 16 hexadecimal digits of a header: another text after every write."""
    text = json.dumps(header.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_index(folder: str | Path) -> bool:
    """Return whether a folder holds an index."""
    return (Path(folder) / HEADER).is_file()


def header_before(folder: str | Path) -> Header | None:
    """Return the header that the newest one has replaced; None if there is none to be read."""
    try:
        return _header_in(Path(folder) / _BEFORE)
    except InputError:
        return None


def set_aside(folder: Path, before: Header) -> None:
    """Make the header of before the newest one again; the damaged one is kept beside it."""
    (folder / HEADER).replace(folder / _DAMAGED)
    write_header(folder, before)


def read_header(folder: str | Path) -> Header:
    """Read the header of an index.

    Raises:
        InputError: no index is there, one of another format, or a damaged one.
    """
    root = Path(folder)
    path = root / HEADER
    if not is_index(root):
        problem = "not an index" if root.exists() else "there is no such folder"
        raise InputError(
            problem,
            where=str(root),
            remedy="Build one: rankfield index MODEL DATASET --out FOLDER.",
        )
    return _header_in(path)


def _header_in(path: Path) -> Header:
    values = read_json_object(path)
    if values.get("format") != _FORMAT:
        raise InputError(
            f"expected format {_FORMAT}, found {values.get('format')!r}",
            where=str(path),
            remedy="Use the rankfield version that wrote it, or build it again.",
        )
    try:
        return Header.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise InputError(
            f"{place}: {fault['msg']}", where=str(path), remedy="Build the index again."
        ) from None


def change_metadata(folder: Path, **changes: Any) -> None:
    """Change what the header says of an index, in one step; the vectors must stay what they are.

    Args:
        folder: of the index, which no other process writes.
        changes: fields of `IndexMetadata`.
    """
    header = read_header(folder)
    metadata = header.metadata.model_copy(update=changes)
    write_header(folder, header.model_copy(update={"metadata": metadata}))


def write_header(folder: Path, header: Header) -> None:
    """Replace the header in one step that survives a loss of power; the one before is kept."""
    with new_file(folder / HEADER) as temporary:
        temporary.write_text(json_text(header.model_dump()) + "\n", "utf-8")
        sync(temporary)
        if is_index(folder):
            # Last, so that a kill hardly ever finds the newest header in the place of both.
            with new_file(folder / _BEFORE) as before:
                before.write_bytes((folder / HEADER).read_bytes())
                sync(before)
    sync(folder)
