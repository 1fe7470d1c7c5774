from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from judged_batches import PATTERNS, SHAPES, random_batch
from rankfield.losses import JudgedPairs
from rankfield.losses.judged_lists import judged_lists
from rankfield.losses.reduction import divisor


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", SHAPES)
def test_lists_are_by_ascending_score(shape: tuple[int, int], pattern: str) -> None:
    pairs = random_batch(*shape, pattern, seed=sum(shape)).pairs
    scores, queries = pairs.scores.tolist(), pairs.queries.tolist()
    lists = judged_lists(pairs)
    expected = {
        row: sorted((p for p in range(len(pairs)) if queries[p] == row), key=lambda p: scores[p])
        for row in sorted(set(queries))
    }
    assert lists.queries.tolist() == list(expected)
    assert lists.pairs.shape == (len(expected), max(map(len, expected.values())))
    for place, own in enumerate(expected.values()):
        real = lists.real[place]
        assert real.tolist() == [True] * len(own) + [False] * (len(real) - len(own))
        assert lists.pairs[place][real].tolist() == own
        assert not lists.pairs[place][~real].any()
        of_list = [scores[p] for p in own]
        assert lists.tie_start[place][real].tolist() == [of_list.index(s) for s in of_list]


def test_transposing_swaps_queries_and_documents() -> None:
    pairs = random_batch(4, 3).pairs
    flipped = pairs.transposed()
    assert torch.equal(flipped.queries, pairs.documents)
    assert torch.equal(flipped.documents, pairs.queries)
    assert all(map(torch.equal, _tensors(flipped.transposed()), _tensors(pairs)))
    assert all(x.device.type == "meta" for x in _tensors(pairs.to(torch.device("meta"))))


def _tensors(pairs: JudgedPairs) -> list[torch.Tensor]:
    return list(vars(pairs).values())


def test_pairs_that_do_not_fit_are_refused() -> None:
    pairs = random_batch(4, 3, "all").pairs
    pairs.check(4, 3)
    for name in ("query", "document"):
        place = {"query": "queries", "document": "documents"}[name]
        with pytest.raises(ValueError, match=f"{name} index lies outside 0"):
            replace(pairs, **{place: getattr(pairs, place) - 1}).check(4, 3)
        with pytest.raises(ValueError, match=f"{name} index lies outside 0"):
            replace(pairs, **{place: getattr(pairs, place) + 1}).check(4, 3)
    with pytest.raises(ValueError, match="four tensors of one length"):
        replace(pairs, weights=pairs.weights[1:]).check(4, 3)
    with pytest.raises(ValueError, match="four tensors of one length"):
        JudgedPairs(*(x[:, None] for x in _tensors(pairs))).check(4, 3)
    with pytest.raises(ValueError, match="at least one judged pair"):
        JudgedPairs(*(x[:0] for x in _tensors(pairs))).check(4, 3)


def test_divisor() -> None:
    weights = torch.tensor([0.5, 0.0, 0.25])
    assert float(divisor(weights, "query_to_document", "mean")) == 0.75
    assert float(divisor(weights, "document_to_query", "batchmean")) == 3
    assert float(divisor(0 * weights, "query_to_document", "mean")) == 1
    assert float(divisor(weights, "both", "mean")) == 1.5
    assert float(divisor(weights, "both", "sum")) == float(divisor(weights, "both", "none")) == 2


def test_one_by_one_gives_each_pair_its_own_place() -> None:
    pairs = random_batch(4, 3).pairs
    own = pairs.one_by_one()
    assert own.queries.tolist() == own.documents.tolist() == list(range(len(pairs)))
    assert own.scores is pairs.scores
    assert own.weights is pairs.weights
