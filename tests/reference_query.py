"""Queries answered by plain loops over all documents, as their documentation says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from rankfield.query.filters import parse_filter
from rankfield.query.parts import Content
from rankfield.query.query import Boost, Hybrid, Query
from reference_filters import holds

__all__ = ["answered", "bm25_of", "similarity"]

Row = Mapping[str, Any]
Vector = Any


def similarity(left: Vector, right: Vector) -> float:
    """Return the exact inner product, rounded to float64 and then to float32."""
    return float(
        np.float32(math.fsum(float(a) * float(b) for a, b in zip(left, right, strict=True)))
    )


def bm25_of(
    words: list[str], texts: Sequence[str | None], *, k1: float = 1.5, b: float = 0.75
) -> list[float]:
    """Return BM25 in Lucene's form of every text."""
    split = [re.findall(r"\w+", (text or "").lower()) for text in texts]
    mean = sum(map(len, split)) / len(split)
    found = []
    for tokens in split:
        total = 0.0
        for word in words:
            count = tokens.count(word)
            if count:
                having = sum(word in other for other in split)
                idf = math.log(1 + (len(split) - having + 0.5) / (having + 0.5))
                part = count / (count + k1 * (1 - b + b * len(tokens) / mean))
                total += float(np.float32(idf * part))
        found.append(total)
    return found


def answered(
    query: Query,
    rows: Sequence[Row],
    vectors: Any,
    embed: Callable[[Content], Vector],
    *,
    schema: Any,
    now: datetime,
) -> list[tuple[str, float]]:
    """Return (doc_id, score) of the results of all pages."""
    total = np.zeros(vectors.shape[1])
    for part in query.parts:
        unit = np.array(embed(part), dtype=np.float64)
        total += part.weight * unit / math.sqrt(math.fsum(unit * unit))
    vector = (total / np.linalg.norm(total)).astype(np.float32)
    liked = {part.like for part in query.parts if part.like} if not query.keep_liked else set()
    found = []
    for row, document in enumerate(rows):
        if not vectors[row].any() or document["doc_id"] in liked:
            continue
        if query.filter and holds(parse_filter(query.filter), document, schema) is not True:
            continue
        if any(
            similarity(np.float32(_unit(embed(e))), vectors[row]) > e.above for e in query.exclude
        ):
            continue
        found.append((row, similarity(vector, vectors[row])))
    found.sort(key=lambda one: (-one[1], one[0]))
    similarities = dict(found)
    if query.hybrid is None:
        scores = dict(found[: query.candidates])
    else:
        scores = _hybrid(query, query.hybrid, rows, found)
    results: dict[int, float] = _bounded(query, found, scores, similarities)
    for row in results:
        for boost in query.boost:
            results[row] += boost.weight * _scaled(boost, rows[row][boost.field], now)
    order = sorted(results, key=lambda row: (-results[row], row))
    if query.collapse is not None:
        order = _collapsed(order, [row[query.collapse] for row in rows])
    if query.mmr is not None and query.mmr.diversity:
        order = order[: query.mmr.candidates]
        results, order = _diverse(query.mmr.diversity, order, results, vectors)
    return [(rows[row]["doc_id"], results[row]) for row in order[: query.depth]]


def _collapsed(order: list[int], values: list[Any]) -> list[int]:
    seen, kept = set(), []
    for row in order:
        if values[row] is None or values[row] not in seen:
            kept.append(row)
            seen.add(values[row])
    return kept


def _unit(vector: Vector) -> Any:
    values = np.array(vector, dtype=np.float64)
    return values / math.sqrt(math.fsum(values * values))


def _hybrid(
    query: Query, hybrid: Hybrid, rows: Sequence[Row], found: list[tuple[int, float]]
) -> dict[int, float]:
    texts = [part.text for part in query.parts if part.text and part.weight > 0]
    words = re.findall(r"\w+", (hybrid.text or " ".join(texts)).lower())
    bm25 = [0.0] * len(rows)
    for name, weight in (hybrid.field_weights() or {"title": 1.0}).items():
        added = bm25_of(words, [row[name] for row in rows])
        bm25 = [total + weight * score for total, score in zip(bm25, added, strict=True)]
    allowed = {row for row, _ in found}
    lexical = sorted((row for row in allowed if bm25[row] > 0), key=lambda row: (-bm25[row], row))
    lexical, near = lexical[: hybrid.window], found[: hybrid.window]
    scores = dict.fromkeys([*(row for row, _ in near), *lexical], 0.0)
    if hybrid.fusion == "rrf":
        for rank, (row, _) in enumerate(near, 1):
            scores[row] += hybrid.weights.vector / (hybrid.k + rank)
        for rank, row in enumerate(lexical, 1):
            scores[row] += hybrid.weights.text / (hybrid.k + rank)
        return scores
    high, low = near[0][1] if near else 0.0, near[-1][1] if near else 0.0
    for row, value in near:
        share = (value - low) / (high - low) if high > low else 1.0
        scores[row] += hybrid.weights.vector * share
    for row in lexical:
        scores[row] += hybrid.weights.text * bm25[row] / bm25[lexical[0]]
    return scores


def _bounded(
    query: Query,
    found: list[tuple[int, float]],
    scores: dict[int, float],
    similarities: dict[int, float],
) -> dict[int, float]:
    if query.cutoff is None:
        return scores
    least = -math.inf if query.cutoff.min_similarity is None else query.cutoff.min_similarity
    best = found[0][1] if found else 0.0
    if query.cutoff.relative is not None and best > 0:
        least = max(least, query.cutoff.relative * best)
    return {row: score for row, score in scores.items() if similarities[row] >= least}


def _scaled(boost: Boost, value: Any, now: datetime) -> float:
    if value is None:
        return 0.0
    if boost.scale == "reciprocal_age":
        assert isinstance(value, date)
        return 1 / (1 + max((now.date() - value).days, 0) / (boost.pivot or 30))
    x = float(value)
    if boost.scale == "linear":
        return x
    x = max(x, 0.0)
    if boost.scale == "log1p":
        return math.log1p(x)
    return math.sqrt(x) if boost.scale == "sqrt" else 1 / (1 + x / (boost.pivot or 1))


def _diverse(
    diversity: float,
    order: list[int],
    scores: dict[int, float],
    vectors: Any,
) -> tuple[dict[int, float], list[int]]:
    spread = (max(scores[r] for r in order) - min(scores[r] for r in order)) if order else 0.0
    chosen: list[int] = []
    values: dict[int, float] = {}
    while len(chosen) < len(order):
        best, largest = -1, -math.inf
        for row in order:
            if row in values:
                continue
            near = max([0.0, *(similarity(vectors[row], vectors[other]) for other in chosen)])
            value = (1 - diversity) * scores[row] - diversity * (spread or 1.0) * near
            if value > largest:
                best, largest = row, value
        chosen.append(best)
        values[best] = largest
    return values, chosen
