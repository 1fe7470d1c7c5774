"""Gradient-boosted trees over what the tables show of a pair, as a teacher of unjudged pairs.

The trees see the query and the document together, and every column: attributes, prices and ratings
that the encoder does not read. What they learn is distilled by their grades of unjudged pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from rankfield.schema import RankingDataset

__all__ = ["PairTrees", "places"]

_WORDS = 100
"""Commonest words of the queries, each a feature; trees take 255 categories at most too."""
_NOT_SHOWN = ("doc_id", "image", "seen")


class PairTrees:
    """grade(q, d) by trees of: for each text column the idf-weighted share of the query's words in
    it; the document's attributes and numbers; the query's commonest words.

    They are fitted to the judged training pairs, and to as many random unjudged ones at the lowest
    score of the scale.

    queries, documents: training ids, of the rows and the columns of `grades`.
    judged: rows and columns of the judged pairs.

    Args:
        data: its training judgments and documents alone are used.
        seed: of the random pairs and the trees.
    """

    def __init__(self, data: RankingDataset, seed: int = 0) -> None:
        self._scale = data.score_scale
        judged = data.training_judgments()
        documents = data.training_documents()
        queries = data.queries.join(judged.select("query_id").unique(), on="query_id", how="semi")
        self.queries, self.documents = queries["query_id"], documents["doc_id"]
        self._prepare(queries["query"], documents.drop(_NOT_SHOWN, strict=False))
        rows, columns = self.judged = places(judged, self.queries, self.documents)
        rng = np.random.default_rng(seed)
        known = np.zeros((len(self.queries), len(self.documents)), dtype=bool)
        known[rows, columns] = True
        others = rng.permutation(np.flatnonzero(~known.ravel()))[: len(rows)]
        more_rows, more_columns = np.divmod(others, known.shape[1])
        features = self._features(np.r_[rows, more_rows], np.r_[columns, more_columns])
        lowest = np.full(len(others), self._scale.minimum)
        self._trees = HistGradientBoostingRegressor(
            categorical_features=self._categorical, random_state=seed
        ).fit(features, np.r_[judged["score"].to_numpy(), lowest])

    def grades(self) -> NDArray[np.float64]:
        """Return queries × documents grades within the scale."""
        shape = (len(self.queries), len(self.documents))
        rows, columns = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
        grades: NDArray[np.float64] = self._trees.predict(self._features(rows, columns))
        return grades.reshape(shape).clip(self._scale.minimum, self._scale.maximum)

    def _prepare(self, queries: pl.Series, frame: pl.DataFrame) -> None:
        """Keep what the features of a pair are put together from."""
        texts = [c for c in frame.columns if frame[c].dtype == pl.String]
        numbers = [c for c in frame.columns if frame[c].dtype.is_numeric()]
        asked = queries.fill_null("").to_list()
        words = CountVectorizer(binary=True).fit(asked)
        counts = words.transform(asked)
        idf: Any = TfidfTransformer().fit(words.transform(frame[texts[0]].fill_null(""))).idf_
        weighted = counts.multiply(idf).tocsr()
        total = np.maximum(np.asarray(weighted.sum(1)), 1e-9)
        self._overlaps = [
            np.asarray((weighted @ words.transform(frame[c].fill_null("")).T).todense()) / total
            for c in texts
        ]
        common = np.argsort(-np.asarray(counts.sum(0)).ravel(), kind="stable")[:_WORDS]
        self._asked = np.asarray(counts[:, common].todense())
        codes = [
            frame[c].cast(pl.Categorical).to_physical().rank("dense").fill_null(0).to_numpy()
            for c in texts
            if frame[c].n_unique() < 255
        ]
        values = [frame[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in numbers]
        self._shown = np.stack([*codes, *values], 1).astype(np.float64)
        self._categorical = list(range(len(texts), len(texts) + len(codes)))

    def _features(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        overlaps = np.stack([overlap[rows, columns] for overlap in self._overlaps], 1)
        return np.hstack([overlaps, self._shown[columns], self._asked[rows]])


def places(
    judged: pl.DataFrame, queries: pl.Series, documents: pl.Series
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and the columns of judged pairs among these ids."""
    rows = dict(zip(queries, range(len(queries)), strict=True))
    columns = dict(zip(documents, range(len(documents)), strict=True))
    return (
        np.array([rows[one] for one in judged["query_id"]]),
        np.array([columns[one] for one in judged["doc_id"]]),
    )
