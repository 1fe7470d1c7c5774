"""Plain-loop definitions of losses and fusion: slow, and easy to hold against the formulas.

The judged losses work on torch scalars, one at a time, so that autograd gives their gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from rankfield.losses import JudgedPairs

__all__ = [
    "contrastive_loss_loops",
    "fuse_loops",
    "judged_contrastive_loops",
    "lambda_loops",
    "listnet_loops",
    "margin_mse_loops",
    "mean_loops",
    "sigmoid_loops",
    "soft_grades_loops",
]

Judgment = tuple[int, int, float, Tensor]
"""Row and column of the logits, score, weight."""

Term = Callable[[list[Tensor], int, list[int]], Tensor]
"""A pair's loss from its row's logits, its column, and the columns that it competes with."""


def contrastive_loss_loops(
    queries: Tensor,
    documents: Tensor,
    weights: Tensor,
    scale: float,
    *,
    direction: str = "both",
    reduction: str,
) -> float:
    """Weighted symmetric cross-entropy, pair by pair, in Python floats."""
    n = len(queries)
    logit = [
        [
            scale * sum(float(a) * float(b) for a, b in zip(queries[i], documents[j], strict=True))
            for j in range(n)
        ]
        for i in range(n)
    ]
    total = 0.0
    for i in range(n):
        row = math.log(sum(math.exp(logit[i][j]) for j in range(n))) - logit[i][i]
        column = math.log(sum(math.exp(logit[j][i]) for j in range(n))) - logit[i][i]
        loss = {
            "query_to_document": row,
            "document_to_query": column,
            "both": 0.5 * (row + column),
        }[direction]
        total += float(weights[i]) * loss
    return total / {"mean": float(torch.sum(weights)), "batchmean": n, "sum": 1}[reduction]


def judged_contrastive_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    scale: Tensor | float,
    *,
    target: str,
    direction: str = "both",
    reduction: str = "mean",
    margin: float = 0.0,
) -> Tensor:
    """Cross-entropy of each judged pair against its competitors."""

    def term(row: list[Tensor], j: int, others: list[int]) -> Tensor:
        own = row[j] - scale * margin
        return log_sum_exp([own] + [row[k] for k in others]) - own

    logit = logits_loops(queries, documents, scale)
    return weighted_sum(
        logit, judgments(pairs), term, target=target, direction=direction, reduction=reduction
    )


def sigmoid_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    scale: Tensor | float,
    bias: Tensor | float,
    *,
    target: str,
    direction: str = "both",
    reduction: str = "mean",
) -> Tensor:
    """Binary cross-entropy of each judged pair and of its competitors."""

    def term(row: list[Tensor], j: int, others: list[int]) -> Tensor:
        return log_one_plus_exp(-row[j]) + sum_of(log_one_plus_exp(row[k]) for k in others)

    logit = [[x + bias for x in row] for row in logits_loops(queries, documents, scale)]
    return weighted_sum(
        logit, judgments(pairs), term, target=target, direction=direction, reduction=reduction
    )


def listnet_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    scale: Tensor | float,
    *,
    reduction: str = "mean",
) -> Tensor:
    """Kullback–Leibler divergence of each query's softmax from its shares of weight."""
    logit = logits_loops(queries, documents, scale)
    losses = []
    for row, own in by_row(judgments(pairs)).items():
        weight = sum_of(w for _, _, _, w in own)
        total = log_sum_exp([logit[row][j] for _, j, _, _ in own])
        loss = 0.0 * weight
        for _, j, _, w in own:
            if float(w.detach()) > 0:
                loss = loss + w / weight * (torch.log(w / weight) - (logit[row][j] - total))
        losses.append(loss)
    return of_lists(losses, reduction)


