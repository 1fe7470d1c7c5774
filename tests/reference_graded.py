"""Plain-loop definitions of the graded losses of `benchmarks/graded`, on torch scalars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rankfield.losses import JudgedPairs
from reference import log_one_plus_exp, log_sum_exp, logits_loops, sum_of

__all__ = [
    "angle_loops",
    "bixse_loops",
    "circle_loops",
    "cosent_loops",
    "flag_kl_loops",
    "lsepair_loops",
    "m3_kd_loops",
    "margin_mse_loops",
    "supcon_loops",
    "trove_kl_loops",
    "wasserstein_loops",
]

Grades = list[dict[int, float]]
"""For each query its judged documents' grades, in the order of the pairs."""


def graded(pairs: JudgedPairs, grades: Tensor, queries: int) -> Grades:
    known: Grades = [{} for _ in range(queries)]
    triples = zip(pairs.queries.tolist(), pairs.documents.tolist(), grades.tolist(), strict=True)
    for i, j, grade in triples:
        known[i][j] = grade
    return known


def mean(values: Sequence[Tensor], of: Tensor) -> Tensor:
    """The mean, or a 0 that depends on `of` where there is none."""
    return sum_of(values) / len(values) if values else 0.0 * of.sum()


def softmax(values: Sequence[float]) -> list[float]:
    total = math.fsum(math.exp(x) for x in values)
    return [math.exp(x) / total for x in values]


def bixse_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    logit_bias: float,
    unjudged: float = 1.0,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    terms = []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        for j, z in enumerate(row):
            y, x = known[i].get(j, 0.0), z + logit_bias
            cost = y * log_one_plus_exp(-x) + (1 - y) * log_one_plus_exp(x)
            terms.append(cost if j in known[i] else unjudged * cost)
    return sum_of(terms) / len(queries)


def flag_kl_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    sharpness: float = 10.0,
    contrastive: float = 1.0,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    distilled, info_nce = [], []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        if not known[i]:
            continue
        teacher = softmax([sharpness * y for y in known[i].values()])
        total = log_sum_exp([row[j] for j in known[i]])
        distilled.append(
            sum_of(p * (total - row[j]) for p, j in zip(teacher, known[i], strict=True))
        )
        best = max(known[i].values())
        if best > 0:
            positives = [j for j, y in known[i].items() if y == best]
            info_nce.append(mean([log_sum_exp(row) - row[j] for j in positives], queries))
    return mean(distilled, queries) + contrastive * mean(info_nce, queries)


def m3_kd_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    sharpness: float = 10.0,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    losses = []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        if not known[i]:
            continue
        ascending = sorted(known[i], key=lambda j, of=known[i]: of[j])  # type: ignore[misc]
        teacher = softmax([sharpness * known[i][j] for j in ascending])
        loss, gone = 0.0 * row[0], set()
        for p, j in zip(reversed(teacher), reversed(ascending), strict=True):
            others = [row[k] for k in range(len(row)) if k not in gone]
            loss = loss + p * (log_sum_exp(others) - row[j])
            gone.add(j)
        losses.append(loss)
    return mean(losses, queries)


def trove_kl_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    sharpness: float = 3.0,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    losses = []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        if known[i]:
            wanted = softmax([sharpness * known[i].get(j, 0.0) for j in range(len(row))])
            total = log_sum_exp(row)
            losses.append(
                sum_of(p * (math.log(p) - (z - total)) for p, z in zip(wanted, row, strict=True))
            )
    return mean(losses, queries)


def supcon_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    power: float = 0.0,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    losses = []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        levels = sorted({y for y in known[i].values() if y > 0})
        terms = []
        for level in levels:
            among = [z for k, z in enumerate(row) if known[i].get(k, 0.0) <= level]
            positives = [j for j, y in known[i].items() if y == level]
            own = mean([log_sum_exp(among) - row[j] for j in positives], queries)
            terms.append(level**power * own)
        if levels:
            losses.append(sum_of(terms) / math.fsum(level**power for level in levels))
    return mean(losses, queries)


