"""The order in which an epoch takes the judged pairs: which documents of a query go together."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rankfield.ranges import ranges
from rankfield.settings import Settings
from rankfield.weighting import grade_shares

__all__ = ["BatchSection", "Choice", "epoch_order", "similar_groups"]

Choice = Literal["uniform", "score", "stratified", "balanced"]
Ints = NDArray[np.int64]


class BatchSection(Settings):
    """How pairs are put together."""

    size: int = Field(128, ge=2, description="judged pairs a step, over all processes")
    documents_per_query: int = Field(
        4, ge=1, description="judged documents of a query that go together"
    )
    choice: Choice = Field(
        "balanced",
        description="uniform · score: by weight · stratified: over the list · balanced: by grade",
    )
    more_queries: int = Field(
        64, ge=0, description="further queries that judge the batch's documents; cheap and dense"
    )
    similar_queries: int = Field(
        0, ge=0, description="queries near each other that go together; 0: at random"
    )


def epoch_order(
    queries: Ints,
    scores: NDArray[np.float64],
    weights: NDArray[np.floating],
    *,
    documents_per_query: int,
    choice: Choice,
    groups: Ints | None,
    rng: np.random.Generator,
) -> Ints:
    """Return the pairs of an epoch, int64 indices, to be cut into batches.

    The pairs of a query are dealt into ⌈pairs / `documents_per_query`⌉ *visits*, which follow each
    other in random order; a visit's pairs stand together, so that a batch holds several documents
    of each of its queries.

    uniform     each pair once; a visit is a random part of the query's list
    stratified  each pair once; the list is cut by score into `documents_per_query` strata, and a
                visit gets one pair of each: good and bad together, every time
    balanced    pairs are drawn by `weighting.grade_shares`: no grade of the list takes a larger
                part of a visit than the best one, however many documents it holds; a list that
                fits into a visit is taken whole
    score       as many pairs, drawn in proportion to their weights: a pair of large weight comes in
                several visits (at most once in each), one of small weight in few epochs

    Args:
        queries: P query numbers, in any order.
        scores: P scores, which order the strata.
        weights: P weights ≥ 0, for "score".
        documents_per_query: how many pairs of a query go together; 1 is a plain random order.
        choice: see above.
        groups: P group numbers, the same for all pairs of a query: visits of one group (the first
            of each query, the second of each …) stand together. None for no groups.
        rng: the randomness of the epoch.
    """
    if documents_per_query == 1 and choice != "score" and groups is None:
        return rng.permutation(len(queries))
    if choice == "balanced":
        taken, visit = _balanced(queries, scores, documents_per_query, rng)
    elif choice == "score":
        # Copies of a pair stand next to each other, and so go to different visits.
        taken = _drawn(queries, weights, documents_per_query, rng)
        owner = queries[taken]
        visits = -(-np.bincount(owner) // documents_per_query)
        visit = _places(owner, (np.arange(len(taken)),)) % visits[owner]
    else:
        taken = np.arange(len(queries))
        visit = _dealt(queries, scores, documents_per_query, choice, rng)
    block = queries[taken] if groups is None else groups[taken]
    order = taken[_shuffled_blocks(block, visit, queries[taken], rng)]
    return np.resize(order, len(queries))  # drawn pairs may be some more or fewer


def _dealt(
    queries: Ints,
    scores: NDArray[np.float64],
    width: int,
    choice: Choice,
    rng: np.random.Generator,
) -> Ints:
    """Return the visit of each pair: its query's pairs are dealt out, each once."""
    visits = -(-np.bincount(queries) // width)
    if choice == "uniform":
        return _places(queries, (rng.random(len(queries)),)) % visits[queries]
    place = _places(queries, (rng.random(len(queries)), -scores))
    stratum = place // visits[queries]
    return _places(queries * (int(stratum.max()) + 1) + stratum, (rng.random(len(queries)),))


def _balanced(
    queries: Ints, scores: NDArray[np.float64], width: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return the pairs that a query's visits draw from its grades, and the visits.

    Each pair has its share of `grade_shares` as mass. A visit takes the pairs at `width` places,
    one in each equal part of the list's mass: systematic sampling, so that every visit meets high
    and low scores. A list of at most `width` pairs is a visit as it is, each pair once.
    """
    order = np.lexsort((rng.random(len(queries)), -scores, queries))
    owner = queries[order]
    mass = grade_shares(queries, scores)[0][order]
    upper = np.cumsum(mass)
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    lengths = np.diff(np.append(starts, len(order)))
    total = np.add.reduceat(mass, starts)
    lower = (upper - mass)[starts]
    visits = -(-lengths // width)
    query = np.repeat(np.arange(len(starts)), visits)
    offset = rng.random(len(query))
    turn, place = ranges(np.minimum(lengths, width)[query])
    query, visit = query[turn], ranges(visits)[1][turn]
    wanted = lower[query] + (place + offset[turn]) / width * total[query]
    found = np.searchsorted(upper, wanted, side="right")
    # Rounding must not lead into a neighbour's list.
    found = np.clip(found, starts[query], (starts + lengths - 1)[query])
    found = np.where(lengths[query] <= width, starts[query] + place, found)
    return order[found], visit


def _places(owner: Ints, keys: tuple[NDArray[np.floating] | Ints, ...]) -> Ints:
    """Return each entry's place among those of its owner, by the last key first."""
    order = np.lexsort((*keys, owner))
    ordered = owner[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    place = np.empty(len(owner), dtype=np.int64)
    place[order] = ranges(np.diff(np.append(starts, len(owner))))[1]
    return place


def _drawn(
    queries: Ints, weights: NDArray[np.floating], documents_per_query: int, rng: np.random.Generator
) -> Ints:
    """Return as many pairs of each query as it has, each in proportion to its weight.

    Systematic sampling: a pair of expected count c comes ⌊c⌋ or ⌈c⌉ times, at most once a visit.
    """
    order = np.lexsort((rng.random(len(queries)), queries))
    owner = queries[order]
    counts = np.bincount(owner)
    totals = np.bincount(owner, weights[order])
    visits = -(-counts // documents_per_query)
    share = np.where(totals[owner] > 0, weights[order] / np.maximum(totals[owner], 1e-300), 0.0)
    expected = np.minimum(share * counts[owner], visits[owner])
    upper = np.cumsum(expected)
    starts = np.concatenate([[0.0], upper])[np.cumsum(counts) - counts]
    offset = rng.random(len(counts))
    upper = upper - starts[owner] + offset[owner]
    copies = np.floor(upper) - np.floor(upper - expected)
    return np.repeat(order, np.maximum(copies, 0).astype(np.int64))


def _shuffled_blocks(block: Ints, visit: Ints, owner: Ints, rng: np.random.Generator) -> Ints:
    """Order entries by random blocks (block, visit), within them by owner in random order."""
    width = int(visit.max()) + 1
    codes, inverse = np.unique(block * width + visit, return_inverse=True)
    turn = rng.permutation(len(codes))[inverse]
    within = rng.permutation(int(owner.max()) + 1)[owner]
    return np.lexsort((within, turn))


def similar_groups(vectors: NDArray[np.float32], size: int, rng: np.random.Generator) -> Ints:
    """Return a group number for each vector; groups hold about `size` vectors near each other.

    A random projection tree (Dasgupta & Freund, STOC 2008): the set is cut at the median of its
    projection on the line through two random members, until a part holds at most `size` vectors.
    Other random numbers give other groups, so that no two epochs meet the same neighbours.

    Args:
        vectors: N × D.
        size: the most vectors of a group, ≥ 1.
        rng: the randomness of the tree.
    """
    groups = np.zeros(len(vectors), dtype=np.int64)
    parts, number = [np.arange(len(vectors))], 0
    while parts:
        members = parts.pop()
        if len(members) <= size:
            groups[members] = number
            number += 1
            continue
        one, other = rng.choice(members, 2, replace=False)
        height = vectors[members] @ (vectors[one] - vectors[other])
        order = members[np.lexsort((rng.random(len(members)), height))]
        # A multiple of `size` on one side keeps the groups full.
        half = max(size, len(order) // 2 // size * size)
        parts += [order[:half], order[half:]]
    return groups
