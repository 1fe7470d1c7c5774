"""Documents in random order: what knowing nothing gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = ["random_ranking"]


def random_ranking(*, k: int = 1000, seed: int = 0) -> Callable[[SplitView], Hits]:
    """Return a search that draws min(k, N) documents for each query without replacement.

    Every order is equally likely, for each query anew; scores are 1, 1/2, 1/3, …, so that none
    are equal. The same seed gives the same order on the same split.
    """

    def search(view: SplitView) -> Hits:
        rng = np.random.default_rng(seed)
        count = view.documents.height
        shape = (view.queries.height, min(k, count))
        indices = np.empty(shape, dtype=np.int64)
        for row in indices:
            row[:] = rng.choice(count, shape[1], replace=False)
        scores = 1 / np.arange(1, shape[1] + 1, dtype=np.float32)
        return Hits(indices, np.broadcast_to(scores, shape))

    return search
