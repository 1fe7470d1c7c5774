"""Hard negatives: documents that a model ranks high, though nobody judged them good.

For each training query all documents that training may see are ranked by exact search. Of the
ranks `first` … `last` (judged documents are not counted), a candidate n of query q is kept if

    cos(q, n) ≤ best − margin                           (absolute margin)
    cos(q, n) ≤ best − relative_margin · |best|         (relative margin)
    cos(n, j) < near_duplicate for all judged j of q, and n equals none of them

with best = max cos(q, p) over the relevant documents p of q. A document as
close to the query as its relevant ones is probably an unjudged good one: the positive-aware
mining of NV-Retriever (arXiv 2407.15831, TopK-MarginPos and TopK-PercPos).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.encoders.columns import field_columns
from rankfield.encoders.contents import content_ids
from rankfield.errors import DataError
from rankfield.evaluation.ranker import Embedder, checked_embeddings
from rankfield.progress import progress
from rankfield.schema import RankingDataset
from rankfield.schema.row_numbers import row_numbers
from rankfield.search import Corpus, SearchOptions
from rankfield.training.mining_settings import MineSettings

__all__ = ["Mined", "mine"]

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_LARGEST_TILE = 4096
_BYTES_PER_HIT = 64  # row and similarity, and the copies of both while tiles are merged


@dataclass(frozen=True)
class Mined:
    """Hard negatives, and what was left out on the way to them.

    negatives: ``query_id``, ``doc_id``, ``rank`` (int32, from 1 among the documents that are not
        judged), ``similarity`` (float32 cosine); by query in the order of the data set, then rank.
    queries: how many queries were mined for.
    judged: how many judged documents were found above rank `last`.
    near_duplicates, above_margin: how many ranks from `first` to `last` were dropped as such; one
        that is both counts as a near duplicate.
    short: how many queries got fewer than `per_query`.
    model, data, fingerprint: names of model and data set, and the data's fingerprint.
    """

    negatives: pl.DataFrame
    queries: int
    judged: int
    near_duplicates: int
    above_margin: int
    short: int
    model: str
    data: str
    fingerprint: str
    settings: MineSettings = field(default_factory=MineSettings)


def mine(
    model: Embedder,
    dataset: RankingDataset,
    settings: MineSettings | None = None,
    *,
    device: str = "cpu",
) -> Mined:
    """Return hard negatives of the queries that have judgments to train on.

    The formulas are at the top of this module. Documents judged `relevant` or better on the data
    set's scale are relevant; for a query without any, those of its highest score. A document
    that is judged for the query, with whatever score and in whatever split, is never a negative,
    and neither is one that has none of the model's fields.
    Equal similarities are ordered by document row.

    Args:
        model: what embeds; it is not changed.
        dataset: if it is split, its seen documents are searched, else all.
        settings: defaults if None.
        device: where to search, as torch names it.

    Raises:
        DataError: nothing to train on, or an embedding that is not finite.
        ModelError: embeddings of another shape than promised.
    """
    settings = settings or MineSettings()
    search = _Search.of(model, dataset)
    found = _Found()
    count = len(search.query_rows)
    with progress("mine negatives", count, unit="queries") as advance:
        for tile in _tiles(search, settings):
            _mine_tile(search, tile, settings, device, found)
            advance(len(tile))
    negatives, short = _frame(search, found, settings.per_query)
    return Mined(
        negatives=negatives,
        queries=count,
        judged=found.judged,
        near_duplicates=found.near_duplicates,
        above_margin=found.above_margin,
        short=short,
        model=model.name,
        data=dataset.name,
        fingerprint=dataset.fingerprint(),
        settings=settings,
    )


@dataclass(frozen=True)
class _Lists:
    """For each query a list of document rows, all lists in one array."""

    offsets: Integers
    documents: Integers

    @classmethod
    def of(cls, pairs: pl.DataFrame, queries: pl.Series, documents: pl.Series) -> _Lists:
        """Group pairs by query, without those of other queries or documents."""
        rows = row_numbers(pairs["query_id"], queries)
        columns = row_numbers(pairs["doc_id"], documents)
        known = (rows >= 0) & (columns >= 0)
        rows, columns = rows[known], columns[known]
        counts = np.bincount(rows, minlength=len(queries))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(offsets, columns[np.argsort(rows, kind="stable")])

    def __getitem__(self, query: int) -> Integers:
        return self.documents[self.offsets[query] : self.offsets[query + 1]]


@dataclass(frozen=True)
class _Search:
    """Q training queries and N documents; `contents` (N) is equal where documents are.

    `relevant` leaves out documents that have no embedding: they give no margin.
    """

    queries: Floats
    documents: Floats
    corpus: Corpus
    judged: _Lists
    relevant: _Lists
    contents: Integers
    query_rows: Integers
    query_ids: pl.Series
    document_ids: pl.Series

    @classmethod
    def of(cls, model: Embedder, dataset: RankingDataset) -> _Search:
        training = dataset.training_judgments()
        if training.is_empty():
            raise DataError("no judged pair can be trained on", where=dataset.name)
        queries = dataset.queries.join(training, on="query_id", how="semi", maintain_order="left")
        documents = dataset.training_documents()
        ids = queries["query_id"], documents["doc_id"]
        columns = field_columns(documents, dataset.document_fields)
        asked = checked_embeddings(model, "queries", model.embed_queries(dataset, queries), queries)
        embedded = checked_embeddings(
            model, "documents", model.embed_documents(dataset, documents), documents
        )
        corpus = Corpus.of(embedded)
        known = training
        if corpus.rows is not None:
            found = documents.select("doc_id")[corpus.rows.tolist()]
            known = training.join(found, on="doc_id", how="semi", maintain_order="left")
        return cls(
            queries=asked,
            documents=embedded,
            corpus=corpus,
            judged=_Lists.of(dataset.judgments, *ids),
            relevant=_Lists.of(_relevant(known, dataset.score_scale.relevant), *ids),
            contents=content_ids(columns, dataset),
            query_rows=row_numbers(ids[0], dataset.queries["query_id"]),
            query_ids=ids[0],
            document_ids=ids[1],
        )


def _relevant(training: pl.DataFrame, least: float) -> pl.DataFrame:
    """Return the relevant pairs; for a query without any, those of its highest score."""
    score, best = pl.col("score"), pl.col("score").max().over("query_id")
    return training.filter((score >= least) | (score == best))


@dataclass
class _Found:
    """What the tiles have given so far: in each list one array per query."""

    queries: list[int] = field(default_factory=list)
    documents: list[Integers] = field(default_factory=list)
    ranks: list[Integers] = field(default_factory=list)
    similarities: list[Floats] = field(default_factory=list)
    judged: int = 0
    near_duplicates: int = 0
    above_margin: int = 0


def _tiles(search: _Search, settings: MineSettings) -> Iterator[Integers]:
    """Yield queries whose hits fit into half of the memory, those with most judgments first."""
    counts = np.diff(search.judged.offsets)
    order = np.argsort(-counts, kind="stable")
    start = 0
    while start < len(order):
        hits = min(settings.last + int(counts[order[start]]), len(search.documents))
        bytes_per_query = _BYTES_PER_HIT * max(hits, 1) + 8 * search.queries.shape[1]
        fitting = settings.memory_mib * 2**19 // bytes_per_query
        size = max(1, min(_LARGEST_TILE, fitting))
        yield order[start : start + size]
        start += size


def _mine_tile(
    search: _Search, tile: Integers, settings: MineSettings, device: str, found: _Found
) -> None:
    judged = max(len(search.judged[query]) for query in tile)
    hits = search.corpus.search(
        search.queries[tile],
        settings.last + judged,
        SearchOptions(max(1, settings.memory_mib // 2), device),
    )
    for query, row, similarities in zip(
        tile.tolist(), hits.indices, hits.similarities, strict=True
    ):
        indices, scores = row[row >= 0], similarities[row >= 0]
        is_judged = np.isin(indices, search.judged[query])
        ranks = np.cumsum(~is_judged, dtype=np.int64)
        found.judged += int((is_judged & (ranks < settings.last)).sum())
        window = np.flatnonzero(~is_judged & (ranks >= settings.first) & (ranks <= settings.last))
        near = _near_duplicates(search, query, indices[window], settings)
        above = ~near & (scores[window] > _threshold(search, query, settings))
        found.near_duplicates += int(near.sum())
        found.above_margin += int(above.sum())
        kept = _choose(window[~near & ~above], int(search.query_rows[query]), settings)
        found.queries.append(query)
        found.documents.append(indices[kept])
        found.ranks.append(ranks[kept])
        found.similarities.append(scores[kept])


def _near_duplicates(
    search: _Search, query: int, candidates: Integers, settings: MineSettings
) -> NDArray[np.bool_]:
    judged = search.judged[query]
    near: NDArray[np.bool_] = np.isin(search.contents[candidates], search.contents[judged])
    if settings.near_duplicate <= 1 and len(candidates):
        largest = _largest_cosine(search, search.documents[candidates], judged, settings)
        near |= largest >= settings.near_duplicate
    return near


def _threshold(search: _Search, query: int, settings: MineSettings) -> float:
    """Return the largest similarity that a negative of this query may have."""
    relevant = search.relevant[query]
    best = float(_largest_cosine(search, search.queries[query][None], relevant, settings)[0])
    if math.isinf(best):  # no relevant document has an embedding: nothing separates good from bad
        return best
    limits = [best - settings.margin] if settings.margin is not None else []
    if settings.relative_margin is not None:
        limits.append(best - settings.relative_margin * abs(best))
    return min(limits, default=math.inf)


def _largest_cosine(
    search: _Search, vectors: Floats, documents: Integers, settings: MineSettings
) -> Floats:
    """Return for each of the vectors its largest cosine with these documents."""
    bytes_per_document = 4 * (vectors.shape[1] + len(vectors))
    size = max(1, settings.memory_mib * 2**20 // bytes_per_document)
    largest = np.full(len(vectors), -np.inf, dtype=np.float32)
    for start in range(0, len(documents), size):
        part = search.documents[documents[start : start + size]]
        np.maximum(largest, (vectors @ part.T).max(axis=1), out=largest)
    return largest


def _choose(places: Integers, query_row: int, settings: MineSettings) -> Integers:
    if settings.sample == "top" or len(places) <= settings.per_query:
        return places[: settings.per_query]
    # Each query has its own stream, so that neither tiles nor other queries change its sample.
    rng = np.random.default_rng([settings.seed, query_row])
    return np.sort(rng.choice(places, settings.per_query, replace=False))


def _frame(search: _Search, found: _Found, per_query: int) -> tuple[pl.DataFrame, int]:
    lengths = np.array([len(documents) for documents in found.documents])
    queries = np.repeat(np.array(found.queries, dtype=np.int64), lengths)
    order = np.argsort(queries, kind="stable")
    documents = np.concatenate(found.documents)[order]
    frame = pl.DataFrame(
        {
            "query_id": search.query_ids.gather(queries[order]),
            "doc_id": search.document_ids.gather(documents),
            "rank": np.concatenate(found.ranks)[order].astype(np.int32),
            "similarity": np.concatenate(found.similarities)[order].astype(np.float32),
        }
    )
    return frame, int((lengths < per_query).sum())
