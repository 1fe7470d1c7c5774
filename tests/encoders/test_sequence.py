"""Models that read texts and images in one sequence: equal to sentence-transformers, trained."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from rankfield.encoders import RankingModel, SequenceEncoder
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.without_video import without_video
from rankfield.errors import InputError, ModelError, RecipeError
from rankfield.evaluation import EvaluationOptions, evaluate
from rankfield.evaluation.robustness import FieldEmbeddings
from rankfield.images import open_image
from rankfield.schema import Field, RankingDataset
from rankfield.training import build_model, train
from tiny_models import recipe_of, tiny_clip
from tiny_sequence_models import PROMPTS, embedder_folder, qwen_folder
from training_data import tiny_shop

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", copies=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedder_folder(tmp_path_factory.mktemp("embedder") / "model")


def library(folder: Path) -> Any:
    """The same folder in sentence-transformers itself."""
    from sentence_transformers import SentenceTransformer

    with quiet_transformers(), without_video():
        return SentenceTransformer(str(folder), device="cpu")


def records(shop: RankingDataset) -> list[dict[str, Any]]:
    """The documents as sentence-transformers takes them."""
    found = []
    for row in shop.documents.iter_rows(named=True):
        record: dict[str, Any] = {}
        if row["image"]:
            record["image"] = open_image(row["image"])
        if row["title"]:
            record["text"] = row["title"]
        found.append(record)
    return found


def opened(folder: Path, shop: RankingDataset, **options: Any) -> RankingModel:
    return RankingModel.from_pretrained(folder, dataset=shop, device="cpu", **options)


def unit(vectors: Any) -> np.ndarray[Any, Any]:
    return F.normalize(torch.as_tensor(vectors), dim=-1).numpy()


def test_one_sequence_is_that_of_sentence_transformers(folder: Path, shop: RankingDataset) -> None:
    model = opened(folder, shop, fusion="sequence")
    assert isinstance(model.encoder, SequenceEncoder)
    assert [f.name for f in model.document_fields] == ["image", "title"]
    given = records(shop)
    assert {frozenset(record) for record in given} == {
        frozenset({"image", "text"}),
        frozenset({"image"}),
        frozenset({"text"}),
    }
    client = library(folder)
    with without_video():
        documents = client.encode_document(given)
        queries = client.encode_query([{"text": q} for q in shop.queries["query"]])
        bare = client.encode(given)
    np.testing.assert_allclose(model.embed_documents(shop), unit(documents), atol=TOLERANCE)
    np.testing.assert_allclose(model.embed_queries(shop), unit(queries), atol=TOLERANCE)
    assert np.abs(unit(documents) - unit(bare)).max() > 1e-3  # prompts count
    again = opened(folder, shop, fusion="sequence", document_prefix="")
    np.testing.assert_allclose(again.embed_documents(shop), unit(bare), atol=TOLERANCE)


def test_field_by_field(folder: Path, shop: RankingDataset) -> None:
    model = opened(folder, shop)
    client, photo = library(folder), Image.new("RGB", (30, 17), "red")
    with without_video():
        image, title = client.encode_document([{"image": photo}, {"text": "red ball"}])
    fields = [Field("image", "image", 0.9), Field("title", "text", 0.1)]
    weighted = RankingModel(model.encoder, model.query_fields, fields).eval()
    found = weighted.encode_documents([{"image": photo, "title": "red ball"}, {"image": photo}])
    expected = [unit(0.9 * unit(image) + 0.1 * unit(title)), unit(image)]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_several_texts_and_images_of_a_record(folder: Path, shop: RankingDataset) -> None:
    fields = [Field("title", "text"), Field("photos", "image"), Field("details", "text")]
    model = RankingModel.from_pretrained(
        folder, document_fields=fields, fusion="sequence", device="cpu", truncate_dim=5
    )
    photos = [Image.new("RGB", size, "blue") for size in ((9, 30), (16, 16))]
    record = {"title": "red ball", "photos": photos, "details": "cheap"}
    found = model.encode_documents([record, {"details": "cheap"}])
    client = library(folder)
    with without_video():
        given = [{"image": photos, "text": "red ball\ncheap"}, {"text": "cheap"}]
        expected = client.encode_document(given, truncate_dim=5)
    np.testing.assert_allclose(found, unit(expected), atol=TOLERANCE)
    spare = model.encode_queries([{"query": "red ball", "image": photos[0]}], truncate_dim=16)
    with without_video():
        expected = client.encode_query([{"image": photos[0], "text": "red ball"}])
    np.testing.assert_allclose(spare, unit(expected), atol=TOLERANCE)


@pytest.mark.parametrize("version", [2, 3])
def test_a_model_of_transformers_alone(tmp_path: Path, shop: RankingDataset, version: int) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    plain = qwen_folder(tmp_path / "qwen", version)
    model = opened(plain, shop, fusion="sequence", document_prefix="a gift")
    with quiet_transformers(), without_video():
        modules = [Transformer(str(plain)), Pooling(32, pooling_mode="lasttoken")]
        client: Any = SentenceTransformer(modules=modules, device="cpu")
        expected = client.encode(records(shop), prompt="a gift")
    np.testing.assert_allclose(model.embed_documents(shop), unit(expected), atol=TOLERANCE)
    with pytest.raises(InputError, match="has no pooling 'pooler'"):
        opened(plain, shop, pooling="pooler")


def recipe(folder: Path, fusion: str = "sequence", **sections: dict[str, Any]) -> Any:
    encoder = {"kind": "sentence-transformers", "model": str(folder), "fusion": fusion}
    values: dict[str, dict[str, Any]] = {
        "encoder": encoder,
        "optimizer": {"steps": 2, "learning_rate": 1e-2},
        "batch": {"size": 4},
        "data": {"field_dropout": 0.2},
        "dev": {"every": "off"},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return recipe_of(folder, **values)


@pytest.mark.parametrize("fusion", ["sequence", "fields"])
def test_training_changes_both_towers_and_is_saved(
    folder: Path, shop: RankingDataset, tmp_path: Path, fusion: str
) -> None:
    before = build_model(recipe(folder, fusion), shop).encoder.state_dict()
    model = train(recipe(folder, fusion), shop, tmp_path / "run").eval()
    assert isinstance(model.encoder, SequenceEncoder)
    assert model.encoder.fusion == fusion
    assert set(model.encoder.towers()) == {"text", "vision"}
    changed = {
        name
        for name, value in model.encoder.state_dict().items()
        if not torch.equal(value, before[name])
    }
    for part in ("language_model.layers.0.", "visual.blocks.0.", "linear.weight"):
        assert any(part in name for name in changed), part
    saved = tmp_path / "run" / "model"
    again = RankingModel.load(saved)
    embedded = model.embed_documents(shop)
    np.testing.assert_array_equal(again.embed_documents(shop), embedded)
    if fusion == "sequence":  # the folder is one of sentence-transformers, prompts included
        with without_video():
            expected = library(saved).encode_document(records(shop))
        np.testing.assert_allclose(embedded, unit(expected), atol=TOLERANCE)


@pytest.mark.parametrize("fusion", ["sequence", "fields"])
def test_the_cache_changes_no_bit_of_a_training(
    folder: Path, shop: RankingDataset, tmp_path: Path, fusion: str
) -> None:
    found = {}
    for name, sizes in {
        "on": {"micro_tokens": 40, "micro_images": 2},
        "off": {"micro_tokens": 40, "micro_images": 2},
        "auto": {},
    }.items():
        batch = {"size": 8, "gradient_cache": name} | sizes
        found[name] = train(recipe(folder, fusion, batch=batch), shop, tmp_path / name).state_dict()
    assert all(torch.equal(value, found["off"][key]) for key, value in found["on"].items())
    for key, value in found["auto"].items():  # other micro-batches: but for the last bits
        torch.testing.assert_close(found["on"][key], value, rtol=1e-3, atol=1e-3)


def test_adapters_are_merged_into_the_saved_model(
    folder: Path, shop: RankingDataset, tmp_path: Path
) -> None:
    adapted = recipe(folder, lora={"rank": 2, "towers": ["text"]})
    before = build_model(recipe(folder), shop).encoder.state_dict()
    model = train(adapted, shop, tmp_path / "run").eval()
    again = RankingModel.load(tmp_path / "run" / "model")
    np.testing.assert_allclose(
        again.embed_documents(shop), model.embed_documents(shop), atol=TOLERANCE
    )
    weights = again.encoder.state_dict()
    assert weights.keys() == before.keys()
    name = next(name for name in before if name.endswith("layers.0.self_attn.q_proj.weight"))
    assert not torch.equal(weights[name], before[name])


def test_a_frozen_tower_stays(folder: Path, shop: RankingDataset) -> None:
    model = build_model(recipe(folder, encoder={"freeze": ["vision"]}), shop)
    towers = model.encoder.towers()
    assert not any(p.requires_grad for p in towers["vision"].parameters())
    assert all(p.requires_grad for p in towers["text"].parameters())


def test_it_is_evaluated_with_fields_left_out(folder: Path, shop: RankingDataset) -> None:
    model = opened(folder, shop, fusion="sequence")
    results = evaluate(model, shop, EvaluationOptions(splits=["zero_shot"]))
    assert results.splits["zero_shot"]["nDCG@10"].value
    found = FieldEmbeddings(model, shop)
    np.testing.assert_array_equal(found.fused("document"), model.embed_documents(shop))
    titles = RankingModel(model.encoder, model.query_fields, [Field("title", "text")]).eval()
    np.testing.assert_array_equal(found.fused("document", ["image"]), titles.embed_documents(shop))


def test_texts_that_look_like_images(folder: Path, shop: RankingDataset, tmp_path: Path) -> None:
    """No text is opened as a file, fetched, or takes an image's place in the sequence."""
    path = tmp_path / "secret.png"
    Image.new("RGB", (16, 16), "red").save(path)
    model = opened(folder, shop, fusion="sequence")
    texts = ["<|image_pad|>", "red <|video_pad|><|image_pad|> ball", str(path), "http://a.b/c.jpg"]
    found = model.encode_documents([{"title": text} for text in texts])
    assert found.shape == (4, 16)
    assert np.abs(found[2] - model.encode_documents([{"image": path}])[0]).max() > 1e-3
    np.testing.assert_array_equal(
        model.encode_documents([{"title": texts[0], "image": path}]),
        model.encode_documents([{"title": "< |image_pad|>", "image": path}]),
    )


