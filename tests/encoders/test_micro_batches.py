"""Encoding in micro-batches: equal vectors and gradients, little kept, random numbers replayed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from rankfield.encoders.micro_batches import MicroBatches

WAYS = [MicroBatches(tokens=9), MicroBatches(tokens=9, cached=True), MicroBatches(cached=True)]


class Words(nn.Module):
    """Texts of padded ids → mean of their embeddings, through dropout; images → channel means."""

    def __init__(self, dropout: float = 0.0, norm: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 6)
        self.layer, self.dropout = nn.Linear(6, 4), nn.Dropout(dropout)
        self.pixels = nn.Sequential(nn.Linear(3, 4), *([nn.BatchNorm1d(4)] if norm else []))
        self.seen: list[int] = []

    def encode(self, modality: str, items: Mapping[str, Tensor]) -> Tensor:
        self.seen.append(len(next(iter(items.values()))))
        if modality == "image":
            found: Tensor = self.pixels(items["pixels"].float().mean((1, 2)) / 255)
            return found
        mask = items["attention_mask"].unsqueeze(-1)
        states = self.dropout(self.layer(self.embedding(items["input_ids"]))) * mask
        pooled: Tensor = states.sum(1) / mask.sum(1)
        return pooled


def texts() -> dict[str, Tensor]:
    ids = torch.zeros(7, 8, dtype=torch.int64)
    for row, length in enumerate((3, 8, 1, 5, 2, 2, 4)):
        ids[row, :length] = torch.arange(1, length + 1) * (row + 1) % 50
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


def images() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"pixels": torch.randint(256, (7, 5, 5, 3), dtype=torch.uint8, generator=generator)}


def outcome(
    words: nn.Module, way: MicroBatches, modality: str, items: Mapping[str, Tensor]
) -> tuple[Tensor, list[Tensor]]:
    words.zero_grad()
    torch.manual_seed(1)
    vectors = way.encode(words, modality, items)  # type: ignore[arg-type]
    (vectors * torch.arange(vectors.numel()).reshape(vectors.shape)).sum().backward()  # type: ignore[no-untyped-call]
    found = [p.grad.clone() for p in words.parameters() if p.grad is not None]
    return vectors.detach(), found


@pytest.mark.parametrize("way", [*WAYS, MicroBatches(images=3), MicroBatches(1, 1, True)])
@pytest.mark.parametrize("modality", ["text", "image"])
def test_vectors_and_gradients_are_those_of_all_at_once(way: MicroBatches, modality: str) -> None:
    words = Words().double()
    items = texts() if modality == "text" else images()
    words.pixels = words.pixels.float()
    vectors, gradients = outcome(words, way, modality, items)
    expected, wanted = outcome(words, MicroBatches(), modality, items)
    torch.testing.assert_close(vectors, expected)
    assert len(gradients) == len(wanted) > 0
    torch.testing.assert_close(gradients, wanted)


def test_the_cache_replays_dropout_and_changes_no_bit() -> None:
    words = Words(dropout=0.5)
    vectors, gradients = outcome(words, MicroBatches(9, None, True), "text", texts())
    kept, wanted = outcome(words, MicroBatches(9), "text", texts())
    assert torch.equal(vectors, kept)
    assert all(map(torch.equal, gradients, wanted))
    words.eval()
    assert not torch.equal(outcome(words, MicroBatches(9), "text", texts())[0], kept)


def test_sizes_are_kept_to() -> None:
    words = Words()
    MicroBatches(tokens=9).encode(words, "text", texts())  # type: ignore[arg-type]
    assert words.seen == [3, 2, 1, 1]  # texts of 1, 2, 2 tokens; 3, 4; 5; 8
    words.seen.clear()
    MicroBatches(images=3).encode(words, "image", images())  # type: ignore[arg-type]
    assert words.seen == [3, 3, 1]
    words.seen.clear()
    plain = {"input_ids": texts()["input_ids"]}  # no mask: padding cannot be told from tokens
    parts = [len(rows) for rows, _ in MicroBatches(tokens=17).parts("text", plain)]
    assert parts == [2, 2, 2, 1]


def test_items_without_a_row_for_each_are_never_split() -> None:
    words = Words()
    items = texts() | {"patches": torch.zeros(90, 3)}
    for way in (MicroBatches(1, 1), MicroBatches(1, 1, True)):
        vectors, _ = outcome(words, way, "text", items)
        assert torch.equal(vectors, outcome(words, MicroBatches(), "text", texts())[0])
    assert set(words.seen) == {7}


def test_only_vectors_are_kept_with_the_cache() -> None:
    def kept(way: MicroBatches) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        words = Words()
        weights = {p.untyped_storage().data_ptr() for p in words.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            vectors = way.encode(words, "text", texts())  # type: ignore[arg-type]
        assert vectors.requires_grad
        return sum(size for pointer, size in sizes.items() if pointer not in weights)

    assert kept(MicroBatches(9, None, True)) < kept(MicroBatches(9)) / 2


def test_batch_norm_sees_the_whole_batch() -> None:
    words = Words(norm=True)
    outcome(words, MicroBatches(1, 1, True), "image", images())
    assert words.seen == [7]
    norm = words.pixels[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.num_batches_tracked == 1
    words.seen.clear()
    MicroBatches(images=4).encode(words.eval(), "image", images())  # type: ignore[arg-type]
    assert words.seen == [4, 3]
