"""From the tables of any layout to a checked data set; errors name file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypedDict, Unpack

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.formats.field_options import parse_fields
from rankfield.formats.guesses import equal_weights, guess_fields, guess_scale
from rankfield.formats.picture_lists import picture_column, with_lists
from rankfield.formats.text_tables import TextTable
from rankfield.schema import Field, Provenance, RankingDataset
from rankfield.validate import first_error, image_problems

__all__ = ["DatasetOptions", "JoinedTable", "PlacedTable", "Tables", "assemble", "renamed"]


class DatasetOptions(TypedDict, total=False):
    """The keyword arguments that every reader of a layout takes.

    name: of the data set; the source's name by default.
    query_fields, document_fields: each a `Field` or "NAME[:MODALITY[:WEIGHT]]"; by default what
        the layout says, or guessed.
    score_min, score_max, relevant: the score scale; by default what the layout says, or guessed.
    licence: for the provenance.
    unknown: a judgment of a query or document that is not there: "error" stops, "drop" leaves
        such judgments out.
    duplicates: a pair judged twice: "error" stops, "first" and "highest" keep that judgment.
    """

    name: str | None
    query_fields: Sequence[Field | str] | None
    document_fields: Sequence[Field | str] | None
    score_min: float | None
    score_max: float | None
    relevant: float | None
    licence: str
    unknown: Literal["error", "drop"]
    duplicates: Literal["error", "first", "highest"]


class PlacedTable(Protocol):
    """A table that knows where its rows stand."""

    @property
    def frame(self) -> pl.DataFrame:
        """The rows."""

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message."""


@dataclass(frozen=True)
class JoinedTable:
    """Rows of several files, one below the other."""

    parts: tuple[PlacedTable, ...]

    @property
    def frame(self) -> pl.DataFrame:
        """The rows of all parts."""
        return pl.concat([part.frame for part in self.parts], how="diagonal")

    def where(self, row: int, column: str = "") -> str:
        """Return how to name a row, and a column of it, in a message."""
        for part in self.parts:
            if row < part.frame.height:
                return part.where(row, column)
            row -= part.frame.height
        raise IndexError(row)


@dataclass
class Tables:
    """What a layout's reader found.

    layout: its name.
    source: the file or folder that was read; `root` is where the paths of pictures start.
    queries, documents: with query_id and doc_id as text.
    judgments: query_id, doc_id (text), score (float64, finite), any others.
    query_fields, document_fields: what the layout itself calls fields; None to guess.
    """

    layout: str
    source: Path
    root: Path
    queries: TextTable
    documents: TextTable
    judgments: PlacedTable
    query_fields: Sequence[str] | None = None
    document_fields: Sequence[str] | None = None
    notes: list[str] = field(default_factory=list)


def renamed(table: TextTable, names: Mapping[str, str]) -> TextTable:
    """Return the table with columns renamed.

    Raises:
        DataError: such a column is missing.
    """
    for name in names:
        if name not in table.frame.columns:
            found = ", ".join(map(repr, table.frame.columns))
            raise DataError(
                f"expected a column {name!r}, found {found}",
                where=str(table.path),
                remedy="Name the column so.",
            )
    return TextTable(table.path, table.frame.rename(dict(names)), table.lines)


def assemble(tables: Tables, **options: Unpack[DatasetOptions]) -> tuple[RankingDataset, list[str]]:
    """Return the data set of these tables and, a line each, what was guessed or left out.

    Raises:
        DataError: a missing or duplicate id, a pair judged twice, a judgment of an unknown record,
            a score outside the stated scale, a field that is not there; with file and line.
        ImageError: a picture that is missing or broken, with file and line.
    """
    notes = tables.notes
    query_fields = _fields(tables, "queries", options.get("query_fields"))
    document_fields = _fields(tables, "documents", options.get("document_fields"))
    judgments, rows = _kept(tables, options)
    scale = guess_scale(
        judgments["score"],
        minimum=options.get("score_min"),
        maximum=options.get("score_max"),
        relevant=options.get("relevant"),
    )
    notes.append(
        f"score scale: {scale.minimum:g} to {scale.maximum:g}, relevant from {scale.relevant:g};"
        " set it with --score-min, --score-max, --relevant"
    )
    dataset = RankingDataset(
        name=options.get("name") or _name(tables.source.resolve()),
        query_fields=query_fields,
        document_fields=document_fields,
        score_scale=scale,
        queries=_with_pictures(tables.queries, query_fields),
        documents=_with_pictures(tables.documents, document_fields),
        judgments=judgments,
        provenance=Provenance(
            source=tables.source.name,
            licence=options.get("licence", ""),
            made_by=f"rankfield import {tables.layout}",
        ),
        root=tables.root,
    )
    _check(dataset, tables, rows)
    return dataset, notes


