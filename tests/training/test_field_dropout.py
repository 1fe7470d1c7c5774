"""Field dropout: what may be dropped, how often, and what is left to encode."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfield.encoders.fusion import FieldBatch, FieldInputs
from rankfield.training.field_dropout import drop_fields

SHARES = st.floats(0, 0.99)


def random_batch(seed: int, size: int = 12) -> FieldBatch:
    """A title, photos (lists) and details, each absent here and there; some records have none."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {}
    for name, most in (("title", 1), ("photos", 3), ("details", 1)):
        counts = torch.randint(0, most + 1, (size,), generator=generator)
        rows = torch.repeat_interleave(torch.arange(size), counts)
        if not len(rows):
            continue
        wanted = torch.randint(5, (len(rows),), generator=generator)
        distinct, index = torch.unique(wanted, return_inverse=True)
        items = {"ids": distinct[:, None] + 100, "mask": distinct}
        inputs[name] = FieldInputs(items, rows, index, most > 1)
    return FieldBatch(size, inputs)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def contents(batch: FieldBatch) -> dict[str, list[list[int]]]:
    """Return field → what each record holds."""
    held = {}
    for name, inputs in batch.inputs.items():
        records: list[list[int]] = [[] for _ in range(batch.size)]
        for row, item in zip(inputs.rows.tolist(), inputs.index.tolist(), strict=True):
            assert inputs.items["ids"][item, 0] == inputs.items["mask"][item] + 100
            records[row].append(int(inputs.items["mask"][item]))
        held[name] = records
    return held


@settings(deadline=None)
@given(st.integers(0, 10_000), SHARES)
def test_whole_fields_go_and_never_all_of_a_record(seed: int, share: float) -> None:
    batch = random_batch(seed)
    dropped = drop_fields(batch, share, generator=seeded(seed))
    before, after = contents(batch), contents(dropped)
    assert dropped.size == batch.size
    assert list(after) == [name for name in before if name in after]
    for row in range(batch.size):
        kept = [name for name in after if after[name][row]]
        assert all(after[name][row] == before[name][row] for name in kept)
        assert bool(kept) == any(records[row] for records in before.values())


@settings(deadline=None)
@given(st.integers(0, 10_000), SHARES)
def test_only_items_still_held_are_encoded(seed: int, share: float) -> None:
    batch = random_batch(seed)
    for name, inputs in drop_fields(batch, share, generator=seeded(seed)).inputs.items():
        assert len(inputs.rows) == len(inputs.index) > 0
        assert sorted(set(inputs.index.tolist())) == list(range(len(inputs.items["ids"])))
        assert len(inputs.items["mask"]) == len(inputs.items["ids"])
        assert inputs.multi_valued == batch.inputs[name].multi_valued


def test_the_draw_is_that_of_the_generator() -> None:
    batch, generator = random_batch(1, 40), seeded(5)
    one, other = (contents(drop_fields(batch, 0.5, generator=generator)) for _ in range(2))
    assert contents(drop_fields(batch, 0.5, generator=seeded(5))) == one
    assert other != one


def test_without_a_share_nothing_is_drawn() -> None:
    batch, generator = random_batch(1), seeded(5)
    assert drop_fields(batch, 0.0, generator=generator) is batch
    assert torch.equal(generator.get_state(), seeded(5).get_state())
    empty = FieldBatch(3, {})
    assert drop_fields(empty, 0.5, generator=generator) is empty


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_how_often_each_is_dropped(share: float) -> None:
    """Of two fields: both with (1 − p)², each alone with p (1 − p) + p² / 2."""
    size = 40_000
    rows = torch.arange(size)
    inputs = {
        name: FieldInputs({"ids": torch.zeros(1, 1)}, rows, torch.zeros(size, dtype=torch.long))
        for name in ("title", "photo")
    }
    found = drop_fields(FieldBatch(size, inputs), share, generator=seeded(0)).inputs
    title, photo = (
        torch.zeros(size, dtype=torch.bool).index_fill(0, found[n].rows, True) for n in inputs
    )
    assert (title | photo).all()
    assert (title & photo).float().mean().item() == pytest.approx((1 - share) ** 2, abs=0.01)
    alone = share * (1 - share) + share**2 / 2
    assert (title & ~photo).float().mean().item() == pytest.approx(alone, abs=0.01)
