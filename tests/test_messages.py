"""Parts of messages."""

from __future__ import annotations

import pytest

from rankfield.messages import did_you_mean, first_line, listed, more


def test_more_counts_what_is_not_shown() -> None:
    assert [more(n, "row") for n in (-1, 0, 1, 2500)] == [
        "",
        "",
        " (and 1 more row)",
        " (and 2,500 more rows)",
    ]
    assert more(3) == " (and 3 more)"


def test_listed_shows_the_first_and_counts_the_rest() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c"], 1) == "a and 2 more"
    assert listed([], 2) == ""


def test_did_you_mean_names_the_nearest_or_nothing() -> None:
    assert did_you_mean("titel", ["text", "title"]) == "Did you mean 'title'?"
    assert did_you_mean("price", {"title": 1}) == ""
    assert did_you_mean("x", iter(())) == ""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no such key\nat line 3"), "no such key"),
        (RuntimeError("\n  what went wrong\n"), "what went wrong"),
        (OSError(), "OSError"),
        (RuntimeError(" \n"), "RuntimeError"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, expected: str) -> None:
    assert first_line(error) == expected