def lambda_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    gains: Tensor,
    scale: Tensor | float,
    *,
    scheme: str,
    reduction: str = "mean",
) -> Tensor:
    """LambdaLoss with ranks by an explicit sort."""
    logit = logits_loops(queries, documents, scale)
    gain = {(i, j): float(g) for (i, j, _, _), g in zip(judgments(pairs), gains, strict=True)}
    losses = []
    for row, own in by_row(judgments(pairs)).items():
        # Of equal logits the lowest score comes first; sorting is stable.
        ranking = sorted(own, key=lambda pair: (-float(logit[pair[0]][pair[1]].detach()), pair[2]))
        rank = {j: place for place, (_, j, _, _) in enumerate(ranking, start=1)}
        best = sorted((gain[row, j] for j in rank), reverse=True)
        ideal = sum(g / math.log2(1 + place) for place, g in enumerate(best, start=1))
        loss = 0.0 * logit[row][0]
        for a, rank_a in rank.items():
            for b, rank_b in rank.items():
                if gain[row, a] > gain[row, b]:
                    factor = discount_change(rank_a, rank_b, scheme) / ideal
                    cost = log_one_plus_exp(-(logit[row][a] - logit[row][b])) / math.log(2)
                    loss = loss + (gain[row, a] - gain[row, b]) * factor * cost
        losses.append(loss)
    return of_lists(losses, reduction)


def margin_mse_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    *,
    spread: float = 0.5,
    reduction: str = "mean",
) -> Tensor:
    """Squared difference of margins of cosines and of grades, over all pairs of documents."""
    cosine = logits_loops(queries, documents, 1.0)
    known = {(i, j): float(g) for (i, j, _, _), g in zip(judgments(pairs), grades, strict=True)}
    losses = []
    for row in by_row(judgments(pairs)):
        columns = range(len(documents))
        loss = 0.0 * cosine[row][0]
        for j in columns:
            for k in columns:
                margin = (cosine[row][j] - cosine[row][k]) / spread
                wanted = known.get((row, j), 0.0) - known.get((row, k), 0.0)
                loss = loss + (margin - wanted) ** 2
        losses.append(loss / len(documents) ** 2)
    return of_lists(losses, reduction)


def of_lists(losses: list[Tensor], reduction: str) -> Tensor:
    """The mean or the sum of the lists' losses, or each, by ascending row."""
    if reduction == "none":
        return torch.stack(losses)
    return sum_of(losses) / (len(losses) if reduction == "mean" else 1)


def discount_change(a: int, b: int, scheme: str) -> float:
    """What a swap of ranks a and b does to the discount, in LambdaRank, NDCG-Loss2, and both."""
    absolute = abs(1 / math.log2(1 + a) - 1 / math.log2(1 + b))
    apart = abs(a - b)
    relative = abs(1 / math.log2(1 + apart) - 1 / math.log2(2 + apart))
    return {"lambdarank": absolute, "ndcg2": relative, "ndcg2++": absolute + 10 * relative}[scheme]


def weighted_sum(
    logit: list[list[Tensor]],
    pairs: list[Judgment],
    term: Term,
    *,
    target: str,
    direction: str,
    reduction: str,
) -> Tensor:
    """Σ_e w_e · term(e) / n of the logits, the transposed ones, or half of each."""
    columns = [[row[j] for row in logit] for j in range(len(logit[0]))]
    flipped = [(j, i, score, weight) for i, j, score, weight in pairs]
    sides = {"query_to_document": [(logit, pairs)], "document_to_query": [(columns, flipped)]}
    sides["both"] = sides["query_to_document"] + sides["document_to_query"]
    losses = [
        [
            weight * term(rows[i], j, competitors((i, j, score), judged, len(rows[i]), target))
            for i, j, score, weight in judged
        ]
        for rows, judged in sides[direction]
    ]
    if reduction == "none":
        return torch.stack([sum_of(of_pair) / len(losses) for of_pair in zip(*losses, strict=True)])
    divisors: dict[str, Tensor | int] = {
        "mean": sum_of(w for _, _, _, w in pairs),
        "batchmean": len(pairs),
        "sum": 1,
    }
    return sum_of(sum_of(side) for side in losses) / (divisors[reduction] * len(losses))


def competitors(
    pair: tuple[int, int, float], pairs: list[Judgment], size: int, target: str
) -> list[int]:
    """N(e): all other columns; those without a judgment in the row; or also those scored lower."""
    row, column, score = pair
    scores = {j: s for i, j, s, _ in pairs if i == row}
    if target == "soft":
        return [k for k in range(size) if k != column]
    unjudged = [k for k in range(size) if k not in scores]
    if target == "mask":
        return unjudged
    return unjudged + [k for k, s in scores.items() if s < score]


