"""Publishing: proved or not kept; whole or not at all."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

import rankfield
from rankfield.cli.main import main
from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import InputError, MissingExtraError, ModelError, OutputError
from rankfield.publishing import LAYOUTS, ModelLayout, PublishOptions, prove, publish
from rankfield.publishing import table as layout_table
from rankfield.publishing.card import ModelFacts, published_card
from rankfield.publishing.sample import MADE_UP, ProofSample
from rankfield.schema import Field, RankingDataset
from rankfield.training import parse_recipe
from tiny_models import tiny_clip
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    return RankingModel.from_pretrained(
        tiny_clip(tmp_path_factory.mktemp("clip")),
        document_fields=[Field("image", "image", 0.9), Field("title", "text", 0.1)],
        device="cpu",
    )


@dataclass
class OwnClient:
    """A client that is the model itself, its vectors changed on demand."""

    model: RankingModel
    scale: float = 1.0
    noise: float = 0.0

    def encode_texts(self, texts: list[str], side: Side) -> Any:
        found = self.model.encoder.encode_text(self.model.encoder.tokenize(texts, side))
        return self._changed(found.detach().numpy())

    def encode_images(self, images: list[Image.Image]) -> Any:
        pixels = self.model.read_pixels(images, lambda image: image)
        return self._changed(self.model.encoder.encode_image(pixels).detach().numpy())

    def _changed(self, vectors: Any) -> Any:
        noise = np.random.default_rng(0).normal(0, self.noise, vectors.shape)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) + noise
        return self.scale * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class FusingClient(OwnClient):
    """A client that takes whole records."""

    def encode_records(self, records: list[dict[str, Any]], side: Side) -> Any:
        found = np.zeros((len(records), self.model.dimension), np.float32)
        encode = self.model.encode_queries if side == "query" else self.model.encode_documents
        for row, record in enumerate(records):
            if record:
                found[row] = encode([record])[0]
        return self._changed(found) if self.noise else found


def layout_of(client: Any, **changes: Any) -> ModelLayout:
    layout = ModelLayout(
        name="own",
        title="this test",
        write=lambda model, folder, options: (folder / "x").touch() or None,  # type: ignore[func-returns-value]
        open=lambda folder, options: client,
        refuses=lambda model: None,
        usage="none",
    )
    return replace(layout, **changes)


def use(monkeypatch: pytest.MonkeyPatch, *layouts: ModelLayout) -> None:
    named = {layout.name: layout for layout in layouts}
    for module in (layout_table, sys.modules["rankfield.publishing.publication"]):
        monkeypatch.setattr(module, "LAYOUTS", named)


def test_proof_of_the_same_vectors(clip: RankingModel, shop: RankingDataset) -> None:
    client = OwnClient(clip)
    proof = prove(clip, client, shop, PublishOptions(), layout=layout_of(client))
    assert proof.largest_difference < 1e-6
    assert proof.largest_distance < 1e-12
    assert proof.top10_overlap == 1
    assert proof.ndcg10 == proof.client_ndcg10
    assert proof.ndcg10 is not None
    assert 0 < proof.ndcg10 < 1
    assert proof.incomplete > 0
    assert proof.fingerprint == shop.fingerprint()


@pytest.mark.parametrize("kind", [OwnClient, FusingClient])
def test_a_client_that_differs_is_refused(
    kind: type[OwnClient], clip: RankingModel, shop: RankingDataset
) -> None:
    client = kind(clip, noise=0.01)
    with pytest.raises(ModelError, match="does not rank as the model does"):
        prove(clip, client, shop, PublishOptions(), layout=layout_of(client))
    loose = layout_of(client, tolerance=0.5, ndcg_loss=1.0)
    proof = prove(clip, client, shop, PublishOptions(), layout=loose)
    assert 1e-4 < proof.largest_difference < 0.5


def test_lost_ndcg_is_refused(clip: RankingModel, shop: RankingDataset) -> None:
    client = OwnClient(clip)
    layout = layout_of(client, tolerance=0.1, ndcg_loss=0.005)
    proof = prove(clip, client, shop, PublishOptions(), layout=layout)
    assert proof.ndcg10 is not None
    for share, kept in ((0.996, True), (0.994, False), (1.1, True)):
        found = replace(proof, client_ndcg10=share * proof.ndcg10)
        assert (not found.disagreement) == kept
    assert "nDCG@10 is" in replace(proof, client_ndcg10=0.0).disagreement
    assert replace(proof, largest_difference=float("nan")).disagreement


def test_what_int8_may_lose_is_an_option(clip: RankingModel, shop: RankingDataset) -> None:
    client = OwnClient(clip)
    for int8, loss in ((True, 0.02), (False, 1e-4)):
        layout = layout_of(client, int8=int8)
        proof = prove(clip, client, shop, PublishOptions(int8_loss=0.02), layout=layout)
        assert proof.ndcg_loss == loss
    with pytest.raises(InputError, match="from 0 to below 1, found 1"):
        PublishOptions(int8_loss=1.0)


def test_vectors_of_another_length_are_refused(clip: RankingModel) -> None:
    client = OwnClient(clip, scale=1.1)
    with pytest.raises(ModelError, match=r"a vector of length 1\.1, expected unit vectors"):
        prove(clip, client, None, PublishOptions(), layout=layout_of(client))


def test_a_client_that_fuses_gets_whole_records(clip: RankingModel, shop: RankingDataset) -> None:
    client = FusingClient(clip)
    proof = prove(clip, client, shop, PublishOptions(), layout=layout_of(client))
    assert proof.largest_difference < 1e-6


def test_made_up_records_lack_every_set_of_fields(clip: RankingModel) -> None:
    sample = ProofSample.of(clip, None, PublishOptions())
    kinds = sample.view.documents.select(pl.col("image", "title").is_null()).unique()
    assert sorted(kinds.rows()) == [(False, False), (False, True), (True, False)]
    client = OwnClient(clip)
    proof = prove(clip, client, None, PublishOptions(), layout=layout_of(client))
    assert (proof.data, proof.ndcg10, proof.fingerprint) == (MADE_UP, None, "")


def test_given_texts_are_proved_with(clip: RankingModel) -> None:
    sample = ProofSample.of(clip, None, PublishOptions(texts=("red ball", "blue box")))
    assert set(sample.view.queries["query"]) == {"red ball", "blue box"}


def test_the_sample_is_small_and_has_rare_documents(
    clip: RankingModel, shop: RankingDataset
) -> None:
    view = ProofSample.of(clip, shop, PublishOptions(sample=1)).view
    assert view.queries.height == 1
    assert view.documents["doc_id"].is_unique().all()
    assert view.documents["title"].is_null().any()
    assert view.documents["image"].is_null().any()


def test_several_layouts_have_a_folder_each(
    clip: RankingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Path] = []
    first = layout_of(OwnClient(clip), name="first")
    second = layout_of(None, name="second", open=None, check=checked.append)
    use(monkeypatch, first, second)
    proofs = publish(clip, tmp_path / "out", ["first", "second"])
    assert proofs["second"] is None
    assert len(checked) == 1
    for name in ("first", "second"):
        folder = tmp_path / "out" / name
        assert {p.name for p in folder.iterdir()} == {"x", "README.md", "fields.json", "proof.json"}
    fields = json.loads((tmp_path / "out" / "first" / "fields.json").read_text())
    assert fields["document"]["fields"][0] == {"name": "image", "modality": "image", "weight": 0.9}
    assert "was not started" in (tmp_path / "out" / "second" / "README.md").read_text()


def test_all_or_nothing(
    clip: RankingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = layout_of(OwnClient(clip), name="good")
    bad = layout_of(OwnClient(clip, noise=0.1), name="bad")
    use(monkeypatch, good, bad)
    with pytest.raises(ModelError, match="--as bad"):
        publish(clip, tmp_path / "out", ["good", "bad"])
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done_is_said_first(
    clip: RankingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"no layout 'sentence-transformer'.*Did you mean"):
        publish(clip, tmp_path / "out", "sentence-transformer")
    with pytest.raises(InputError, match="at least one layout"):
        publish(clip, tmp_path / "out", [])
    with pytest.raises(OutputError, match="already exists"):
        publish(clip, tmp_path, "sentence-transformers")
    absent = layout_of(None, imports="not_installed", package="absent", extra="some-extra")
    refusing = layout_of(None, name="refusing", refuses=lambda model: "it is too small")
    use(monkeypatch, absent, refusing)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankfield\[some-extra\]'"):
        publish(clip, tmp_path / "out", "own")
    with pytest.raises(ModelError, match="it is too small"):
        publish(clip, tmp_path / "out", "refusing")
    assert list(tmp_path.iterdir()) == []


def test_the_card_of_a_trained_model_shows_its_recipe(clip: RankingModel) -> None:
    trained = parse_recipe({"data": {"dataset": "/home/me/shop"}, "optimizer": {"steps": 7}})
    facts = replace(
        ModelFacts.of(clip), metadata={"recipe": trained.model_dump(mode="json"), "data": {}}
    )
    card = published_card(facts, LAYOUTS["transformers"], None)
    assert "steps = 7" in card
    assert "/home/me" not in card


def test_the_table_and_its_layouts_agree() -> None:
    for name in LAYOUTS:
        layout = LAYOUTS[name]
        assert layout.name == name
        assert layout.usage.strip()
        assert layout.open is not None or layout.check is not None


def test_command(
    clip: RankingModel,
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip.save(tmp_path / "model")
    assert shop.root is not None
    words = ["publish", str(tmp_path / "model"), str(tmp_path / "out"), "--as"]
    _run(monkeypatch, [*words, "sentence-transformers", "--data", str(shop.root)], code=0)
    assert "nDCG@10" in capsys.readouterr().out
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "nDCG@10 by the client" in card
    _run(monkeypatch, [*words, "nonsense"], code=2)
    both = ["--data", str(shop.root), "--text", "red"]
    _run(monkeypatch, [*words, "sentence-transformers", "--overwrite", *both], code=2)
    assert rankfield.publish is publish


def _run(monkeypatch: pytest.MonkeyPatch, words: list[str], *, code: int) -> None:
    monkeypatch.setattr(sys, "argv", ["rankfield", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert (stopped.value.code or 0) == code
