"""A data set that stays in its folder: what is asked for is read, the rest is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from rankfield.field_values import without_items
from rankfield.schema.dataset import FramePart, RankingDataset
from rankfield.schema.fields import Field, Provenance, ScoreScale
from rankfield.schema.header import TABLES, Header, check_columns, read_header
from rankfield.schema.image_source import image_source
from rankfield.schema.storing import fingerprint, read_errors, require_table, save_folder
from rankfield.schema.tables import Part

__all__ = ["DatasetFolder", "FilePart"]

_KEPT = "\0kept"
_ROW = "\0row"


@dataclass(frozen=True)
class FilePart:
    """Some rows of some columns of a Parquet file, read when they are needed."""

    path: Path
    columns: tuple[str, ...]
    start: int
    rows: int

    def read(self) -> pl.DataFrame:
        """Return the rows.

        Raises:
            DataError: the file is broken.
        """
        with read_errors(self.path) as path:
            table = pl.scan_parquet(path, glob=False).select(self.columns)
            return table.slice(self.start, self.rows).collect()


@dataclass(frozen=True)
class DatasetFolder:
    """A data set folder of any size: tables are read in a stream, or the columns asked for.

    It answers as `RankingDataset` does where curation asks (`schema.Tables`); what is changed is
    kept beside the files, a column or a mask, until `save` writes the changed tables in a stream.
    """

    header: Header
    root: Path
    files: Mapping[str, Path]
    _changed: Mapping[str, pl.LazyFrame] = field(default_factory=dict)
    # the columns of a changed table that are still those of its file, row by row
    _filed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: str | Path, *, images: str | Path | None = None) -> DatasetFolder:
        """Open a data set folder.

        Args:
            folder: as `RankingDataset.save` wrote it.
            images: where image paths start from, if not there.

        Raises:
            DataError: the folder, a table or a column is missing or malformed.
        """
        root = Path(folder)
        files = {table: root / f"{table}.parquet" for table in TABLES}
        data = cls(read_header(root), root if images is None else Path(images), files)
        for table, path in files.items():
            with read_errors(path):
                require_table(root, path)
                check_columns(str(root), table, data.schema(table), data.fields(table))
        return data

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.header.name

    @property
    def query_fields(self) -> tuple[Field, ...]:
        """The fields of the queries."""
        return self.header.query_fields

    @property
    def document_fields(self) -> tuple[Field, ...]:
        """The fields of the documents."""
        return self.header.document_fields

    @property
    def score_scale(self) -> ScoreScale:
        """What the scores mean."""
        return self.header.score_scale

    @property
    def provenance(self) -> Provenance:
        """Where the data set came from."""
        return self.header.provenance

    @property
    def is_split(self) -> bool:
        """Whether the judgments carry a split."""
        return "split" in self.schema("judgments")

    def fields(self, table: str) -> tuple[Field, ...]:
        """Return the fields of "queries" or "documents"; judgments have none."""
        return self.header.fields(table)

    def schema(self, table: str) -> pl.Schema:
        """Return the columns of a table and their types."""
        return self.lazy(table).collect_schema()

    def height(self, table: str) -> int:
        """Return the number of rows of a table."""
        return int(self.lazy(table).select(pl.len()).collect().item())

    def lazy(self, table: str) -> pl.LazyFrame:
        """Return a table to be read in a stream."""
        changed = self._changed.get(table)
        return pl.scan_parquet(self.files[table], glob=False) if changed is None else changed

    def frame(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        """Return these columns of a table.

        Raises:
            DataError: the file is broken.
        """
        with read_errors(self.files[table]):
            return self.lazy(table).select(columns).collect()

    def parts(self, table: str, columns: Sequence[str], rows: int = 131_072) -> Sequence[Part]:
        """Return these columns in parts of at most `rows` rows, in order."""
        if table in self._changed and not self._filed[table].issuperset(columns):
            return FramePart.of(self.frame(table, columns), rows)
        starts = range(0, self.height(table), rows)
        return [FilePart(self.files[table], tuple(columns), start, rows) for start in starts]

    def is_changed(self, table: str) -> bool:
        """Whether a table is another than its file's."""
        return table in self._changed

    def image_source(self, value: str | bytes) -> Path | bytes:
        """Turn a value of an image field into what `images.open_image` takes.

        Raises:
            DataError: a path that leads out of the data set's folder, through links too.
        """
        return image_source(self.root, value)

    def with_columns(self, table: str, columns: pl.DataFrame) -> DatasetFolder:
        """Return the data set with these columns added to a table, or in place of its own."""
        before = self.lazy(table)
        names = list(before.collect_schema())
        own = before.select(name for name in names if name not in columns.columns)
        added = [name for name in columns.columns if name not in names]
        both = pl.concat([own, columns.lazy()], how="horizontal").select(*names, *added)
        filed = self._filed.get(table, frozenset(names)) - set(columns.columns)
        return self._with(table, both, filed)

    def with_rows(self, table: str, kept: pl.Series) -> DatasetFolder:
        """Return the data set with the rows of a table for which `kept` (bool) is true."""
        marks = kept.alias(_KEPT).to_frame().lazy()
        both = pl.concat([self.lazy(table), marks], how="horizontal")
        return self._with(table, both.filter(_KEPT).drop(_KEPT), frozenset())

    def without_images(self, table: str, name: str, items: Mapping[int, Set[int]]) -> DatasetFolder:
        """Return the data set without these images: row → places, as `without_items`."""
        wanted = pl.Series(_ROW, sorted(items), dtype=pl.UInt32)
        numbered = self.lazy(table).with_row_index(_ROW).select(_ROW, name)
        found = numbered.filter(pl.col(_ROW).is_in(wanted.implode())).collect()
        places = {i: items[row] for i, row in enumerate(found[_ROW].to_list())}
        cleared = found.with_columns(without_items(found[name], places).alias(_KEPT))
        # the other images stay where they are: of the new column only these rows are known
        rows = pl.select(pl.int_range(self.height(table), dtype=pl.UInt32).alias(_ROW)).to_series()
        marks = rows.to_frame().join(
            cleared.select(_ROW, _KEPT), on=_ROW, how="left", maintain_order="left"
        )
        both = pl.concat([self.lazy(table), marks.lazy()], how="horizontal")
        changed = pl.when(pl.col(_ROW).is_in(wanted.implode())).then(_KEPT).otherwise(name)
        filed = self._filed.get(table, frozenset(self.schema(table))) - {name}
        return self._with(table, both.with_columns(changed.alias(name)).drop(_ROW, _KEPT), filed)

    def with_notes(self, notes: Sequence[str], *, replacing: str = "") -> DatasetFolder:
        """Return the data set with notes added; earlier ones that begin with `replacing` go."""
        provenance = self.provenance.with_notes(notes, replacing=replacing)
        return replace(self, header=replace(self.header, provenance=provenance))

    def fingerprint(self) -> str:
        """Return what `RankingDataset.fingerprint` returns of the same contents."""
        return fingerprint(self)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> DatasetFolder:
        """Write the folder as `RankingDataset.save` does, in a stream, and return it opened.

        Raises:
            OutputError: the folder exists and `overwrite` is false, or it cannot be written.
            ImageError: an image that a row names does not exist.
        """
        save_folder(self, folder, overwrite=overwrite)
        return DatasetFolder.load(folder)

    def read(self) -> RankingDataset:
        """Return the data set in memory."""
        tables = {table: self.lazy(table).collect() for table in TABLES}
        return RankingDataset.of_tables(self, tables, self.root)

    def _with(self, table: str, lazy: pl.LazyFrame, filed: frozenset[str]) -> DatasetFolder:
        return replace(
            self,
            _changed={**self._changed, table: lazy},
            _filed={**self._filed, table: filed},
        )
