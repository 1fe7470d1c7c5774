from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankfield.evaluation import Results, compare
from rankfield.report.examples import _texts, _thumbnail, choose_extremes, choose_queries
from rankfield.report.thumbnails import Thumbnails
from rankfield.schema import Field

MakeResults = Callable[..., Results]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(count=st.integers(0, 25), seed=st.integers(0, 1000))
def test_the_choice_is_even_distinct_and_repeatable(
    make_results: MakeResults, count: int, seed: int
) -> None:
    results = compare([make_results("A", 0.5), make_results("B", 0.5, 0.1)], metrics=["nDCG@10"])
    chosen = choose_queries(results, count, seed)
    assert chosen.equals(choose_queries(results, count, seed))
    assert len(chosen) == min(count, 18)
    assert not chosen.select("split", "query_id").is_duplicated().any()
    sizes = chosen.group_by("split").len()["len"].to_list()
    if 4 <= count <= 12:  # no split has run out: it holds at least three
        assert max(sizes) - min(sizes) <= 1


def test_losses_are_shown_with_wins(make_results: MakeResults) -> None:
    """Half of the queries lose, so half of those shown do, whatever the seed."""
    results = compare([make_results("A", 0.5), make_results("B", 0.5, 0.1)], metrics=["nDCG@10"])
    for seed in range(20):
        chosen = choose_queries(results, 8, seed)
        split = chosen.filter(chosen["split"] == "in_domain")
        assert split["difference"].is_sorted()
        assert (split["difference"] < 0).sum() == 1
        assert (split["difference"] > 0).sum() == 1


def test_the_largest_wins_and_losses(make_results: MakeResults) -> None:
    """B differs from A by 0.1 · (q − mean of q): on q0 … q5 by ±.25 at most, on q6 … q8 by ±.1."""
    chosen = choose_extremes(
        compare([make_results("A", 0.5), make_results("B", 0.5, 0.1)], metrics=["nDCG@10"]), 2
    )
    assert chosen["query_id"].to_list() == ["q5", "q4", "q0", "q1"]
    assert chosen["difference"].round(9).to_list() == [0.25, 0.15, -0.25, -0.15]
    assert choose_extremes(compare([make_results("A", 0.5)], metrics=["nDCG@10"]), 2).is_empty()


def test_only_queries_with_rankings_of_both(make_results: MakeResults) -> None:
    first, last = make_results("A", 0.5), make_results("B", 0.6)
    kept = last.rankings["query_id"] != "q0"
    object.__setattr__(last, "rankings", last.rankings.filter(kept))
    comparison = compare([first, last], metrics=["nDCG@10"])
    assert "q0" not in set(choose_queries(comparison, 100)["query_id"])


def test_long_texts_are_cut() -> None:
    fields = [Field("title", "text"), Field("photo", "image"), Field("details", "text")]
    record = {"title": "a" * 300, "photo": "a.png", "details": "word " * 3000}
    title, details = _texts(record, fields)
    assert title == record["title"]
    assert details == ("word " * 60)[:299] + "…"


def test_of_several_pictures_the_first_that_is_there_is_shown() -> None:
    fields = (Field("title", "text"), Field("photos", "image"), Field("drawing", "image"))
    shown: list[str | bytes] = []

    class Recorder(Thumbnails):
        def __init__(self) -> None:
            """Needs no data set: only what is asked for counts."""

        def address(self, value: str | bytes) -> str:
            shown.append(value)
            return "address"

    for record in (
        {"photos": [None, "", "b.png", "c.png"], "drawing": "d.png"},
        {"photos": [], "drawing": "d.png"},
        {"photos": None, "drawing": [b"e"]},
    ):
        assert _thumbnail(record, fields, Recorder()) == "address"
    assert shown == ["b.png", "d.png", b"e"]
    assert _thumbnail({"photos": [None]}, fields, Recorder()) == ""
