"""Sequences with images in micro-batches: which rows go where, and equal vectors and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from rankfield.encoders import RankingModel, SequenceEncoder
from rankfield.encoders.micro_batches import MicroBatches
from rankfield.encoders.sequence_parts import IMAGE_COUNTS, sequence_parts
from rankfield.schema import Field
from tiny_sequence_models import embedder_folder, qwen_folder

SIZES = [(30, 17), (9, 30), (16, 16), (40, 12)]
WAYS = [MicroBatches(40, 2), MicroBatches(1, 1), MicroBatches(40, 2, True), MicroBatches(None, 1)]


def processed(counts: list[int], lengths: list[int]) -> dict[str, Tensor]:
    """Items as of Qwen-VL, whose numbers say of which sequence and image they are."""
    count, width = len(counts), max(lengths)
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    owners = torch.arange(count).repeat_interleave(torch.tensor(counts))
    grid = torch.stack([torch.ones_like(owners), owners % 3 + 1, torch.full_like(owners, 2)], 1)
    patches = grid.prod(1)
    return {
        "input_ids": mask * (torch.arange(count)[:, None] + 1),
        "attention_mask": mask,
        "pixel_values": owners.repeat_interleave(patches)[:, None].float().expand(-1, 5),
        "image_grid_thw": grid,
        "thumbnails": owners[:, None, None].float().expand(-1, 2, 2),
        IMAGE_COUNTS: torch.tensor(counts),
    }


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=9)


@example(rows=[(1, 5), (0, 1)], tokens=1, images=1)  # patches of the shape of the tokens
@example(rows=[(0, 1), (2, 3)], tokens=1, images=1)  # a grid of the shape of the tokens
@given(rows=ROWS, tokens=st.integers(1, 40), images=st.integers(1, 5))
def test_each_sequence_is_in_one_part_with_its_images(
    rows: list[tuple[int, int]], tokens: int, images: int
) -> None:
    counts, lengths = [row[0] for row in rows], [row[1] for row in rows]
    items = processed(counts, lengths)
    if sum(counts) == len(counts):  # a thumbnail of each image could be one of each sequence
        del items["thumbnails"]
    seen = []
    for found, part in sequence_parts(items, tokens, images):
        seen += found.tolist()
        held = [counts[row] for row in found]
        owners = [row for row in found for _ in range(counts[row])]
        patches = [row for row in owners for _ in range(2 * (row % 3 + 1))]
        assert part[IMAGE_COUNTS].tolist() == held
        assert part["attention_mask"].sum(1).tolist() == [lengths[row] for row in found]
        assert part["input_ids"].amax(1).tolist() == [row + 1 for row in found]
        assert len(found) == 1 or part["input_ids"].numel() <= tokens
        assert len(found) == 1 or sum(held) <= images
        assert ("pixel_values" in part) == bool(owners)
        if owners:
            assert part["pixel_values"][:, 0].tolist() == patches
            assert part["image_grid_thw"].prod(1).sum() == len(patches)
            assert "thumbnails" not in part or part["thumbnails"][:, 0, 0].tolist() == owners
    assert sorted(seen) == list(range(len(rows)))


@pytest.mark.parametrize("strange", [torch.zeros(7, 2), torch.zeros(3, 4, 4)])
def test_what_is_not_known_is_not_split(strange: Tensor) -> None:
    """Rows of nothing known, and as many images as sequences without one for each."""
    items = processed([2, 0, 1], [3, 1, 2]) | {"other": strange}
    del items["thumbnails"]
    parts = list(sequence_parts(items, 1, 1))
    assert [rows.tolist() for rows, _ in parts] == [[0, 1, 2]]
    assert parts[0][1].keys() == items.keys()
    assert len(list(sequence_parts({k: items[k] for k in items if k != "other"}, 1, 1))) == 3


@pytest.fixture(scope="module", params=["embedder", "qwen2", "qwen3"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sequences") / "model"
    if request.param == "embedder":
        embedder_folder(folder)
    else:
        qwen_folder(folder, int(request.param[-1]))
    fields = [Field("title", "text"), Field("image", "image")]
    options: dict[str, Any] = {"document_fields": fields, "fusion": "sequence", "device": "cpu"}
    found = RankingModel.from_pretrained(folder, **options).encoder
    assert isinstance(found, SequenceEncoder)
    return found.double().train()


def sequences(encoder: SequenceEncoder) -> dict[str, Tensor]:
    photos = [Image.effect_noise(size, 90).convert("RGB") for size in SIZES]
    contents: list[tuple[str, list[Image.Image]]] = [
        ("red ball", photos[:1]),
        ("nice number please", []),
        ("", photos[1:3]),
        ("a gift cheap blue box " * 2, photos[3:]),
        ("thing", []),
        ("blue", []),
    ]
    items = encoder.prepare(contents, "document")
    return {k: v.double() if v.is_floating_point() else v for k, v in items.items()}


def outcome(
    encoder: SequenceEncoder, way: MicroBatches, items: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    encoder.zero_grad()
    vectors = way.encode(encoder, "text", items)
    weights = torch.arange(vectors.numel(), dtype=vectors.dtype).reshape(vectors.shape)
    (vectors * weights.sin()).sum().backward()  # type: ignore[no-untyped-call]
    found = {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}
    return vectors.detach(), found


def test_vectors_and_gradients_are_those_of_all_at_once(encoder: SequenceEncoder) -> None:
    items = sequences(encoder)
    expected, wanted = outcome(encoder, MicroBatches(), items)
    assert any("visual" in name for name in wanted)
    for way in WAYS:
        assert len(list(way.parts("text", items))) > 2
        vectors, gradients = outcome(encoder, way, items)
        torch.testing.assert_close(vectors, expected, rtol=1e-6, atol=1e-7)
        assert gradients.keys() == wanted.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


def test_the_cache_changes_no_bit(encoder: SequenceEncoder) -> None:
    items = sequences(encoder)
    vectors, gradients = outcome(encoder, MicroBatches(40, 2, True), items)
    kept, wanted = outcome(encoder, MicroBatches(40, 2), items)
    assert torch.equal(vectors, kept)
    assert all(torch.equal(gradients[name], wanted[name]) for name in wanted)
