"""The four splits: queries seen or unseen in training × documents seen or unseen."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.curation.texts import joined_text, near_key
from rankfield.errors import SplitError
from rankfield.schema import SPLITS, SUBSETS, Tables
from rankfield.schema.tables import T
from rankfield.validate import require_valid

__all__ = ["split", "split_sizes"]

_NOTE = "split: "
_AT_A_TIME = 100_000


def split(
    dataset: T,
    *,
    queries: float = 0.8,
    documents: float = 0.5,
    dev: float = 0.5,
    group_documents_by: str | None = None,
    seed: int = 0,
) -> T:
    """Return the data set with queries and documents on the seen or the unseen side of training.

    Queries get ``seen`` and ``subset`` ("dev" or "test", on both sides), documents get ``seen``,
    judgments get ``split``: in_domain (both seen), novel_query (document seen), novel_document
    (query seen), zero_shot (neither). Earlier splits are replaced.

    Whole groups are assigned: documents with the same value of `group_documents_by` (one without
    a value stands alone), and queries that are equal after normalisation, word order and plural
    apart (`texts.near_key`). Groups come in the order of blake2b(seed, kind, key), so the result
    depends on the contents and the seed, never on the order of rows. Each is taken if it still
    fits into the fraction of rows asked for; where large groups keep the fraction from being met
    within 1 % of the rows, a note in the provenance says so.

    Args:
        dataset: any ranking data set, in memory or in its folder.
        queries: fraction of the queries seen in training, in (0, 1).
        documents: fraction of the documents seen in training, in (0, 1).
        dev: fraction of each side's queries in "dev", in (0, 1).
        group_documents_by: a column of the documents.
        seed: another seed gives another split.

    Raises:
        SplitError: a fraction out of range, no such column, or a split × subset without a judged
            query.
        DataError: `validate.require_valid` fails, as on duplicate or unknown ids.
    """
    for name, fraction in (("queries", queries), ("documents", documents), ("dev", dev)):
        if not 0 < fraction < 1:
            raise SplitError(
                f"expected a fraction above 0 and below 1, found {fraction}", where=name
            )
    require_valid(dataset)
    notes: list[str] = []
    query_keys = _query_keys(dataset)
    document_keys = _document_keys(dataset, group_documents_by)
    query_seen = _take(query_keys, queries, seed, "queries", notes)
    document_seen = _take(document_keys, documents, seed, "documents", notes)
    in_dev = _subsets(query_keys, query_seen, dev, seed, notes)
    subset = pl.select(pl.when(in_dev).then(pl.lit("dev")).otherwise(pl.lit("test"))).to_series()
    result = dataset.with_columns("queries", pl.DataFrame({"seen": query_seen, "subset": subset}))
    result = result.with_columns("documents", pl.DataFrame({"seen": document_seen}))
    result = result.with_columns("judgments", _split_judgments(result).to_frame("split"))
    _require_judged(result)
    how = f"{_NOTE}queries {queries}, documents {documents}, dev {dev}, seed {seed}"
    if group_documents_by is not None:
        how += f", documents grouped by {group_documents_by}"
    return result.with_notes([how, *(_NOTE + note for note in notes)], replacing=_NOTE)


def split_sizes(dataset: Tables) -> pl.DataFrame:
    """Return the sizes of the four splits of a split data set, for dev and test.

    Returns:
        8 rows in the order of `SPLITS` × `SUBSETS` with columns split, subset, queries (judged in
        that split), documents (the whole corpus of that side), judgments.
    """
    subsets = dataset.frame("queries", ["query_id", "subset"])
    judged = (
        dataset.lazy("judgments")
        .group_by("split", "query_id")
        .agg(judgments=pl.len())
        .collect(engine="streaming")
        .join(subsets, on="query_id")
        .group_by("split", "subset")
        .agg(queries=pl.len(), judgments=pl.col("judgments").sum())
    )
    seen = int(dataset.frame("documents", ["seen"])["seen"].sum())
    corpus = dict.fromkeys(SPLITS[:2], seen)
    corpus |= dict.fromkeys(SPLITS[2:], dataset.height("documents") - seen)
    cells = pl.DataFrame(
        [(name, subset, corpus[name]) for name in SPLITS for subset in SUBSETS],
        schema=["split", "subset", "documents"],
        orient="row",
    )
    return cells.join(judged, on=["split", "subset"], how="left", maintain_order="left").select(
        "split",
        "subset",
        pl.col("queries").fill_null(0),
        "documents",
        pl.col("judgments").fill_null(0),
    )


def _query_keys(dataset: Tables) -> pl.Series:
    """Queries of one key stay together: the same words; without words, each alone."""
    fields = [f for f in dataset.query_fields if f.modality == "text"]
    columns = dict.fromkeys(["query_id", *(f.name for f in fields)])
    frame = dataset.frame("queries", list(columns))
    words = near_key(joined_text(frame, fields))
    return _group_keys(frame.select("query_id", words=words), "query_id", "words")


def _document_keys(dataset: Tables, group: str | None) -> pl.Series:
    if group is None:
        alone = dataset.frame("documents", ["doc_id"])
        return alone.select(key="id:" + pl.col("doc_id"))["key"]
    columns = dataset.schema("documents")
    if group not in columns:
        raise SplitError(
            f"the documents have no column {group!r} to group by; found {', '.join(columns)}",
            where=dataset.name,
        )
    frame = dataset.frame("documents", list(dict.fromkeys(["doc_id", group])))
    frame = frame.select("doc_id", group=pl.col(group).cast(pl.String))
    return _group_keys(frame, "doc_id", "group")


def _group_keys(frame: pl.DataFrame, identity: str, group: str) -> pl.Series:
    # the prefixes keep an id from falling into a group of the same name
    alone = pl.lit("id:") + pl.col(identity)
    together = pl.lit("group:") + pl.col(group)
    absent = pl.col(group).is_null() | (pl.col(group) == "")
    return frame.select(key=pl.when(absent).then(alone).otherwise(together))["key"]


def _take(keys: pl.Series, fraction: float, seed: int, kind: str, notes: list[str]) -> pl.Series:
    """Return for each row whether its group is taken, so that `fraction` of the rows are."""
    unique = keys.n_unique() == len(keys)
    groups = keys.to_frame("key").with_columns(rows=pl.lit(1)) if unique else _count(keys)
    order = _places(groups["key"], seed, kind)
    sizes = groups["rows"].to_numpy().astype(np.int64)[order]
    if len(sizes) < 2:
        raise SplitError(
            f"cannot divide {len(keys)} {kind} ({len(sizes)} group) in two",
            remedy="Add more, or group by another column.",
        )
    target = min(max(round(fraction * len(keys)), 1), len(keys) - 1)
    taken = _fill(sizes, target)
    count = int(sizes[taken].sum())
    if abs(count - target) > max(1.0, 0.01 * len(keys)):
        largest = groups.row(int(order[sizes.argmax()]), named=True)
        notes.append(
            f"{kind}: {count / len(keys):.1%} taken where {fraction:.1%} was asked for, because "
            f"groups stay whole; the largest, {largest['key']!r}, has {largest['rows']} rows"
        )
    sides = np.zeros(len(groups), dtype=bool)
    sides[order] = taken
    if unique:
        return pl.Series("taken", sides)
    marked = groups.select("key", taken=pl.Series(sides))
    return keys.to_frame("key").join(marked, on="key", how="left", maintain_order="left")["taken"]


def _count(keys: pl.Series) -> pl.DataFrame:
    return keys.alias("key").value_counts(name="rows")


def _places(keys: pl.Series, seed: int, kind: str) -> NDArray[np.int64]:
    """Return the order of keys, no two the same, by their hash; by themselves where it ties."""
    prefix = f"{seed}\0{kind}\0".encode()
    blake2b = hashlib.blake2b
    hashes = np.empty(len(keys), dtype=np.uint64)
    for start in range(0, len(keys), _AT_A_TIME):
        part = keys.slice(start, _AT_A_TIME)
        digests = b"".join(blake2b(prefix + k.encode(), digest_size=8).digest() for k in part)
        hashes[start : start + len(part)] = np.frombuffer(digests, dtype=">u8")
    order = np.argsort(hashes, kind="stable")
    in_order = hashes[order]
    if (in_order[1:] == in_order[:-1]).any():
        both = pl.DataFrame({"hash": hashes, "key": keys}).with_row_index("row")
        order = both.sort("hash", "key")["row"].to_numpy().astype(np.int64)
    return order


def _fill(sizes: np.ndarray, target: int) -> np.ndarray:
    """Take each group in turn that still fits; at the end the smallest one left, if nearer so."""
    ends = np.cumsum(sizes)
    first = int(np.searchsorted(ends, target, side="right"))
    taken = np.zeros(len(sizes), dtype=bool)
    taken[:first] = True
    room = target - int(ends[first - 1] if first else 0)
    for i in range(first, len(sizes)):
        if room == 0:
            break
        if sizes[i] <= room:
            taken[i] = True
            room -= int(sizes[i])
    left = np.flatnonzero(~taken)
    smallest = left[np.argmin(sizes[left])]
    if len(left) > 1 and sizes[smallest] - room < room:
        taken[smallest] = True
    return taken


def _subsets(
    keys: pl.Series, seen: pl.Series, dev: float, seed: int, notes: list[str]
) -> pl.Series:
    """Return for each query whether it is in dev, drawn on each side by itself."""
    in_dev = np.zeros(len(keys), dtype=bool)
    for side, name in ((seen, "seen queries"), (~seen, "unseen queries")):
        rows = side.to_numpy()
        in_dev[rows] = _take(keys.filter(side), dev, seed, name, notes).to_numpy()
    return pl.Series(in_dev)


def _split_judgments(dataset: Tables) -> pl.Series:
    """Return the split of each judgment; every id is known."""
    index = np.zeros(dataset.height("judgments"), dtype=np.uint32)
    for table, identity, step in (("queries", "query_id", 1), ("documents", "doc_id", 2)):
        sides = dataset.frame(table, [identity, "seen"])
        unseen = sides.filter(~pl.col("seen"))[identity].implode()
        judged = dataset.frame("judgments", [identity])[identity]
        index += step * judged.is_in(unseen).to_numpy().astype(np.uint32)
    return pl.Series(SPLITS).gather(index)


def _require_judged(dataset: Tables) -> None:
    empty = split_sizes(dataset).filter(pl.col("queries") == 0)
    if empty.is_empty():
        return
    cells = ", ".join(
        f"{name} × {subset}" for name, subset in empty.select("split", "subset").rows()
    )
    raise SplitError(
        f"no judged query in {cells}: the data set has too few judged queries or documents for"
        " these fractions",
        where=dataset.name,
        remedy="Choose fractions nearer 0.5, another seed or smaller groups, or add data.",
    )
