"""An index, as a ranker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from rankfield.encoders import RankingModel
from rankfield.evaluation.listed import listed_hits
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import Search, checked_embeddings
from rankfield.index import Index, check_data
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Hits

__all__ = ["IndexRanker"]


@dataclass(frozen=True)
class IndexRanker:
    """Ranks with the vectors of an index; its model embeds the queries alone.

    model: the index's model (`index.index_model`).
    index: of all documents of the data set.
    metadata: what results say of it.
    """

    model: RankingModel
    index: Index
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def searcher(self, dataset: RankingDataset, options: EvaluationOptions) -> Search:
        """Return the search of the index among the documents of a split.

        Raises:
            InputError: the index was built of other documents than the data set's.
        """
        check_data(self.index, self.model, dataset)

        def search(view: SplitView) -> Hits:
            queries = checked_embeddings(
                self.model, "queries", self.model.embed_queries(dataset, view.queries), view.queries
            )
            corpus = frozenset(view.documents["doc_id"])
            found = self.index.search(queries, options.k, corpus, options.search, exact=True)
            pairs = found.select(
                pl.Series("query_id", view.queries["query_id"].gather(found["query"])),
                "doc_id",
                score="similarity",
            )
            return listed_hits(view, pairs, options.k)

        return search
