"""The hidden relevance: how well a product answers a query, which no model is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rankfield.synthetic.catalogue import Catalogue
from rankfield.synthetic.queries import Query
from rankfield.synthetic.vocabulary import CATEGORIES, COLOURS, SIMILARITY, to_lab

__all__ = ["WEIGHTS", "Relevance"]

WEIGHTS = {
    "category": 4.0,
    "colour": 2.9,
    "pattern": 2.6,
    "material": 1.5,
    "style": 1.1,
    "use": 1.1,
    "audience": 1.2,
    "size": 0.8,
    "brand": 1.6,
    "price": 0.9,
    "popularity": 1.1,
    "noise": 0.45,
}
"""What an attribute's full match adds; one standard deviation of popularity and of noise."""

_COLOUR_REACH = 30.0
"""ΔE*ab at which a colour's similarity has fallen to 1/e."""

_PALETTE_LAB = to_lab(np.array([rgb for _, rgb in COLOURS], np.float32))


class Relevance:
    """Scores products for queries, category by category, in time linear in the candidates.

    relevance(q, d) = Σ_a w_a · similarity_a(q, d) + w_popularity · popularity(d) + noise(q, d)
    over the attributes a that the query states. Colours compare by the distance of the colours
    as drawn (a pattern's second colour counts less), the others by `vocabulary.SIMILARITY`.

    Args:
        catalogue: the products.
        seed: of the noise.
        popularity, noise: their standard deviations, ≥ 0.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seed: int,
        *,
        popularity: float = WEIGHTS["popularity"],
        noise: float = WEIGHTS["noise"],
    ) -> None:
        self.catalogue = catalogue
        self.seed = seed
        self._popularity, self._noise = np.float32(popularity), np.float32(noise)
        self._lab = to_lab(catalogue.rgb)
        self._accent_lab = to_lab(catalogue.accent_rgb)
        order = np.argsort(catalogue.category, kind="stable")
        bounds = np.searchsorted(catalogue.category[order], np.arange(len(CATEGORIES) + 1))
        self._by_category = [
            order[bounds[c] : bounds[c + 1]].astype(np.int64) for c in range(len(CATEGORIES))
        ]

    def candidates(self, query: Query, at_least: int) -> NDArray[np.int64]:
        """Return the rows worth scoring: the wished category and those near it.

        A query that names no category has its group's products; all, if that gives too few.
        """
        if "category" in query.wishes:
            near = np.flatnonzero(SIMILARITY["category"][query.wishes["category"]])
        elif query.group:
            near = np.flatnonzero([c.group == query.group for c in CATEGORIES])
        else:
            near = np.arange(len(CATEGORIES))
        rows = np.concatenate([self._by_category[c] for c in near])
        return rows if len(rows) >= at_least else np.arange(len(self.catalogue))

    def parts(self, query: Query, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Return each attribute's weighted similarity for the rows, and their popularity."""
        found = {}
        for name, wish in query.wishes.items():
            if name == "colour":
                similarity = self._colour(wish, rows)
            elif name == "brand":
                similarity = (self.catalogue.brand[rows] == wish).astype(np.float32)
            elif name == "price":
                excess = np.log(self.catalogue.price[rows] / np.float32(wish))
                similarity = 1 - np.clip(excess * 2, 0, 1)
            else:
                similarity = SIMILARITY[name][wish][getattr(self.catalogue, name)[rows]]
            found[name] = np.float32(WEIGHTS[name]) * similarity
        found["popularity"] = self._popularity * self.catalogue.popularity[rows]
        return found

    def ranked(self, number: int, query: Query, length: int) -> NDArray[np.int64]:
        """Return the rows of the `length` most relevant products of query `number`, best first."""
        rows = self.candidates(query, length)
        score = sum(self.parts(query, rows).values(), np.zeros(len(rows), np.float32))
        rng = np.random.default_rng([self.seed, 4, number])
        score += self._noise * rng.standard_normal(len(rows), np.float32)
        if len(rows) > length:
            best = np.argpartition(-score, length - 1)[:length]
            rows, score = rows[best], score[best]
        return rows[np.lexsort((rows, -score))]

    def _colour(self, wish: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        def similarity(lab: NDArray[np.float32]) -> NDArray[np.float32]:
            difference = lab[rows] - _PALETTE_LAB[wish]
            squared = np.einsum("ij,ij->i", difference, difference)
            near: NDArray[np.float32] = np.exp(squared * np.float32(-(_COLOUR_REACH**-2)))
            return near

        second = np.where(self.catalogue.pattern[rows] > 0, np.float32(0.4), np.float32(0))
        best: NDArray[np.float32] = np.maximum(
            similarity(self._lab), second * similarity(self._accent_lab)
        )
        return best
