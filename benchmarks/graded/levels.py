"""The levels of a query's judged documents: those of one grade above 0."""

from __future__ import annotations

import torch
from torch import Tensor

from graded.grades import GradedBatch
from rankfield.losses import JudgedPairs

__all__ = ["level_shares"]


def level_shares(
    batch: GradedBatch, pairs: JudgedPairs, counted: Tensor, power: float = 0.0
) -> Tensor:
    """Return each pair's share in a mean over queries, their levels, and the levels' documents.

    The share of a pair of grade g among N(g) judged documents of its query at that grade is
    g^power / (N(g) · Σ_h h^power · R): h runs over the counted levels of its query, and R is the
    number of queries with one. All shares sum to 1, or to 0 if no pair is counted.

    Args:
        batch: m queries, n documents.
        pairs: its P judged pairs.
        counted: bool P, whether a pair's level counts: the same for all pairs of a level, and
            False at grade 0.
        power: 0: levels count alike; 1: by their grade.
    """
    same = (batch.grades[pairs.queries] == batch.of_pairs[:, None]) & batch.judged[pairs.queries]
    own = torch.where(counted, batch.of_pairs**power / same.sum(1), 0.0)
    of_query = own.new_zeros(len(batch.logits)).index_add(0, pairs.queries, own)
    number = (of_query > 0).sum().clamp(min=1)
    return own / torch.where(of_query > 0, of_query, 1.0)[pairs.queries] / number
