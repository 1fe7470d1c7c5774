"""BM25 over stored text columns, each by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.extras import needs_extra

__all__ = ["FieldTerms", "LexicalIndex", "words_of"]

_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Return runs of letters and digits in lower case, as the BM25 baseline has them."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class FieldTerms:
    """BM25 of every word and document of one column, as a sparse matrix by word.

    words: word → its number.
    starts: (W + 1,); the documents of word w are ``rows[starts[w] : starts[w + 1]]``.
    rows, scores: (E,), the documents that have a word, and its BM25 there, float32.
    """

    words: Mapping[str, int]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def term(self, word: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return the documents that have a word, and its BM25 there."""
        number = self.words.get(word)
        if number is None:
            return self.rows[:0], self.scores[:0]
        place = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return self.rows[place], self.scores[place]


@dataclass(frozen=True)
class LexicalIndex:
    """BM25 (k1 = 1.5, b = 0.75, Lucene's form) of each of some text columns.

    The score of a document is Σ_fields weight · Σ_words BM25, with as many terms as the query has
    words; a repeated word counts again.
    """

    count: int
    fields: Mapping[str, FieldTerms]

    @classmethod
    def of(cls, columns: Mapping[str, pl.Series]) -> LexicalIndex:
        """Return the index of columns of equal length; null is a text without words.

        Raises:
            MissingExtraError: bm25s is not installed.
        """
        count = max((len(column) for column in columns.values()), default=0)
        return cls(count, {name: _terms(column) for name, column in columns.items()})

    def scores(self, words: list[str], weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Return the score of every document, float64 (N,); 0 where no word is shared."""
        total = np.zeros(self.count)
        for name, weight in weights.items():
            for word in words:
                rows, scores = self.fields[name].term(word)
                total[rows] += weight * scores.astype(np.float64)
        return total

    def terms_of(
        self, row: int, words: list[str], weights: Mapping[str, float]
    ) -> dict[str, dict[str, float]]:
        """Return field → word → what it adds to the score of a document, zeros left out."""
        found: dict[str, dict[str, float]] = {}
        for name, weight in weights.items():
            for word in words:
                rows, scores = self.fields[name].term(word)
                place = np.flatnonzero(rows == row)
                if len(place):
                    terms = found.setdefault(name, {})
                    terms[word] = terms.get(word, 0.0) + weight * float(scores[place[0]])
        return found


def _terms(column: pl.Series) -> FieldTerms:
    with needs_extra("hybrid", "hybrid search needs bm25s", where="hybrid"):
        import bm25s
    texts = [words_of(text) for text in column.cast(pl.String).fill_null("")]
    nothing = np.zeros(0, dtype=np.int64)
    if not any(texts):
        return FieldTerms({}, np.zeros(1, dtype=np.int64), nothing, np.zeros(0, np.float32))
    index = bm25s.BM25(method="lucene")
    index.index(texts, show_progress=False)
    matrix = index.scores
    return FieldTerms(
        {word: number for word, number in index.vocab_dict.items() if word},
        matrix["indptr"].astype(np.int64),
        matrix["indices"].astype(np.int64),
        matrix["data"].astype(np.float32),
    )
