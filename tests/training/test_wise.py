from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from rankfield.encoders import ComposedEncoder, DualEncoder, Encoder, TransformersTextTower
from rankfield.encoders.small import small_vision_tower
from rankfield.errors import RecipeError
from rankfield.training.average import AverageSection
from rankfield.training.wise import check_shares, choose_share, interpolated
from tiny_models import tiny_clip

NAME = "model.text_projection.weight"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip") / "model")


def pair(clip: Path) -> tuple[Encoder, Encoder]:
    """Return a base model and one whose weights all lie one higher."""
    base, tuned = (DualEncoder.from_pretrained(clip) for _ in range(2))
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(1.0)
    return base, tuned


@pytest.mark.parametrize("share", [0.0, 0.25, 0.7, 1.0])
def test_is_the_straight_line_between_both(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    base = {"a": torch.randn(5, 3, generator=generator), "count": torch.tensor(3)}
    tuned = {
        "a": torch.randn(5, 3, generator=generator),
        "count": torch.tensor(9),
        "head": torch.ones(2),
    }
    found = interpolated(base, tuned, share)
    assert found.keys() == {"a"}
    torch.testing.assert_close(found["a"], (1 - share) * base["a"] + share * tuned["a"])
    if share in (0.0, 1.0):
        assert torch.equal(found["a"], (tuned if share else base)["a"])
    with pytest.raises(ValueError, match=r"a: \(5, 3\) became \(4, 3\)"):
        interpolated(base, {"a": tuned["a"][:4]}, share)


def test_the_share_of_the_best_value_is_kept(clip: Path) -> None:
    base, tuned = pair(clip)
    start = base.state_dict()[NAME].clone()

    def measure() -> float:
        moved = float((tuned.state_dict()[NAME] - start).mean())
        return 1.0 - abs(moved - 0.4)

    best, found = choose_share(base, tuned, [0.8, 0.3, 0.5], measure)
    assert found == pytest.approx({0.3: 0.9, 0.5: 0.9, 0.8: 0.6, 1.0: 0.4}, abs=1e-5)
    torch.testing.assert_close(tuned.state_dict()[NAME], start + best)
    assert best in (0.3, 0.5)


def test_ties_keep_more_of_the_base_and_nan_never_wins(clip: Path) -> None:
    base, tuned = pair(clip)
    best, found = choose_share(base, tuned, [0.6, 0.2], lambda: 0.5)
    assert (best, set(found)) == (0.2, {0.2, 0.6, 1.0})
    values = iter([math.nan, 0.1])
    assert choose_share(base, pair(clip)[1], [0.2], lambda: next(values))[0] == 1.0
    assert choose_share(base, pair(clip)[1], [0.2], lambda: math.nan)[0] == 1.0


def test_without_dev_queries_the_one_share_is_taken(clip: Path) -> None:
    base, tuned = pair(clip)
    assert choose_share(base, tuned, [0.25], None) == (0.25, {})
    torch.testing.assert_close(tuned.state_dict()[NAME], base.state_dict()[NAME] + 0.25)


def test_heads_and_towers_from_scratch_stay_as_trained(clip: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    from rankfield.encoders.small import train_tokenizer

    torch.manual_seed(0)
    tokenizer = train_tokenizer(["red ball"])
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    made = TransformersTextTower(BertModel(config), tokenizer, max_tokens=8, pooling="mean")
    (tmp_path / "text").mkdir()
    made.save(tmp_path / "text")
    encoder = ComposedEncoder(
        TransformersTextTower.load(tmp_path / "text"),
        small_vision_tower(image_size=24, width=32),
        dimension=8,
    )
    assert encoder.pretrained_towers().keys() == {"text"}
    names = encoder.pretrained_weights().keys()
    assert all(name.startswith("text.") for name in names)
    assert len(names) == len(made.state_dict())
    section = AverageSection(wise=[0.5])
    check_shares(section, encoder, has_dev=False)
    scratch = ComposedEncoder(made, None, dimension=8)
    with pytest.raises(RecipeError, match="no pretrained model to keep a share of"):
        check_shares(section, scratch, has_dev=True)
    check_shares(AverageSection(), scratch, has_dev=True)


def test_several_shares_need_dev_queries(clip: Path) -> None:
    encoder = DualEncoder.from_pretrained(clip)
    section = AverageSection(wise=[0.5, 0.7])
    check_shares(section, encoder, has_dev=True)
    with pytest.raises(RecipeError, match="no dev queries to choose from 2 shares"):
        check_shares(section, encoder, has_dev=False)
