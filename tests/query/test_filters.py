"""Filters: their grammar, types, messages, and what polars makes of them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rankfield.errors import InputError
from rankfield.query.filters import filter_mask, filter_text, parse_filter
from rankfield.query.filters.parse import MAX_DEPTH, MAX_VALUES
from rankfield.query.filters.tokens import MAX_LENGTH
from rankfield.query.filters.tree import (
    And,
    Column,
    Compare,
    Condition,
    In,
    IsNull,
    Match,
    Not,
    Or,
    Value,
)
from reference_filters import holds

DAY, NOW = date(2026, 1, 31), datetime(2026, 1, 31, 12, 30)
DOCUMENTS = pl.DataFrame(
    {
        "doc_id": [f"d{i}" for i in range(8)],
        "price": [1.5, 20.0, None, float("nan"), 0.1, -0.0, float("inf"), 1e16],
        "ratio": [1.5, 20.0, None, float("nan"), 0.1, -0.0, float("-inf"), 16777217.0],
        "stock": [0, 1, None, -1, 2**63 - 1, -(2**63), 2**53, 2**53 + 1],
        "grade": [0, 1, None, -1, 127, -128, 5, 7],
        "views": [0, 1, None, 2**64 - 1, 2**63, 5, 6, 2**53 + 1],
        "sale": [True, False, None, True, False, None, True, False],
        "brand": ["Acme", "acme", None, "", "O'Hara", "größe", "a%b_c", 'say "hi"'],
        "kind": ["mug", "plate", None, "mug", "bowl", "mug", "plate", ""],
        "added": [DAY, None, *(DAY + timedelta(days=n) for n in (-1, 1, 2, 30, 365, -9999))],
        "seen": [NOW, None, *(NOW + timedelta(seconds=n) for n in (-1, 1, 2, 30, 3600, 10**6))],
        "sold": [NOW, None, *(NOW + timedelta(hours=n) for n in (-1, 1, 2, 30, 36, 10**4))],
        "sent": [NOW, None, *(NOW + timedelta(hours=n) for n in (-1, 1, 2, 30, 36, 10**4))],
        "two words": [1, 2, None, 4, 5, 6, 7, 8],
        "and": [1, 2, None, 4, 5, 6, 7, 8],
        "wait": [timedelta(1)] * 8,
    },
    schema_overrides={
        "ratio": pl.Float32, "grade": pl.Int8, "views": pl.UInt64, "kind": pl.Categorical,
        "seen": pl.Datetime("us"), "sold": pl.Datetime("ns", "UTC"), "sent": pl.Datetime("ms"),
    },
)  # fmt: skip
SCHEMA = DOCUMENTS.schema


def found(text: str) -> list[str]:
    kept: list[str] = DOCUMENTS.filter(filter_mask(text, DOCUMENTS))["doc_id"].to_list()
    return kept


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("price < 2", "045"),
        ("price <= 1.5 AND brand in ('Acme', 'x')", "0"),
        ("not price < 2", "167"),
        ("price != 20", "04567"),
        ("price is null", "23"),
        ("price is not null and stock is null", ""),
        ("0.05 <= price < 20", "04"),
        ("price between 0.1 and 20", "014"),
        ("stock not between -1 and 1", "4567"),
        ("ratio = 0.1", "4"),
        ("ratio == 16777217", "7"),
        ("stock = 9007199254740993", "7"),
        ("stock = 9007199254740992.0", "6"),
        ("stock > 0.5", "1467"),
        ("stock in (1, 0.5, -1)", "13"),
        ("grade < 1000", "0134567"),
        ("views > 9223372036854775807", "34"),
        ("views > -1", "0134567"),
        ("sale", "036"),
        ("not sale", "147"),
        ("sale = false or sale is null", "12457"),
        ("brand = 'O''Hara'", "4"),
        ("brand contains '%'", "6"),
        ("brand not contains 'a'", "035"),
        ("brand starts with 'A'", "0"),
        ("brand Not Starts With 'A'", "134567"),
        ('brand contains \'"hi"\'', "7"),
        ("brand >= 'a'", "1567"),
        ("kind = 'mug' or kind in ('bowl')", "0345"),
        ("kind in ()", ""),
        ("not kind in ()", "0134567"),
        ("added >= '2026-01-31' and added < '2026-03-02'", "034"),
        ("seen = '2026-01-31 12:30'", "0"),
        ("seen > '2026-01-31T12:30:00.5'", "34567"),
        ("seen >= '2026-01-31'", "0234567"),
        ("sold = '2026-01-31T12:30Z'", "0"),
        ("sold < '2026-01-31T12:30:00+01:00'", ""),
        ("sent between '2026-01-31T11:30' and '2026-01-31T12:30'", "02"),
        ('"two words" > 6', "67"),
        ("`two words` > 6", "67"),
        ('"and" = 1', "0"),
        ("wait is not null", "01234567"),
        ("(price < 2 or price = 20) and not (sale or brand = 'O''Hara')", "1"),
        ("5 = grade", "6"),
        ("doc_id in ('d1', 'd2')", "12"),
    ],
)  # fmt: skip
def test_what_filters_let_through(text: str, ids: str) -> None:
    assert "".join(found(text)).replace("d", "") == ids
    assert found(filter_text(parse_filter(text))) == found(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "filter, character 1, its end: expected the name of a column"),
        ("price <", "character 8, its end: expected a value"),
        ("price < and", "character 9, at 'and': expected a value"),
        ("price < 2 brand", "character 11, at 'brand': expected and, or, or the end"),
        ("price", "character 1, at 'price': expected a number for the column 'price', found true"),
        ("prize < 2", "character 1, at 'prize < 2': the index stores no column 'prize'. Did you m"),
        ("brand = \"Acme\"", "Strings stand in 'single quotes'"),
        ("brand = 'Acme", "character 9, at \"'Acme\": the string does not end"),
        ("brand = 3", "expected a string in 'single quotes' for the column 'brand', found 3"),
        ("price = '3'", "expected a number for the column 'price', found '3'"),
        ("price = null", "Write: is null, is not null."),
        ("sale < true", "booleans are compared by = and != alone"),
        ("sale = 1", "expected true or false for the column 'sale', found 1"),
        ("price contains '3'", "contains is for text, 'price' holds numbers"),
        ("brand contains 3", "found 3"),
        ("added = '2026-02-30'", "expected a date such as '2026-01-31'"),
        ("added = '20260131'", "expected a date"),
        ("seen = '2026-01-31T25:00'", "expected a date or time"),
        ("seen = '2026-01-31T12:00Z'", "the times of 'seen' have no zone; leave it out"),
        ("wait = 1", "columns of type Duration"),
        ("price < 2; drop table x", "a filter has no ';'"),
        ("1=1", "character 3, at '1': expected the name of a column"),
        ("price < 1e999", "the number is too large"),
        ("stock < 99999999999999999999", "the number is too large"),
        ("stock < " + "9" * 5000, "the number is too large"),
        ("price < 12abc", "expected a number"),
        ("price < 1.2.3", "expected a number"),
        ("price not 3", "expected in, between, contains or starts with after not"),
        ("price ~ 3", "a filter has no '~'"),
        ("price like 3", "expected an operator"),
        ("(price < 2", "expected )"),
        ("price in 3", "expected ("),
        ("price in (3", "expected ,"),
        ("in (3)", "A column of this name is written \"in\"."),
        ("(" * 60 + "sale" + ")" * 60, f"nested deeper than {MAX_DEPTH} levels"),
        ("not " * 60 + "sale", f"nested deeper than {MAX_DEPTH} levels"),
        (f"stock in ({','.join(['1'] * (MAX_VALUES + 1))})", "more than 1,000 values"),
        ("sale or " * 2000 + "sale", f"at most {MAX_LENGTH:,} characters"),
        ("brand = '\x00' and", "expected the name of a column"),
    ],
)  # fmt: skip
def test_what_is_no_filter(text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        filter_mask(text, DOCUMENTS)
    assert problem in str(caught.value)


def test_the_longest_chains() -> None:
    assert found("or".join(["(sale)"] * 1200)) == found("sale")
    assert found(" and ".join(["sale"] * 1100)) == found("sale")


def test_times_are_compared_by_their_finest_part() -> None:
    ticks = pl.Series("at", [1_000_000_000, 1_000_000_001], pl.Int64).cast(pl.Datetime("ns"))
    documents = pl.DataFrame({"at": ticks})
    assert filter_mask("at > '1970-01-01T00:00:01'", documents).to_list() == [False, True]
    assert filter_mask("at = '1970-01-01T00:00:01'", documents).to_list() == [True, False]
    for far in ("0001-01-01", "9999-12-31T23:59:59"):
        assert filter_mask(f"at != '{far}'", documents).all()


# expressions at random, of values that lie at and beside those of the columns

_NUMBERS = [0, 1, -1, 5, 127, 128, 0.1, 1.5, 20, 2**53 + 1, 2**63 - 1, -(2**63), 2.0**63, 1e16]
_TEXTS = ["Acme", "acme", "", "O'Hara", "größe", "%", "a", '"', "mug", "z"]
_MOMENTS = ["2026-01-31", "2026-01-31T12:30:00", "2026-01-31T12:30:01", "1990-01-01"]
_SPELT: dict[str, list[Any]] = {
    **dict.fromkeys(["price", "ratio", "stock", "grade", "views", "two words", "and"], _NUMBERS),
    **dict.fromkeys(["brand", "kind", "doc_id"], _TEXTS),
    "added": ["2026-01-31", "2026-02-01", "1990-01-01"],
    **dict.fromkeys(["seen", "sold", "sent"], _MOMENTS),
    "sale": [True, False],
}


@st.composite
def _predicates(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from([*_SPELT, "wait"]))
    column = Column(name)
    if name == "wait":
        return IsNull(column)
    values = st.sampled_from(_SPELT[name]).map(Value)
    signs = ["=", "!="] if name == "sale" else ["=", "!=", "<", "<=", ">", ">="]
    kinds: list[st.SearchStrategy[Condition]] = [
        st.just(IsNull(column)),
        st.builds(Compare, st.just(column), st.sampled_from(signs), values),
        st.builds(In, st.just(column), st.lists(values, max_size=4).map(tuple)),
    ]
    if name in ("brand", "kind"):
        hows = st.sampled_from(["contains", "starts with"])
        kinds.append(st.builds(Match, st.just(column), hows, values))
    return draw(st.one_of(kinds))


def _joined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, min_size=2, max_size=4).map(tuple)
    return st.one_of(parts.map(Not), several.map(And), several.map(Or))


CONDITIONS = st.recursive(_predicates(), _joined, max_leaves=8)


@settings(max_examples=150)
@given(CONDITIONS)
def test_equal_to_plain_python(condition: Condition) -> None:
    text = filter_text(condition)
    assert parse_filter(text) == condition
    expected = [holds(condition, row, SCHEMA) is True for row in DOCUMENTS.iter_rows(named=True)]
    assert filter_mask(text, DOCUMENTS).to_list() == expected, text


@settings(max_examples=150)
@given(st.text(st.sampled_from("price brand\"'`()<>=!,andornoti0123.e+-_ä\x00\n"), max_size=40))
@example("price=1and sale")
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InputError):
        assert filter_mask(text, DOCUMENTS).dtype == pl.Boolean


def test_time_zones() -> None:
    sold = DOCUMENTS["sold"].cast(pl.Datetime("us")).dt.replace_time_zone("Europe/Berlin")
    documents = pl.DataFrame({"sold": sold})
    utc = (NOW - timedelta(hours=1)).replace(tzinfo=UTC).isoformat()
    assert filter_mask(f"sold = '{utc}'", documents).to_list() == [True] + [False] * 7


def test_names_are_no_patterns() -> None:
    documents = pl.DataFrame({"^p.*$": [1, 2], "*": [2, 3], "price": [7, 7], 'a"b': ["x", "y"]})
    assert filter_mask('"^p.*$" = 1', documents).to_list() == [True, False]
    assert filter_mask('"*" = 3 and "a""b" contains \'y\'', documents).to_list() == [False, True]