def _name(source: Path) -> str:
    return source.name if source.is_dir() else source.stem


def _fields(
    tables: Tables, name: Literal["queries", "documents"], chosen: Sequence[Field | str] | None
) -> tuple[Field, ...]:
    table: TextTable = getattr(tables, name)
    identity, standard = (
        ("query_id", tables.query_fields)
        if name == "queries"
        else ("doc_id", tables.document_fields)
    )
    if chosen:
        return parse_fields(table, chosen)[0]
    fields = (
        guess_fields(with_lists(table), name, identity)
        if standard is None
        else equal_weights([Field(each, "text") for each in standard])
    )
    option = "--document-field" if name == "documents" else "--query-field"
    if not fields:
        raise DataError(
            "no column looks like a text or a picture; found"
            f" {', '.join(map(repr, table.frame.columns))}",
            where=str(table.path),
            remedy=f"Name the columns with {option} NAME:text or NAME:image.",
        )
    shown = ", ".join(f"{f.name} ({f.modality}, weight {f.weight:.3g})" for f in fields)
    tables.notes.append(f"{name}: fields {shown}; choose others with {option}")
    return fields


def _with_pictures(table: TextTable, fields: Sequence[Field]) -> pl.DataFrame:
    names = [f.name for f in fields if f.modality == "image"]
    return table.frame.with_columns([picture_column(table, name, divided=False) for name in names])


def _kept(tables: Tables, options: DatasetOptions) -> tuple[pl.DataFrame, pl.Series]:
    """Return the judgments to keep, and of each its row in what was read."""
    frame = tables.judgments.frame.with_row_index("\0row")
    if options.get("unknown") == "drop":
        known = frame.join(tables.queries.frame, on="query_id", how="semi", maintain_order="left")
        known = known.join(tables.documents.frame, on="doc_id", how="semi", maintain_order="left")
        if known.is_empty():
            raise DataError(
                "no judgment is of a query and a document that are there",
                where=tables.judgments.where(0),
                remedy="Compare the ids of the files.",
            )
        if gone := frame.height - known.height:
            tables.notes.append(f"judgments: left out {gone:,} of unknown queries or documents")
        frame = known
    keep = options.get("duplicates", "error")
    if keep != "error":
        if keep == "highest":
            frame = frame.sort("score", descending=True, maintain_order=True)
        once = frame.unique(["query_id", "doc_id"], keep="first", maintain_order=True)
        if gone := frame.height - once.height:
            tables.notes.append(f"judgments: left out {gone:,} of pairs judged before ({keep})")
        frame = once.sort("\0row")
    return frame.drop("\0row"), frame["\0row"]


def _check(dataset: RankingDataset, tables: Tables, rows: pl.Series) -> None:
    """Raise for the first bad id, pair, score or picture, with its place in its file."""
    places: dict[str, PlacedTable] = {
        "queries": tables.queries,
        "documents": tables.documents,
        "judgments": tables.judgments,
    }
    if found := first_error(dataset):
        problem, more = found
        at = problem.row or 0
        row = int(rows[at]) if problem.table == "judgments" else at
        remedies = {
            "unknown id": "Mend the id, or leave such judgments out with `--unknown drop`.",
            "duplicate pair": "Remove one, or choose with `--duplicates highest`.",
            "duplicate id": "Give every record its own id.",
            "missing id": "Give the record an id.",
        }
        raise DataError(
            problem.message + (f" (and {more:,} more rows)" if more else ""),
            where=places[problem.table].where(row, problem.field),
            remedy=remedies.get(problem.kind, ""),
        )
    scale, scores = dataset.score_scale, dataset.judgments["score"]
    outside = (scores < scale.minimum) | (scores > scale.maximum)
    if outside.any():
        first = int(outside.arg_max() or 0)
        raise DataError(
            f"{scores[first]} is outside the stated scale, {scale.minimum:g} to {scale.maximum:g}",
            where=tables.judgments.where(rows[first], "score"),
            remedy="Mend the score, or --score-min and --score-max.",
        )
    _check_pictures(dataset, places)


def _check_pictures(dataset: RankingDataset, places: Mapping[str, PlacedTable]) -> None:
    bad = [p for p in image_problems(dataset) if p.severity == "error"]
    if bad:
        others = f" (and {len(bad) - 1:,} more bad pictures)" if len(bad) > 1 else ""
        raise ImageError(
            bad[0].message + others,
            where=places[bad[0].table].where(bad[0].row or 0, bad[0].field),
            remedy="Mend the pictures, or choose the fields without them.",
        )
