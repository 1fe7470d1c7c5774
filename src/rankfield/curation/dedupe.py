"""Records that are the same, exactly or nearly: one stays, with the judgments of all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.curation.clusters import IDS, Scores, clusters_of_keys, mark_clusters, merge_clusters
from rankfield.curation.criteria import Criterion
from rankfield.curation.keys import hash_images
from rankfield.curation.near_clusters import Link, chained, near_clusters
from rankfield.curation.texts import digests, normalised
from rankfield.engines import Engine, LocalEngine
from rankfield.errors import DataError, SplitError
from rankfield.progress import progress
from rankfield.schema import Part, Tables
from rankfield.schema.tables import T
from rankfield.terminal import cell
from rankfield.validate import require_valid
from rankfield.validate.images import image_slices

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["DedupeReport", "Duplicates", "dedupe", "exact_clusters", "group_duplicates"]

_EXAMPLES = 3
_NOTE = "dedupe: "


@dataclass(frozen=True)
class Duplicates:
    """What was found in one table.

    `clusters` counts groups of two records or more, `merged` the records beyond the first of each;
    `examples` holds up to 3 pairs (id that stays, id that goes); `largest` is the size of the
    largest group; `how` says when two records counted as the same; `chained` counts the near
    duplicates that are like a member of their group but not like the one that stays.
    """

    table: str
    records: int
    clusters: int
    merged: int
    examples: tuple[tuple[str, str], ...]
    largest: int = 1
    how: str = "exact"
    chained: int = 0


@dataclass(frozen=True)
class DedupeReport:
    """What was found, and how many judgments became one with another."""

    found: tuple[Duplicates, ...]
    judgments: int = 0

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table("", "records", "clusters", "duplicates", "largest", "example (stays · goes)")
        table.title = "duplicates"
        for column in table.columns[1:5]:
            column.justify = "right"
        for one in self.found:
            counts = [f"{n:,}" for n in (one.records, one.clusters, one.merged, one.largest)]
            example = cell(" · ".join(one.examples[0]) if one.examples else "")
            table.add_row(cell(one.table), *counts, example)
        lines = [f"{self.judgments:,} judgments merged with others"]
        lines += [f"{one.table}: {one.how}" for one in self.found if one.how != "exact"]
        lines += [
            f"{one.chained:,} {one.table} are near to a member of their cluster, not to the one"
            " that stays (chains)"
            for one in self.found
            if one.chained
        ]
        table.caption = Text("\n").join(map(cell, lines))
        return table


def dedupe(
    dataset: T,
    *,
    tables: Sequence[str] = ("queries", "documents"),
    images: bool = False,
    near: Mapping[str, Sequence[Criterion]] | None = None,
    link: Link = "single",
    scores: Scores = "max",
    engine: Engine | None = None,
) -> tuple[T, DedupeReport]:
    """Return the data set with one record for all that are the same.

    Two records are the same if every text field is, after `texts.normalised` (case, width,
    punctuation and blanks do not count), and with `images` every image to the byte; of a table
    in `near`, if they are near duplicates. The one with the smallest id stays as it is; judgments
    of the others become its own. See `clusters.merge_clusters` on several scores of one pair.

    Args:
        dataset: any ranking data set that was not split yet, in memory or in its folder.
        tables: "queries", "documents" or both.
        images: compare images too. Without, records with the same texts and different
            images count as the same; those without any text never do.
        near: table → what near duplicates share (`near_rules.make_criteria`).
        link: how near duplicates cluster, see `near_clusters.near_clusters`.
        scores: "max", "mean" or "first".
        engine: where texts are normalised and images hashed; threads of this machine if None.

    Raises:
        SplitError: the data set is split: merging would carry judgments from side to side.
        DataError: `validate.require_valid` fails, or an image cannot be read.
    """
    if dataset.is_split:
        raise SplitError(
            "the data set is split; merging would carry judgments across",
            where=dataset.name,
            remedy="Run `rankfield dedupe` before `rankfield split`.",
        )
    require_valid(dataset)
    near = near or {}
    clusters = {}
    found = []
    for table in tables:
        stands, one = _find(
            dataset, table, images=images, near=near.get(table, ()), link=link, engine=engine
        )
        clusters[table] = stands
        found.append(one)
    merged, judgments = merge_clusters(dataset, clusters, scores=scores)
    what = ", ".join(f"{one.merged} of {one.records} {one.table} ({one.how})" for one in found)
    notes = [f"{_NOTE}merged {what}, scores {scores}"]
    return merged.with_notes(notes), DedupeReport(tuple(found), judgments)


def group_duplicates(
    dataset: T,
    column: str,
    *,
    table: str = "documents",
    images: bool = False,
    near: Sequence[Criterion] = (),
    link: Link = "single",
    engine: Engine | None = None,
) -> tuple[T, DedupeReport]:
    """Return the data set with all its records, and a column that equal ones share.

    The column holds the id of the record that `dedupe` would keep; `splits.split` keeps
    records of one value on one side.

    Args:
        dataset: any ranking data set.
        column: the column to add.
        table: "documents" or "queries".
        near: what near duplicates share; exact ones are grouped if there is none.
        images, link, engine: as in `dedupe`.

    Raises:
        DataError: there is such a column already, or an image cannot be read.
    """
    if column in dataset.schema(table):
        raise DataError(
            f"the {table} have a column {column!r} already",
            where=dataset.name,
            remedy="Choose another name for the group.",
        )
    stands, found = _find(dataset, table, images=images, near=near, link=link, engine=engine)
    note = f"{_NOTE}{column} groups {found.merged} duplicates of {table} ({found.how})"
    marked = mark_clusters(dataset, stands, column, table=table)
    return marked.with_notes([note]), DedupeReport((found,))


def _find(
    dataset: Tables,
    table: str,
    *,
    images: bool,
    near: Sequence[Criterion],
    link: Link,
    engine: Engine | None,
) -> tuple[NDArray[np.int64], Duplicates]:
    """Return the clusters of a table and what to say of them."""
    if not near:
        stands = exact_clusters(dataset, table, images, engine)
        return stands, _counted(dataset, table, stands)
    ids = dataset.frame(table, [IDS[table]])[IDS[table]]
    stands = near_clusters(near, ids, link=link)
    how = " and ".join(criterion.how for criterion in near)
    how += ", all of a cluster alike" if link == "complete" else ""
    found = _counted(dataset, table, stands)
    return stands, replace(found, how=how, chained=chained(near, stands))


def exact_clusters(
    dataset: Tables, table: str, images: bool = False, engine: Engine | None = None
) -> NDArray[np.int64]:
    """Return for each record the row of the one that stands for all that are the same.

    Args:
        dataset: any ranking data set.
        table: "queries" or "documents".
        images: whether images count.
        engine: where texts are normalised and images hashed; threads of this machine if None.

    Returns:
        int64 (N,), as `clusters.clusters_of_keys`.

    Raises:
        DataError: an image cannot be read.
    """
    engine = engine or LocalEngine()
    names = [f.name for f in dataset.fields(table) if f.modality == "text"]
    keys = _text_keys(dataset, table, names, engine)
    if images:
        for f in dataset.fields(table):
            if f.modality == "image":
                hashes = _image_keys(dataset, table, f.name, engine)
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


def _image_keys(dataset: Tables, table: str, name: str, engine: Engine) -> pl.Series:
    """Return the digest of each record's images, in their order; null where there is none."""
    found: list[bytes | None] = []
    with progress("hashing images", dataset.height(table), unit="records") as advance:
        look = partial(hash_images, dataset.root)
        for height, part in engine.map(look, image_slices(dataset, table, name)):
            if part.hashes.null_count():
                at = int(part.hashes.is_null().arg_max() or 0)
                raise DataError(
                    f"the image {part.shown[at]} cannot be read",
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
    sizes = np.bincount(stands) if len(stands) else np.ones(1, dtype=np.int64)
    return Duplicates(
        table=table,
        records=len(stands),
        clusters=int((sizes > 1).sum()),
        merged=len(gone),
        examples=tuple(examples),
        largest=int(sizes.max()),
    )
