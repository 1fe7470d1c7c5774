from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankfield.errors import InputError, MetricError
from rankfield.evaluation import (
    EvaluationOptions,
    compare,
    evaluate,
    mean_interval,
    slice_comparison,
    slice_queries,
    slice_results,
)
from rankfield.evaluation.slices import _bins
from rankfield.schema import Field, RankingDataset, ScoreScale
from ranking_shop import FakeModel, ranking_shop

METRIC = "nDCG@10"


def shop() -> RankingDataset:
    """Return the shop with a colour for each query, a thing and a price for each document."""
    dataset = ranking_shop()
    words = pl.col("text").str.split(" "), pl.col("title").str.split(" ")
    return dataset.with_tables(
        queries=dataset.queries.with_columns(colour=words[0].list.get(0)),
        documents=dataset.documents.with_columns(
            thing=words[1].list.get(1), price=pl.int_range(pl.len()) % 7 + 0.5
        ),
    )


DATASET = shop()
RESULTS = evaluate(FakeModel(noise=1.0), DATASET)


def slice_of(by: str, dataset: RankingDataset = DATASET) -> dict[tuple[str, str], str]:
    frame = slice_queries(RESULTS.queries, dataset, by)
    assert frame.height == RESULTS.queries.height
    return {(row["split"], row["query_id"]): row["slice"] for row in frame.to_dicts()}


def test_each_slice_has_the_mean_of_its_queries() -> None:
    table = slice_results(RESULTS, DATASET, "query.colour", metric=METRIC)
    assert table.columns == ["slice", "split", "queries", "value", "low", "high"]
    colours = dict(DATASET.queries.select("query_id", "colour").iter_rows())
    for row in table.iter_rows(named=True):
        values = [
            value if value is not None else np.nan
            for split, query, value in RESULTS.queries.select(
                "split", "query_id", METRIC
            ).iter_rows()
            if split == row["split"] and colours[query] == row["slice"]
        ]
        expected = mean_interval(values)
        assert row["queries"] == expected.queries
        assert row["value"] == pytest.approx(expected.value)
        assert row["low"] == pytest.approx(expected.low)
        assert row["high"] == pytest.approx(expected.high)


@pytest.mark.parametrize(
    "by",
    ["query.colour", "query.seen", "document.thing", "document.price", "frequency", "judgments"],
)
def test_slices_part_the_queries_of_each_split(by: str) -> None:
    table = slice_results(RESULTS, DATASET, by, metric="ERR@10")
    for split, means in RESULTS.splits.items():
        own = table.filter(split=split)
        assert own["queries"].sum() == means["ERR@10"].queries
        weighted = np.average(own["value"].fill_null(0).to_numpy(), weights=own["queries"])
        assert weighted == pytest.approx(means["ERR@10"].value)
    assert table["split"].unique(maintain_order=True).to_list() == list(RESULTS.splits)


def test_a_document_column_is_that_of_most_relevant_documents() -> None:
    things = dict(DATASET.documents.select("doc_id", "thing").iter_rows())
    prices = dict(DATASET.documents.select("doc_id", "price").iter_rows())
    numbers = slice_of("document.price")
    for (split, query), found in slice_of("document.thing").items():
        relevant = [
            row["doc_id"]
            for row in DATASET.judgments.filter(split=split, query_id=query).to_dicts()
            if row["score"] >= DATASET.score_scale.relevant
        ]
        counts = {t: sum(things[d] == t for d in relevant) for t in sorted(things.values())}
        best = max(counts, key=lambda thing: counts[thing])
        assert found in ((best, "other") if relevant else ("(none)",))
        if relevant:
            low, *high = numbers[split, query].split("–")
            median = float(np.median([prices[d] for d in relevant]))
            assert float(low) <= median <= float((high or [low])[0])
        else:
            assert numbers[split, query] == "(none)"


def test_counts_of_judgments_and_of_training() -> None:
    for (split, query), found in slice_of("judgments").items():
        count = DATASET.judgments.filter(split=split, query_id=query).height
        low, *high = found.split("–")
        assert int(low) <= count <= int((high or [low])[0])
    trained = DATASET.training_judgments()
    for (split, query), found in slice_of("frequency").items():
        count = trained.filter(query_id=query).height
        low, *high = found.split("–")
        assert int(low) <= count <= int((high or [low])[0])
        if split in ("novel_query", "zero_shot"):
            assert low == "0"
    asked = DATASET.queries.with_columns(frequency=pl.lit(7))
    assert set(slice_of("frequency", DATASET.with_tables(queries=asked)).values()) == {"7"}


def test_length_counts_the_words_of_text_fields() -> None:
    texts = DATASET.queries.with_columns(
        text=pl.when(pl.col("query_id") == "q1")
        .then(pl.lit("a red, red-hot mug"))
        .otherwise("text")
    )
    found = slice_of("length", DATASET.with_tables(queries=texts))
    assert {found[split, "q1"] for split in ("in_domain", "novel_document")} == {"5"}
    assert set(found.values()) == {"2", "5"}


