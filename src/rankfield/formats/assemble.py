"""From the tables of any layout to a checked data set; errors name file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.formats.checks import require_in_scale, require_sound
from rankfield.formats.fields import guessed_fields, image_column, parse_fields, shown_fields
from rankfield.formats.guesses import equal_weights, guess_scale
from rankfield.io.table import Table
from rankfield.io.text_values import text_values, without_marks
from rankfield.messages import more
from rankfield.schema import Field, Provenance, RankingDataset, ScoreScale
from rankfield.schema.header import IDS
from rankfield.validate import Problem, image_problems

__all__ = ["DatasetOptions", "ScaleOptions", "Source", "assemble"]

_MOST_GRADES = 20
"""More different scores are positions, rates or similarities, of which low ones are bad."""


class ScaleOptions(TypedDict, total=False):
    """The score scale: by default what the layout says, or guessed."""

    score_min: float | None
    score_max: float | None
    relevant: float | None


class DatasetOptions(ScaleOptions, total=False):
    """The keyword arguments that every reader of a layout takes.

    name: of the data set; the source's name by default.
    query_fields, document_fields: each a `Field` or "NAME[:MODALITY[:WEIGHT]]"; by default what
        the layout says, or guessed.
    licence: for the provenance.
    unknown: a judgment of a query or document that is not there: "error" stops, "drop" leaves
        such judgments out.
    duplicates: a pair judged twice: "error" stops, "first" and "highest" keep that judgment.
    """

    name: str | None
    query_fields: Sequence[Field | str] | None
    document_fields: Sequence[Field | str] | None
    licence: str
    unknown: Literal["error", "drop"]
    duplicates: Literal["error", "first", "highest"]


@dataclass
class Source:
    """What a layout's reader found.

    layout: its name.
    path: the file or folder that was read; `root` is where the paths of images start.
    tables: "queries" and "documents" with query_id and doc_id, "judgments" with query_id, doc_id
        (text), score (float64, finite) and any others.
    fields: the text fields of a table, where the layout itself says them; else they are guessed.
    multi_valued: the (table, column) whose texts hold several paths, with "|" between them.
    notes: what was guessed or left out, one per line.
    """

    layout: str
    path: Path
    root: Path
    tables: dict[str, Table] = field(default_factory=dict)
    fields: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    multi_valued: set[tuple[str, str]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def choose_fields(self, table: str, chosen: Sequence[Field | str] | None) -> tuple[Field, ...]:
        """Return the chosen fields of "queries" or "documents", those of the layout, or a guess.

        Raises:
            DataError: there is no such column, or none that looks like a field.
        """
        read = self.tables[table]
        if chosen:
            fields, names = parse_fields(read, chosen)
            self.multi_valued |= {(table, name) for name in names}
            return fields
        standard = self.fields.get(table)
        if standard is None:
            return guessed_fields(read, table, IDS[table], self.notes)
        texts = equal_weights([Field(name, "text") for name in standard])
        return shown_fields(texts, table, self.notes)

    def choose_scale(self, scores: pl.Series, options: ScaleOptions) -> ScoreScale:
        """Return the scale of finite scores, with a note: what `options` leave out is guessed."""
        scale = guess_scale(
            scores,
            minimum=options.get("score_min"),
            maximum=options.get("score_max"),
            relevant=options.get("relevant"),
        )
        said = f"score scale: {scale}; set it with --score-min, --score-max, --relevant"
        self.notes.append(said)
        if options.get("relevant") is None and scores.n_unique() > _MOST_GRADES:
            self.notes.append(
                f"all scores from {scale.relevant:g} on count as relevant in MRR, mAP, recall and"
                " precision; these are no grades, so choose --relevant"
            )
        return scale

    def require_images(
        self, problems: Sequence[Problem], remedy: str = "Fix the images, or choose others."
    ) -> None:
        """Raise `ImageError` for the first bad image, with its place."""
        if problems:
            first = problems[0]
            item = "" if first.item is None else f"item {first.item} (counted from 0), "
            raise ImageError(
                item + first.message + more(len(problems) - 1, "bad image"),
                where=self.where(first.table, first.row or 0, first.field),
                remedy=remedy,
            )

    def where(self, table: str, row: int, column: str) -> str:
        """Return how to name a place of a table in a message."""
        return self.tables[table].where(row, column)


def assemble(source: Source, **options: Unpack[DatasetOptions]) -> tuple[RankingDataset, list[str]]:
    """Return the data set of a source's tables and, one per line, what was guessed or left out.

    Raises:
        DataError: a missing or duplicate id, a pair judged twice, a judgment of an unknown record,
            a score outside the stated scale, a field that is not there; with file and line.
        ImageError: an image that is missing or broken, with file and line.
    """
    query_fields = source.choose_fields("queries", options.get("query_fields"))
    document_fields = source.choose_fields("documents", options.get("document_fields"))
    judgments = _kept(source, options)
    path = source.path.resolve()
    dataset = RankingDataset(
        name=options.get("name") or (path.name if path.is_dir() else path.stem),
        query_fields=query_fields,
        document_fields=document_fields,
        score_scale=source.choose_scale(judgments.frame["score"], options),
        queries=_typed(source.tables["queries"], query_fields),
        documents=_typed(source.tables["documents"], document_fields),
        judgments=judgments.frame,
        provenance=Provenance(
            source=source.path.name,
            licence=options.get("licence", ""),
            made_by=f"rankfield import {source.layout}",
        ),
        root=source.root,
    )
    source.tables["judgments"] = judgments
    require_sound(dataset, source.where, choices=True)
    require_in_scale(
        judgments.frame["score"], dataset.score_scale, lambda row: judgments.where(row, "score")
    )
    source.require_images(
        [p for p in image_problems(dataset) if p.severity == "error"],
        "Fix the images, or choose the fields without them.",
    )
    return dataset, source.notes


def _typed(table: Table, fields: Sequence[Field]) -> pl.DataFrame:
    """Return the rows with images as `image_column` and texts as `text_values` have them."""
    columns = [
        image_column(table, f.name, multi_valued=False)
        if f.modality == "image"
        else text_values(table.frame, f.name, table.where)
        for f in fields
    ]
    return without_marks(table.frame.with_columns(columns))


def _kept(source: Source, options: DatasetOptions) -> Table:
    """Return the judgments to keep."""
    table = source.tables["judgments"]
    if options.get("unknown") == "drop":
        frame = table.frame.select("query_id", "doc_id").with_row_index("row")
        for name, identity in IDS.items():
            known = source.tables[name].frame
            frame = frame.join(known, on=identity, how="semi", maintain_order="left")
        if frame.is_empty():
            raise DataError(
                "no judgment is of a query and a document that are there",
                where=table.where(0),
                remedy="Compare the ids of the files.",
            )
        if gone := table.frame.height - frame.height:
            source.notes.append(f"judgments: left out {gone:,} of unknown queries or documents")
            table = table.taken(table.frame[frame["row"]], frame["row"])
    keep = options.get("duplicates", "error")
    if keep != "error":
        frame = table.frame.select("query_id", "doc_id", "score").with_row_index("row")
        if keep == "highest":
            frame = frame.sort("score", descending=True, maintain_order=True)
        once = frame.unique(["query_id", "doc_id"], keep="first", maintain_order=True).sort("row")
        if gone := frame.height - once.height:
            source.notes.append(f"judgments: left out {gone:,} of pairs judged before ({keep})")
            table = table.taken(table.frame[once["row"]], once["row"])
    return table
