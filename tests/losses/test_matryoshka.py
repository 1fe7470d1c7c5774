from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rankfield.losses import contrastive_loss, matryoshka, truncated


def unit(rows: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, width, generator=generator, dtype=dtype), dim=-1)


def loss(queries: Tensor, documents: Tensor) -> Tensor:
    return contrastive_loss(
        queries, documents, torch.linspace(0.1, 1, len(queries)).to(queries), 9.0
    )


@pytest.mark.parametrize("dimension", [1, 3, 7])
def test_truncated_rows_are_the_first_columns_at_length_one(dimension: int) -> None:
    embeddings = unit(6, 8, 0)
    found = truncated(embeddings, dimension)
    for row, short in zip(embeddings.tolist(), found.tolist(), strict=True):
        length = sum(x * x for x in row[:dimension]) ** 0.5
        assert short == pytest.approx([x / length for x in row[:dimension]], rel=1e-12)
    assert truncated(embeddings, 8) is embeddings


def test_half_precision_comes_back_in_float32_and_zero_stays_zero() -> None:
    embeddings = unit(3, 8, 0, torch.float32).to(torch.bfloat16)
    embeddings[1, :4] = 0
    found = truncated(embeddings, 4)
    assert found.dtype == torch.float32
    assert found[1].tolist() == [0.0] * 4
    torch.testing.assert_close(found[[0, 2]].norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize("dimension", [0, 9, -1])
def test_dimensions_out_of_range(dimension: int) -> None:
    with pytest.raises(ValueError, match=r"1 ≤ d ≤ D; found \(3, 8\)"):
        truncated(unit(3, 8, 0), dimension)
    with pytest.raises(ValueError, match="1 ≤ d ≤ D"):
        matryoshka(loss, unit(3, 8, 0), unit(3, 8, 1), [dimension])


@pytest.mark.parametrize(
    ("dimensions", "weights", "expected"),
    [
        ([2, 4], None, {2: 1.0, 4: 1.0, 8: 1.0}),
        ([4, 8], None, {4: 1.0, 8: 1.0}),
        ([4, 8], [3.0, 0.5], {4: 3.0, 8: 0.5}),
        ([2], [3.0], {2: 3.0, 8: 1.0}),
    ],
)
def test_is_the_weighted_mean_over_dimensions(
    dimensions: list[int], weights: list[float] | None, expected: dict[int, float]
) -> None:
    queries, documents = unit(5, 8, 0), unit(5, 8, 1)
    found = matryoshka(loss, queries, documents, dimensions, weights)
    terms = [
        weight * loss(F.normalize(queries[:, :d], dim=-1), F.normalize(documents[:, :d], dim=-1))
        for d, weight in expected.items()
    ]
    torch.testing.assert_close(found, sum(terms) / sum(expected.values()))


def test_without_dimensions_it_is_the_loss_itself() -> None:
    queries, documents = unit(5, 8, 0), unit(5, 8, 1)
    for dimensions in ([], [8]):
        assert torch.equal(
            matryoshka(loss, queries, documents, dimensions), loss(queries, documents)
        )


def test_gradients_are_those_of_finite_differences() -> None:
    queries, documents = unit(4, 6, 0).requires_grad_(), unit(4, 6, 1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: matryoshka(loss, a, b, [2, 3], [1.0, 2.0]), (queries, documents)
    )


def test_weights_that_do_not_fit() -> None:
    queries, documents = unit(3, 8, 0), unit(3, 8, 1)
    for dimensions, weights in (([2, 4], [1.0]), ([2], [0.0]), ([2], [float("inf")])):
        with pytest.raises(ValueError, match="weights above 0"):
            matryoshka(loss, queries, documents, dimensions, weights)
    with pytest.raises(ValueError, match="distinct dimensions"):
        matryoshka(loss, queries, documents, [2, 2])
