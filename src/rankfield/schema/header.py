"""`dataset.toml`, and what it demands of the tables beside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from rankfield.column_names import require_literal
from rankfield.errors import DataError, InputError
from rankfield.paths import inside
from rankfield.schema.fields import Field, Provenance, ScoreScale
from rankfield.settings import read_toml

__all__ = ["IDS", "TABLES", "Described", "Header", "check_columns", "read_header", "write_header"]

TABLES = {"queries": ("query_id",), "documents": ("doc_id",), "judgments": ("query_id", "doc_id")}
"""The tables of a data set, each with its id columns."""
IDS = {"queries": "query_id", "documents": "doc_id"}

_FORMAT = 1
_TEXTS = {"name", "modality", "meaning", "source", "licence", "made_by"}
_NUMBERS = {"weight", "minimum", "maximum", "relevant", "gain_floor", "seed"}
_LARGEST = sys.float_info.max
_IMAGE_TYPES = (pl.String, pl.Binary, pl.List(pl.String), pl.List(pl.Binary))


class Described(Protocol):
    """Anything that says what a data set's fields and scores mean."""

    @property
    def name(self) -> str:
        """The data set's name."""

    @property
    def query_fields(self) -> tuple[Field, ...]:
        """The fields of the queries."""

    @property
    def document_fields(self) -> tuple[Field, ...]:
        """The fields of the documents."""

    @property
    def score_scale(self) -> ScoreScale:
        """What the scores mean."""

    @property
    def provenance(self) -> Provenance:
        """Where the data set came from."""


@dataclass(frozen=True)
class Header:
    """What `dataset.toml` says."""

    name: str
    query_fields: tuple[Field, ...]
    document_fields: tuple[Field, ...]
    score_scale: ScoreScale
    provenance: Provenance

    def fields(self, table: str) -> tuple[Field, ...]:
        """Return the fields of "queries" or "documents"; judgments have none."""
        return {"queries": self.query_fields, "documents": self.document_fields}.get(table, ())


def check_columns(
    where: str, table: str, schema: Mapping[str, Any], fields: tuple[Field, ...]
) -> None:
    """Look for the columns that a table needs, and their types.

    Raises:
        DataError: a column is missing or of another type, or a name is a pattern.
    """
    require_literal(schema, where=f"{where}, {table}")
    keys = TABLES[table]
    expected: dict[str, tuple[str, tuple[Any, ...]]] = dict.fromkeys(keys, ("text", (pl.String,)))
    if table == "judgments":
        expected["score"] = ("a float", (pl.Float64, pl.Float32))
    for f in fields:
        image = f.modality == "image"
        expected[f.name] = (
            ("a path, bytes, or a list of them", _IMAGE_TYPES) if image else ("text", (pl.String,))
        )
    for column in expected:
        if column not in schema:
            raise DataError(
                f"column {column!r} is missing; found {', '.join(schema) or 'none'}",
                where=f"{where}, {table}",
            )
    for column, (name, types) in expected.items():
        if schema[column] not in types:
            raise DataError(
                f"expected {name}, found {schema[column]}",
                where=f"{where}, {table}, column {column!r}",
            )


def write_header(folder: Path, source: Described) -> None:
    """Write `dataset.toml`."""
    import tomli_w

    provenance = {k: v for k, v in asdict(source.provenance).items() if v not in (None, "", ())}
    header = {
        "format": _FORMAT,
        "name": source.name,
        "score": {k: v for k, v in asdict(source.score_scale).items() if v is not None},
        "provenance": provenance,
        "query_fields": [asdict(f) for f in source.query_fields],
        "document_fields": [asdict(f) for f in source.document_fields],
    }
    (folder / "dataset.toml").write_text(tomli_w.dumps(header), "utf-8")


def read_header(root: Path) -> Header:
    """Read `dataset.toml`.

    Raises:
        DataError: no such folder, or the header is missing or malformed.
    """
    header = _read_toml(root)
    where = str(root / "dataset.toml")
    try:
        provenance = dict(header.get("provenance", {}))
        for part in (header, *header["query_fields"], *header["document_fields"]):
            _check_kinds(part, where)
        _check_kinds(header["score"], f"{where}, score")
        _check_kinds(provenance, f"{where}, provenance")
        provenance["notes"] = tuple(provenance.get("notes", ()))
        return Header(
            name=header["name"],
            query_fields=tuple(Field(**f) for f in header["query_fields"]),
            document_fields=tuple(Field(**f) for f in header["document_fields"]),
            score_scale=ScoreScale(**header["score"]),
            provenance=Provenance(**provenance),
        )
    except DataError:  # says where already
        raise
    except InputError as error:  # of a field or the score scale
        raise DataError(error.problem, where=f"{where}, {error.where}") from error
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"malformed header ({problem})", where=where) from error


def _check_kinds(table: Mapping[str, Any], where: str) -> None:
    """Raise `DataError` for a value of another kind: TOML has dates, and numbers of any size."""
    for key, value in table.items():
        if key in _TEXTS:
            found, expected = isinstance(value, str), "a text"
        elif key in _NUMBERS:
            found = isinstance(value, int | float) and not isinstance(value, bool)
            found, expected = found and abs(value) <= _LARGEST, "a number"
        elif key == "notes":
            found = isinstance(value, list) and all(isinstance(note, str) for note in value)
            expected = "a list of texts"
        else:
            continue
        if not found:
            raise DataError(
                f"expected {expected}, found {str(value)[:40]!r}", where=f"{where}, {key}"
            )


def _read_toml(root: Path) -> dict[str, Any]:
    path = root / "dataset.toml"
    if inside(root, path.name) is None:
        raise DataError(
            "the link leads out of the data set's folder",
            where=str(path),
            remedy="Put the file itself there.",
        )
    if not path.is_file():
        found = "expected a folder, found a file" if root.exists() else "there is no such folder"
        raise DataError(
            "not a ranking data set: it has no dataset.toml" if root.is_dir() else found,
            where=str(root),
            remedy="Make one with `rankfield import` or `rankfield sample`.",
        )
    header = read_toml(path, kind=DataError)
    if header.get("format") != _FORMAT:
        raise DataError(
            f"expected format {_FORMAT}, found {header.get('format')!r}",
            where=str(path),
            remedy="Use the rankfield version that wrote it.",
        )
    return header
