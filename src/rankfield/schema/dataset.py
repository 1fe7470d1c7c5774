"""The ranking dataset: queries, documents with fields, and a float score for each judged pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import SplitError
from rankfield.field_values import without_items
from rankfield.schema.fields import Field, Provenance, ScoreScale
from rankfield.schema.header import TABLES, Described, check_columns, read_header, write_header
from rankfield.schema.image_source import image_source
from rankfield.schema.mapped import MappedTables, mapped_tables
from rankfield.schema.row_numbers import row_numbers
from rankfield.schema.storing import (
    fingerprint,
    read_errors,
    require_table,
    save_folder,
    save_images,
)

__all__ = ["SPLITS", "SUBSETS", "FramePart", "RankingDataset", "SplitName", "SplitView"]

SplitName = Literal["in_domain", "novel_query", "novel_document", "zero_shot"]

SPLITS: tuple[SplitName, ...] = ("in_domain", "novel_query", "novel_document", "zero_shot")
SUBSETS = ("dev", "test")


@dataclass(frozen=True)
class SplitView:
    """One split, as evaluation needs it: its queries, its whole corpus, its judgments."""

    name: str
    queries: pl.DataFrame
    documents: pl.DataFrame
    judgments: pl.DataFrame


@dataclass
class RankingDataset:
    """Queries, documents and judgments, with what their fields and scores mean.

    queries: ``query_id`` (str), one column per query field, any further columns; after
        `curation.splits` also ``seen`` (bool) and ``subset`` ("dev" or "test").
    documents: ``doc_id`` (str), one column per document field, any further columns; after
        splitting also ``seen`` (bool).
    judgments: ``query_id``, ``doc_id``, ``score`` (float64), any further columns; after splitting
        also ``split`` (one of `SPLITS`).

    A text field is a string column. An image field is a string column of paths relative to
    `root`, a binary column of encoded images, or a list column of either: then a record's field
    vector is v_f = normalise(mean of normalise(enc_f(x)) over its images x). Null or "" means that
    the field is absent, a list with nothing else likewise.
    """

    name: str
    query_fields: tuple[Field, ...]
    document_fields: tuple[Field, ...]
    score_scale: ScoreScale
    queries: pl.DataFrame
    documents: pl.DataFrame
    judgments: pl.DataFrame
    provenance: Provenance = field(default_factory=Provenance)
    root: Path | None = None
    mapped: MappedTables | None = field(default=None, init=False, repr=False, compare=False)
    """Of a large folder, what its memory-mapped tables lie in; a changed copy has none."""

    def __post_init__(self) -> None:
        where = str(self.root) if self.root else self.name
        for table in TABLES:
            check_columns(where, table, self.schema(table), self.fields(table))

    def fields(self, table: str) -> tuple[Field, ...]:
        """Return the fields of "queries" or "documents"; judgments have none."""
        return {"queries": self.query_fields, "documents": self.document_fields}.get(table, ())

    @property
    def is_split(self) -> bool:
        """Whether the judgments carry a split."""
        return "split" in self.judgments.columns

    @property
    def has_subsets(self) -> bool:
        """Whether queries are marked as dev or test."""
        return "subset" in self.queries.columns

    def training_judgments(self) -> pl.DataFrame:
        """Return the judgments that training may see.

        Of a split data set they are the in-domain ones; of one with dev and test queries and no
        splits, as BEIR publishes them, those of its other queries; of any other, all.
        """
        if self.is_split:
            return self.judgments.filter(pl.col("split") == "in_domain")
        if not self.has_subsets:
            return self.judgments
        held_out = self.queries.filter(_in_subset(SUBSETS)).select("query_id")
        return self.judgments.join(held_out, on="query_id", how="anti", maintain_order="left")

    def training_mask(self, query_rows: NDArray[np.integer]) -> NDArray[np.bool_] | None:
        """Return which judgments `training_judgments` holds; None for all.

        Args:
            query_rows: the row of each judgment's query, −1 where it is unknown.
        """
        if self.is_split:
            inside = (self.judgments["split"] == "in_domain").fill_null(False)
            found: NDArray[np.bool_] = inside.to_numpy()
            return found
        if not self.has_subsets:
            return None
        held_out = self.queries.select(_in_subset(SUBSETS)).to_series().to_numpy()
        trained: NDArray[np.bool_] = ~held_out[query_rows] | (query_rows < 0)
        return trained

    def training_queries(self) -> pl.DataFrame:
        """Return the queries that training may see, by the rule of `training_judgments`."""
        if self.is_split:
            return _seen(self.queries)
        return self.queries.filter(~_in_subset(SUBSETS)) if self.has_subsets else self.queries

    def training_documents(self) -> pl.DataFrame:
        """Return the documents that training may see: the seen ones of a split data set, or all."""
        return _seen(self.documents) if self.is_split else self.documents

    def judged_splits(self, subset: str | None = None) -> list[str]:
        """Return the splits with judged queries of a subset, in the order of `SPLITS`.

        Of a data set without splits that is "all", if any query of the subset is judged.

        Args:
            subset: "dev", "test", or None for all queries; all count where none are marked.
        """
        judgments = self.judgments
        if subset is not None and self.has_subsets:
            queries = self.queries.filter(_in_subset((subset,))).select("query_id")
            judgments = judgments.join(queries, on="query_id", how="semi")
        else:
            judgments = judgments.join(self.queries.select("query_id"), on="query_id", how="semi")
        if not self.is_split:
            return ["all"] if judgments.height else []
        present = set(judgments["split"].unique())
        return [split for split in SPLITS if split in present]

    def view(self, split: str, subset: str | None = None) -> SplitView:
        """Return a split's judged queries, the whole corpus on its document side, its judgments.

        Args:
            split: one of `SPLITS`, or "all": every judgment over every document.
            subset: "dev", "test", or None for both.

        Raises:
            SplitError: an unknown name, a data set never split, or no query in the split.
        """
        queries, documents, judgments = self.queries, self.documents, self.judgments
        if split != "all":
            if split not in SPLITS:
                raise SplitError(f"unknown split {split!r}; expected all, {', '.join(SPLITS)}")
            if not self.is_split:
                raise SplitError(
                    "the data set has no splits",
                    where=self.name,
                    remedy="Run `rankfield split` first.",
                )
            judgments = judgments.filter(pl.col("split") == split)
            documents = documents.filter(pl.col("seen") == (split in ("in_domain", "novel_query")))
        if subset is not None:
            if subset not in SUBSETS:
                raise SplitError(f"unknown subset {subset!r}; expected dev or test")
            if not self.has_subsets:
                raise SplitError(
                    "the queries have no dev and test subsets",
                    where=self.name,
                    remedy="Run `rankfield split` first.",
                )
            queries = queries.filter(_in_subset((subset,)))
        queries = queries.join(judgments.select("query_id").unique(), on="query_id", how="semi")
        judgments = judgments.join(queries.select("query_id"), on="query_id", how="semi")
        if queries.is_empty():
            raise self._no_query(split, subset)
        return SplitView(split, queries, documents, judgments)

    def _no_query(self, split: str, subset: str | None) -> SplitError:
        names = (*SUBSETS, None) if self.has_subsets else (None,)
        found = {name or "all": self.judged_splits(name) for name in names}
        known = [f"{', '.join(splits)} (subset {name})" for name, splits in found.items() if splits]
        return SplitError(
            f"no judged query in split {split!r}, subset {subset or 'all'}",
            where=self.name,
            remedy=f"There are judged queries in {'; '.join(known)}." if known else "",
        )

    def with_tables(
        self,
        *,
        queries: pl.DataFrame | None = None,
        documents: pl.DataFrame | None = None,
        judgments: pl.DataFrame | None = None,
        note: str = "",
    ) -> RankingDataset:
        """Return the same data set with some tables replaced and a line added to its provenance."""
        notes = (*self.provenance.notes, note) if note else self.provenance.notes
        return replace(
            self,
            queries=self.queries if queries is None else queries,
            documents=self.documents if documents is None else documents,
            judgments=self.judgments if judgments is None else judgments,
            provenance=replace(self.provenance, notes=notes),
        )

    def image_source(self, value: str | bytes) -> Path | bytes:
        """Turn a value of an image field into what `images.open_image` takes.

        Raises:
            DataError: a path that leads out of the data set's folder, through links too.
        """
        return image_source(self.root, value)

    def fingerprint(self) -> str:
        """Return sha256 of the tables' contents and fields, as 16 hexadecimal digits.

        Images count by path, not by content.
        """
        mapped = self.mapped
        if mapped is None:
            return fingerprint(self)
        # of tables that are mapped for this alone: their pages are given back with them
        return mapped.text(
            "fingerprint",
            lambda: fingerprint(self.of_tables(self, mapped.tables(), self.root)),
        )

    def judged_rows(self) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Return the rows of each judgment's query and document, −1 where the id is unknown.

        Raises:
            DataError: a table has an id twice.
        """
        if self.mapped is not None:
            return self.mapped.judged_rows()
        return (
            row_numbers(self.judgments["query_id"], self.queries["query_id"]),
            row_numbers(self.judgments["doc_id"], self.documents["doc_id"]),
        )

    def save(self, folder: str | Path, *, overwrite: bool = False) -> RankingDataset:
        """Write the folder (`dataset.toml`, three Parquet tables, images) and return it loaded.

        Images are hard-linked where the file system allows, else copied.

        Raises:
            OutputError: the folder exists and `overwrite` is false, or it cannot be written.
            ImageError: an image that a row names does not exist.
        """
        save_folder(self, folder, overwrite=overwrite)
        return RankingDataset.load(folder)

    def write_header(self, folder: Path) -> None:
        """Write `dataset.toml` alone, for a writer that streams the tables itself."""
        write_header(folder, self)

    def copy_images(self, target: Path) -> None:
        """Put every image that a row names into the folder `target`, by a hard link or a copy.

        Raises:
            ImageError: an image does not exist.
            DataError: a path leads out of the data set's folder.
        """
        save_images(self, target)

    @classmethod
    def load(cls, folder: str | Path, *, mapped: bool = False) -> RankingDataset:
        """Read a data set folder.

        Args:
            folder: as `save` wrote it.
            mapped: whether a large one is memory-mapped instead, from files in the user's cache:
                its tables take no memory of their own. `mapped_tables` says which are.

        Raises:
            DataError: the folder, a table or a column is missing or malformed.
            OutputError: the files to map cannot be written anywhere.
        """
        root = Path(folder)
        header = read_header(root)
        files = {table: root / f"{table}.parquet" for table in TABLES}
        for path in files.values():
            with read_errors(path):
                require_table(root, path)
        found = mapped_tables(header, root, files) if mapped else None
        if found is None:
            tables = {}
            for table, path in files.items():
                with read_errors(path):
                    tables[table] = pl.read_parquet(path, glob=False)
            return cls.of_tables(header, tables, root)
        data = cls.of_tables(header, found.tables(), root)
        data.mapped = found
        return data

    @classmethod
    def of_tables(
        cls, header: Described, tables: Mapping[str, pl.DataFrame], root: Path | None
    ) -> RankingDataset:
        """Make a data set of "queries", "documents" and "judgments", and what is said of them.

        Raises:
            DataError: a column is missing or of another type.
        """
        return cls(
            name=header.name,
            query_fields=header.query_fields,
            document_fields=header.document_fields,
            score_scale=header.score_scale,
            provenance=header.provenance,
            root=root,
            **tables,
        )

    def schema(self, table: str) -> pl.Schema:
        """Return the columns of a table and their types."""
        return self._table(table).schema

    def height(self, table: str) -> int:
        """Return the number of rows of a table."""
        return self._table(table).height

    def lazy(self, table: str) -> pl.LazyFrame:
        """Return a table to be read in a stream."""
        return self._table(table).lazy()

    def frame(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        """Return these columns of a table."""
        return self._table(table).select(columns)

    def parts(self, table: str, columns: Sequence[str], rows: int = 131_072) -> list[FramePart]:
        """Return these columns in parts of at most `rows` rows, in order."""
        return FramePart.of(self.frame(table, columns), rows)

    def with_columns(self, table: str, columns: pl.DataFrame) -> RankingDataset:
        """Return the data set with these columns added to a table, or in place of its own."""
        return self._with(table, self._table(table).with_columns(columns.get_columns()))

    def with_rows(self, table: str, kept: pl.Series) -> RankingDataset:
        """Return the data set with the rows of a table for which `kept` (bool) is true."""
        return self._with(table, self._table(table).filter(kept))

    def without_images(
        self, table: str, name: str, items: Mapping[int, Set[int]]
    ) -> RankingDataset:
        """Return the data set without these images: row → places, as `without_items`."""
        cleared = without_items(self._table(table)[name], items)
        return self._with(table, self._table(table).with_columns(cleared))

    def with_notes(self, notes: Sequence[str], *, replacing: str = "") -> RankingDataset:
        """Return the data set with notes added; earlier ones that begin with `replacing` go."""
        return replace(self, provenance=self.provenance.with_notes(notes, replacing=replacing))

    def _table(self, table: str) -> pl.DataFrame:
        frame: pl.DataFrame = getattr(self, table)
        return frame

    def _with(self, table: str, frame: pl.DataFrame) -> RankingDataset:
        return self.with_tables(**{table: frame})  # type: ignore[arg-type]


def _in_subset(names: Sequence[str]) -> pl.Expr:
    return pl.col("subset").cast(pl.String).is_in(names).fill_null(False)


def _seen(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("seen")) if "seen" in table.columns else table


@dataclass(frozen=True)
class FramePart:
    """A part that lies in memory."""

    rows: pl.DataFrame

    @classmethod
    def of(cls, frame: pl.DataFrame, rows: int) -> list[FramePart]:
        """Return a table in parts of at most `rows` rows."""
        return [cls(part) for part in frame.iter_slices(rows)] if frame.height else []

    def read(self) -> pl.DataFrame:
        """Return the rows."""
        return self.rows
