"""What a batch says: the judged pairs of its distinct records, over all processes if wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.errors import DataError
from rankfield.integrations.sentence_transformers.batch_records import ColumnRecords, numbered
from rankfield.integrations.sentence_transformers.score_weights import ScoreWeights
from rankfield.losses import JudgedPairs, gather_with_gradient

__all__ = ["BatchJudgments", "batch_judgments", "gather_judgments", "judged_pairs"]

_QUERY, _DOCUMENT, _SCORE, _WEIGHT = range(4)
"""Columns of the pairs."""


@dataclass(frozen=True)
class BatchJudgments:
    """The judged pairs of m distinct queries and n distinct documents.

    queries, documents: int64 m and n, where the records are among the encoded ones.
    query_keys, document_keys: int64 m × 2 and n × 2, their content; None without a gather.
    pairs: float64 P × 4: query, document, score and weight; the weight is NaN where the scores
        shall say it.
    """

    queries: Tensor
    documents: Tensor
    query_keys: Tensor | None
    document_keys: Tensor | None
    pairs: Tensor


def judged_pairs(pairs: Tensor, weights: ScoreWeights, *, once: bool) -> JudgedPairs:
    """Return pairs, P × 4 as in `BatchJudgments`, as losses take them.

    Args:
        pairs: the pairs.
        weights: for scores without one.
        once: whether a pair that is repeated becomes one, of its mean score and weight.

    Raises:
        RecipeError: as `ScoreWeights`.
    """
    table = pairs.cpu().numpy().copy()
    if once:
        # One number for both records is found faster than rows of two.
        code = table[:, _QUERY] * (table[:, _DOCUMENT].max() + 1) + table[:, _DOCUMENT]
        _, first, which, count = np.unique(
            code, return_index=True, return_inverse=True, return_counts=True
        )
        means = [np.bincount(which, table[:, i]) / count for i in (_SCORE, _WEIGHT)]
        table = np.column_stack([table[first, :_SCORE], *means])
    if np.isnan(table[:, _WEIGHT]).any():
        table[:, _WEIGHT] = weights(table[:, _QUERY].astype(np.int64), table[:, _SCORE])
    rows = torch.from_numpy(table[:, :_SCORE].astype(np.int64)).to(pairs.device)
    values = torch.from_numpy(table[:, _SCORE:].astype(np.float32)).to(pairs.device)
    return JudgedPairs(rows[:, 0], rows[:, 1], values[:, 0], values[:, 1])


def batch_judgments(
    queries: ColumnRecords, documents: ColumnRecords, labels: Tensor
) -> BatchJudgments:
    """Return the judged pairs of a batch, on the CPU.

    Args:
        queries, documents: of N rows each.
        labels: N scores, or N × 2 scores and weights.

    Raises:
        DataError: labels of another shape, or a number that is not finite, or a weight below 0.
    """
    values = labels.detach().cpu().to(torch.float64)
    if values.ndim == 1:
        values = torch.stack([values, torch.full_like(values, torch.nan)], dim=1)
        known = values[:, :1]
    else:
        known = values
    if values.ndim != 2 or values.shape[1] != 2:
        raise DataError(
            f"expected N scores, or N pairs of a score and a weight, found {tuple(labels.shape)}",
            where="the batch's labels",
        )
    if not bool(torch.isfinite(known).all()) or bool((known[:, 1:] < 0).any()):
        raise DataError(
            "expected finite scores, and weights of at least 0",
            where="the batch's labels",
            remedy="Leave rows without a score out of the data set.",
        )
    rows = torch.stack([queries.of_row, documents.of_row], dim=1).to(torch.float64)
    return BatchJudgments(
        queries=queries.kept,
        documents=documents.kept,
        query_keys=queries.keys,
        document_keys=documents.keys,
        pairs=torch.cat([rows, values], dim=1),
    )


def gather_judgments(
    query_embeddings: Tensor, document_embeddings: Tensor, own: BatchJudgments
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct records of all processes, with gradients, and their judged pairs, P × 4.

    All processes must take part, backwards too. A record that several have is encoded by each;
    the first one's embedding counts.

    Args:
        query_embeddings, document_embeddings: m × D and n × D, of the own distinct records.
        own: their pairs.
    """
    device = query_embeddings.device
    sizes = torch.tensor([[len(own.queries), len(own.documents), len(own.pairs)]], device=device)
    counts = gather_with_gradient(sizes).T.tolist()
    pairs = _gathered(own.pairs.to(device), counts[2])
    owner = torch.arange(len(counts[2]), device=device)
    owner = owner.repeat_interleave(torch.tensor(counts[2], device=device))
    found, columns = [], []
    for side, (embeddings, keys) in enumerate(
        ((query_embeddings, own.query_keys), (document_embeddings, own.document_keys))
    ):
        assert keys is not None
        number, first = numbered(map(tuple, _gathered(keys.to(device), counts[side]).tolist()))
        found.append(_gathered(embeddings, counts[side])[first])
        # the numbers of a process's records begin where those of the one before end
        starts = torch.tensor([0, *counts[side][:-1]], device=device).cumsum(0)
        record = pairs[:, side].long() + starts[owner]
        columns.append(torch.tensor(number, device=device)[record].to(pairs.dtype))
    judged = torch.cat([torch.stack(columns, dim=1), pairs[:, _SCORE:]], dim=1)
    return found[0], found[1], judged


def _gathered(local: Tensor, counts: list[int]) -> Tensor:
    """Return the rows of all processes, of which each has another number."""
    longest = max(counts)
    padded = F.pad(local, (0, 0, 0, longest - len(local)))
    gathered = gather_with_gradient(padded)
    row = torch.arange(len(gathered), device=local.device)
    limit = torch.tensor(counts, device=local.device)[row // longest]
    return gathered[row % longest < limit]
