"""Which rows of a tokenized column are one record, in each layout of sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rankfield.integrations.sentence_transformers.batch_records import column_records
from tiny_sentence_transformer import WORDS, tiny_sentence_transformer

TEXTS = ["red ball", "a nice large blue mug", "red ball", "RED ball", "ball red", "mug"]
OF_ROW = [0, 1, 0, 0, 2, 3]


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    model = tiny_sentence_transformer(tmp_path_factory.mktemp("model"))
    return model.preprocess(TEXTS)


def test_padded_rows(padded: Any) -> None:
    found = column_records(padded, len(TEXTS))
    assert found.of_row.tolist() == OF_ROW
    assert found.kept.tolist() == [0, 1, 2, 3]
    assert torch.equal(found.features["input_ids"], padded["input_ids"][[0, 1, 4, 5]])
    assert found.keys is None
    keys = column_records(padded, len(TEXTS), with_keys=True).keys
    assert keys is not None
    assert len(torch.unique(keys, dim=0)) == 4


def test_keys_do_not_depend_on_padding_or_side(padded: Any) -> None:
    keys = column_records(padded, len(TEXTS), with_keys=True).keys
    assert keys is not None
    for widths in ((0, 3), (2, 0)):
        features = {
            k: torch.nn.functional.pad(padded[k], widths) for k in ("input_ids", "attention_mask")
        }
        found = column_records(features, len(TEXTS), with_keys=True)
        assert found.of_row.tolist() == OF_ROW
        assert found.keys is not None
        assert torch.equal(found.keys, keys)


def test_flattened_rows_are_the_same_records(padded: Any) -> None:
    lengths = padded["attention_mask"].sum(1)
    flat = {
        "input_ids": padded["input_ids"][padded["attention_mask"] > 0][None],
        "cu_seq_lens_q": torch.cat([torch.zeros(1), lengths.cumsum(0)]).int(),
        "max_length_q": int(lengths.max()),
    }
    found = column_records(flat, len(TEXTS))
    assert found.of_row.tolist() == OF_ROW
    assert found.kept.tolist() == [0, 1, 4, 5]  # all rows are encoded
    assert found.features["input_ids"] is flat["input_ids"]
    # with a tensor of which nothing is known the rows are cut out by sentence-transformers
    other = {**flat, "token_type_ids": torch.zeros_like(flat["input_ids"])}
    assert column_records(other, len(TEXTS)).of_row.tolist() == OF_ROW


def test_what_stands_in_the_padding_does_not_matter(padded: Any) -> None:
    ids = padded["input_ids"].clone()
    ids[padded["attention_mask"] == 0] = torch.arange((padded["attention_mask"] == 0).sum())
    found = column_records({**padded, "input_ids": ids}, len(TEXTS))
    assert found.of_row.tolist() == OF_ROW


def test_static_embeddings(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS.split())}, WORDS[:3]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.normalizer = normalizers.Lowercase()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], device="cpu")
    found = column_records(model.preprocess(TEXTS), len(TEXTS))
    assert found.of_row.tolist() == OF_ROW
    assert model(found.features)["sentence_embedding"][found.kept].shape == (4, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_are_equal_where_all_pixels_are(dtype: torch.dtype) -> None:
    pixels = torch.rand(4, 3, 5, 5).to(dtype)
    pixels[2] = pixels[0]
    pixels[3] = pixels[0]
    pixels[3, 0, 0, 0] += 1
    found = column_records({"pixel_values": pixels, "modality": "image"}, 4)
    assert found.of_row.tolist() == [0, 1, 0, 2]
    assert torch.equal(found.features["pixel_values"], pixels[[0, 1, 3]])
    assert found.features["modality"] == "image"


def test_images_whose_patches_lie_in_one_tensor() -> None:
    patches = torch.arange(6.0).repeat_interleave(2).reshape(6, 2)
    patches[3:5] = patches[0:2]
    features = {
        "input_ids": torch.ones(3, 4, dtype=torch.int64),
        "attention_mask": torch.ones(3, 4, dtype=torch.int64),
        "pixel_values": patches[:6],
        "image_grid_thw": torch.tensor([[1, 1, 2], [1, 1, 1], [1, 1, 2]]),
    }
    features["pixel_values"] = torch.cat([patches[0:2], patches[2:3], patches[3:5]])
    assert column_records(features, 3).of_row.tolist() == [0, 1, 0]
