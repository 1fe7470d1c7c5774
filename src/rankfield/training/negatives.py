"""Files of hard negatives, and drawing from them while training."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rankfield import __version__
from rankfield.errors import DataError
from rankfield.files import new_file
from rankfield.formats.own_tables import NEGATIVES
from rankfield.io.parquet import read_parquet
from rankfield.io.table import Table
from rankfield.outputs import OR_OVERWRITE, require_new
from rankfield.parsing import parse_json
from rankfield.schema import RankingDataset
from rankfield.schema.row_numbers import row_numbers
from rankfield.settings import Settings
from rankfield.training.mining import Mined
from rankfield.training.mining_settings import MineSettings

__all__ = [
    "NegativeTable",
    "NegativesSection",
    "load_negatives",
    "negatives_provenance",
    "require_new_negatives",
    "save_negatives",
]

_COLUMNS: dict[str, pl.DataType] = {
    "query_id": pl.String(),
    "doc_id": pl.String(),
    "rank": pl.Int32(),
    "similarity": pl.Float32(),
}
_AGAIN = "Mine them again with `rankfield mine`."


def _as_mined(name: str) -> Any:
    """Declare a setting of `MineSettings` as a key of the recipe."""
    (declared,) = (one for one in fields(MineSettings) if one.name == name)
    return Field(declared.default, **declared.metadata)


class NegativesSection(Settings):
    """Hard negatives beside the pairs; without a file, a refresh or `judged` there are none."""

    judged: int = Field(
        0, ge=0, description="documents judged to be worth nothing, added for every query in a step"
    )

    file: str = Field("", description="of `rankfield mine`; relative to the recipe")
    per_query: int = Field(1, ge=1, description="added to each step for every query in it")
    refresh_every: int = Field(
        0, ge=0, description="steps after which the model mines again; 0: never"
    )
    last: int = _as_mined("last")
    margin: float | None = _as_mined("margin")
    relative_margin: float = _as_mined("relative_margin")
    near_duplicate: float = _as_mined("near_duplicate")

    @model_validator(mode="after")
    def _fits(self) -> NegativesSection:
        if not self.refresh_every:
            mined = ("last", "margin", "relative_margin", "near_duplicate")
            self.refuse_ignored(mined, "refresh_every above 0")
        if not self.used:
            self.refuse_ignored(("per_query",), "a file, or refresh_every above 0")
        return self

    @property
    def used(self) -> bool:
        """Whether there are any."""
        return bool(self.file or self.refresh_every)

    def mining(self) -> MineSettings:
        """Return how to mine at a refresh; it keeps enough for each step to draw others."""
        return MineSettings(
            per_query=max(MineSettings.per_query, self.per_query),
            last=self.last,
            margin=self.margin,
            relative_margin=self.relative_margin,
            near_duplicate=self.near_duplicate,
        )


def save_negatives(mined: Mined, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the negatives as Parquet, whole or not at all.

    The key-value metadata have an entry "rankfield.negatives", in JSON: version of rankfield,
    model, data and its fingerprint, settings, counts.

    Raises:
        OutputError: the file exists and `overwrite` is false, or it cannot be written.
    """
    if not overwrite:
        require_new_negatives(path)
    provenance = {
        "rankfield": __version__,
        "model": mined.model,
        "data": {"name": mined.data, "fingerprint": mined.fingerprint},
        "settings": asdict(mined.settings),
        "counts": {
            "queries": mined.queries,
            "found": mined.negatives.height,
            "judged": mined.judged,
            "near_duplicates": mined.near_duplicates,
            "above_margin": mined.above_margin,
            "short": mined.short,
        },
    }
    with new_file(path) as temporary:
        mined.negatives.write_parquet(
            temporary, metadata={NEGATIVES: json.dumps(provenance, allow_nan=False)}
        )


