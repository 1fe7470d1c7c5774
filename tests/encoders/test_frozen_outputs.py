"""Outputs of frozen text towers, kept in the cache: the same bits, and nothing stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rankfield.encoders import small_encoder
from rankfield.encoders.composed import ComposedEncoder
from rankfield.encoders.frozen_outputs import frozen_outputs
from rankfield.encoders.text_towers import (
    SentenceTransformersTower,
    TextTower,
    TransformersTextTower,
)
from rankfield.schema import RankingDataset
from rankfield.training import train
from tiny_models import recipe_of, tiny_clip
from training_data import tiny_shop

TEXTS = ["a", "red", "red ball", "blue ball", "a green box", "a number of nice gifts"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """Return a folder of sentence-transformers around a text model of transformers."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    root = tmp_path_factory.mktemp("sentences")
    torch.manual_seed(0)
    encoder = small_encoder(TEXTS, ["text"], dimension=8, width=32)
    assert encoder.text is not None
    (root / "plain").mkdir()
    encoder.text.save(root / "plain")
    modules = [Transformer(str(root / "plain")), Pooling(32)]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(root / "model"))
    return root / "model"


@pytest.fixture(params=["transformers", "sentence-transformers"])
def load(request: pytest.FixtureRequest, clip: Path, sentences: Path) -> Callable[..., TextTower]:
    def loaded(**options: Any) -> TextTower:
        if request.param == "transformers":
            tower: TextTower = TransformersTextTower.load(clip, **options)
        else:
            tower = SentenceTransformersTower.load(sentences, **options)
        tower.freeze()
        return tower

    return loaded


def refuse(tower: TextTower, patch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a text was encoded")

    patch.setattr(type(tower), "forward", refused)


def entries(cache: Path) -> int:
    return len(list(cache.glob("frozen-*"))) if cache.exists() else 0


def test_they_are_computed_once_and_equal_to_the_bit(
    cache: Path, load: Callable[..., TextTower], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = frozen_outputs(load(), TEXTS)
    assert entries(cache) == 0
    assert computed.shape == (len(TEXTS), load().width)
    assert torch.equal(frozen_outputs(load(), TEXTS, disk_mib=1), computed)
    again = load()  # of another run
    refuse(again, monkeypatch)
    assert torch.equal(frozen_outputs(again, TEXTS, disk_mib=1), computed)
    assert entries(cache) == 1
    with pytest.raises(AssertionError, match="was encoded"):
        frozen_outputs(again, TEXTS)


def changed_weight(tower: TextTower) -> None:
    next(tower.parameters()).data[0, 0] += 1


def changed_setting(tower: TextTower) -> None:
    config: Any = next(m.config for m in tower.modules() if hasattr(m, "config"))
    config.layer_norm_eps = 0.5


@pytest.mark.parametrize("change", [changed_weight, changed_setting])
def test_another_tower_has_its_own(
    cache: Path, load: Callable[..., TextTower], change: Callable[[TextTower], None]
) -> None:
    frozen_outputs(load(), TEXTS, disk_mib=1)
    tower = load()
    change(tower)
    found = frozen_outputs(tower, TEXTS, disk_mib=1)
    assert entries(cache) == 2
    assert torch.equal(found, frozen_outputs(tower, TEXTS))


def test_other_tokens_texts_and_poolings_have_their_own(cache: Path, clip: Path) -> None:
    towers = [
        TransformersTextTower.load(clip),
        TransformersTextTower.load(clip, max_tokens=4),
        TransformersTextTower.load(clip, pooling="mean"),
    ]
    for number, tower in enumerate(towers, 1):
        tower.freeze()
        found = frozen_outputs(tower, TEXTS, disk_mib=1)
        assert entries(cache) == number
        assert torch.equal(found, frozen_outputs(tower, TEXTS))
    frozen_outputs(towers[0], TEXTS[1:], disk_mib=1)
    assert entries(cache) == 4


def test_a_damaged_entry_is_made_again(cache: Path, clip: Path) -> None:
    tower = TransformersTextTower.load(clip)
    tower.freeze()
    computed = frozen_outputs(tower, TEXTS, disk_mib=1).clone()
    (file,) = cache.glob("frozen-*/vectors.npy")
    file.write_bytes(file.read_bytes()[:-4] + b"\1\2\3\4")
    assert torch.equal(frozen_outputs(tower, TEXTS, disk_mib=1), computed)
    assert torch.equal(frozen_outputs(tower, TEXTS), computed)


def test_what_does_not_fit_or_cannot_be_written_is_only_computed(
    cache: Path,
    clip: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tower = TransformersTextTower.load(clip)
    tower.freeze()
    many = [f"{number:05}" for number in range(2**20 // (4 * tower.width) + 1)]
    found = frozen_outputs(tower, many, disk_mib=1)
    assert "take 2 MiB and are not kept: data.text_disk_cache_mib = 1" in capsys.readouterr().err
    assert found.shape == (len(many), tower.width)
    assert entries(cache) == 0
    cache.write_text("a file in its place")
    expected = frozen_outputs(tower, TEXTS)
    assert torch.equal(frozen_outputs(tower, TEXTS, disk_mib=1), expected)
    assert "are not kept: " in capsys.readouterr().err


def test_a_tower_of_unknown_settings_is_only_computed(
    cache: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = TransformersTextTower.load(clip)
    tower.freeze()
    monkeypatch.setattr(TransformersTextTower, "settings", lambda _: None)
    assert torch.isfinite(frozen_outputs(tower, TEXTS, disk_mib=1)).all()
    assert entries(cache) == 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


def trained(clip: Path, shop: RankingDataset, out: Path, **data: Any) -> dict[str, Tensor]:
    names = {"text_model": str(clip), "vision_model": str(clip), "model": ""}
    encoder = {"kind": "composed", "dimension": 8, "freeze": ["text"]}
    recipe = recipe_of(
        clip, encoder=encoder | names, optimizer={"steps": 3}, batch={"size": 8}, data=data
    )
    model = train(recipe, shop, out)
    assert isinstance(model.encoder, ComposedEncoder)
    return dict(model.state_dict())


def test_trainings_with_and_without_are_equal_to_the_bit(
    cache: Path, clip: Path, shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = trained(clip, shop, tmp_path / "without", text_disk_cache_mib=0)
    assert entries(cache) == 0
    first = trained(clip, shop, tmp_path / "first")
    assert entries(cache) == 2  # queries, documents
    seen = []
    forward = TransformersTextTower.forward

    def counted(self: TransformersTextTower, inputs: dict[str, Tensor]) -> Tensor:
        seen.append(len(inputs["input_ids"]))
        return forward(self, inputs)

    monkeypatch.setattr(TransformersTextTower, "forward", counted)
    second = trained(clip, shop, tmp_path / "second")
    with_hits = len(seen)
    seen.clear()
    trained(clip, shop, tmp_path / "again", text_disk_cache_mib=0)
    assert with_hits < len(seen)  # dev embeds the texts in both
    for other in (first, second):
        assert all(torch.equal(value, other[name]) for name, value in without.items())