def circle_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    margin: float = 0.25,
    boundaries: str = "centred",
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    losses = []
    for i, row in enumerate(logits_loops(queries, documents, 1.0)):
        all_grades = [known[i].get(j, 0.0) for j in range(len(row))]
        terms = []
        for level in {y for y in known[i].values() if y > 0}:
            lower = [y for y in all_grades if y < level]
            if not lower:
                continue
            middle = (level + max(lower)) / 2 if boundaries == "centred" else 0.5
            costs = []
            for a, y_a in zip(row, all_grades, strict=True):
                for b, y_b in zip(row, all_grades, strict=True):
                    if y_a >= level > y_b:
                        beta = max(middle + 0.5 + margin - float(a.detach()), 0.0)
                        alpha = max(float(b.detach()) - middle + 0.5 + margin, 0.0)
                        low = scale * alpha * (b - (middle - 0.5 + margin))
                        costs.append(low - scale * beta * (a - (middle + 0.5 - margin)))
            terms.append(log_one_plus_exp(log_sum_exp(costs)))
        if terms:
            losses.append(mean(terms, queries))
    return mean(losses, queries)


def lsepair_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    divided: bool = False,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    losses = []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        leads = [
            row[k] - row[j]
            for j, y in known[i].items()
            for k in range(len(row))
            if y > known[i].get(k, 0.0)
        ]
        positives = sum(y > 0 for y in known[i].values())
        if positives:
            loss = log_one_plus_exp(log_sum_exp(leads)) if leads else 0.0 * row[0]
            losses.append(loss / positives if divided else loss)
    return mean(losses, queries)


def in_order(values: list[list[Tensor]], known: Grades, unjudged: bool) -> Tensor:
    """Log(1 + Σ exp(lower − higher)) over all pairs of pairs of different grade."""
    graded_values = [
        (known[i].get(j, 0.0), value)
        for i, row in enumerate(values)
        for j, value in enumerate(row)
        if unjudged or j in known[i]
    ]
    leads = [b - a for y_a, a in graded_values for y_b, b in graded_values if y_a > y_b]
    return log_one_plus_exp(log_sum_exp(leads)) if leads else 0.0 * values[0][0]


def cosent_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    unjudged: bool = False,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    return in_order(logits_loops(queries, documents, scale), known, unjudged)


def angle_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    cosine: float = 0.0,
    unjudged: bool = False,
) -> Tensor:
    def halves(x: Tensor) -> Tensor:
        missing = x.new_zeros(len(x) % 2)
        real, imaginary = torch.cat((x, missing)).chunk(2)
        return torch.complex(real, imaginary)

    known = graded(pairs, grades, len(queries))
    values = []
    for q in queries:
        products = [(halves(q) * halves(d).conj()).sum() for d in documents]
        values.append([scale * (x.real + x.imag).abs() for x in products])
    loss = in_order(values, known, unjudged)
    if cosine:
        return loss + cosine * cosent_loops(
            queries, documents, pairs, grades, scale, unjudged=unjudged
        )
    return loss


def margin_mse_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    unjudged: bool = False,
) -> Tensor:
    known = graded(pairs, grades, len(queries))
    losses = []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        squares = []
        for j, y in known[i].items():
            for k in range(len(row)):
                other = known[i].get(k, 0.0)
                if y > other and (unjudged or k in known[i]):
                    squares.append((row[j] - row[k] - (y - other)) ** 2)
        if squares:
            losses.append(mean(squares, queries))
    return mean(losses, queries)


def wasserstein_loops(
    queries: Tensor,
    documents: Tensor,
    pairs: JudgedPairs,
    grades: Tensor,
    scale: Tensor | float,
    *,
    sharpness: float = 3.0,
) -> Tensor:
    """With full covariances and the roots of eigenvalues, as the authors' code has it."""
    known = graded(pairs, grades, len(queries))
    found, wanted = [], []
    for i, row in enumerate(logits_loops(queries, documents, scale)):
        if known[i]:
            total = log_sum_exp(row)
            found.append(torch.stack([torch.exp(z - total) for z in row]))
            shares = softmax([sharpness * known[i].get(j, 0.0) for j in range(len(row))])
            wanted.append(torch.tensor(shares, dtype=torch.float64))
    x, y = torch.stack(found).double(), torch.stack(wanted)
    means = [sum_of(rows) / len(rows) for rows in (x, y)]
    covariances = [
        sum_of(torch.outer(row - of, row - of) for row in rows) / max(len(rows) - 1, 1)
        for rows, of in zip((x, y), means, strict=True)
    ]
    roots = torch.linalg.eigvals(covariances[0] @ covariances[1]) + 1e-15
    traces = covariances[0].trace() + covariances[1].trace()
    apart = ((means[0] - means[1]) ** 2).sum()
    distance: Tensor = apart + traces - 2 * roots.sqrt().abs().sum()
    return distance
