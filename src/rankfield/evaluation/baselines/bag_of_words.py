"""BM25 over the words of all text fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from rankfield.errors import DataError
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import Search
from rankfield.extras import needs_extra
from rankfield.schema import Field, RankingDataset, SplitView
from rankfield.search import Hits, rank_scores

__all__ = ["BagOfWords"]

_WORD = re.compile(r"\w+")
_QUERY_TILE = 64


class BagOfWords:
    """Okapi BM25 (k1 = 1.5, b = 0.75, Lucene's form) over the words of all text fields.

    Words are runs of letters and digits in lower case; there is no stemming and no stop list.
    Documents that share no word with a query are not retrieved. Needs the extra "baselines".

    Raises:
        MissingExtraError: bm25s is not installed.
    """

    name = "bm25"
    metadata: Mapping[str, Any] = {"baseline": name}

    def __init__(self) -> None:
        self._bm25s = _import_bm25s()

    def searcher(self, dataset: RankingDataset, options: EvaluationOptions) -> Search:
        """Return the search for the documents that share most with a query.

        Raises:
            DataError: the queries or the documents have no text field.
        """
        for table in ("queries", "documents"):
            if not any(f.modality == "text" for f in dataset.fields(table)):
                raise DataError(
                    "BM25 needs a text field, found none",
                    where=f"{dataset.name}, {table}",
                )

        return lambda view: self._search(dataset, view, options.k)

    def _search(self, dataset: RankingDataset, view: SplitView, k: int) -> Hits:
        documents = _words(view.documents, dataset.document_fields)
        queries = _words(view.queries, dataset.query_fields)
        k = min(k, len(documents))
        if not any(documents):
            return Hits.nothing(len(queries), k)
        index = self._bm25s.BM25(method="lucene")
        index.index(documents, show_progress=False)
        tiles = []
        for start in range(0, len(queries), _QUERY_TILE):
            tile = [index.get_tokens_ids(words) for words in queries[start : start + _QUERY_TILE]]
            scores = np.stack([index.get_scores_from_ids(words) for words in tile])
            # Lucene's form has no negative weights: 0 says that no word is shared.
            tiles.append(rank_scores(np.where(scores > 0, scores, -np.inf), k))
        return Hits.joined(tiles)


def _import_bm25s() -> ModuleType:
    with needs_extra("baselines", "the BM25 baseline needs bm25s"):
        import bm25s
    module: ModuleType = bm25s
    return module


def _words(frame: pl.DataFrame, fields: Sequence[Field]) -> list[list[str]]:
    """Return the words of each row's text fields."""
    columns = [pl.col(f.name).fill_null("") for f in fields if f.modality == "text"]
    texts = frame.select(pl.concat_str(columns, separator=" ").str.to_lowercase()).to_series()
    return [_WORD.findall(text) for text in texts]
