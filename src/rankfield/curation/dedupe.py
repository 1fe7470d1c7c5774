"""Records that are exactly the same: one of them stays, with the judgments of all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.curation.clusters import IDS, Scores, clusters_of_keys, mark_clusters, merge_clusters
from rankfield.curation.keys import hash_pictures
from rankfield.curation.texts import digests, normalised
from rankfield.engines import Engine, LocalEngine
from rankfield.errors import DataError, SplitError
from rankfield.progress import progress
from rankfield.schema import Part, Tables
from rankfield.schema.tables import T
from rankfield.validate import require_valid
from rankfield.validate.pictures import picture_stretches

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["DedupeReport", "Duplicates", "dedupe", "exact_clusters", "group_duplicates"]

_EXAMPLES = 3
_NOTE = "dedupe: "


@dataclass(frozen=True)
class Duplicates:
    """What was found in one table.

    `clusters` counts groups of two records or more, `merged` the records beyond the first of each;
    `examples` holds up to 3 pairs (id that stays, id that goes).
    """

    table: str
    records: int
    clusters: int
    merged: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DedupeReport:
    """What was found, and how many judgments became one with another."""

    found: tuple[Duplicates, ...]
    judgments: int = 0

    def __rich__(self) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table("", "records", "clusters", "duplicates", "example (stays · goes)")
        table.title = "exact duplicates"
        for column in table.columns[1:4]:
            column.justify = "right"
        for one in self.found:
            counts = [f"{n:,}" for n in (one.records, one.clusters, one.merged)]
            example = escape(" · ".join(one.examples[0])) if one.examples else ""
            table.add_row(one.table, *counts, example)
        table.caption = f"{self.judgments:,} judgments merged with others"
        return table


def dedupe(
    dataset: T,
    *,
    tables: Sequence[str] = ("queries", "documents"),
    pictures: bool = False,
    scores: Scores = "max",
    engine: Engine | None = None,
) -> tuple[T, DedupeReport]:
    """Return the data set with one record for all that are exactly the same.

    Two records are the same if every text field is, after `texts.normalised` (case, width,
    punctuation and blanks do not count), and with `pictures` every picture to the byte. The one
    with the smallest id stays as it is; judgments of the others become its own. See
    `clusters.merge_clusters` on several scores of one pair.

    Args:
        dataset: any ranking data set that was not split yet, in memory or in its folder.
        tables: "queries", "documents" or both.
        pictures: compare pictures too. Without, records with the same texts and different
            pictures count as the same; those without any text never do.
        scores: "max", "mean" or "first".
        engine: where texts are normalised and pictures hashed; threads of this machine if None.

    Raises:
        SplitError: the data set is split: merging would carry judgments from side to side.
        DataError: `validate.require_valid` fails, or a picture cannot be read.
    """
    if dataset.is_split:
        raise SplitError(
            "the data set is split; merging would carry judgments across",
            where=dataset.name,
            remedy="Run `rankfield dedupe` before `rankfield split`.",
        )
    require_valid(dataset)
    clusters = {table: exact_clusters(dataset, table, pictures, engine) for table in tables}
    found = tuple(_counted(dataset, table, stands) for table, stands in clusters.items())
    merged, judgments = merge_clusters(dataset, clusters, scores=scores)
    what = ", ".join(f"{one.merged} of {one.records} {one.table}" for one in found)
    how = f"{_NOTE}exact{' with pictures' if pictures else ''}, merged {what}, scores {scores}"
    return merged.with_notes([how]), DedupeReport(found, judgments)


def group_duplicates(
    dataset: T, column: str, *, pictures: bool = False, engine: Engine | None = None
) -> tuple[T, DedupeReport]:
    """Return the data set with all its records, and a column that equal documents share.

    The column holds the id of the document that `dedupe` would keep; `splits.split` keeps
    documents of one value on one side.

    Args:
        dataset: any ranking data set.
        column: the column to add to the documents.
        pictures, engine: as in `dedupe`.

    Raises:
        DataError: there is such a column already, or a picture cannot be read.
    """
    if column in dataset.schema("documents"):
        raise DataError(
            f"the documents have a column {column!r} already",
            where=dataset.name,
            remedy="Choose another name for the group.",
        )
    stands = exact_clusters(dataset, "documents", pictures, engine)
    found = _counted(dataset, "documents", stands)
    note = f"{_NOTE}{column} groups {found.merged} exact duplicates of documents"
    return mark_clusters(dataset, stands, column).with_notes([note]), DedupeReport((found,))


def exact_clusters(
    dataset: Tables, table: str, pictures: bool = False, engine: Engine | None = None
) -> NDArray[np.int64]:
    """Return for each record the row of the one that stands for all that are the same.

    Args:
        dataset: any ranking data set.
        table: "queries" or "documents".
        pictures: whether pictures count.
        engine: where texts are normalised and pictures hashed; threads of this machine if None.

    Returns:
        int64 (N,), as `clusters.clusters_of_keys`.

    Raises:
        DataError: a picture cannot be read.
    """
    engine = engine or LocalEngine()
    names = [f.name for f in dataset.fields(table) if f.modality == "text"]
    keys = _text_keys(dataset, table, names, engine)
    if pictures:
        for f in dataset.fields(table):
            if f.modality == "image":
                hashes = _picture_keys(dataset, table, f.name, engine)
                keys = _both(keys, hashes)
    ids = dataset.frame(table, [IDS[table]])[IDS[table]]
    return clusters_of_keys(keys, ids)


def _text_keys(dataset: Tables, table: str, names: list[str], engine: Engine) -> pl.Series:
    found = [pl.Series(dtype=pl.UInt128)]
    height = dataset.height(table)
    if not names:
        return pl.Series([None], dtype=pl.UInt128).new_from_index(0, height)
    with progress(f"texts of {table}", height, unit="records") as advance:
        for part in engine.map(_digest_fields, dataset.parts(table, names)):
            found.append(part)
            advance(len(part))
    return pl.concat(found)


def _digest_fields(part: Part) -> pl.Series:
    """Return the digest of each record's fields, normalised one by one; null if all are empty."""
    frame = part.read()
    fields = pl.DataFrame([normalised(column).alias(column.name) for column in frame])
    joined = fields.select(pl.concat_str(pl.all(), separator="\0"))
    empty = fields.select(pl.all_horizontal(pl.all() == "").alias("empty"))
    text = pl.when(empty["empty"]).then(pl.lit("")).otherwise(joined.to_series())
    return digests(pl.select(text).to_series())


