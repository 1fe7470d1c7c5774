"""From the tables of any layout to a checked data set; errors name file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.formats.dataset_checks import require_in_scale, require_sound
from rankfield.formats.field_options import guessed_fields, parse_fields, shown_fields
from rankfield.formats.guesses import equal_weights, guess_scale
from rankfield.formats.image_lists import picture_column
from rankfield.io.table import Table
from rankfield.io.text_values import text_values, without_marks
from rankfield.messages import more
from rankfield.schema import Field, Provenance, RankingDataset
from rankfield.validate import image_problems

__all__ = ["DatasetOptions", "Tables", "assemble"]


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
    queries: Table
    documents: Table
    judgments: Table
    query_fields: Sequence[str] | None = None
    document_fields: Sequence[str] | None = None
    notes: list[str] = field(default_factory=list)


def assemble(tables: Tables, **options: Unpack[DatasetOptions]) -> tuple[RankingDataset, list[str]]:
    """Return the data set of these tables and, one per line, what was guessed or left out.

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
    notes.append(f"score scale: {scale}; set it with --score-min, --score-max, --relevant")
    dataset = RankingDataset(
        name=options.get("name") or _name(tables.source.resolve()),
        query_fields=query_fields,
        document_fields=document_fields,
        score_scale=scale,
        queries=_typed(tables.queries, query_fields),
        documents=_typed(tables.documents, document_fields),
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
    table: Table = getattr(tables, name)
    identity, standard = (
        ("query_id", tables.query_fields)
        if name == "queries"
        else ("doc_id", tables.document_fields)
    )
    if chosen:
        return parse_fields(table, chosen)[0]
    return (
        guessed_fields(table, name, identity, tables.notes)
        if standard is None
        else shown_fields(equal_weights([Field(n, "text") for n in standard]), name, tables.notes)
    )


def _typed(table: Table, fields: Sequence[Field]) -> pl.DataFrame:
    """Return the rows with pictures as `picture_column` and texts as `text_values` have them."""
    columns = [
        picture_column(table, f.name, divided=False)
        if f.modality == "image"
        else text_values(table.frame, f.name, table.where)
        for f in fields
    ]
    return without_marks(table.frame.with_columns(columns))


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
    places: dict[str, Table] = {
        "queries": tables.queries,
        "documents": tables.documents,
        "judgments": tables.judgments,
    }

    def where(table: str, row: int, column: str) -> str:
        return places[table].where(int(rows[row]) if table == "judgments" else row, column)

    require_sound(dataset, where, choices=True)
    require_in_scale(
        dataset.judgments["score"],
        dataset.score_scale,
        lambda row: where("judgments", row, "score"),
    )
    _check_pictures(dataset, places)


def _check_pictures(dataset: RankingDataset, places: Mapping[str, Table]) -> None:
    bad = [p for p in image_problems(dataset) if p.severity == "error"]
    if bad:
        raise ImageError(
            bad[0].message + more(len(bad) - 1, "bad image"),
            where=places[bad[0].table].where(bad[0].row or 0, bad[0].field),
            remedy="Fix the pictures, or choose the fields without them.",
        )