def judgments(pairs: JudgedPairs) -> list[Judgment]:
    """The pairs one by one."""
    queries, documents = pairs.queries.tolist(), pairs.documents.tolist()
    return list(zip(queries, documents, pairs.scores.tolist(), pairs.weights, strict=True))


def by_row(pairs: list[Judgment]) -> dict[int, list[Judgment]]:
    """The pairs of each row, in their order; rows ascending."""
    return {row: [p for p in pairs if p[0] == row] for row in sorted({p[0] for p in pairs})}


def logits_loops(queries: Tensor, documents: Tensor, scale: Tensor | float) -> list[list[Tensor]]:
    """Scale · dot product, element by element."""
    return [
        [scale * sum_of(a * b for a, b in zip(x, y, strict=True)) for y in documents]
        for x in queries
    ]


def sum_of(values: Iterable[Tensor]) -> Tensor:
    """The sum, term by term; 0 of nothing."""
    total: Tensor | float = 0.0
    for value in values:
        total = total + value
    return torch.as_tensor(total)


def log_sum_exp(values: list[Tensor]) -> Tensor:
    """Log Σ exp, with the greatest taken out."""
    greatest = max(float(x.detach()) for x in values)
    return greatest + torch.log(sum_of(torch.exp(x - greatest) for x in values))


def log_one_plus_exp(x: Tensor) -> Tensor:
    """Log (1 + exp x)."""
    return torch.logaddexp(x, torch.zeros_like(x))


def fuse_loops(
    records: Sequence[Mapping[str, Sequence[float]]], weights: Mapping[str, float]
) -> list[list[float]]:
    """e = normalise(Σ_f ω_f · normalise(v_f)), ω renormalised over the fields of each record."""
    fused = []
    for record in records:
        share = sum(weights[name] for name in record)
        dimension = len(next(iter(record.values())))
        total = [0.0] * dimension
        for name, vector in record.items():
            norm = math.sqrt(sum(x * x for x in vector))
            for d in range(dimension):
                total[d] += weights[name] / share * vector[d] / norm
        norm = math.sqrt(sum(x * x for x in total))
        fused.append([x / norm for x in total])
    return fused


def mean_loops(items: Sequence[Sequence[float]]) -> list[float]:
    """v = normalise(mean over x of normalise(x)), of the items of one field of one record."""
    total = [0.0] * len(items[0])
    for item in items:
        norm = math.sqrt(sum(x * x for x in item))
        for d, x in enumerate(item):
            total[d] += x / norm / len(items)
    norm = math.sqrt(sum(x * x for x in total))
    return [x / norm for x in total]


def soft_grades_loops(
    queries: list[int], scores: list[float], floor: float, maximum: float
) -> tuple[list[float], list[float], list[float]]:
    """Rank, share and presence of `rankfield.soft_grades`, by its formulas."""
    rank, share, presence = [], [], []
    for i, query in enumerate(queries):
        mine = [j for j, other in enumerate(queries) if other == query]
        gains = {j: max(scores[j] - floor, 0.0) for j in mine}
        best = max(gains.values())
        width = max(best, (maximum - floor) / 1000) / 5
        depth = {j: (best - gain) / width for j, gain in gains.items()}
        there = {j: min(1.0, max(0.0, (gain / width - 0.01) / 0.99)) for j, gain in gains.items()}
        size = {
            j: sum(
                there[k] * max(0.0, 1 - (depth[k] - depth[j])) for k in mine if depth[k] >= depth[j]
            )
            for j in mine
        }
        first = next(j for j in mine if gains[j] == best)
        largest = max(size[j] for j in mine if depth[j] <= depth[i])
        rank.append(1 + sum(min(1.0, max(0.0, depth[i] - depth[j])) for j in mine))
        share.append(min(1.0, size[first] / largest) if largest else 0.0)
        presence.append(there[i])
    return rank, share, presence
