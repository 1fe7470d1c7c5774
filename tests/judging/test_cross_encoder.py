from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.encoders.quiet import quiet_transformers
from rankfield.encoders.small import train_tokenizer
from rankfield.errors import InputError, ModelError
from rankfield.judging import choose_pairs, cross_encoder, score_pairs
from rankfield.schema import Field, RankingDataset, ScoreScale

TEXTS = [f"red green blue ball box number {n}" for n in range(20)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT of one layer with random weights of a fixed seed, one score a pair."""
    return _save(tmp_path_factory.mktemp("model"), labels=1)


def _save(folder: Path, labels: int) -> str:
    import transformers

    tokenizer = train_tokenizer(TEXTS)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=labels,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    with quiet_transformers():
        transformers.BertForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def shop() -> RankingDataset:
    pairs = [(f"q{q}", f"d{d}") for q in range(3) for d in range(20)]
    return RankingDataset(
        name="shop",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 3, 2),
        queries=pl.DataFrame({"query_id": ["q0", "q1", "q2"], "query": ["red", "blue", "box"]}),
        documents=pl.DataFrame({"doc_id": [f"d{n}" for n in range(20)], "title": TEXTS}),
        judgments=pl.DataFrame(
            {
                "query_id": [q for q, _ in pairs],
                "doc_id": [d for _, d in pairs],
                "score": [float(n % 4) for n in range(60)],
            }
        ),
    )


def test_scores_are_those_of_the_model(model: str, shop: RankingDataset, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    pairs = choose_pairs(shop)
    human = shop.judgments.select("query_id", "doc_id", "score")
    record = score_pairs(shop, pairs, model, tmp_path / "out", human=human, device="cpu")
    found = pl.read_parquet(tmp_path / "out" / "judgments.parquet")
    query = dict(zip(shop.queries["query_id"], shop.queries["query"], strict=True))
    title = dict(zip(shop.documents["doc_id"], shop.documents["title"], strict=True))
    texts = [(query[q], title[d]) for q, d in pairs.iter_rows()]
    with quiet_transformers():
        expected = CrossEncoder(model, device="cpu").predict(texts, show_progress_bar=False)
    assert np.allclose(found["score"].to_numpy(), expected, atol=1e-6)
    assert found["score"].n_unique() > 10
    assert set(record["agreement_with_human"]) == {"pairs", "kendall_tau"}
    written = json.loads((tmp_path / "out" / "judge.json").read_text())
    assert written["cross_encoder"] == model
    assert written["dataset"]["fingerprint"] == shop.fingerprint()


def test_a_killed_run_goes_on(
    model: str, shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_encoder, "_CHUNK", 16)
    pairs = choose_pairs(shop)
    score_pairs(shop, pairs, model, tmp_path / "whole", device="cpu")
    original = cross_encoder._scores
    calls: list[int] = []

    def counted(*args: Any) -> list[float]:
        calls.append(len(args[1]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(cross_encoder, "_scores", counted)
    with pytest.raises(KeyboardInterrupt):
        score_pairs(shop, pairs, model, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
    score_pairs(shop, pairs, model, tmp_path / "out", device="cpu")
    assert calls == [16, 16, 16, 16, 12]
    for name in ("judgments.parquet", "judge.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_cannot_score_is_refused(shop: RankingDataset, tmp_path: Path) -> None:
    pairs = choose_pairs(shop)
    with pytest.raises(ModelError, match="expected one score a pair, found 3"):
        score_pairs(shop, pairs, _save(tmp_path / "three", labels=3), tmp_path / "a", device="cpu")
    assert not (tmp_path / "a.partial").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="not a usable cross-encoder"):
        score_pairs(shop, pairs, str(tmp_path / "empty"), tmp_path / "b", device="cpu")
    photos = RankingDataset(
        name="photos",
        query_fields=shop.query_fields,
        document_fields=(Field("image", "image"),),
        score_scale=shop.score_scale,
        queries=shop.queries,
        documents=shop.documents.rename({"title": "image"}),
        judgments=shop.judgments,
    )
    with pytest.raises(InputError, match="the documents have no text field"):
        score_pairs(photos, pairs, "any", tmp_path / "c")
    assert not [p for p in tmp_path.iterdir() if p.name in "abc"]
