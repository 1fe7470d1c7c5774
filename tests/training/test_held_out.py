"""Nothing that training takes in depends on held-out queries, documents or judgments.

What is held out is replaced in a second data set, and everything that training reads, learns or
counts must stay the same to the byte: on data sets published with dev and test queries alone (as
BEIR), on those published in parts (train, test), and on rankfield's own four splits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.cli.main import main
from rankfield.curation import dedupe
from rankfield.errors import DataError
from rankfield.evaluation import EvaluationOptions, Popularity, evaluate, slice_queries
from rankfield.formats.beir import write_beir
from rankfield.formats.esci.reading import write_esci
from rankfield.formats.published_splits import split_by_queries
from rankfield.formats.sentence_transformers.writing import write_sentence_transformers
from rankfield.schema import Field, RankingDataset, ScoreScale, SplitView
from rankfield.training import Recipe, build_model, load_negatives, mine, parse_recipe, train
from rankfield.training.batches import PairBatches
from rankfield.training.methods import fitted_settings
from rankfield.training.mining_settings import MineSettings
from rankfield.training.pairs import TrainingPairs
from rankfield.training.sources import add_judgments
from rankfield.training.template import recipe_text
from training_data import tiny_shop

KINDS = ("subsets", "parts", "splits")


def recipe(**sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "log_every": 2,
        "trackers": [],
        "encoder": {"dimension": 16, "text_width": 32, "max_tokens": 12},
        "batch": {"size": 8, "similar_queries": 2},
        "optimizer": {"steps": 4, "learning_rate": 3e-3},
        "dev": {"every": "off"},
    }
    return parse_recipe(values | sections)


def plain(shop: RankingDataset) -> RankingDataset:
    return shop.with_tables(
        queries=shop.queries.drop("seen", "subset"),
        documents=shop.documents.drop("seen"),
        judgments=shop.judgments.drop("split"),
    )


def made(kind: str, shop: RankingDataset) -> RankingDataset:
    if kind == "splits":
        return shop
    data = plain(shop)
    rows = pl.int_range(data.queries.height)
    part = pl.when(rows % 4 == 1).then(pl.lit("test")).otherwise(pl.lit("train"))
    queries = data.queries.select("query_id", part=part)
    if kind == "parts":
        parts = data.judgments.select("query_id", "doc_id").join(
            queries, on="query_id", how="left", maintain_order="left"
        )
        return split_by_queries(data, parts, held_out=0.0, notes=[])
    subset = pl.when(rows % 4 == 1).then(pl.lit("test")).when(rows % 4 == 3).then(pl.lit("dev"))
    return data.with_tables(queries=data.queries.with_columns(subset=subset))


def replaced(data: RankingDataset) -> RankingDataset:
    """The same data with other held-out texts and judgments, and as many of them."""
    seen, known = data.training_queries(), data.training_documents()
    held_queries = ~pl.col("query_id").is_in(seen["query_id"].implode())
    held_documents = ~pl.col("doc_id").is_in(known["doc_id"].implode())
    poison = pl.format("zzz{} qqq xxx", pl.int_range(pl.len()))
    judgments = data.judgments.with_columns(
        score=pl.when(held_queries | held_documents).then(3.5 - pl.col("score")).otherwise("score")
    )
    documents = data.documents["doc_id"].to_list()
    turned = dict(zip(documents, reversed(documents), strict=True))
    if data.is_split and not data.documents["seen"].all():
        turned = {name: name for name in documents}  # which split a pair is in hangs on it
    moved = pl.col("doc_id").replace(turned)
    judgments = judgments.with_columns(doc_id=pl.when(held_queries).then(moved).otherwise("doc_id"))
    return data.with_tables(
        queries=data.queries.with_columns(
            query=pl.when(held_queries).then(poison).otherwise("query")
        ),
        documents=data.documents.with_columns(
            title=pl.when(held_documents).then(poison).otherwise("title")
        ),
        judgments=judgments,
    )


@pytest.fixture(scope="module", params=KINDS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RankingDataset, RankingDataset]:
    """A data set, and the same with everything held out replaced."""
    folder = tmp_path_factory.mktemp(request.param)
    data = made(request.param, tiny_shop(folder / "shop", photos=False)).save(folder / "one" / "d")
    other = replaced(data).save(folder / "other" / "d")
    assert 0 < data.training_queries().height < data.queries.height
    assert data.training_judgments().equals(other.training_judgments())
    for table in ("queries", "judgments"):
        assert not getattr(data, table).equals(getattr(other, table))
    return data, other


def further_judgments(data: RankingDataset, folder: Path) -> Path:
    path = folder / "teacher.parquet"
    data.judgments.select("query_id", "doc_id", score=pl.col("score") * 10).write_parquet(path)
    return path


def _recipe_text(data: RankingDataset, _folder: Path) -> Any:
    assert data.root is not None
    return recipe_text(data).replace(str(data.root.resolve()), "")


def _method(data: RankingDataset, _folder: Path) -> Any:
    return fitted_settings("ranked", data)


def _pairs(data: RankingDataset, _folder: Path) -> Any:
    pairs = TrainingPairs.of(recipe(), data)
    return [pairs.query_rows, pairs.document_rows, pairs.scores, pairs.weights]


def _teacher(data: RankingDataset, folder: Path) -> Any:
    wanted = recipe(judgments=[{"path": str(further_judgments(data, folder))}])
    return add_judgments(data.training_judgments(), wanted.judgments, data)


def _teacher_pairs(data: RankingDataset, folder: Path) -> Any:
    wanted = recipe(judgments=[{"path": str(further_judgments(data, folder))}])
    pairs = TrainingPairs.of(wanted, data)
    return [pairs.query_rows, pairs.document_rows, pairs.scores, pairs.weights]


def _untrained(data: RankingDataset, folder: Path) -> Any:
    model = build_model(recipe(), data)
    model.save(folder / "untrained")
    tokenizer = [path.read_bytes() for path in sorted((folder / "untrained").rglob("tokeniz*"))]
    assert tokenizer
    return [*tokenizer, *(value.numpy() for value in model.state_dict().values())]


def _batches(data: RankingDataset, _folder: Path) -> Any:
    batches = PairBatches(recipe(), data, build_model(recipe(), data))
    found: list[Any] = [list(batches.texts("query")), list(batches.texts("document"))]
    for step in range(4):
        raw = batches[step]
        found += [raw.query_rows, raw.document_rows]
        for pairs in (raw.pairs.sampled, raw.pairs.judged):
            found += [pairs.queries.numpy(), pairs.documents.numpy(), pairs.weights.numpy()]
    return found


def _mined(data: RankingDataset, _folder: Path) -> Any:
    settings = MineSettings(relative_margin=None, near_duplicate=2.0)
    return mine(build_model(recipe(), data).eval(), data, settings).negatives


def _trained(data: RankingDataset, folder: Path) -> Any:
    negatives = {"refresh_every": 2, "relative_margin": -1.0, "near_duplicate": 2.0}
    model = train(recipe(negatives=negatives), data, folder / "run")
    return [value.numpy() for value in model.state_dict().values()]


def _popularity(data: RankingDataset, _folder: Path) -> Any:
    view = SplitView("all", data.queries.head(3), data.documents, data.judgments)
    return Popularity().searcher(data, EvaluationOptions())(view).indices


def _frequency(data: RankingDataset, _folder: Path) -> Any:
    keys = data.training_judgments().select("query_id").unique(maintain_order=True)
    split = data.judged_splits()[0]
    return slice_queries(keys.select(pl.lit(split).alias("split"), "query_id"), data, "frequency")


def _exports(data: RankingDataset, folder: Path) -> Any:
    write_beir(data, folder / "beir")
    write_sentence_transformers(data, folder / "st", ending="csv")
    write_esci(data, folder / "esci")
    rows = pl.read_parquet(folder / "esci" / "shopping_queries_dataset_examples.parquet")
    if data.documents.height != data.training_documents().height:
        rows = rows.clear()  # the layout divides queries alone, and a note says so
    return [
        (folder / "beir" / "qrels" / "train.tsv").read_bytes(),
        (folder / "st" / "train.csv").read_bytes(),
        rows.filter(pl.col("split") == "train").drop("example_id"),
    ]


READERS: dict[str, Callable[[RankingDataset, Path], Any]] = {
    "recipe": _recipe_text,
    "method": _method,
    "pairs": _pairs,
    "teacher": _teacher,
    "teacher's pairs": _teacher_pairs,
    "untrained model and tokenizer": _untrained,
    "batches": _batches,
    "mined": _mined,
    "trained model": _trained,
    "popularity": _popularity,
    "frequency": _frequency,
    "exports": _exports,
}


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, list):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, pl.DataFrame):
        assert one.equals(other)
    else:
        assert one == other


@pytest.mark.parametrize("reader", READERS)
def test_what_is_held_out_changes_nothing(
    pair: tuple[RankingDataset, RankingDataset], tmp_path: Path, reader: str
) -> None:
    found = []
    for name, data in zip(("one", "other"), pair, strict=True):
        (tmp_path / name).mkdir()
        found.append(READERS[reader](data, tmp_path / name))
    assert_same(*found)


def test_weights_show_the_scores_that_are_trained_on(
    pair: tuple[RankingDataset, RankingDataset],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = []
    for data in pair:
        monkeypatch.setattr("sys.argv", ["rankfield", "weights", str(data.root)])
        with pytest.raises(SystemExit) as status:
            main()
        assert not status.value.code
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    counts = dict(pair[0].training_judgments()["score"].value_counts().rows())
    rows = [line.split() for line in shown[0].splitlines()]
    best = max(counts)
    assert next(row[1] for row in rows if row[:1] == [f"{best:g}"]) == str(counts[best])


def test_negatives_of_held_out_queries_are_refused(
    pair: tuple[RankingDataset, RankingDataset], tmp_path: Path
) -> None:
    data = pair[0]
    training = data.training_queries()
    held_out = data.queries.join(training, on="query_id", how="anti")["query_id"][0]
    judged = data.judgments.filter(pl.col("query_id") == held_out)["doc_id"].implode()
    free = data.training_documents().filter(~pl.col("doc_id").is_in(judged))["doc_id"][0]
    row = {"query_id": [held_out], "doc_id": [free], "rank": [1], "similarity": [0.5]}
    pl.DataFrame(row).write_parquet(tmp_path / "negatives.parquet")
    with pytest.raises(DataError, match="held out"):
        load_negatives(tmp_path / "negatives.parquet", data)


def test_the_published_dev_queries_choose_the_model(tmp_path: Path) -> None:
    data = made("subsets", tiny_shop(tmp_path / "shop", photos=False))
    other = replaced(data)
    kept = data.judgments.join(data.queries.filter(pl.col("subset") == "dev"), on="query_id")
    assert kept.height
    dev = {"every": 2}
    model = train(recipe(dev=dev), data, tmp_path / "one")
    # The test queries alone replaced: dev, and with it the whole run, stays the same.
    is_dev = pl.col("subset") == "dev"
    ids = data.queries.filter(is_dev)["query_id"].implode()
    mixed = other.with_tables(
        queries=pl.concat(
            [data.queries.filter(is_dev), other.queries.filter(~is_dev.fill_null(False))]
        ).sort("query_id"),
        judgments=pl.concat(
            [
                data.judgments.filter(pl.col("query_id").is_in(ids)),
                other.judgments.filter(~pl.col("query_id").is_in(ids)),
            ]
        ),
    )
    again = train(recipe(dev=dev), mixed, tmp_path / "two")
    assert model.metadata["dev_ndcg@10"] == again.metadata["dev_ndcg@10"] is not None
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    found = evaluate(model, data)
    assert list(found.splits) == ["all"]
    assert found.sizes["all"].queries == data.view("all", "test").queries.height


def test_another_subset_is_trained_on_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made("subsets", tiny_shop(tmp_path / "shop", photos=False))
    valid = pl.col("subset").replace("dev", "valid")
    train(recipe(), data.with_tables(queries=data.queries.with_columns(valid)), tmp_path / "run")
    said = capsys.readouterr().err
    assert "0 dev and 8 test queries are held out. Those of the subset 'valid' are trained" in said
    assert "Dev is off" in said


def test_merging_near_duplicates_keeps_queries_held_out() -> None:
    shop = RankingDataset(
        name="twins",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame(
            {
                "query_id": ["a", "b", "c", "d"],
                "query": ["red mug", "Red Mug", "tan mug", "Tan mug"],
                "subset": [None, "test", None, "dev"],
            }
        ),
        documents=pl.DataFrame({"doc_id": ["x", "y"], "title": ["one", "two"]}),
        judgments=pl.DataFrame(
            {"query_id": ["a", "b", "c", "d"], "doc_id": ["x", "y"] * 2, "score": [1.0] * 4}
        ),
    )
    merged, _ = dedupe(shop, tables=("queries",))
    assert merged.queries["subset"].to_list() == ["test", "dev"]
    assert merged.training_judgments().is_empty()