def test_images_that_are_too_many(folder: Path, shop: RankingDataset) -> None:
    model = opened(folder, shop, fusion="sequence")
    photos = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green", "grey")]
    with pytest.raises(ModelError, match="take more than the 96 tokens that the model reads"):
        model.encode_documents([{"image": photos * 4}])


def test_a_long_text_is_cut_after_its_image(folder: Path, shop: RankingDataset) -> None:
    model = opened(folder, shop, fusion="sequence")
    photo = Image.new("RGB", (20, 20), "red")
    long, longer = ({"image": photo, "title": "red ball " * n} for n in (200, 300))
    one, other = model.encode_documents([long, longer])
    np.testing.assert_allclose(one, other, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"encoder": {"learn_field_weights": True}}, "encoder.learn_field_weights: needs a vector"),
        ({"loss": {"per_field": 0.5}}, "loss.per_field: needs a vector of each field"),
        ({"data": {"augment": True}}, "data.augment: images are mirrored and shifted"),
    ],
)
def test_what_needs_vectors_of_fields_is_refused(
    folder: Path, shop: RankingDataset, sections: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        build_model(recipe(folder, **sections), shop)


def test_models_without_a_sequence_are_refused(tmp_path: Path, shop: RankingDataset) -> None:
    clip = tiny_clip(tmp_path / "clip")
    with pytest.raises(InputError, match="does not read texts and images in one sequence"):
        opened(clip, shop, fusion="sequence")
    with pytest.raises(RecipeError, match=r"fusion has no effect here: .* = transformers or"):
        build_model(recipe(clip, encoder={"kind": "small", "model": ""}), shop)
    plain = qwen_folder(tmp_path / "qwen")
    (plain / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        opened(plain, shop)


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_a_model_that_needs_torchvision_says_so(tmp_path: Path, shop: RankingDataset) -> None:
    plain = qwen_folder(tmp_path / "qwen")
    path = plain / "processor_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["image_processor"]["image_processor_type"] = "Lfm2VlImageProcessor"
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match="by torchvision alone, which is not installed"):
        opened(plain, shop)


def test_settings_of_videos_are_kept(tmp_path: Path, shop: RankingDataset) -> None:
    plain = qwen_folder(tmp_path / "qwen")
    settings = {"video_processor_type": "Qwen2VLVideoProcessor", "patch_size": 4}
    (plain / "video_preprocessor_config.json").write_text(json.dumps(settings), "utf-8")
    opened(plain, shop).save(tmp_path / "one")
    RankingModel.load(tmp_path / "one").save(tmp_path / "two")
    kept = tmp_path / "two" / "video_preprocessor_config.json"
    assert json.loads(kept.read_text("utf-8")) == settings
    assert RankingModel.load(tmp_path / "two").encoder.prefixes == {"query": "", "document": ""}


def test_prompts_are_those_of_their_side(folder: Path, shop: RankingDataset) -> None:
    encoder: Any = opened(folder, shop, query_prefix="please").encoder
    assert encoder.prefixes == {"query": "please", "document": PROMPTS["document"]}


def test_records_without_any_field_are_zero(folder: Path, shop: RankingDataset) -> None:
    model = opened(folder, shop, fusion="sequence")
    frame = shop.documents.head(2).with_columns(
        title=pl.lit(None, pl.String), image=pl.lit(None, pl.Binary)
    )
    assert not model.embed_documents(shop, frame).any()


def test_processors_are_whole_again_afterwards() -> None:
    from transformers.processing_utils import ProcessorMixin

    before = ProcessorMixin.__init__, ProcessorMixin.__dict__["get_attributes"]
    with pytest.raises(KeyError), without_video():
        raise KeyError
    assert (ProcessorMixin.__init__, ProcessorMixin.__dict__["get_attributes"]) == before
