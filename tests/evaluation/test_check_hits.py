from __future__ import annotations

import numpy as np
import pytest

from rankfield.errors import ModelError
from rankfield.evaluation import EvaluationOptions, evaluate_rankings
from rankfield.evaluation.check_hits import check_hits
from rankfield.search import Hits
from ranking_shop import ranking_shop

VIEW = ranking_shop().view("in_domain", "test")
QUERIES = VIEW.queries.height


def hits(**changes: float) -> Hits:
    """Return hits of three documents each, with one number of the second query changed."""
    indices = np.tile(np.array([4, 0, 7]), (QUERIES, 1))
    scores = np.tile(np.array([3, 2, 1], np.float32), (QUERIES, 1))
    for name, value in changes.items():
        kind, place = name.split("_")
        (indices if kind == "index" else scores)[1, int(place)] = value
    return Hits(indices, scores)


def test_takes_rankings() -> None:
    check_hits("run", VIEW, hits())
    check_hits("run", VIEW, hits(index_2=-1))
    check_hits("run", VIEW, hits(index_2=-1, index_1=-1, score_2=float("nan")))
    check_hits("run", VIEW, Hits(np.zeros((QUERIES, 0), np.int64), np.zeros((QUERIES, 0), "f4")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"index_0": 40}, "a document row that is not from 0 to 39"),
        ({"index_0": -2}, "a document row that is not from 0 to 39"),
        ({"index_0": 7}, "the same document twice"),
        ({"index_1": -1}, "a document after the list's end"),
        ({"score_1": float("nan")}, "a score of NaN"),
    ],
)
def test_refuses_what_no_search_finds(changes: dict[str, float], message: str) -> None:
    found, options = hits(**changes), EvaluationOptions(splits=["in_domain"])
    with pytest.raises(ModelError, match=message) as caught:
        evaluate_rankings("run", lambda _: found, ranking_shop(), options)
    assert caught.value.where == f"run, split in_domain, query_id {VIEW.queries['query_id'][1]!r}"


def test_refuses_other_shapes() -> None:
    whole = hits()
    for found in (
        Hits(whole.indices[1:], whole.similarities[1:]),
        Hits(whole.indices, whole.similarities[:, 1:]),
        Hits(whole.indices[0], whole.similarities[0]),
    ):
        with pytest.raises(ModelError, match=f"expected hits for {QUERIES} queries"):
            check_hits("run", VIEW, found)
