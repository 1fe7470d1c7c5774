"""A small split data set of made-up texts, and models that know or guess its relevance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.schema import Field, RankingDataset, ScoreScale

__all__ = ["FakeModel", "ranking_shop"]

_COLOURS = ("red", "green", "blue", "white")
_THINGS = ("mug", "lamp", "sofa", "vase", "rug")
_SPLITS = np.array([["zero_shot", "novel_query"], ["novel_document", "in_domain"]])


def ranking_shop(*, seed: int = 0, documents: int = 80, split: bool = True) -> RankingDataset:
    """Return queries of a colour and a thing, each judged on 16 documents: 2, 1 or 0 words fit."""
    rng = np.random.default_rng(seed)
    pairs = [(colour, thing) for colour in _COLOURS for thing in _THINGS]
    queries = pl.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(len(pairs))],
            "text": [f"{colour} {thing}" for colour, thing in pairs],
            "seen": [i % 4 != 0 for i in range(len(pairs))],
            "subset": ["dev" if i % 3 == 0 else "test" for i in range(len(pairs))],
        }
    )
    made = [pairs[i] for i in rng.integers(0, len(pairs), documents)]
    corpus = pl.DataFrame(
        {
            "doc_id": [f"d{i:03d}" for i in range(documents)],
            "title": [f"{colour} {thing} {i}" for i, (colour, thing) in enumerate(made)],
            "seen": [i % 2 == 0 for i in range(documents)],
        }
    )
    rows = [
        (q, int(d), float(sum(a == b for a, b in zip(pairs[q], made[d], strict=True))))
        for q in range(len(pairs))
        for d in rng.choice(documents, 16, replace=False)
    ]
    sides = zip(
        [queries["seen"][q] for q, _, _ in rows],
        [corpus["seen"][d] for _, d, _ in rows],
        strict=True,
    )
    judgments = pl.DataFrame(
        {
            "query_id": [f"q{q}" for q, _, _ in rows],
            "doc_id": [f"d{d:03d}" for _, d, _ in rows],
            "score": [score for _, _, score in rows],
            "split": [str(_SPLITS[int(q), int(d)]) for q, d in sides],
        }
    )
    if not split:
        queries, corpus = queries.drop("seen", "subset"), corpus.drop("seen")
        judgments = judgments.drop("split")
    return RankingDataset(
        name="shop",
        query_fields=(Field("text", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 2, 1),
        queries=queries,
        documents=corpus,
        judgments=judgments,
    )


class FakeModel:
    """Embeds a text as the words it has, plus noise: 0 is a perfect model, much is chance."""

    def __init__(self, name: str = "fake", *, noise: float = 0.0, seed: int = 0) -> None:
        self.name = name
        self.noise = noise
        self.seed = seed
        self.embedded: list[tuple[str, int]] = []

    def embed_queries(
        self, dataset: RankingDataset, queries: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        return self._embed("queries", queries["text"])

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        return self._embed("documents", documents["title"])

    def _embed(self, side: str, texts: pl.Series) -> npt.NDArray[np.float32]:
        self.embedded.append((side, len(texts)))
        words = (*_COLOURS, *_THINGS)
        vectors = np.array([[word in text.split() for word in words] for text in texts], float)
        rng = np.random.default_rng(self.seed)
        vectors += self.noise * rng.normal(size=vectors.shape)
        unit: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit.astype(np.float32)