def many(column: pl.Series) -> tuple[list[str], list[int]]:
    """Return the slices and places of queries with these values."""
    count = len(column)
    ids = [f"q{i}" for i in range(count)]
    dataset = RankingDataset(
        name="many",
        query_fields=(Field("text", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ids, "text": ids, "value": column}),
        documents=pl.DataFrame({"doc_id": ["d"], "title": ["d"]}),
        judgments=pl.DataFrame({"query_id": ids, "doc_id": ["d"] * count, "score": [1.0] * count}),
    )
    queries = pl.DataFrame({"split": ["all"] * count, "query_id": ids})
    found = slice_queries(queries, dataset, "query.value")
    return found["slice"].to_list(), found["place"].to_list()


def test_numbers_go_into_bins_of_like_size() -> None:
    numbers = np.random.default_rng(0).permutation(1000)
    slices, places = many(pl.Series(numbers))
    assert sorted(set(zip(places, slices, strict=True))) == [
        (0, "0–249"),
        (1, "250–499"),
        (2, "500–749"),
        (3, "750–999"),
    ]
    for number, label in zip(numbers, slices, strict=True):
        low, high = map(int, label.split("–"))
        assert low <= number <= high
    skewed, _ = many(pl.Series([0] * 90 + [1, 2, 3, 4, 5, 6, 7, 8, 9, None]))
    assert set(skewed) == {"0", "1–3", "4–5", "6–7", "8–9", "(none)"}
    floats, _ = many(pl.Series([0.125 * i for i in range(9)] + [float("nan")]))
    assert floats[:3] == ["0–0.25"] * 3
    assert floats[-1] == "(none)"


def test_many_zeros_are_a_slice_of_their_own() -> None:
    """A query that training never saw is another thing than one it saw a little."""
    places, names = _bins(pl.Series([0, 0, *range(1, 21), None]))
    assert names == ["0", "1–5", "6–10", "11–15", "16–20"]
    assert places.to_list() == [0, 0, *np.repeat([1, 2, 3, 4], 5).tolist(), None]
    _, few = _bins(pl.Series([0, *range(1, 40)]))
    assert few[0] == "0–9"


def test_few_different_numbers_stand_alone() -> None:
    slices, places = many(pl.Series([3, 1, 2, 1, None]))
    assert slices == ["3", "1", "2", "1", "(none)"]
    assert places == [2, 0, 1, 0, 4]
    assert many(pl.Series([0.5, float("nan"), 2.0]))[0] == ["0.5", "(none)", "2"]
    assert set(many(pl.Series([1, 2, 3, 4, 5]))[0]) == {"1–2", "3", "4", "5"}


def test_rare_values_are_gathered() -> None:
    slices, places = many(pl.Series(["b"] * 5 + ["a"] * 7 + ["c", "d", "d", None]))
    assert slices == ["b"] * 5 + ["a"] * 7 + ["other"] * 3 + ["(none)"]
    assert places == [1] * 5 + [0] * 7 + [2] * 3 + [3]
    crowd, _ = many(pl.Series([f"v{i:02d}" for i in range(12) for _ in range(5)]))
    assert set(crowd) == {*(f"v{i:02d}" for i in range(10)), "other"}


def test_data_without_splits() -> None:
    dataset = ranking_shop(split=False)
    results = evaluate(FakeModel(), dataset)
    table = slice_results(results, dataset, "judgments", metric=METRIC)
    assert table["slice"].to_list() == ["16"]
    assert table["queries"].sum() == results.splits["all"][METRIC].queries


def test_a_comparison_is_sliced_name_by_name() -> None:
    runs = [
        evaluate(FakeModel(noise=1.0, seed=i), DATASET, EvaluationOptions(label="two"))
        for i in range(2)
    ]
    comparison = compare([RESULTS, *runs])
    table = slice_comparison(comparison, DATASET, "query.colour", metric=METRIC)
    assert table["name"].unique(maintain_order=True).to_list() == ["fake", "two"]
    alone = slice_results(RESULTS, DATASET, "query.colour", metric=METRIC)
    assert table.filter(name="fake").drop("name").equals(alone)


def test_refuses() -> None:
    for by, message in (
        ("colour", "expected query.COLUMN, document.COLUMN"),
        ("query.colours", "there is no column 'colours'; there are query_id"),
        ("document.", "expected query.COLUMN"),
    ):
        with pytest.raises(InputError, match=message):
            slice_results(RESULTS, DATASET, by)
    lists = DATASET.queries.with_columns(words=pl.col("text").str.split(" "))
    with pytest.raises(InputError, match="one plain value for each row"):
        slice_queries(RESULTS.queries, DATASET.with_tables(queries=lists), "query.words")
    with pytest.raises(MetricError, match="unknown metric 'nDCG@5'"):
        slice_results(RESULTS, DATASET, "length", metric="nDCG@5")
    with pytest.raises(MetricError, match="the results are of data"):
        slice_results(RESULTS, ranking_shop(seed=1), "length")
