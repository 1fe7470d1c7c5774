"""The order in which an epoch takes the judged pairs: which documents of a query go together."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rankfield.ranges import ranges
from rankfield.schema import ScoreScale
from rankfield.settings import Settings
from rankfield.soft_grades import soft_grades
from rankfield.sorting import dense_ranks, sorted_order
from rankfield.weighting import grade_shares

__all__ = ["BatchSection", "Choice", "epoch_order", "query_clusters"]

Choice = Literal["uniform", "score", "stratified", "balanced", "soft_balanced"]
Ints = NDArray[np.int64]


class BatchSection(Settings):
    """How pairs are put together."""

    size: int = Field(128, ge=2, description="judged pairs a step, over all processes")
    documents_per_query: int = Field(
        4, ge=1, description="judged documents of a query that go together"
    )
    choice: Choice = Field(
        "balanced",
        description="uniform · score: by weight · stratified: over the list · balanced: by grade · "
        "soft_balanced: by grades with soft borders, for scores that are no grades",
    )
    more_queries: int = Field(
        64, ge=0, description="further queries that judge the batch's documents; cheap and dense"
    )
    similar_queries: int = Field(
        0, ge=0, description="queries near each other that go together; 0: at random"
    )
    micro_tokens: int = Field(
        0, ge=0, description="of texts encoded at once · 0: 1,024 on a CPU, 16,384 on a GPU"
    )
    micro_images: int = Field(0, ge=0, description="encoded at once · 0: 64")
    gradient_cache: Literal["auto", "on", "off"] = Field(
        "auto",
        description="on: activations are computed again, micro-batch by micro-batch, not kept · "
        "auto: where they would take half of the free memory",
    )
    gradient_checkpointing: bool = Field(
        False, description="keep what goes into each layer alone, and compute the rest again"
    )


def epoch_order(
    queries: Ints,
    scores: NDArray[np.float64],
    weights: NDArray[np.floating],
    *,
    documents_per_query: int,
    choice: Choice,
    clusters: Ints | None,
    scale: ScoreScale,
    rng: np.random.Generator,
) -> Ints:
    """Return the pairs of an epoch, int64 indices, to be cut into batches.

    The pairs of a query are dealt into ⌈pairs / `documents_per_query`⌉ *groups*, which follow each
    other in random order. The pairs of a group follow each other, so that a batch holds several
    documents of each of its queries.

    uniform     each pair once; a group is a random part of the query's list
    stratified  each pair once; the list is cut by score into `documents_per_query` strata, and a
                group gets one pair of each: good and bad together, every time
    balanced    pairs are drawn by `weighting.grade_shares`: no grade of the list takes a larger
                part of a group than the best one, however many documents it holds; a list that
                fits into a group is taken whole
    soft_balanced  the same by `soft_grades`: scores that are close count as one grade in so far as
                they are, so that noise on grades changes nothing
    score       as many pairs, drawn in proportion to their weights: a pair of large weight is in
                several groups (at most once in each), one of small weight in few epochs

    Args:
        queries: P query numbers, in any order.
        scores: P scores, which order the strata.
        weights: P weights ≥ 0, for "score".
        documents_per_query: how many pairs of a query go together; 1 is a plain random order.
        choice: see above.
        clusters: P cluster numbers, the same for all pairs of a query. The first groups of the
            queries of one cluster follow each other, then their second groups, and so on. None:
            no clusters.
        scale: of the scores, for "soft_balanced".
        rng: the randomness of the epoch.
    """
    if documents_per_query == 1 and choice != "score" and clusters is None:
        return rng.permutation(len(queries))
    if choice in ("balanced", "soft_balanced"):
        if choice == "balanced":
            mass = grade_shares(queries, scores)[0]
        else:
            soft = soft_grades(queries, scale.linear_gain(scores), scale.span)
            mass = soft.share * soft.presence
        taken, group = _balanced(queries, scores, mass, documents_per_query, rng)
    elif choice == "score":
        # Copies of a pair are adjacent, and so go to different groups.
        taken = _drawn(queries, weights, documents_per_query, rng)
        owner = queries[taken]
        groups = -(-np.bincount(owner) // documents_per_query)
        group = _places(owner, (np.arange(len(taken)),)) % groups[owner]
    else:
        taken = np.arange(len(queries))
        group = _dealt(queries, scores, documents_per_query, choice, rng)
    owner = queries[taken]
    block = owner if clusters is None else clusters[taken]
    order = taken[_shuffled_blocks(block, group, owner, rng)]
    return np.resize(order, len(queries))  # drawn pairs may be some more or fewer


def _dealt(
    queries: Ints,
    scores: NDArray[np.float64],
    width: int,
    choice: Choice,
    rng: np.random.Generator,
) -> Ints:
    """Return the group of each pair: its query's pairs are dealt out, each once."""
    groups = -(-np.bincount(queries) // width)
    if choice == "uniform":
        return _places(queries, (rng.random(len(queries)),)) % groups[queries]
    place = _places(queries, (rng.random(len(queries)), -scores))
    stratum = place // groups[queries]
    return _places(queries * (int(stratum.max()) + 1) + stratum, (rng.random(len(queries)),))


def _balanced(
    queries: Ints,
    scores: NDArray[np.float64],
    mass: NDArray[np.float64],
    width: int,
    rng: np.random.Generator,
) -> tuple[Ints, Ints]:
    """Return the pairs that a query's groups draw from its grades, and the groups.

    A group takes the pairs at `width` places,
    one in each equal part of the list's mass: systematic sampling, so that every group meets high
    and low scores. A list of at most `width` pairs is a group as it is, each pair once.
    """
    order = sorted_order((rng.random(len(queries)), -scores, queries))
    owner = queries[order]
    mass = mass[order]
    upper = np.cumsum(mass)
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    lengths = np.diff(np.append(starts, len(order)))
    total = np.add.reduceat(mass, starts)
    lower = (upper - mass)[starts]
    groups = -(-lengths // width)
    query = np.repeat(np.arange(len(starts)), groups)
    offset = rng.random(len(query))
    turn, place = ranges(np.minimum(lengths, width)[query])
    query, group = query[turn], ranges(groups)[1][turn]
    wanted = lower[query] + (place + offset[turn]) / width * total[query]
    found = np.searchsorted(upper, wanted, side="right")
    # Rounding must not lead into a neighbour's list.
    found = np.clip(found, starts[query], (starts + lengths - 1)[query])
    found = np.where(lengths[query] <= width, starts[query] + place, found)
    return order[found], group


def _places(owner: Ints, keys: tuple[NDArray[np.floating] | Ints, ...]) -> Ints:
    """Return each entry's place among those of its owner, by the last key first."""
    order = sorted_order((*keys, owner))
    ordered = owner[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    place = np.empty(len(owner), dtype=np.int64)
    place[order] = ranges(np.diff(np.append(starts, len(owner))))[1]
    return place


def _drawn(
    queries: Ints, weights: NDArray[np.floating], documents_per_query: int, rng: np.random.Generator
) -> Ints:
    """Return as many pairs of each query as it has, each in proportion to its weight.

    Systematic sampling: a pair of expected count c comes ⌊c⌋ or ⌈c⌉ times, at most once a group.
    """
    order = sorted_order((rng.random(len(queries)), queries))
    owner = queries[order]
    counts = np.bincount(owner)
    totals = np.bincount(owner, weights[order])
    groups = -(-counts // documents_per_query)
    share = np.where(totals[owner] > 0, weights[order] / np.maximum(totals[owner], 1e-300), 0.0)
    expected = np.minimum(share * counts[owner], groups[owner])
    upper = np.cumsum(expected)
    starts = np.concatenate([[0.0], upper])[np.cumsum(counts) - counts]
    offset = rng.random(len(counts))
    upper = upper - starts[owner] + offset[owner]
    copies = np.floor(upper) - np.floor(upper - expected)
    return np.repeat(order, np.maximum(copies, 0).astype(np.int64))


def _shuffled_blocks(block: Ints, group: Ints, owner: Ints, rng: np.random.Generator) -> Ints:
    """Order entries by random blocks (block, group), within them by owner in random order."""
    numbers = block * (int(group.max()) + 1) + group
    if block is owner and (numbers[1:] >= numbers[:-1]).all():
        # Blocks that lie together, of one owner each, are only moved.
        starts = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))
        turns = np.argsort(rng.permutation(len(starts)))
        which, place = ranges(np.diff(np.append(starts, len(numbers)))[turns])
        return starts[turns][which] + place
    blocks, inverse = dense_ranks(numbers)
    turn = rng.permutation(blocks)[inverse]
    within = rng.permutation(int(owner.max()) + 1)[owner]
    return sorted_order((within, turn))


def query_clusters(vectors: NDArray[np.float32], size: int, rng: np.random.Generator) -> Ints:
    """Return a cluster number for each vector; clusters hold about `size` vectors near each other.

    A random projection tree (Dasgupta & Freund, STOC 2008): the set is cut at the median of its
    projection on the line through two random members, until a part holds at most `size` vectors.
    Other random numbers give other clusters, so that no two epochs meet the same neighbours.

    Args:
        vectors: N × D.
        size: the most vectors of a cluster, ≥ 1.
        rng: the randomness of the tree.
    """
    clusters = np.zeros(len(vectors), dtype=np.int64)
    parts, number = [np.arange(len(vectors))], 0
    while parts:
        members = parts.pop()
        if len(members) <= size:
            clusters[members] = number
            number += 1
            continue
        one, other = rng.choice(members, 2, replace=False)
        height = vectors[members] @ (vectors[one] - vectors[other])
        order = members[np.lexsort((rng.random(len(members)), height))]
        # A multiple of `size` on one side keeps the clusters full.
        half = max(size, len(order) // 2 // size * size)
        parts += [order[:half], order[half:]]
    return clusters
