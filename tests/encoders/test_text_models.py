"""Text models of transformers with a stated pooling, and what sentence-transformers adds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from foreign_models import TEXTS, dual_folder
from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    RankingModel,
    TransformersTextTower,
)
from rankfield.encoders.pooling import pooled
from rankfield.encoders.quiet import quiet_transformers
from rankfield.errors import InputError, ModelError
from rankfield.schema import Field
from rankfield.training import build_model, parse_recipe
from ranking_shop import ranking_shop
from tiny_architectures import bert_folder, decoder_folder, dense_folder


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    torch.manual_seed(0)
    with quiet_transformers():
        yield


def encoded(tower: Any, texts: list[str]) -> Any:
    with torch.inference_mode():
        return tower.eval()(tower.tokenize(texts)).numpy()


@pytest.mark.parametrize("side", ["left", "right"])
def test_pooling_finds_the_tokens_on_either_side_of_the_padding(side: str) -> None:
    lengths = [1, 3, 5]
    states, mask = torch.full((3, 5, 2), 1e6), torch.zeros(3, 5, dtype=torch.long)
    tokens = [torch.rand(length, 2) for length in lengths]
    for row, own in enumerate(tokens):
        place = slice(0, len(own)) if side == "right" else slice(5 - len(own), 5)
        states[row, place], mask[row, place] = own, 1
    for pooling, expected in (
        ("mean", [own.mean(0) for own in tokens]),
        ("cls", [own[0] for own in tokens]),
        ("last_token", [own[-1] for own in tokens]),
    ):
        found = pooled(states, mask, pooling)  # type: ignore[arg-type]
        torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_decoder_gives_the_state_of_its_last_token(tmp_path: Path, side: str) -> None:
    folder = decoder_folder(tmp_path / "decoder", padding_side=side)
    tower = TransformersTextTower.load(folder)
    assert tower.pooling == "last_token"
    whole = encoded(tower, TEXTS)
    alone = np.concatenate([encoded(tower, [text]) for text in TEXTS])
    np.testing.assert_allclose(whole, alone, atol=1e-5)
    ids = tower.tokenizer(TEXTS[1], truncation=True, max_length=16, return_tensors="pt")
    with torch.inference_mode():
        states = tower.model(input_ids=ids["input_ids"]).last_hidden_state
    np.testing.assert_allclose(whole[1], states[0, -1].numpy(), atol=1e-5)


def test_the_pooling_is_stated_and_saved(tmp_path: Path) -> None:
    folder = decoder_folder(tmp_path / "decoder")
    found = {}
    for pooling in ("mean", "cls", "last_token"):
        model = RankingModel.from_pretrained(folder, pooling=pooling, device="cpu")
        found[pooling] = model.encode_queries(TEXTS)
        model.save(tmp_path / pooling)
        again = RankingModel.load(tmp_path / pooling)
        np.testing.assert_array_equal(again.encode_queries(TEXTS), found[pooling])
    assert np.abs(found["mean"] - found["cls"]).max() > 1e-3
    assert np.abs(found["mean"] - found["last_token"]).max() > 1e-3
    default = RankingModel.from_pretrained(folder, device="cpu").encode_queries(TEXTS)
    np.testing.assert_array_equal(default, found["last_token"])
    bert = RankingModel.from_pretrained(bert_folder(tmp_path / "bert"))
    assert isinstance(bert.encoder, ComposedEncoder)
    assert isinstance(bert.encoder.text, TransformersTextTower)
    assert bert.encoder.text.pooling == "mean"


@pytest.mark.parametrize("family", ["CLIP", "SigLIP"])
def test_the_text_half_of_a_dual_encoder(tmp_path: Path, family: str) -> None:
    folder = dual_folder(tmp_path / "dual", family)
    tower = TransformersTextTower.load(folder, max_tokens=12)
    assert tower.pooling == "pooler"
    whole = DualEncoder.from_pretrained(folder).eval()
    with torch.inference_mode():
        inputs = whole.tokenize(TEXTS, "query")
        expected = whole.model.text_model(**inputs).pooler_output.numpy()
    np.testing.assert_allclose(encoded(tower, TEXTS), expected, atol=1e-5)
    (tmp_path / "saved").mkdir()
    tower.save(tmp_path / "saved")
    again = TransformersTextTower.load(tmp_path / "saved")
    np.testing.assert_array_equal(encoded(again, TEXTS), encoded(tower, TEXTS))


@pytest.mark.parametrize(("pooling", "place"), [("mean", None), ("cls", 0), ("last_token", -1)])
def test_a_text_tower_without_a_mask_pools_every_place(
    tmp_path: Path, pooling: Any, place: int | None
) -> None:
    tower = TransformersTextTower.load(
        dual_folder(tmp_path / "dual", "SigLIP"), max_tokens=12, pooling=pooling
    ).eval()
    with torch.inference_mode():
        states = tower.model(**tower.tokenize(TEXTS)).last_hidden_state
    expected = states.mean(1) if place is None else states[:, place]
    np.testing.assert_allclose(encoded(tower, TEXTS), expected.numpy(), atol=1e-6)


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    bert_folder(tmp_path / "t5")  # its tokenizer
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    T5Model(T5Config(vocab_size=80, **sizes)).save_pretrained(tmp_path / "t5")
    with pytest.raises(ModelError, match="is an encoder-decoder"):
        TransformersTextTower.load(tmp_path / "t5")


def test_dense_layers_prompts_and_truncation_are_those_of_the_model(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer

    prompts = {"query": "red ", "passage": "blue "}
    folder = dense_folder(tmp_path / "dense", prompts=prompts, truncate_dim=5)
    reference = SentenceTransformer(str(folder), device="cpu")
    model = RankingModel.from_pretrained(folder, device="cpu")
    assert model.dimension == 5
    for found, name in (
        (model.encode_queries(TEXTS), "query"),
        (model.encode_documents(TEXTS), "passage"),
    ):
        expected = reference.encode(TEXTS, prompt_name=name, normalize_embeddings=True)
        assert found.shape == expected.shape == (len(TEXTS), 5)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    model.save(tmp_path / "saved")
    again = RankingModel.load(tmp_path / "saved")
    np.testing.assert_allclose(again.encode_queries(TEXTS), model.encode_queries(TEXTS), atol=1e-6)
    encoder = {"kind": "sentence-transformers", "model": str(folder)}
    data = ranking_shop(documents=20)
    for values, prefixes in (
        (encoder, {"query": "red ", "document": "blue "}),
        (encoder | {"query_prefix": ""}, {"query": "", "document": "blue "}),
    ):
        built = build_model(parse_recipe({"encoder": values}), data).encoder
        assert isinstance(built, ComposedEncoder)
        assert built.prefixes == prefixes
    with pytest.raises(InputError, match="pools by itself"):
        RankingModel.from_pretrained(folder, pooling="mean")


def test_a_clip_of_sentence_transformers_takes_images_too(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    folder = tmp_path / "st"
    clip = Transformer(str(dual_folder(tmp_path / "clip", "CLIP")))
    SentenceTransformer(modules=[clip], device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    reference = SentenceTransformer(str(folder), device="cpu")
    model = RankingModel.from_pretrained(folder, device="cpu")
    assert model.document_fields == (Field("image", "image"), Field("text", "text"))
    image = Image.effect_noise((50, 40), 60).convert("RGB")
    for found, given in (
        (model.encode_queries(TEXTS), TEXTS),
        (model.encode_queries([image]), [image]),
    ):
        expected = reference.encode(given, normalize_embeddings=True)
        np.testing.assert_allclose(found, expected, atol=1e-4)
