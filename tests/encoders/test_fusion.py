from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rankfield.encoders import field_embeddings
from rankfield.encoders import fuse as fuse_parts
from rankfield.schema import Field
from reference import fuse_loops, mean_loops

NAMES = ("image", "title", "details")
Vectors = dict[str, tuple[Tensor, Tensor, Tensor]]


def fuse(size: int, fields: list[Field], vectors: Vectors) -> Tensor:
    """Each field's embeddings, fused with the fields' weights, as the model does it."""
    parts = {f.name: field_embeddings(size, *vectors[f.name]) for f in fields if f.name in vectors}
    return fuse_parts(parts, {f.name: f.weight for f in fields})


def random_case(
    seed: int, size: int, count: int, dtype: torch.dtype = torch.float32
) -> tuple[list[Field], Vectors, list[dict[str, list[float]]]]:
    """Fields with weights, their vectors, and the same record by record; each has some field."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(count, generator=generator) * 3 + 0.01
    fields = [Field(n, "text", float(w)) for n, w in zip(NAMES[:count], weights, strict=True)]
    present = torch.rand(count, size, generator=generator) < 0.6
    present[torch.randint(count, (size,), generator=generator), torch.arange(size)] = True
    vectors: Vectors = {}
    records: list[dict[str, list[float]]] = [{} for _ in range(size)]
    for field, holds in zip(fields, present, strict=True):
        rows = holds.nonzero()[:, 0]
        if not len(rows):
            continue
        distinct = int(torch.randint(1, len(rows) + 1, (1,), generator=generator))
        raw = torch.randn(distinct, 5, generator=generator).to(dtype) * 4
        index = torch.randint(distinct, (len(rows),), generator=generator)
        vectors[field.name] = (raw, rows, index)
        for row, item in zip(rows.tolist(), index.tolist(), strict=True):
            records[row][field.name] = raw[item].tolist()
    return fields, vectors, records


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 3))
def test_it_is_the_formula_record_by_record(seed: int, size: int, count: int) -> None:
    fields, vectors, records = random_case(seed, size, count)
    found = fuse(size, fields, vectors)
    expected = fuse_loops(records, {f.name: f.weight for f in fields})
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(size))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_the_scale_of_the_weights_drops_out(seed: int, factor: float) -> None:
    fields, vectors, _ = random_case(seed, 6, 3)
    scaled = [Field(f.name, f.modality, f.weight * factor) for f in fields]
    torch.testing.assert_close(fuse(6, fields, vectors), fuse(6, scaled, vectors))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1e4))
def test_the_length_of_a_field_vector_drops_out(seed: int, factor: float) -> None:
    fields, vectors, _ = random_case(seed, 6, 2)
    longer = {k: (factor * raw, rows, index) for k, (raw, rows, index) in vectors.items()}
    torch.testing.assert_close(fuse(6, fields, vectors), fuse(6, fields, longer))


def test_a_single_field_is_only_normalised() -> None:
    raw = torch.tensor([[3.0, 4.0]])
    field = Field("title", "text", 0.37)
    found = fuse(1, [field], {"title": (raw, torch.tensor([0]), torch.tensor([0]))})
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8]]))


def test_the_first_field_may_be_absent_everywhere() -> None:
    raw = torch.randn(2, 4)
    vectors = {"title": (raw, torch.tensor([0, 1, 2]), torch.tensor([1, 0, 1]))}
    found = fuse(3, [Field("image", "image", 0.9), Field("title", "text", 0.1)], vectors)
    torch.testing.assert_close(found, torch.nn.functional.normalize(raw)[[1, 0, 1]])


def test_records_without_fields_get_zeros_and_finite_gradients() -> None:
    raw = torch.randn(1, 4, requires_grad=True)
    fields = [Field("title", "text")]
    found = fuse(3, fields, {"title": (raw, torch.tensor([1]), torch.tensor([0]))})
    assert found[[0, 2]].eq(0).all()
    (gradient,) = torch.autograd.grad(found.sum(), raw)
    assert gradient.isfinite().all()
    with pytest.raises(ValueError, match="no field"):
        fuse(3, fields, {})


def test_the_gradient_is_right() -> None:
    fields, vectors, _ = random_case(3, 5, 3, torch.float64)
    names = list(vectors)

    def fused(*raw: Tensor) -> Tensor:
        parts = {n: (r, *vectors[n][1:]) for n, r in zip(names, raw, strict=True)}
        return fuse(5, fields, parts)

    inputs = tuple(vectors[name][0].requires_grad_() for name in names)
    assert torch.autograd.gradcheck(fused, inputs, eps=1e-6, atol=1e-6)


def test_half_precision_is_fused_in_single() -> None:
    fields, vectors, _ = random_case(1, 8, 2)
    half = {k: (raw.bfloat16(), rows, index) for k, (raw, rows, index) in vectors.items()}
    found = fuse(8, fields, half)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(8))
    torch.testing.assert_close(found, fuse(8, fields, vectors), rtol=0, atol=0.02)


def random_lists(seed: int, size: int) -> tuple[Tensor, Tensor, Tensor, list[list[list[float]]]]:
    """Vectors, the entries of records with none to four of them, and the same record by record."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, 5, (size,), generator=generator)
    rows = torch.repeat_interleave(torch.arange(size), counts)
    raw = torch.randn(6, 5, generator=generator, dtype=torch.float64) * 3
    index = torch.randint(6, (len(rows),), generator=generator)
    records: list[list[list[float]]] = [[] for _ in range(size)]
    for row, item in zip(rows.tolist(), index.tolist(), strict=True):
        records[row].append(raw[item].tolist())
    return raw, rows, index, records


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_a_list_is_the_mean_of_its_items_record_by_record(seed: int, size: int) -> None:
    raw, rows, index, records = random_lists(seed, size)
    found = field_embeddings(size, raw, rows, index, multi_valued=True)
    for row, items in enumerate(records):
        expected = mean_loops(items) if items else [0.0] * 5
        torch.testing.assert_close(found[row].tolist(), expected, rtol=1e-9, atol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_lists_of_one_are_single_values(seed: int) -> None:
    fields, vectors, _ = random_case(seed, 6, 2)
    for name, triple in vectors.items():
        one = field_embeddings(6, *triple)
        torch.testing.assert_close(field_embeddings(6, *triple, multi_valued=True), one)
        raw, rows, index = triple
        # to the bit: single values are only normalised and put at their rows
        unit = torch.nn.functional.normalize(raw, dim=-1)
        assert torch.equal(one[rows], unit[index])
        assert one.count_nonzero(dim=1).eq(0).sum() == 6 - len(rows), name
    assert len(fields) == 2


def test_the_gradient_through_lists_is_right() -> None:
    raw, rows, index, _ = random_lists(2, 5)
    present = torch.bincount(rows, minlength=5) > 0

    def embed(vectors: Tensor) -> Tensor:
        return field_embeddings(5, vectors, rows, index, multi_valued=True)[present]

    assert torch.autograd.gradcheck(embed, (raw.requires_grad_(),), eps=1e-6, atol=1e-6)
    (gradient,) = torch.autograd.grad(
        field_embeddings(5, raw, rows, index, multi_valued=True).sum(), raw
    )
    assert gradient.isfinite().all()


def test_weights_may_be_learnt() -> None:
    fields, vectors, _ = random_case(3, 5, 3, torch.float64)
    parts = {name: field_embeddings(5, *triple) for name, triple in vectors.items()}
    learnt = [torch.tensor(f.weight, dtype=torch.float64, requires_grad=True) for f in fields]
    names = [f.name for f in fields]

    def fused(*weights: Tensor) -> Tensor:
        return fuse_parts(parts, dict(zip(names, weights, strict=True)))

    assert torch.autograd.gradcheck(fused, tuple(learnt), eps=1e-6, atol=1e-6)
    assert torch.equal(fused(*learnt), fuse(5, fields, vectors))
