"""Models that read a record in one sequence, published: whole in sentence-transformers, or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rankfield.encoders import RankingModel
from rankfield.errors import ModelError
from rankfield.publishing import LAYOUTS, publish
from rankfield.publishing.sequence_folder import refuses_sequences
from rankfield.schema import RankingDataset
from tiny_sequence_models import embedder_folder, qwen_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedder_folder(tmp_path_factory.mktemp("embedder") / "model")


def opened(folder: Path, shop: RankingDataset, fusion: str) -> RankingModel:
    return RankingModel.from_pretrained(
        folder,
        dataset=shop,
        fusion="sequence" if fusion == "sequence" else "fields",
        document_prefix="a gift",
        device="cpu",
    )


@pytest.mark.parametrize("dimension", [16, 6])
def test_the_client_ranks_the_same(
    folder: Path, small_shop: RankingDataset, tmp_path: Path, dimension: int
) -> None:
    model = opened(folder, small_shop, "sequence").truncate_to(dimension)
    before = list(model.state_dict())
    proof = publish(model, tmp_path / "out", "sentence-transformers", small_shop)[
        "sentence-transformers"
    ]
    assert proof is not None
    assert proof.dimension == dimension
    assert proof.largest_difference < 2e-6
    assert proof.incomplete > 0
    assert list(model.state_dict()) == before
    assert not (tmp_path / "out" / "sequence.json").exists()
    fields = json.loads((tmp_path / "out" / "fields.json").read_text("utf-8"))
    assert "one message" in fields["fusion"]
    assert "one message" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_a_model_without_a_normalisation(small_shop: RankingDataset, tmp_path: Path) -> None:
    model = opened(qwen_folder(tmp_path / "qwen"), small_shop, "sequence")
    proof = publish(model, tmp_path / "out", "sentence-transformers")["sentence-transformers"]
    assert proof is not None
    assert proof.largest_difference < 2e-6


@pytest.mark.parametrize("fusion", ["sequence", "fields"])
def test_layouts_that_cannot_hold_it(
    folder: Path, small_shop: RankingDataset, tmp_path: Path, fusion: str
) -> None:
    model = opened(folder, small_shop, fusion)
    holding = {"vectors"} | ({"sentence-transformers"} if fusion == "sequence" else set())
    for name in LAYOUTS:
        said = refuses_sequences(model, LAYOUTS[name])
        assert (said is None) == (name in holding), name
        assert said is None or "choose --as vectors" in said
    with pytest.raises(ModelError, match="reads texts and images in one sequence"):
        publish(model, tmp_path / "out", "transformers", small_shop)
    assert not (tmp_path / "out").exists()
