"""Batches of texts: every text in one of them, of few tokens, without padding that nobody needs."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from rankfield.encoders.text_batches import text_batches

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=30)


def padded(lengths: list[int], *, left: bool) -> dict[str, torch.Tensor]:
    """Ids 100 · row + place, and a mask; padded with zeros."""
    ids = torch.zeros(len(lengths), 12, dtype=torch.int64)
    for row, length in enumerate(lengths):
        text = 100 * row + torch.arange(1, length + 1)
        ids[row, -length:] = text if left else 0
        if not left:
            ids[row, :length] = text
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "row": torch.arange(len(ids))}


@given(LENGTHS, st.integers(1, 40), st.none() | st.integers(1, 60), st.booleans())
def test_every_text_is_in_one_batch_whole(
    lengths: list[int], size: int, tokens: int | None, left: bool
) -> None:
    items = padded(lengths, left=left)
    seen = []
    for rows, batch in text_batches(items, size, tokens):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        assert len(rows) <= size
        assert tokens is None or len(rows) == 1 or ids.numel() <= tokens
        assert batch["row"].tolist() == rows.tolist()
        assert ids.shape[1] == max(lengths[row] for row in rows)
        assert torch.equal(mask, (ids > 0).long())
        for row, text in zip(rows, ids, strict=True):
            assert text[text > 0].tolist() == [100 * row + i + 1 for i in range(lengths[row])]
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(lengths)))
    assert [lengths[row] for row in seen] == sorted(lengths)


def test_a_batch_takes_what_fits() -> None:
    found = [rows.tolist() for rows, _ in text_batches(padded([2, 9, 2, 3], left=False), 9, 6)]
    assert found == [[0, 2], [3], [1]]


def test_texts_without_a_mask_or_padded_on_both_sides_are_left_as_they_are() -> None:
    items = {"input_ids": torch.arange(10).reshape(5, 2)}
    found = [(r.tolist(), i["input_ids"].tolist()) for r, i in text_batches(items, 2, 1)]
    assert found == [([0, 1], [[0, 1], [2, 3]]), ([2, 3], [[4, 5], [6, 7]]), ([4], [[8, 9]])]
    items["attention_mask"] = torch.tensor([[1, 0], [0, 1], [1, 1], [1, 1], [1, 1]])
    assert [r.tolist() for r, _ in text_batches(items, 3, 1)] == [[0, 1, 2], [3, 4]]
