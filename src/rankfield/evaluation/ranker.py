"""What can be evaluated: anything that ranks the documents of a split for its queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.errors import ModelError
from rankfield.evaluation.options import EvaluationOptions
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Corpus, Hits

__all__ = [
    "Embedder",
    "ModelRanker",
    "Ranker",
    "Search",
    "checked_embeddings",
    "corpus_of",
    "ranker_of",
]

Search = Callable[[SplitView], Hits]
"""Ranks a split's documents: row q of the hits for row q of its queries, indices into the rows of
its documents."""

_CORPUS = {
    "in_domain": "seen",
    "novel_query": "seen",
    "novel_document": "unseen",
    "zero_shot": "unseen",
}
"""Split → its corpus: two splits search the same documents, which are embedded once."""


@runtime_checkable
class Ranker(Protocol):
    """What ranks: a model, an index, a baseline, a run file."""

    @property
    def name(self) -> str:
        """How to call it in results."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What results say of it, such as its path, fingerprint or seed."""

    def searcher(self, dataset: RankingDataset, options: EvaluationOptions) -> Search:
        """Check that it can rank this data, before any long work, and return how."""


class Embedder(Protocol):
    """What a `ModelRanker` needs of a model."""

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


@dataclass(frozen=True)
class ModelRanker:
    """A model that ranks by exact search; each corpus is embedded once, when first needed.

    Equal similarities are ordered by document row. A document with a zero embedding (none of the
    model's fields is there) is not found, and a query with one finds nothing.
    """

    model: Embedder
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def searcher(self, dataset: RankingDataset, options: EvaluationOptions) -> Search:
        """Return exact search by the model.

        The search raises:
            ModelError: embeddings of another shape than promised.
            DataError: an embedding that is not finite.
        """
        model, corpora = self.model, dict[str, Corpus]()

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
            return corpora[corpus].search(queries, options.k, options.search)

        return search


def ranker_of(what: Ranker | Embedder) -> Ranker:
    """Return a ranker as it is, a model as `ModelRanker`."""
    return what if isinstance(what, Ranker) else ModelRanker(what)


def corpus_of(split: str) -> str:
    """Return which documents a split is searched in: "seen", "unseen" or "all"."""
    return _CORPUS.get(split, "all")


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
