"""The records of one side: of a data set's folder, or of a table with a column of ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from rankfield.column_names import DOC_IDS, PLAIN_IDS, QUERY_IDS, find_column, quoted_names
from rankfield.embedding.vector_table import VECTOR, is_plain
from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import DataError, InputError
from rankfield.formats.guesses import guess_fields
from rankfield.io.table import Table
from rankfield.io.tables import read_files
from rankfield.io.text_values import MARK
from rankfield.messages import did_you_mean
from rankfield.schema import Field, RankingDataset, ScoreScale

__all__ = ["KEYS", "Records"]

KEYS: dict[Side, str] = {"query": "query_id", "document": "doc_id"}
"""The column of ids on each side."""
_TABLES: dict[Side, str] = {"query": "queries", "document": "documents"}
_NAMES: dict[Side, tuple[str, ...]] = {
    "query": (*QUERY_IDS, *PLAIN_IDS),
    "document": (*DOC_IDS, *PLAIN_IDS),
}


@dataclass(frozen=True)
class Records:
    """The records to embed.

    dataset: that they are the queries or documents of.
    side: which of both.
    table: the file that they are of, its ids called as a data set calls them; None of a folder.
    """

    dataset: RankingDataset
    side: Side
    table: Table | None = None

    @classmethod
    def open(cls, source: str | Path, side: Side, *, id_column: str | None = None) -> Records:
        """Read a data set's folder, or a table in one of `io.tables.ENDINGS`.

        Args:
            source: the folder or the file. Paths of images in a file start from its folder.
            side: what the records are.
            id_column: the column of ids of a file; by default the one that is called like one, in
                any spelling.

        Raises:
            DataError: it cannot be read, or an id is missing or occurs twice.
            InputError: an id column of a data set.
        """
        path = Path(source)
        if path.is_file():
            table = _with_ids(read_files([path]), side, id_column)
            fields = guess_fields(table.frame, _TABLES[side], KEYS[side])
            table = _with_texts(table, fields)
            return cls(_dataset(table, side, fields), side, table)
        if id_column is not None:
            raise InputError(f"is for a table, found {path}", where="--id", remedy="Leave it out.")
        data = RankingDataset.load(path)
        frame = data.queries if side == "query" else data.documents
        _check_ids(Table.counted(path / f"{_TABLES[side]}.parquet", frame), KEYS[side])
        return cls(data, side)

    @property
    def frame(self) -> pl.DataFrame:
        """The records, a row each."""
        return self.dataset.queries if self.side == "query" else self.dataset.documents

    def for_model(self, model: RankingModel) -> Records:
        """Return the same records with the columns that a model's fields need.

        A column of a table may spell the name of a field in another way: `productTitle` is
        `product_title`.

        Raises:
            DataError: a field has no column, or one of another type.
        """
        if self.table is None:
            return self
        fields = model.current_fields(self.side)
        columns = self.table.columns
        names = {}
        for field in fields:
            found = find_column(columns, [field.name], where=str(self.table.path))
            if found is None:
                raise DataError(
                    f"the model needs the {self.side} field {field.name!r}, which is no column; "
                    f"found {quoted_names(columns)}",
                    where=str(self.table.path),
                    remedy=did_you_mean(field.name, columns) or "Rename the column that is meant.",
                )
            names[found] = field.name
        table = _with_texts(self.table.rename(names), fields)
        return replace(self, dataset=_dataset(table, self.side, fields), table=table)

    def checked_columns(self, names: Sequence[str]) -> list[str]:
        """Return columns to write beside the vectors, each once.

        Raises:
            InputError: no such column, or one of images or structures.
        """
        frame = self.frame
        for name in names:
            if name not in frame.columns:
                raise InputError(
                    f"there is no column {name!r}; found {quoted_names(frame.columns)}",
                    where="--column",
                    remedy=did_you_mean(name, frame.columns),
                )
            if name == VECTOR or not is_plain(frame.schema[name]):
                raise InputError(
                    f"expected a column of texts, numbers, truth values or times, not called "
                    f"{VECTOR!r}, found {name!r} of {frame.schema[name]}",
                    where="--column",
                )
        return [name for name in dict.fromkeys(names) if name != KEYS[self.side]]


def _with_ids(table: Table, side: Side, id_column: str | None) -> Table:
    """Return a table whose ids are texts in the column of their side."""
    key, where = KEYS[side], str(table.path)
    found = id_column or find_column(table.columns, _NAMES[side], where=where)
    if found is None or found not in table.columns:
        missing = "no column of ids" if found is None else f"no column {found!r}"
        raise DataError(
            f"there is {missing}; found {quoted_names(table.columns)}",
            where=where,
            remedy="Name it (--id COLUMN).",
        )
    kind = table.schema[found]
    if kind != pl.String and not kind.is_integer():
        raise DataError(f"expected texts or integers, found {kind}", where=f"{where}, {found!r}")
    if found != key and key in table.columns:
        raise DataError(
            f"the ids would be called {key!r}, as another column is",
            where=where,
            remedy="Rename that column.",
        )
    table = table.rename({found: key}).with_columns(pl.col(key).cast(pl.String))
    _check_ids(table, key)
    return table


def _check_ids(table: Table, key: str) -> None:
    ids = table.frame[key]
    table.refuse(key, ids.is_null() | (ids == ""), "expected an id, found {}")
    table.refuse(key, ~ids.is_first_distinct(), "the id {} occurs twice", "Give each record once.")


def _with_texts(table: Table, fields: Sequence[Field]) -> Table:
    """Return a table whose fields of categories, or of nothing, are texts; JSON is plain text."""
    frame = table.frame
    kinds = {f.name: frame.schema[f.name] for f in fields}
    texts = [n for n, t in kinds.items() if isinstance(t, pl.Categorical | pl.Enum | pl.Null)]
    return table.with_columns(
        pl.col(texts).cast(pl.String), pl.col(pl.String).exclude(texts).str.strip_prefix(MARK)
    )


def _dataset(table: Table, side: Side, fields: Sequence[Field]) -> RankingDataset:
    """Return a data set of these records alone; its other side has the same fields and no rows."""
    frame = table.frame
    other = frame.clear().rename({KEYS[side]: KEYS[_other(side)]})
    queries, documents = (frame, other) if side == "query" else (other, frame)
    ids = dict.fromkeys(KEYS.values(), pl.String)
    return RankingDataset(
        name=table.path.name,
        query_fields=tuple(fields),
        document_fields=tuple(fields),
        score_scale=ScoreScale(0.0, 1.0, 1.0),
        queries=queries,
        documents=documents,
        judgments=pl.DataFrame(schema={**ids, "score": pl.Float64}),
        root=table.path.parent,
    )


def _other(side: Side) -> Side:
    return "document" if side == "query" else "query"
