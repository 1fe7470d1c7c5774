"""Batches of texts: every text in one of them, of few tokens, without padding that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankfield.encoders import text_batches as module
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


@given(LENGTHS, st.integers(1, 40), st.integers(1, 60))
def test_where_padding_is_not_encoded_tokens_count_without_it(
    lengths: list[int], size: int, tokens: int
) -> None:
    items, seen = padded(lengths, left=False), []
    parts = [lengths[:0]]
    for rows, batch in text_batches(items, size, tokens, unpadded=True):
        own = [lengths[row] for row in rows]
        assert batch["input_ids"].shape == (len(own), max(own))
        assert len(own) <= size
        assert len(own) == 1 or sum(own) <= tokens
        assert len(own) == 1 or batch["input_ids"].numel() <= 2 * tokens + 1
        # one more did not fit in
        before = [*parts[-1], own[0]]
        full = sum(before) > tokens or len(before) * own[0] > 2 * tokens + 1
        assert not parts[-1] or full or len(before) > size
        parts.append(own)
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(lengths)))


def cost(parts: Sequence[Sequence[int]]) -> int:
    return sum(len(part) * max(part) + module._CALL_TOKENS for part in parts)


def splits(lengths: list[int], size: int, tokens: int) -> Iterator[list[list[int]]]:
    """Yield every way to cut the lengths into batches that are allowed."""
    if not lengths:
        yield []
    for stop in range(1, len(lengths) + 1):
        first, rest = lengths[:stop], lengths[stop:]
        if stop == 1 or (stop <= size and stop * max(first) <= tokens):
            for others in splits(rest, size, tokens):
                yield [first, *others]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=8),
    st.integers(1, 8),
    st.integers(1, 60),
    st.integers(0, 30),
)
def test_no_other_batches_cost_less(lengths: list[int], size: int, tokens: int, call: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CALL_TOKENS", call)
        found = [
            [lengths[row] for row in rows]
            for rows, _ in text_batches(padded(lengths, left=False), size, tokens)
        ]
        assert cost(found) == min(map(cost, splits(sorted(lengths), size, tokens)))


def test_short_texts_are_not_padded_to_a_long_one() -> None:
    lengths = [3] * 40 + [12] * 8
    parts = list(text_batches(padded(lengths, left=False), 48, 1024))
    assert [batch["input_ids"].shape for _, batch in parts] == [(40, 3), (8, 12)]
    # of few texts another call would cost more than the padding
    parts = list(text_batches(padded(lengths[35:45], left=False), 48, 1024))
    assert [batch["input_ids"].shape for _, batch in parts] == [(10, 12)]


def test_a_batch_takes_what_fits() -> None:
    found = [rows.tolist() for rows, _ in text_batches(padded([2, 9, 2, 3], left=False), 9, 6)]
    assert found == [[0, 2], [3], [1]]


def test_texts_without_a_mask_or_padded_on_both_sides_are_left_as_they_are() -> None:
    items = {"input_ids": torch.arange(10).reshape(5, 2)}
    found = [(r.tolist(), i["input_ids"].tolist()) for r, i in text_batches(items, 2, 1)]
    assert found == [([0, 1], [[0, 1], [2, 3]]), ([2, 3], [[4, 5], [6, 7]]), ([4], [[8, 9]])]
    items["attention_mask"] = torch.tensor([[1, 0], [0, 1], [1, 1], [1, 1], [1, 1]])
    assert [r.tolist() for r, _ in text_batches(items, 3, 1)] == [[0, 1, 2], [3, 4]]
