"""Folders for search engines: run as the engine runs them, and refused where it would differ."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from rankfield import publish
from rankfield.encoders import ComposedEncoder, RankingModel, TransformersTextTower
from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import small_text_tower
from rankfield.errors import ModelError
from rankfield.publishing import LAYOUTS, PublishOptions, prove
from rankfield.publishing.vespa import vespa_schema
from rankfield.schema import Field
from tiny_models import tiny_clip
from tiny_sentence_transformer import WORDS, tiny_sentence_transformer

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TEXTS = [Field("title", "text")]
QUERY = [Field("query", "text")]


def ranking_model(
    pooling: str = "mean", *, prefixes: tuple[str, str] = ("", ""), dimension: int | None = None
) -> RankingModel:
    torch.manual_seed(0)
    with quiet_transformers():
        tower = small_text_tower([WORDS], width=32, layers=1, max_tokens=24)
    tower.pooling = pooling  # type: ignore[assignment]
    encoder = ComposedEncoder(
        tower, None, dimension=12, query_prefix=prefixes[0], document_prefix=prefixes[1]
    )
    model = RankingModel(encoder, QUERY, TEXTS, name="tiny").eval()
    return model if dimension is None else model.truncate_to(dimension)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each engine's, of a cut model with prefixes."""
    out = tmp_path_factory.mktemp("engines") / "out"
    model = ranking_model(prefixes=("query: ", "passage: "), dimension=8)
    proofs = publish(model, out, ["vespa", "opensearch"])
    for proof in proofs.values():
        assert proof is not None
        assert proof.largest_difference < 1e-5
        assert proof.dimension == 8
        assert "onnxruntime" in proof.client
    return out


def test_cls_is_pooled_by_the_engine(tmp_path: Path) -> None:
    publish(ranking_model("cls"), tmp_path / "out", "opensearch")
    register = json.loads((tmp_path / "out" / "register.json").read_text("utf-8"))
    assert register["model_config"]["pooling_mode"] == "cls"


def test_other_poolings_are_in_the_graph(tmp_path: Path) -> None:
    clip = RankingModel.from_pretrained(
        tiny_clip(tmp_path / "clip"), query_fields=QUERY, document_fields=TEXTS, device="cpu"
    )
    proof = publish(clip, tmp_path / "out", "opensearch")["opensearch"]
    assert proof is not None
    assert proof.largest_difference < 1e-5
    register = json.loads((tmp_path / "out" / "register.json").read_text("utf-8"))
    assert register["model_config"]["pooling_mode"] == "none"


def test_a_model_of_sentence_transformers_is_pooled_by_the_engine(tmp_path: Path) -> None:
    tiny_sentence_transformer(tmp_path / "raw").save(str(tmp_path / "st"))
    model = RankingModel.from_pretrained(tmp_path / "st", device="cpu")
    publish(model, tmp_path / "out", "opensearch")
    register = json.loads((tmp_path / "out" / "register.json").read_text("utf-8"))
    assert register["model_config"]["pooling_mode"] == "mean"
    assert register["model_config"]["model_type"] == "bert"
    with zipfile.ZipFile(tmp_path / "out" / "model.zip") as archive:
        session = onnxruntime.InferenceSession(archive.read("model.onnx"))
    names = [one.name for one in session.get_inputs()]
    assert names == ["input_ids", "attention_mask", "token_type_ids"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<pooling-strategy>mean<", "<pooling-strategy>cls<"),
        ("<query>query:<", "<query>passage:<"),
        ("<normalize>true<", "<normalize>false<"),
    ],
)
def test_wrong_settings_of_vespa_are_caught(
    before: str, after: str, published: Path, tmp_path: Path
) -> None:
    model = ranking_model(prefixes=("query: ", "passage: "), dimension=8)
    layout, options = LAYOUTS["vespa"], PublishOptions()
    folder = tmp_path / "vespa"
    shutil.copytree(published / "vespa", folder)
    path = folder / "services.xml"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")
    assert layout.open is not None
    with pytest.raises(ModelError):
        prove(model, layout.open(folder, options), None, options, layout=layout)


@pytest.mark.parametrize(
    ("name", "file", "before", "after"),
    [
        ("vespa", "services.xml", "pooling-strategy", "pooling"),
        ("vespa", "services.xml", ">mean<", ">max<"),
        ("vespa", "services.xml", "models/model.onnx", "models/other.onnx"),
        (
            "vespa",
            "schemas/item.sd",
            "query(q) tensor<float>(x[8])",
            "query(q) tensor<float>(x[9])",
        ),
        ("opensearch", "register.json", '"function_name"', '"function"'),
        ("opensearch", "register.json", 'hash_value": "', 'hash_value": "0'),
        ("opensearch", "index.json", '"dimension": 8', '"dimension": 9'),
    ],
)
def test_schemas_are_held_to_what_is_documented(
    *, name: str, file: str, before: str, after: str, published: Path, tmp_path: Path
) -> None:
    folder = tmp_path / name
    shutil.copytree(published / name, folder)
    check = LAYOUTS[name].check
    assert check is not None
    check(folder)
    text = (folder / file).read_text("utf-8")
    assert before in text
    (folder / file).write_text(text.replace(before, after), "utf-8")
    with pytest.raises(ModelError, match=name):
        check(folder)


def test_what_an_engine_cannot_do_is_refused(tmp_path: Path) -> None:
    clip = RankingModel.from_pretrained(tiny_clip(tmp_path / "clip"), device="cpu")
    for name in ("vespa", "opensearch", "elasticsearch"):
        assert "--as vectors" in str(LAYOUTS[name].refuses(clip))
    assert "does not end with" in str(LAYOUTS["vespa"].refuses(ranking_model(prefixes=("q:", ""))))
    assert "before queries" in str(LAYOUTS["vespa"].refuses(ranking_model(prefixes=("", "d: "))))
    assert LAYOUTS["opensearch"].refuses(ranking_model(prefixes=("q:", ""))) is None
    assert "its tokenizer is a" in str(LAYOUTS["elasticsearch"].refuses(ranking_model()))


def test_several_text_fields_are_fed_to_vespa() -> None:
    model = ranking_model()
    assert "embed rankfield" in vespa_schema(model, 12)
    model.document_fields = (Field("title", "text", 0.7), Field("the details", "text", 0.3))
    schema = vespa_schema(model, 12)
    assert "field the_details type string" in schema
    assert "embed rankfield" not in schema
    assert schema.count("field embedding type tensor<float>(x[12])") == 1
    assert schema.count("{") == schema.count("}")


def _word_pieces() -> Any:
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    return BertTokenizer(vocab={word: number for number, word in enumerate(words)})


def test_a_bert_goes_to_elasticsearch(tmp_path: Path) -> None:
    model = ranking_model(prefixes=("query: ", "passage: "))
    assert isinstance(model.encoder, ComposedEncoder)
    tower = model.encoder.text
    assert isinstance(tower, TransformersTextTower)
    tower.tokenizer = _word_pieces()
    proof = publish(model, tmp_path / "out", "elasticsearch")["elasticsearch"]
    assert proof is not None
    assert proof.largest_difference < 1e-5
    settings = json.loads((tmp_path / "out" / "elasticsearch.json").read_text("utf-8"))
    assert (settings["ingest_prefix"], settings["search_prefix"]) == ("passage: ", "query: ")
    assert settings["mapping"]["dims"] == 12
