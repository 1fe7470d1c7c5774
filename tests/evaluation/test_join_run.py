"""Runs joined with judgments: order, ties, and what does not belong together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankfield.errors import DataError, InputError
from rankfield.evaluation import join_run


def pairs(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}, orient="row"
    )


JUDGED = pairs(("q2", "a", 1), ("q1", "a", 0.5), ("q1", "b", 2), ("q1", "c", 1))
RUN = pairs(("q1", "b", 1), ("q1", "x", 3), ("q1", "a", 1), ("q1", "c", 1), ("q0", "a", 1))


def test_lists_are_ordered_and_judged() -> None:
    nan = float("nan")
    for ties, wanted in (
        ("descending", [nan, 1, 2, 0.5]),
        ("ascending", [nan, 0.5, 2, 1]),
        ("file", [nan, 2, 0.5, 1]),
    ):
        run = join_run(JUDGED, RUN, ties=ties, ignore_unknown=True)
        assert run.queries.to_list() == ["q1", "q2"]
        np.testing.assert_array_equal(run.rankings.scores[0], wanted)
        assert run.rankings.lengths.tolist() == [4, 0]
        assert run.rankings.ideal_scores.tolist() == [2, 1, 0.5, 1]
        assert (run.missing, run.unknown, run.tied) == (1, 1, 1)


def test_the_order_of_rows_does_not_matter() -> None:
    first = join_run(JUDGED, RUN, ignore_unknown=True)
    second = join_run(JUDGED.reverse(), RUN.sample(fraction=1, shuffle=True, seed=1),
                       ignore_unknown=True)  # fmt: skip
    np.testing.assert_array_equal(first.rankings.scores, second.rankings.scores)
    np.testing.assert_array_equal(first.rankings.ideal_scores, second.rankings.ideal_scores)


def test_an_empty_run() -> None:
    run = join_run(JUDGED, RUN.clear())
    assert run.rankings.scores.shape == (2, 0)
    assert (run.missing, run.unknown, run.tied) == (2, 0, 0)


def test_refused() -> None:
    with pytest.raises(DataError, match=r"mine: the query 'q0' has no judgment.*ignore-unknown"):
        join_run(JUDGED, RUN, name="mine")
    twice = pl.concat([RUN, RUN.head(1)])
    with pytest.raises(DataError, match="run, query_id 'q1', doc_id 'b': found a document"):
        join_run(JUDGED, twice, ignore_unknown=True)
    with pytest.raises(DataError, match="judgments, query_id 'q2', doc_id 'a': found no finite"):
        join_run(JUDGED.with_columns(score=pl.lit(float("nan"))), RUN)
    with pytest.raises(InputError, match="descending, ascending, file"):
        join_run(JUDGED, RUN, ties="random")
