from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.schema import RankingDataset, ScoreScale
from rankfield.training import add_judgments
from rankfield.training.sources import JudgmentSource, map_scores
from ranking_shop import ranking_shop
from training_data import tiny_shop

SCALE = ScoreScale(0, 4, 2)
FLOATS = st.floats(-1e6, 1e6)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)


def source(path: Path, rows: list[tuple[str, str, object]], **values: Any) -> JudgmentSource:
    lines = [",".join(map(str, row)) for row in [("query_id", "doc_id", "score"), *rows]]
    path.write_text("\n".join(lines) + "\n")
    return JudgmentSource(path=str(path), **values)


def by_pair(frame: pl.DataFrame) -> dict[tuple[str, str], tuple[float, float]]:
    return {(q, d): (score, trust) for q, d, score, trust in frame.iter_rows()}


# ---- mapping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["linear", "ranks"])
@given(
    scores=st.lists(FLOATS, min_size=2, max_size=30),
    training=st.lists(st.integers(0, 4).map(float), min_size=1, max_size=30),
)
def test_maps_keep_the_order_and_the_scale(
    how: str, scores: list[float], training: list[float]
) -> None:
    values = np.array(scores)
    if how == "linear" and values.min() == values.max():
        return
    mapped = map_scores(values, how, np.array(training), SCALE)
    assert mapped.dtype == np.float64
    assert (mapped >= 0).all()
    assert (mapped <= 4).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(mapped[order]) >= -1e-12).all()
    for score in set(scores):  # equal scores stay equal
        assert len(set(mapped[values == score])) == 1


def quantile_loops(score: float, scores: list[float], training: list[float]) -> float:
    """The training score at the place of `score` among the scores, by its definition."""
    below = sum(s < score for s in scores)
    equal = sum(s == score for s in scores)
    share = (below + (equal + 1) / 2 - 0.5) / len(scores)
    ordered = sorted(training)
    place = min(max(share * len(ordered) - 0.5, 0), len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@given(
    scores=st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12),
    training=st.lists(st.floats(0, 4), min_size=1, max_size=12),
)
def test_ranks_are_quantiles_of_the_training_scores(
    scores: list[float], training: list[float]
) -> None:
    mapped = map_scores(np.array(scores), "ranks", np.array(training), SCALE)
    expected = [quantile_loops(score, scores, training) for score in scores]
    np.testing.assert_allclose(mapped, expected, atol=1e-9)


def test_known_values() -> None:
    training = np.array([0.0, 1.0, 1.0, 4.0])
    np.testing.assert_array_equal(map_scores(training, "ranks", training, SCALE), training)
    logits = np.array([8.0, -3.0, -2.0, 7.0])
    np.testing.assert_array_equal(map_scores(logits, "ranks", training, SCALE), [4, 0, 1, 1])
    mapped = map_scores(np.array([-1.0, 0.0, 1.0]), "linear", training, ScoreScale(1, 5, 3))
    np.testing.assert_array_equal(mapped, [1, 3, 5])
    np.testing.assert_array_equal(map_scores(logits, "none", training, SCALE), logits)


def test_maps_that_cannot_be() -> None:
    with pytest.raises(DataError, match="all scores are 2; a linear map needs two"):
        map_scores(np.array([2.0, 2.0]), "linear", np.array([1.0]), SCALE)
    with pytest.raises(DataError, match="no training scores"):
        map_scores(np.array([2.0]), "ranks", np.array([]), SCALE)


# ---- adding ------------------------------------------------------------------------------------


def pairs(shop: RankingDataset) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """The training judgments, and pairs that training may see and nobody judged."""
    own = shop.training_judgments()
    every = (
        shop.queries.filter("seen")
        .select("query_id")
        .join(shop.documents.filter("seen").select("doc_id"), how="cross")
        .join(shop.judgments, on=["query_id", "doc_id"], how="anti")
    )
    return own, every.rows()


def test_own_and_added_scores_are_merged_by_trust(shop: RankingDataset, tmp_path: Path) -> None:
    own, free = pairs(shop)
    (q, d), score = own.select("query_id", "doc_id").row(5), own["score"][5]
    rows: list[tuple[str, str, object]] = [(q, d, 0.5), (*free[0], 3.0)]
    one = source(tmp_path / "a.csv", rows, trust=0.25, map="none")
    other = source(tmp_path / "b.csv", [(*free[0], 1.0), (*free[1], 2.0)], trust=0.75, map="none")
    lines: list[str] = []
    both = add_judgments(own, [one, other], shop, report=lines.append)
    assert both.columns == ["query_id", "doc_id", "score", "trust"]
    assert both.dtypes == [pl.String, pl.String, pl.Float64, pl.Float64]
    assert both.height == own.height + 2
    keys = ["query_id", "doc_id"]
    assert both.select(keys).head(own.height).equals(own.select(keys))
    assert both.select(keys).rows()[own.height :] == free[:2]
    found, before = by_pair(both), dict(zip(own.select(keys).rows(), own["score"], strict=True))
    assert found[q, d] == pytest.approx(((score + 0.25 * 0.5) / 1.25, 1.0))
    assert found[free[0]] == pytest.approx((0.25 * 3 + 0.75 * 1, 0.75))
    assert found[free[1]] == (2.0, 0.75)
    untouched = {pair: found[pair] for pair in before if pair != (q, d)}
    assert untouched == {pair: (before[pair], 1.0) for pair in untouched}
    assert lines == [
        f"{tmp_path / 'a.csv'}: 1 pairs are judged already, 1 are new, 0 are held out and left out",
        f"{tmp_path / 'b.csv'}: 0 pairs are judged already, 2 are new, 0 are held out and left out",
    ]


