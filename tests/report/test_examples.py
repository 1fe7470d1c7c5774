from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankfield.evaluation import Results
from rankfield.report.examples import _picture, choose_queries
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
    results = [make_results("A", 0.5), make_results("B", 0.5, 0.1)]
    chosen = choose_queries(results, count, seed)
    assert chosen.equals(choose_queries(results, count, seed))
    assert len(chosen) == min(count, 18)
    assert not chosen.select("split", "query_id").is_duplicated().any()
    sizes = chosen.group_by("split").len()["len"].to_list()
    if 4 <= count <= 12:  # no split has run out: it holds at least three
        assert max(sizes) - min(sizes) <= 1


def test_losses_are_shown_with_wins(make_results: MakeResults) -> None:
    """Half of the queries lose, so half of those shown do, whatever the seed."""
    results = [make_results("A", 0.5), make_results("B", 0.5, 0.1)]
    for seed in range(20):
        chosen = choose_queries(results, 8, seed)
        split = chosen.filter(chosen["split"] == "in_domain")
        assert split["difference"].is_sorted()
        assert (split["difference"] < 0).sum() == 1
        assert (split["difference"] > 0).sum() == 1


def test_only_queries_with_rankings_of_both(make_results: MakeResults) -> None:
    first, last = make_results("A", 0.5), make_results("B", 0.6)
    kept = last.rankings["query_id"] != "q0"
    object.__setattr__(last, "rankings", last.rankings.filter(kept))
    assert "q0" not in set(choose_queries([first, last], 100)["query_id"])


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
        assert _picture(record, fields, Recorder()) == "address"
    assert shown == ["b.png", "d.png", b"e"]
    assert _picture({"photos": [None]}, fields, Recorder()) == ""
