"""Exact similarities of a few vectors, the same to the bit wherever they come from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from rankfield.search.similarity import all_similarities, embeddings_of

__all__ = ["similarities"]

Vectors = npt.NDArray[np.float32]


def similarities(queries: Vectors, documents: Vectors) -> Vectors:
    """Return the canonical similarity of each pair, float32 (Q, N), as `search` defines it.

    Args:
        queries: float32 (Q, D).
        documents: float32 (N, D).
    """
    left, right = (torch.from_numpy(np.array(v, dtype=np.float32)) for v in (queries, documents))
    found = all_similarities(
        *(embeddings_of(v, torch.linalg.vector_norm(v, dim=1)) for v in (left, right))
    )
    return found.numpy()
