"""Documents in random order: what knowing nothing gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import Search
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Hits

__all__ = ["RandomOrder"]


@dataclass(frozen=True)
class RandomOrder:
    """Draws min(k, N) documents for each query without replacement, every order equally likely.

    Similarities are 1, 1/2, 1/3, …, so that none are equal. The same seed gives the same order on
    the same split.
    """

    seed: int = 0
    name = "random"

    @property
    def metadata(self) -> dict[str, Any]:
        """The seed."""
        return {"baseline": self.name, "seed": self.seed}

    def searcher(
        self,
        dataset: RankingDataset,  # noqa: ARG002
        options: EvaluationOptions,
    ) -> Search:
        """Return the draw."""

        def search(view: SplitView) -> Hits:
            rng = np.random.default_rng(self.seed)
            count = view.documents.height
            shape = (view.queries.height, min(options.k, count))
            indices = np.empty(shape, dtype=np.int64)
            for row in indices:
                row[:] = rng.choice(count, shape[1], replace=False)
            similarities = 1 / np.arange(1, shape[1] + 1, dtype=np.float32)
            return Hits(indices, np.broadcast_to(similarities, shape))

        return search
