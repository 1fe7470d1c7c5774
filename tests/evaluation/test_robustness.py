from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.small import small_encoder
from rankfield.errors import DataError, InputError
from rankfield.evaluation import EvaluationOptions, Results, evaluate
from rankfield.evaluation.robustness import (
    FieldEmbeddings,
    droppable_fields,
    measure_robustness,
)
from rankfield.schema import Field, RankingDataset
from rankfield.search import SearchOptions
from ranking_shop import ranking_shop


def shop() -> RankingDataset:
    """Return the shop with documents of three fields and queries of two; some lack fields."""
    dataset = ranking_shop()
    words = pl.col("title").str.split(" ")
    row = pl.int_range(pl.len())
    documents = dataset.documents.with_columns(
        colour=words.list.get(0),
        thing=pl.when(row % 3 > 0).then(words.list.get(1)),
        title=pl.when(row % 4 > 0).then("title"),
    )
    queries = dataset.queries.with_columns(
        hint=pl.when(pl.int_range(pl.len()) % 2 > 0).then(pl.col("text").str.split(" ").list.get(1))
    )
    return RankingDataset(
        name="shop",
        query_fields=(Field("text", "text", 0.7), Field("hint", "text", 0.3)),
        document_fields=(
            Field("title", "text", 0.5),
            Field("colour", "text", 0.2),
            Field("thing", "text", 0.3),
        ),
        score_scale=dataset.score_scale,
        queries=queries,
        documents=documents,
        judgments=dataset.judgments,
    )


DATASET = shop()


def model_of(dataset: RankingDataset, *, learnt: bool = False) -> RankingModel:
    torch.manual_seed(0)
    texts = [*ranking_shop().documents["title"], *dataset.queries["text"]]
    encoder = small_encoder(texts, ["text"], dimension=16, width=32, layers=1)
    return RankingModel(
        encoder, dataset.query_fields, dataset.document_fields, learn_field_weights=learnt
    ).eval()


MODEL = model_of(DATASET)
EMBEDDINGS = FieldEmbeddings(MODEL, DATASET)


def close(first: Results, second: Results) -> bool:
    keys = ["split", "query_id", "rank"]
    both = first.rankings.join(second.rankings, on=keys, suffix="2")
    same: bool = np.allclose(both["similarity"], both["similarity2"], atol=1e-6)
    return same and both.height == first.rankings.height == second.rankings.height


def test_with_all_fields_it_is_the_model_itself() -> None:
    for side, whole in (
        ("query", MODEL.embed_queries(DATASET)),
        ("document", MODEL.embed_documents(DATASET)),
    ):
        fused = EMBEDDINGS.fused(side)  # type: ignore[arg-type]
        np.testing.assert_allclose(fused, whole, atol=1e-6)
    assert close(evaluate(EMBEDDINGS.without([]), DATASET), evaluate(MODEL, DATASET))


@pytest.mark.parametrize("learnt", [False, True])
def test_without_a_field_is_with_its_column_empty(learnt: bool) -> None:
    model = model_of(DATASET, learnt=learnt)
    if learnt:
        with torch.no_grad():
            for weights in model.field_weights.parameters():
                weights.add_(torch.linspace(-1, 1, weights.numel()))
    embeddings = FieldEmbeddings(model, DATASET)
    for field in ("title", "thing"):
        emptied = DATASET.with_tables(
            documents=DATASET.documents.with_columns(pl.lit(None, pl.String).alias(field))
        )
        expected = evaluate(model, emptied)
        found = evaluate(embeddings.without([field]), embeddings.dataset)
        assert close(found, expected)
        assert found.metadata["without"] == [f"document.{field}"]
        assert found.dataset.fingerprint == DATASET.fingerprint()