def require_new_negatives(path: str | Path) -> None:
    """Make sure that the output of `save_negatives` is new, before long work.

    Raises:
        OutputError: it exists.
    """
    require_new(Path(path), remedy=OR_OVERWRITE)


def negatives_provenance(path: str | Path) -> dict[str, Any]:
    """Return where a file of negatives comes from; empty if another program wrote it.

    Raises:
        DataError: no such file, not Parquet, or damaged metadata.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError("there is no such file", where=str(file), remedy=_AGAIN)
    try:
        text = pl.read_parquet_metadata(file).get(NEGATIVES)
        provenance = {} if text is None else parse_json(text)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"not a readable Parquet file ({error})", where=str(file)) from error
    except ValueError as error:
        raise DataError(f"damaged provenance ({error})", where=str(file), remedy=_AGAIN) from error
    if not isinstance(provenance, dict):
        raise DataError("damaged provenance (no JSON object)", where=str(file), remedy=_AGAIN)
    return provenance


def load_negatives(
    path: str | Path, dataset: RankingDataset, *, force: bool = False
) -> pl.DataFrame:
    """Read negatives and check that they fit this data set.

    Returns the columns ``query_id``, ``doc_id`` (text), ``rank`` (int32), ``similarity``
    (float32), in the order of the file. Files of other programs need the same columns; they have
    no fingerprint to compare.

    Args:
        path: a Parquet file.
        dataset: the data set that is trained on.
        force: take negatives that were mined with other data; the rows are still checked.

    Raises:
        DataError: no such file, not Parquet, a missing column, mined with other data, or a row
            with an unknown, held-out or missing id, a judged pair, a pair that is duplicated, or a
            number that is not finite; names file, row (counted from 0) and column.
    """
    file = Path(path)
    found = negatives_provenance(file).get("data")
    fingerprint = found.get("fingerprint") if isinstance(found, dict) else None
    if fingerprint not in (None, dataset.fingerprint()) and not force:
        raise DataError(
            f"the negatives were mined with other data (fingerprint {fingerprint}, now "
            f"{dataset.fingerprint()})",
            where=str(file),
            remedy=_AGAIN,
        )
    table = _read(file)
    _check_numbers(table)
    _check_ids(table, "query_id", dataset.queries, dataset.training_queries())
    _check_ids(table, "doc_id", dataset.documents, dataset.training_documents())
    _check_pairs(table, dataset)
    return table.frame


def _read(file: Path) -> Table:
    frame = read_parquet(file)
    Table.counted(file, frame).require_columns(*_COLUMNS)
    for name, dtype in _COLUMNS.items():
        fits = frame[name].dtype.is_numeric() if dtype.is_numeric() else frame[name].dtype == dtype
        if not fits:
            raise DataError(
                f"expected {dtype}, found {frame[name].dtype}", where=f"{file}, column {name!r}"
            )
    columns = (pl.col(name).cast(dtype, strict=False) for name, dtype in _COLUMNS.items())
    return Table.counted(file, frame.select(columns))


def _check_numbers(table: Table) -> None:
    rank, similarity = table.frame["rank"], table.frame["similarity"]
    low = rank.is_null() | (rank < 1)
    table.refuse("rank", low, "expected a rank of at least 1, found {}", _AGAIN)
    finite = similarity.is_finite().fill_null(False)
    table.refuse("similarity", ~finite, "expected a finite number, found {}", _AGAIN)


def _check_ids(table: Table, name: str, records: pl.DataFrame, seen: pl.DataFrame) -> None:
    ids = table.frame[name]
    known = ids.is_in(records[name].implode()) & ids.is_not_null()
    what = "queries" if name == "query_id" else "documents"
    table.refuse(name, ~known.fill_null(False), f"{{}} is not among the {what}", _AGAIN)
    visible = ids.is_in(seen[name].implode())
    table.refuse(name, ~visible, "{} is held out: training must not see it", _AGAIN)


def _check_pairs(table: Table, dataset: RankingDataset) -> None:
    pairs, frame = ["query_id", "doc_id"], table.frame
    twice = frame.select(pl.int_range(pl.len()).over(pairs) > 0).to_series()
    table.refuse("doc_id", twice, "the document {} is duplicated for its query", _AGAIN)
    marked = dataset.judgments.select(pairs).unique().with_columns(judged=pl.lit(True))
    judged = frame.select(pairs).join(marked, on=pairs, how="left", maintain_order="left")["judged"]
    message = "the document {} is judged for its query and no negative"
    table.refuse("doc_id", judged.fill_null(False), message, _AGAIN)


@dataclass(frozen=True)
class NegativeTable:
    """The negatives of each query, to draw from.

    offsets: int64 (Q + 1); those of query row q are at offsets[q] … offsets[q + 1] − 1 of
    documents: int64, rows of the data set's documents.
    """

    offsets: NDArray[np.int64]
    documents: NDArray[np.int64]

    @classmethod
    def of_rows(
        cls, queries: NDArray[np.int64], documents: NDArray[np.int64], *, total: int
    ) -> NegativeTable:
        """Return the table of pairs of rows, the queries ascending, of `total` queries in all."""
        counts = np.bincount(queries, minlength=total)
        return cls(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), documents)

    @classmethod
    def of(
        cls, frame: pl.DataFrame, dataset: RankingDataset, *, judged: pl.DataFrame | None = None
    ) -> NegativeTable:
        """Return the table of a frame with ``query_id`` and ``doc_id``.

        Pairs that `judged` (with the same columns) holds are left out: a further source of
        judgments may have scored what was mined before.

        Raises:
            DataError: an id that the data set lacks or duplicates.
        """
        if judged is not None:
            frame = frame.join(judged, on=["query_id", "doc_id"], how="anti", maintain_order="left")
        rows = row_numbers(frame["query_id"], dataset.queries["query_id"])
        documents = row_numbers(frame["doc_id"], dataset.documents["doc_id"])
        if (rows < 0).any() or (documents < 0).any():
            raise DataError(
                "negatives name ids that the data lacks", where=dataset.name, remedy=_AGAIN
            )
        counts = np.bincount(rows, minlength=dataset.queries.height)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(offsets, documents[np.argsort(rows, kind="stable")])

    def draw(
        self, query_rows: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return `count` random negatives of each query, int64 (len(query_rows), count).

        Drawn without replacement: a query that occurs in several rows gets no document again, as
        long as it has others. Rows end with −1 where a query has no more. The result depends on
        the arguments and the state of `rng` alone.
        """
        queries, inverse, repeats = np.unique(query_rows, return_inverse=True, return_counts=True)
        orders = self._orders(queries, rng)
        # Which of its query's rows each one is: the o-th takes places o · count … of the order.
        by_query = np.argsort(inverse, kind="stable")
        occurrence = np.empty(len(query_rows), dtype=np.int64)
        firsts = np.repeat(np.cumsum(repeats) - repeats, repeats)
        occurrence[by_query] = np.arange(len(query_rows)) - firsts
        places = occurrence[:, None] * count + np.arange(count)
        inside = places < orders.shape[1]
        taken = orders[inverse[:, None], np.where(inside, places, 0)] if orders.size else -1
        return np.where(inside, taken, -1).astype(np.int64)

    def _orders(self, queries: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return all negatives of each query in random order, −1 at the end of shorter lists."""
        starts = self.offsets[queries]
        lengths = self.offsets[queries + 1] - starts
        columns = np.arange(lengths.max(initial=0))
        present = columns < lengths[:, None]
        keys = np.where(present, rng.random(present.shape), 2.0)
        order = np.argsort(keys, axis=1, kind="stable")
        places = np.where(present, starts[:, None] + order, 0)
        return np.where(present, self.documents[places], -1) if present.size else places
