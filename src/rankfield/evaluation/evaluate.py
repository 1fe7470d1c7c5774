"""Evaluating a model: exact search over the whole corpus of each split, then all metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.errors import ModelError
from rankfield.evaluation.check_hits import check_hits
from rankfield.evaluation.join_judgments import join_judgments
from rankfield.evaluation.protocol import protocol_named
from rankfield.evaluation.resampling import LEVEL
from rankfield.evaluation.results import DatasetIdentity, Results, SplitSize
from rankfield.metrics import JudgedRankings
from rankfield.metrics.rankings import FloatArray
from rankfield.schema import SPLITS, RankingDataset, SplitView
from rankfield.search import Corpus, Hits

__all__ = [
    "Embedder",
    "checked_embeddings",
    "corpus_of",
    "evaluate",
    "evaluate_rankings",
    "searcher",
]

_CORPUS = {
    "in_domain": "seen",
    "novel_query": "seen",
    "novel_document": "unseen",
    "zero_shot": "unseen",
}
"""Split → its corpus: two splits search the same documents, which are embedded once."""

_SEED = 0
"""Of the resampling behind the intervals."""

_Search = Callable[[SplitView], Hits]


class Embedder(Protocol):
    """What `evaluate` needs of a model."""

    @property
    def name(self) -> str:
        """How to call the model in results."""

    def embed_queries(
        self, dataset: RankingDataset, queries: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        """Return unit embeddings, float32 (rows, D), in the order of the rows; zero: of nothing."""

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        """Return unit embeddings, float32 (rows, D), in the order of the rows; zero: of nothing."""


def evaluate(
    model: Embedder,
    dataset: RankingDataset,
    *,
    splits: Sequence[str] | None = None,
    subset: str | None = "test",
    k: int = 1000,
    keep: int = 10,
    label: str | None = None,
    device: str = "cpu",
    protocol: str = "rankfield",
    made: Mapping[str, Any] | None = None,
    memory_mib: int = 256,
    precision: str = "auto",
) -> Results:
    """Return all `metrics.STANDARD_METRICS` of `model` on each split.

    Each query is searched exactly over the whole corpus of the split; equal similarities are
    ordered by document row; an unjudged document counts 0. A document with a zero embedding (none
    of the model's fields is there) is not found, and a query with one finds nothing. A query for
    which a metric is undefined (nothing relevant is judged) is left out of its mean.

    Args:
        model: the model.
        dataset: the data set.
        splits: names from `SPLITS` or "all"; by default those of a split data set that have
            judged queries of the subset, else "all".
        subset: "dev", "test" or None for both; ignored where the queries have no subsets.
        k: how many documents to retrieve for a query.
        keep: how many of them to keep in ``Results.rankings``.
        label: a name under which `compare` averages several runs.
        device: where to search, as torch names it.
        protocol: by whose rules: one of `protocol.PROTOCOLS`.
        made: what else to write into ``Results.made``, such as the model's path.
        memory_mib: about how much the search may use beside the embeddings and the result.
        precision: how `search.exact_search` multiplies; it changes the speed only.

    Raises:
        SplitError: an unknown split or subset, or a split without queries.
        DataError: an id or pair that occurs twice, or an embedding that is not finite.
        ModelError: embeddings of another shape than promised.
        MetricError: an unknown protocol.
    """
    return evaluate_rankings(
        model.name,
        searcher(model, dataset, k, device=device, memory_mib=memory_mib, precision=precision),
        dataset,
        splits=splits,
        subset=subset,
        keep=keep,
        label=label,
        protocol=protocol,
        made={"k": k, **(made or {})},
    )


def evaluate_rankings(
    name: str,
    search: _Search,
    dataset: RankingDataset,
    *,
    splits: Sequence[str] | None = None,
    subset: str | None = "test",
    keep: int = 10,
    label: str | None = None,
    protocol: str = "rankfield",
    made: Mapping[str, Any] | None = None,
) -> Results:
    """Return the same as `evaluate` for anything that ranks.

    `search` gets a split and returns `Hits`: row q for row q of its queries, indices into the
    rows of its documents.

    Raises:
        SplitError: an unknown split or subset, or a split without queries.
        DataError: an id or pair that occurs twice.
        ModelError: hits of another shape, of unknown or repeated documents, or scored NaN.
        MetricError: an unknown protocol.
    """
    rules, subset = protocol_named(protocol), _subset(dataset, subset)
    means, sizes, per_query, rankings = {}, {}, [], []
    # All of them first: a split that cannot be measured is said before any search.
    wanted = _splits(dataset, splits, subset)
    views = [rules.view(dataset.view(split, subset)) for split in wanted]
    for view in views:
        split = view.name
        hits = search(view)
        check_hits(name, view, hits)
        judged = join_judgments(view, hits)
        values = rules.values(view, hits, judged, dataset.score_scale)
        means[split] = rules.means(values, seed=_SEED)
        sizes[split] = SplitSize(
            view.queries.height, view.documents.height, view.judgments.height, hits.ties
        )
        per_query.append(_query_frame(view, values))
        rankings.append(_ranking_frame(view, hits, judged, keep))
    path = str(dataset.root.resolve()) if dataset.root else ""
    return Results(
        model=name,
        label=label,
        dataset=DatasetIdentity(dataset.name, dataset.fingerprint(), path),
        subset=subset or "all",
        splits=means,
        sizes=sizes,
        queries=pl.concat(per_query),
        rankings=pl.concat(rankings),
        protocol=protocol,
        made={
            "intervals": {"level": LEVEL, "seed": _SEED},
            **_stated_floor(dataset, protocol),
            **rules.settings,
            **(made or {}),
        },
    )


def _stated_floor(dataset: RankingDataset, protocol: str) -> dict[str, float]:
    """Return where gains begin, if that is not told by the scale's minimum."""
    floor = dataset.score_scale.gain_floor
    own = protocol == "rankfield"  # the others have gains of their own
    return {"gain_floor": floor} if own and floor is not None else {}


def _splits(
    dataset: RankingDataset, splits: Sequence[str] | None, subset: str | None
) -> Sequence[str]:
    """Return the splits to measure; by default those with judged queries of the subset."""
    if splits is not None:
        return list(dict.fromkeys(splits))
    # Without any, the first one asked for says what there is.
    return dataset.judged_splits(subset) or (SPLITS if dataset.is_split else ("all",))


def _subset(dataset: RankingDataset, subset: str | None) -> str | None:
    return subset if dataset.has_subsets else None


def corpus_of(split: str) -> str:
    """Return which documents a split is searched in: "seen", "unseen" or "all"."""
    return _CORPUS.get(split, "all")


def searcher(
    model: Embedder,
    dataset: RankingDataset,
    k: int,
    *,
    device: str,
    memory_mib: int = 256,
    precision: str = "auto",
) -> _Search:
    """Return exact search by `model`; each corpus is embedded once, when it is first needed."""
    corpora: dict[str, Corpus] = {}

    def search(view: SplitView) -> Hits:
        # Queries first: they are few, and what they lack is said before the long work.
        queries = checked_embeddings(
            model, "queries", model.embed_queries(dataset, view.queries), view.queries
        )
        corpus = corpus_of(view.name)
        if corpus not in corpora:
            documents = model.embed_documents(dataset, view.documents)
            corpora[corpus] = Corpus.of(
                checked_embeddings(model, "documents", documents, view.documents)
            )
        return corpora[corpus].search(
            queries, k, memory_mib=memory_mib, device=device, precision=precision
        )

    return search


def checked_embeddings(
    model: Embedder, what: str, embeddings: npt.NDArray[np.float32], frame: pl.DataFrame
) -> npt.NDArray[np.float32]:
    """Return `embeddings`, float32 (rows, D), as they are if they have one row for each of `frame`.

    Args:
        model: who made them, for the message.
        what: "queries" or "documents".
        embeddings: what it made.
        frame: of which rows.

    Raises:
        ModelError: another shape.
    """
    if embeddings.ndim != 2 or len(embeddings) != frame.height:
        raise ModelError(
            f"expected one embedding for each of {frame.height} {what}, "
            f"found an array of shape {embeddings.shape}",
            where=model.name,
        )
    return embeddings


def _query_frame(view: SplitView, values: dict[str, FloatArray]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "split": [view.name] * view.queries.height,
            "query_id": view.queries["query_id"],
            **{name: pl.Series(name, column).fill_nan(None) for name, column in values.items()},
        }
    )


def _ranking_frame(view: SplitView, hits: Hits, judged: JudgedRankings, keep: int) -> pl.DataFrame:
    indices = hits.indices[:, :keep]
    queries, ranks = np.nonzero(indices >= 0)
    return pl.DataFrame(
        {
            "split": pl.repeat(view.name, len(queries), dtype=pl.String, eager=True),
            "query_id": view.queries["query_id"].gather(queries),
            "rank": ranks.astype(np.int64) + 1,
            "doc_id": view.documents["doc_id"].gather(indices[queries, ranks]),
            "similarity": hits.similarities[queries, ranks],
            "judged_score": pl.Series(judged.scores[queries, ranks]).fill_nan(None),
        }
    )
