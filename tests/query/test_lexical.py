"""BM25 over stored columns: the formula, and the library that the baseline has."""

from __future__ import annotations

import bm25s
import numpy as np
import polars as pl
import pytest

from rankfield.query.lexical import LexicalIndex, words_of
from reference_query import bm25_of

RNG = np.random.default_rng(3)
WORDS = np.array(["red", "blue", "mug", "a1", "größe", "x_y", "the"])
TEXTS = [
    None if i % 17 == 3 else " ".join(RNG.choice(WORDS, int(RNG.integers(0, 9)))) for i in range(80)
]


def test_it_is_the_formula_and_bm25s() -> None:
    index = LexicalIndex.of({"text": pl.Series(TEXTS)})
    other = bm25s.BM25(method="lucene")
    other.index([(text or "").split() for text in TEXTS], show_progress=False)
    for query in (["red"], ["größe", "mug", "mug"], ["x_y", "nothing"], []):
        found = index.scores(query, {"text": 1.0})
        np.testing.assert_allclose(found, bm25_of(query, TEXTS), rtol=1e-6, atol=1e-7)
        ids = other.get_tokens_ids(query)
        if ids:
            np.testing.assert_allclose(found, other.get_scores_from_ids(ids), rtol=1e-5, atol=1e-6)


def test_terms_add_up_to_scores() -> None:
    columns = {"a": pl.Series(TEXTS), "b": pl.Series(TEXTS[::-1])}
    index = LexicalIndex.of(columns)
    weights = {"a": 2.0, "b": 0.5}
    words = ["red", "mug", "red", "nothing"]
    scores = index.scores(words, weights)
    for row in range(len(TEXTS)):
        terms = index.terms_of(row, words, weights)
        total = sum(value for field in terms.values() for value in field.values())
        assert total == pytest.approx(scores[row], abs=1e-12)
        assert "nothing" not in {word for field in terms.values() for word in field}


def test_columns_without_words() -> None:
    for texts in ([], [None, None], ["", " \t", "?!"]):
        index = LexicalIndex.of({"text": pl.Series(texts, dtype=pl.String)})
        assert index.scores(["red"], {"text": 1.0}).tolist() == [0.0] * len(texts)
    categories = pl.Series(["Red mug", None, "mug"], dtype=pl.Categorical)
    scores = LexicalIndex.of({"text": categories}).scores(["red"], {"text": 1.0})
    assert (scores > 0).tolist() == [True, False, False]


def test_words() -> None:
    assert words_of("Red-striped MUGS, 0.5 l; Größe_1 ÉTÉ") == [
        "red", "striped", "mugs", "0", "5", "l", "größe_1", "été",
    ]  # fmt: skip
    assert words_of("हिन्दी खोज") == ["हिन्दी", "खोज"]
    assert words_of("?!") == []
