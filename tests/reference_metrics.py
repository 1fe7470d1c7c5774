"""The ranking metrics once more, as plain loops over one query, and random material for tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rankfield.metrics import JudgedRankings

Judgments = Mapping[str, float]
"""doc_id → score of one query."""


def judged_rankings(ranked: Sequence[Sequence[str]], judged: Sequence[Judgments]) -> JudgedRankings:
    """Bring the ranked doc_ids and the judgments of each query into the form metrics read."""
    depth = max((len(documents) for documents in ranked), default=0)
    scores = np.full((len(ranked), depth), np.nan)
    for row, (documents, judgments) in enumerate(zip(ranked, judged, strict=True)):
        for rank, document in enumerate(documents):
            scores[row, rank] = judgments.get(document, math.nan)
    ideal = [sorted(judgments.values(), reverse=True) for judgments in judged]
    return JudgedRankings(
        scores,
        np.array([len(documents) for documents in ranked], dtype=np.int64),
        np.cumsum([0, *(len(one) for one in ideal)], dtype=np.int64),
        np.array([score for one in ideal for score in one], dtype=np.float64),
    )


def trec_order(run: Mapping[str, float]) -> list[str]:
    """Return doc_ids as trec_eval and gdeval order them: score, then doc_id, both descending."""
    return sorted(run, key=lambda document: (run[document], document), reverse=True)


def grade(score: float, minimum: float, maximum: float, top: float = 4) -> float:
    floor = min(0.0, minimum)
    span = maximum - floor
    gain = min(max(score - floor, 0.0), span)
    return gain if span <= top else top * gain / span


def ndcg(ranked: Sequence[str], judged: Judgments, k: int, gains: Judgments) -> float:
    ideal = sorted((gains[document] for document in judged), reverse=True)
    best = found = 0.0
    for rank in range(1, k + 1):
        if rank <= len(ideal):
            best += ideal[rank - 1] / math.log2(rank + 1)
        if rank <= len(ranked):
            found += gains.get(ranked[rank - 1], 0.0) / math.log2(rank + 1)
    return found / best if best > 0 else math.nan


def err(ranked: Sequence[str], grades: Judgments, k: int, highest: float) -> float:
    value, reach = 0.0, 1.0
    for rank, document in enumerate(ranked[:k], start=1):
        stop = (2 ** grades.get(document, 0.0) - 1) / 2**highest
        value += reach * stop / rank
        reach *= 1 - stop
    return value


def rbp(ranked: Sequence[str], fractions: Judgments, k: int, persistence: float) -> float:
    value = 0.0
    for rank, document in enumerate(ranked[:k], start=1):
        value += (1 - persistence) * persistence ** (rank - 1) * fractions.get(document, 0.0)
    return value


def reciprocal_rank(ranked: Sequence[str], judged: Judgments, k: int, relevant: float) -> float:
    for rank, document in enumerate(ranked[:k], start=1):
        if document in judged and judged[document] >= relevant:
            return 1 / rank
    return 0.0


def average_precision(ranked: Sequence[str], judged: Judgments, k: int, relevant: float) -> float:
    total = sum(score >= relevant for score in judged.values())
    hits, value = 0, 0.0
    for rank, document in enumerate(ranked[:k], start=1):
        if document in judged and judged[document] >= relevant:
            hits += 1
            value += hits / rank
    return value / total if total else math.nan


def bpref(ranked: Sequence[str], judged: Judgments, k: int, relevant: float, floor: float) -> float:
    total = sum(score >= relevant for score in judged.values())
    others = sum(floor <= score < relevant for score in judged.values())
    above, value = 0, 0.0
    for document in ranked[:k]:
        if document not in judged:
            continue
        if judged[document] >= relevant:
            value += 1 - min(above, total) / min(others, total) if above else 1
        elif judged[document] >= floor:
            above += 1
    return value / total if total else math.nan


def inferred_average_precision(
    ranked: Sequence[str], judged: Judgments, k: int, relevant: float, floor: float
) -> float:
    """As trec_eval's m_infap.c has it, whose epsilon is 0.00001."""
    total = sum(score >= relevant for score in judged.values())
    good = bad = unjudged = 0
    value = 0.0
    for above, document in enumerate(ranked[:k]):
        if document not in judged:
            continue
        if judged[document] >= relevant:
            if above == 0:
                value += 1
            else:
                share = (good + 0.00001) / (good + bad + 0.00002)
                pool = (good + bad + unjudged) / above
                value += 1 / (above + 1) + above / (above + 1) * pool * share
            good += 1
        elif judged[document] >= floor:
            bad += 1
        else:
            unjudged += 1
    return value / total if total else math.nan


def hits(ranked: Sequence[str], judged: Judgments, k: int, relevant: float) -> int:
    return sum(document in judged and judged[document] >= relevant for document in ranked[:k])
