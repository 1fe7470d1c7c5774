from __future__ import annotations

import pytest
import torch

from rankfield.training.augment import flip_and_shift


def gradient_images(count: int, height: int, width: int) -> torch.Tensor:
    """Channel 0 holds the row, channel 1 the column, channel 2 the image's number."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    one = torch.stack([rows, columns, torch.zeros_like(rows)], dim=-1)
    images = one.expand(count, -1, -1, -1).clone()
    images[..., 2] = torch.arange(count).view(-1, 1, 1)
    return images.to(torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (16, 48), (7, 9), (1, 1)])
def test_each_image_is_a_shift_or_its_mirror_image(height: int, width: int) -> None:
    images = gradient_images(200, height, width)
    before = images.clone()
    found = flip_and_shift(images, generator=torch.Generator().manual_seed(0))
    assert torch.equal(images, before)
    assert found.shape == images.shape
    assert found.dtype == torch.uint8
    shifts, mirrored = set(), 0
    for number, image in enumerate(found.long()):
        assert image[..., 2].eq(number).all()
        matches = [
            (dy, dx, flip)
            for flip in (False, True)
            for dy in range(-(height // 16), height // 16 + 1)
            for dx in range(-(width // 16), width // 16 + 1)
            if torch.equal(image[..., :2], expected(height, width, dy, dx, flip))
        ]
        assert matches
        shifts.add(matches[0][:2])
        mirrored += matches[0][2]
    assert len(shifts) == (2 * (height // 16) + 1) * (2 * (width // 16) + 1)
    assert width == 1 or 60 < mirrored < 140


def expected(height: int, width: int, dy: int, dx: int, flip: bool) -> torch.Tensor:
    y = (torch.arange(height) + dy).clamp(0, height - 1)
    x = (torch.arange(width) + dx).clamp(0, width - 1)
    if flip:
        x = width - 1 - x
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)


def test_the_seed_decides() -> None:
    images = gradient_images(8, 32, 32)
    drawn = []
    for seed in (1, 1, 2):
        drawn.append(flip_and_shift(images, generator=torch.Generator().manual_seed(seed)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_no_images_at_all() -> None:
    generator = torch.Generator()
    state = generator.get_state()
    none = torch.empty(0, 8, 8, 3, dtype=torch.uint8)
    assert flip_and_shift(none, generator=generator).shape == (0, 8, 8, 3)
    assert torch.equal(generator.get_state(), state)