def test_records_of_which_nothing_is_left_fail() -> None:
    found = evaluate(EMBEDDINGS.without(["text", "colour", "title"]), DATASET)
    hints = DATASET.queries.filter(pl.col("hint").is_not_null())["query_id"]
    things = DATASET.documents.filter(pl.col("thing").is_not_null())["doc_id"]
    assert set(found.rankings["query_id"]) <= set(hints)
    assert set(found.rankings["doc_id"]) <= set(things)
    mute = found.queries.filter(~pl.col("query_id").is_in(hints.to_list()))
    assert mute.height > 0
    assert set(mute["RR@10"]) == {0.0}


def test_shorter_embeddings() -> None:
    model = model_of(DATASET).truncate_to(5)
    fused = FieldEmbeddings(model, DATASET).fused("document")
    assert fused.shape == (DATASET.documents.height, 5)
    np.testing.assert_allclose(fused, model.embed_documents(DATASET), atol=1e-6)


def test_each_value_is_encoded_once() -> None:
    encoded: list[int] = []

    class Counting(type(MODEL.encoder)):  # type: ignore[misc]
        def tokenize(self, texts: list[str], side: str) -> dict[str, torch.Tensor]:
            encoded.append(len(texts))
            found: dict[str, torch.Tensor] = super().tokenize(texts, side)
            return found

    model = model_of(DATASET)
    model.encoder.__class__ = Counting
    measure_robustness(FieldEmbeddings(model, DATASET), evaluate(MODEL, DATASET))
    columns = [DATASET.documents[c] for c in ("title", "colour", "thing")]
    columns += [DATASET.queries[c] for c in ("text", "hint")]
    assert sum(encoded) == sum(column.drop_nulls().n_unique() for column in columns)


def test_robustness_measures_each_field(tmp_path: Path) -> None:
    options = EvaluationOptions(subset="dev", splits=["zero_shot", "in_domain"])
    whole = evaluate(MODEL, DATASET, options)
    results = measure_robustness(EMBEDDINGS, whole)
    names = ["query.text", "query.hint", "document.title", "document.colour", "document.thing"]
    assert list(results.robustness) == names == droppable_fields(MODEL)
    for name, splits in results.robustness.items():
        alone = evaluate(EMBEDDINGS.without([name]), DATASET, options)
        assert splits == alone.splits
    assert results.splits == whole.splits
    results.save(tmp_path / "r.json")
    assert Results.load(tmp_path / "r.json").robustness == results.robustness


def test_refuses() -> None:
    for fields, message in (
        (["titel"], "unknown field 'titel'; expected one of query.text"),
        (["query.title"], "unknown field"),
        (["text", "query.hint"], "nothing is left of a query"),
    ):
        with pytest.raises(InputError, match=message):
            EMBEDDINGS.without(fields)
    plain = ranking_shop()
    single = model_of(plain)
    assert droppable_fields(single) == []
    with pytest.raises(InputError, match="have one field each"):
        measure_robustness(FieldEmbeddings(single, plain), evaluate(single, plain))
    both = plain.with_tables(queries=plain.queries.with_columns(title="text"))
    both.query_fields = (*plain.query_fields, Field("title", "text"))
    with pytest.raises(InputError, match="both sides have a field 'title'"):
        FieldEmbeddings(model_of(both), both).without(["title"])


def test_the_search_goes_by_what_is_asked() -> None:
    def searching(**options: Any) -> EvaluationOptions:
        return EvaluationOptions(search=SearchOptions(**options))

    whole = evaluate(MODEL, DATASET, EvaluationOptions(splits=["zero_shot"]))
    with pytest.raises(DataError, match="found 'float8'"):
        measure_robustness(EMBEDDINGS, whole, searching(precision="float8"))
    little = measure_robustness(EMBEDDINGS, whole, searching(memory_mib=1, precision="bfloat16"))
    assert little.robustness == measure_robustness(EMBEDDINGS, whole).robustness


def test_a_field_that_nobody_has() -> None:
    dataset = DATASET.with_tables(
        documents=DATASET.documents.with_columns(thing=pl.lit(None, pl.String))
    )
    without: npt.NDArray[np.float32] = FieldEmbeddings(MODEL, dataset).fused("document", ["thing"])
    np.testing.assert_allclose(without, MODEL.embed_documents(dataset), atol=1e-6)