def test_no_source_changes_nothing(shop: RankingDataset) -> None:
    own = shop.training_judgments()
    same = add_judgments(own, [], shop)
    assert same.drop("trust").equals(own.select("query_id", "doc_id", "score"))
    assert (same["trust"] == 1).all()


def test_what_is_held_out_has_no_influence(shop: RankingDataset, tmp_path: Path) -> None:
    own, free = pairs(shop)
    unseen_query = shop.queries.filter(~pl.col("seen"))["query_id"][0]
    unseen_document = shop.documents.filter(~pl.col("seen"))["doc_id"][0]
    inside: list[tuple[str, str, object]] = [(*free[i], float(i)) for i in range(6)]
    outside: list[tuple[str, str, object]] = [
        (unseen_query, free[0][1], 1000.0),
        (free[0][0], unseen_document, -1000.0),
        (unseen_query, unseen_document, 500.0),
    ]
    for how in ("ranks", "linear"):
        lines: list[str] = []
        alone = add_judgments(own, [source(tmp_path / "a.csv", inside, map=how)], shop)
        more = source(tmp_path / "b.csv", [*outside, *inside], map=how)
        assert add_judgments(own, [more], shop, report=lines.append).equals(alone)
        assert "6 are new, 3 are held out and left out" in lines[0]
    # Not even where nothing remains.
    nothing = source(tmp_path / "c.csv", outside[:1], map="linear")
    assert add_judgments(own, [nothing], shop).height == own.height


def test_data_never_split_and_parquet(tmp_path: Path) -> None:
    shop = ranking_shop(split=False)
    every = (
        shop.queries.select("query_id").join(shop.documents.select("doc_id"), how="cross").head(99)
    )
    frame = every.with_columns(score=pl.int_range(pl.len()).cast(pl.Float32))
    frame.write_parquet(tmp_path / "scores.parquet")
    wanted = JudgmentSource(path=str(tmp_path / "scores.parquet"), map="linear")
    both = by_pair(add_judgments(shop.training_judgments(), [wanted], shop))
    assert set(both) == set(every.rows()) | set(
        shop.judgments.select("query_id", "doc_id").iter_rows()
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("q999", "D", 1)], "row 2, column 'query_id': 'q999' is not among the queries"),
        ([("Q", "D", 1), ("Q", "d999", 1)], "row 3, column 'doc_id': 'd999' is not among the doc"),
        ([("Q", "", 1)], "row 2, column 'doc_id': nothing is not among the documents"),
        ([("Q", "D", "nan")], "row 2, column 'score': expected a finite number, found 'nan'"),
        ([("Q", "D", "inf")], "row 2, column 'score': expected a finite number, found 'inf'"),
        ([("Q", "D", "good")], "row 2, column 'score': expected a finite number, found 'good'"),
        ([("Q", "D", "")], "row 2, column 'score': expected a finite number, found nothing"),
        ([("Q", "D", 1), ("Q", "D", 2)], "row 3, column 'doc_id': .* is duplicated"),
        ([("Q", "D", 9)], r"row 2, column 'score': .* '9' lies outside the scale \[0, 3.5\]"),
        ([("Q", "D", 1, 5)], "row 2: expected 3 values"),
        ([], "expected at least one row"),
    ],
)
def test_rows_that_cannot_be_taken(
    shop: RankingDataset, tmp_path: Path, rows: list[tuple[Any, ...]], message: str
) -> None:
    query, document = pairs(shop)[1][0]
    names = {"Q": query, "D": document}
    filled: Any = [tuple(names.get(str(v), v) for v in row) for row in rows]
    wanted = source(tmp_path / "scores.csv", filled, map="none")
    with pytest.raises(DataError, match=rf"scores\.csv.*{message}"):
        add_judgments(shop.training_judgments(), [wanted], shop)


def test_files_that_cannot_be_taken(shop: RankingDataset, tmp_path: Path) -> None:
    own = shop.training_judgments()
    with pytest.raises(DataError, match="there is no such file"):
        add_judgments(own, [JudgmentSource(path=str(tmp_path / "none.csv"))], shop)
    for frame, message in (
        (own.drop("score"), "column 'score' is missing; found query_id, doc_id"),
        (own.with_columns(doc_id=pl.lit(1)), "column 'doc_id': expected text, found Int32"),
        (own.with_columns(score=pl.lit(True)), "column 'score': expected numbers, found Boolean"),
        (own.with_columns(score=float("nan")), r"row 0 \(counted from 0\), column 'score'"),
    ):
        frame.write_parquet(tmp_path / "scores.parquet")
        with pytest.raises(DataError, match=message):
            add_judgments(own, [JudgmentSource(path=str(tmp_path / "scores.parquet"))], shop)
    equal = own.with_columns(score=1.0)
    equal.write_parquet(tmp_path / "scores.parquet")
    wanted = JudgmentSource(path=str(tmp_path / "scores.parquet"), map="linear")
    with pytest.raises(DataError, match=r"scores\.parquet: all scores are 1; .* Take map"):
        add_judgments(own, [wanted], shop)
