"""nDCG on the dev queries while training; of a large corpus, over a sample that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.evaluation.join_judgments import join_judgments
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import Embedder, ModelRanker, corpus_of
from rankfield.metrics import mean_of_defined, measure
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import SearchOptions

__all__ = ["DevSet", "dev_ndcg", "dev_splits"]

Limit = int | Literal["all"]


def dev_splits(dataset: RankingDataset, wanted: Sequence[str]) -> list[str]:
    """Return the splits that dev is measured on: the wanted ones with judged dev queries.

    Of a data set without splits whose queries are marked as dev, that is "all". Nothing where no
    query is marked.
    """
    if not dataset.has_subsets:
        return []
    found = dataset.judged_splits("dev")
    return [split for split in found if split in wanted or not dataset.is_split]


@dataclass(frozen=True)
class DevSet:
    """The dev queries of some splits, and for each split the documents that they are searched in.

    Of a corpus with more than `documents` documents, those judged for the dev queries are kept and
    a sample of `documents`; of a split with more than `queries` dev queries, a sample of
    `queries`. The samples are the records whose ids have the smallest hashes: the same for every
    measurement, run and seed.
    """

    dataset: RankingDataset
    views: tuple[SplitView, ...]
    totals: tuple[tuple[int, int], ...]
    """Of each view, how many queries and documents there are in all."""

    @classmethod
    def of(
        cls,
        dataset: RankingDataset,
        splits: Sequence[str],
        *,
        subset: str | None = "dev",
        queries: Limit = "all",
        documents: Limit = "all",
    ) -> DevSet:
        """Return the dev set of these splits.

        Args:
            dataset: the data set.
            splits: from `dev_splits`.
            subset: "dev", or another as `RankingDataset.view` takes it; ignored where the queries
                have no subsets.
            queries: the limit for each split.
            documents: the limit for each corpus, beside the judged documents.

        Raises:
            SplitError: an unknown split or subset, or a split without queries.
        """
        subset = subset if dataset.has_subsets else None
        # A corpus of millions is not copied for each split: only what is kept of it.
        bare = dataset.with_tables(documents=dataset.documents.clear())
        whole = [bare.view(split, subset) for split in splits]
        corpora = {corpus_of(view.name): _corpus(dataset, view.name) for view in whole}
        totals = tuple(
            (view.queries.height, int(corpora[corpus_of(view.name)].sum())) for view in whole
        )
        views = [_fewer_queries(view, queries) for view in whole]
        return cls(dataset, tuple(_with_documents(dataset, views, corpora, documents)), totals)

    def defined(self) -> DevSet | None:
        """Return the splits with a dev query that has a document of positive gain; None of none.

        On the others nDCG is undefined.
        """
        floor = self.dataset.score_scale.floor
        kept = [
            (view, total)
            for view, total in zip(self.views, self.totals, strict=True)
            if (view.judgments["score"] > floor).any()
        ]
        if not kept:
            return None
        views, totals = zip(*kept, strict=True)
        return replace(self, views=views, totals=totals)

    def ndcg(self, model: Embedder, *, k: int = 10, device: str = "cpu") -> dict[str, float]:
        """Return split → mean nDCG@k with linear gain.

        NaN where no query of the split has a document of positive gain.

        Raises:
            DataError, ModelError: as `evaluate`.
        """
        options = EvaluationOptions(k=k, search=SearchOptions(device=device))
        search = ModelRanker(model).searcher(self.dataset, options)
        found = {}
        for view in self.views:
            values = measure(
                f"nDCG@{k}", join_judgments(view, search(view)), self.dataset.score_scale
            )
            mean = mean_of_defined(values).value
            found[view.name] = float("nan") if mean is None else mean
        return found

    def sizes(self) -> dict[str, str]:
        """Return split → its sizes in words, "20 queries over 500 of 9,000 documents"."""
        return {
            view.name: f"{_of(view.queries.height, queries)} queries over "
            f"{_of(view.documents.height, documents)} documents"
            for view, (queries, documents) in zip(self.views, self.totals, strict=True)
        }


def dev_ndcg(
    model: Embedder,
    dataset: RankingDataset,
    splits: Sequence[str],
    *,
    subset: str | None = "dev",
    k: int = 10,
    device: str = "cpu",
) -> dict[str, float]:
    """Return split → mean nDCG@k with linear gain, over the whole corpus of each split.

    NaN where no query of the split has a document of positive gain.

    Raises:
        SplitError, DataError, ModelError: as `evaluate`.
    """
    return DevSet.of(dataset, splits, subset=subset).ndcg(model, k=k, device=device)


def _fewer_queries(view: SplitView, limit: Limit) -> SplitView:
    if limit == "all" or view.queries.height <= limit:
        return view
    queries = view.queries.filter(_sample(view.queries["query_id"], limit))
    kept = view.judgments.join(queries.select("query_id"), on="query_id", how="semi")
    return replace(view, queries=queries, judgments=kept)


def _corpus(dataset: RankingDataset, split: str) -> NDArray[np.bool_]:
    """Return which documents a split is searched in."""
    if split == "all":
        return np.ones(dataset.documents.height, dtype=bool)
    wanted = split in ("in_domain", "novel_query")
    found: NDArray[np.bool_] = (dataset.documents["seen"] == wanted).fill_null(False).to_numpy()
    return found


def _with_documents(
    dataset: RankingDataset,
    views: Sequence[SplitView],
    corpora: Mapping[str, NDArray[np.bool_]],
    limit: Limit,
) -> list[SplitView]:
    """Return the views with the documents to search; those of one corpus share a table."""
    judged: dict[str, list[pl.Series]] = {}
    for view in views:
        judged.setdefault(corpus_of(view.name), []).append(view.judgments["doc_id"])
    tables: dict[str, pl.DataFrame] = {}
    for corpus, known in judged.items():
        inside = corpora[corpus]
        if limit == "all" or inside.sum() <= limit:
            kept = inside
        else:
            ids = dataset.documents["doc_id"]
            kept = inside & ids.is_in(pl.concat(known).unique().implode()).to_numpy()
            kept[_sampled(dataset, corpus, inside, limit)] = True
        tables[corpus] = dataset.documents.filter(pl.Series(kept))
    return [replace(view, documents=tables[corpus_of(view.name)]) for view in views]


def _sampled(
    dataset: RankingDataset, corpus: str, inside: NDArray[np.bool_], limit: int
) -> NDArray[np.int64]:
    """Return the rows of the documents of a corpus that are sampled."""

    def rows() -> dict[str, NDArray[np.int64]]:
        ids = dataset.documents["doc_id"].filter(pl.Series(inside))
        return {"rows": np.flatnonzero(inside)[_sample(ids, limit).to_numpy()]}

    kept = dataset.mapped
    return rows()["rows"] if kept is None else kept.derived(f"dev {corpus} {limit}", rows)["rows"]


def _sample(ids: pl.Series, count: int) -> pl.Series:
    """Return which ids are among the `count` with the smallest blake2b, bool."""
    blake2b = hashlib.blake2b
    digests = b"".join(blake2b(i.encode(), digest_size=8, person=b"dev").digest() for i in ids)
    order = np.argsort(np.frombuffer(digests, dtype=">u8"), kind="stable")
    chosen = np.zeros(len(ids), dtype=bool)
    chosen[order[:count]] = True
    return pl.Series(chosen)


def _of(count: int, total: int) -> str:
    return f"{count:,}" if count == total else f"{count:,} of {total:,}"