def _picture_keys(dataset: Tables, table: str, name: str, engine: Engine) -> pl.Series:
    """Return the digest of each record's pictures, in their order; null where there is none."""
    found: list[bytes | None] = []
    with progress("hashing pictures", dataset.height(table), unit="records") as advance:
        look = partial(hash_pictures, dataset.root)
        for height, part in engine.map(look, picture_stretches(dataset, table, name)):
            if part.hashes.null_count():
                at = int(part.hashes.is_null().arg_max() or 0)
                raise DataError(
                    f"the picture {part.shown[at]} cannot be read",
                    where=f"{dataset.name}, {table}, row {len(found) + part.rows[at]}",
                    remedy="See `rankfield check`; `--fix` writes a cleaned copy.",
                )
            joined: list[str] = [""] * height
            for row, code in zip(part.rows, part.hashes, strict=True):
                joined[row] += code
            found += [_digest(text.encode()) if text else None for text in joined]
            advance(height)
    return _as_number(found)


def _both(first: pl.Series, second: pl.Series) -> pl.Series:
    """Return one key for two; null where both are."""
    pairs = pl.DataFrame({"first": first, "second": second})
    none = pl.all_horizontal(pl.all().is_null())
    text = pl.format("{}/{}", *(pl.col(c).cast(pl.String).fill_null("") for c in pairs.columns))
    return digests(pairs.select(pl.when(none).then(pl.lit("")).otherwise(text)).to_series())


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _as_number(codes: list[bytes | None]) -> pl.Series:
    known = pl.Series(codes, dtype=pl.Binary)
    return known.bin.reinterpret(dtype=pl.UInt128, endianness="big")


def _counted(dataset: Tables, table: str, stands: NDArray[np.int64]) -> Duplicates:
    gone = np.flatnonzero(stands != np.arange(len(stands)))
    ids = dataset.frame(table, [IDS[table]])[IDS[table]]
    some = gone[:_EXAMPLES]
    examples = zip(ids.gather(stands[some]).to_list(), ids.gather(some).to_list(), strict=True)
    clusters = len(np.unique(stands[gone]))
    return Duplicates(table, len(stands), clusters, len(gone), tuple(examples))
