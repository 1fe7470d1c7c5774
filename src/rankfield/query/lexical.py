"""BM25 over stored text columns, each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["FieldTerms", "LexicalIndex", "words_of"]

_K1, _B = 1.5, 0.75


def words_of(text: str) -> list[str]:
    """Return runs of letters, their marks, digits and "_" in lower case."""
    found: list[str] = _words(pl.Series([text], dtype=pl.String))[0].to_list()
    return found


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

    @classmethod
    def of(cls, column: pl.Series) -> FieldTerms:
        """Return those of a column; null is a text without words."""
        words = _words(column.cast(pl.String).fill_null(""))
        lengths = words.list.len().to_numpy().astype(np.float64)
        rows = np.repeat(np.arange(len(words)), lengths.astype(np.int64))
        counts = (
            pl.DataFrame({"word": words.filter(words.list.len() > 0).explode(), "row": rows})
            .group_by("word", "row")
            .len()
            .sort("word", "row")
        )
        having = counts.group_by("word", maintain_order=True).len()
        frequency = having["len"].to_numpy().astype(np.int64)
        rarity = np.log(1 + (len(words) - frequency + 0.5) / (frequency + 0.5))
        times, places = counts["len"].to_numpy().astype(np.float64), counts["row"].to_numpy()
        relative = lengths[places] / max(float(lengths.mean()), 1e-9) if len(words) else lengths
        scores = times / (times + _K1 * (1 - _B + _B * relative)) * np.repeat(rarity, frequency)
        return cls(
            dict(zip(having["word"].to_list(), range(having.height), strict=True)),
            np.concatenate([[0], np.cumsum(frequency)]).astype(np.int64),
            places.astype(np.int64),
            scores.astype(np.float32),
        )

    def term(self, word: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return the documents that have a word, and its BM25 there."""
        number = self.words.get(word)
        if number is None:
            return self.rows[:0], self.scores[:0]
        place = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return self.rows[place], self.scores[place]


@dataclass(frozen=True)
class LexicalIndex:
    """BM25 of each of some text columns (Robertson and Zaragoza 2009, in Lucene's form).

    Of a word that occurs t times in a text of l words, m on average, and in n of N texts, it is
    ln(1 + (N − n + 1/2) / (n + 1/2)) · t / (t + k1 · (1 − b + b · l / m)), k1 = 1.5, b = 0.75,
    rounded to float32. The score of a document is Σ_fields weight · Σ_words BM25; a word that the
    query repeats counts again.
    """

    count: int
    fields: Mapping[str, FieldTerms]

    @classmethod
    def of(cls, columns: Mapping[str, pl.Series]) -> LexicalIndex:
        """Return the index of columns of equal length; null is a text without words."""
        count = max((len(column) for column in columns.values()), default=0)
        return cls(count, {name: FieldTerms.of(column) for name, column in columns.items()})

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


def _words(texts: pl.Series) -> pl.Series:
    return texts.str.to_lowercase().str.extract_all(r"\w+")
