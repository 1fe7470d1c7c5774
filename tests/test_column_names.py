"""Column names in other spellings are found; two spellings of one name are refused."""

from __future__ import annotations

import pytest

from rankfield.column_names import (
    DOC_IDS,
    QUERY_IDS,
    SCORES,
    find_column,
    free_name,
    normalised_name,
    require_literal,
)
from rankfield.errors import DataError


@pytest.mark.parametrize(
    "name",
    [
        *("query_id", "queryId", "QueryId", "QueryID", "QUERY_ID", "query-id", "Query Id"),
        *(" query_id ", "query.id", "QUERY-ID", "query__id"),
    ],
)
def test_spellings_of_one_name_are_one(name: str) -> None:
    assert normalised_name(name) == "query_id"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("_id", "_id"), ("ID", "id"), ("Score", "score"), ("itemId", "item_id")),
        *(("DOCID", "docid"), ("HTMLTitle", "html_title"), ("sku2Code", "sku2_code")),
        *(("_", "_"), ("", ""), ("título", "título")),
    ],
)
def test_words_of_a_name(name: str, expected: str) -> None:
    assert normalised_name(name) == expected


@pytest.mark.parametrize(
    ("columns", "names", "expected"),
    [
        (["queryId", "text"], QUERY_IDS, "queryId"),
        (["query-id", "corpus-id", "score"], DOC_IDS, "corpus-id"),
        (["DOC_ID", "title"], DOC_IDS, "DOC_ID"),
        (["itemId", "Score"], SCORES, "Score"),
        (["rating", "Score"], SCORES, "Score"),
        (["sku", "productId"], DOC_IDS, "productId"),
        (["docId", "doc_id"], DOC_IDS, "doc_id"),
        (["productId", "itemId"], DOC_IDS, "productId"),
        (["title"], DOC_IDS, None),
    ],
)
def test_the_likeliest_column_is_found(
    columns: list[str], names: tuple[str, ...], expected: str | None
) -> None:
    assert find_column(columns, names) == expected


def test_two_spellings_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match=r"shop\.csv: the columns 'docId', 'DOC_ID' are spellings"):
        find_column(["docId", "DOC_ID"], DOC_IDS, where="shop.csv")


def test_a_free_name() -> None:
    assert free_name("rank", ["rank"]) == "source_rank"
    assert free_name("rank", ["rank", "source_rank"]) == "source_source_rank"


@pytest.mark.parametrize("name", ["*", "^t.*$", "^$"])
def test_a_name_that_polars_takes_for_a_pattern_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="of a column is a pattern"):
        require_literal(["title", name], where="documents.csv")
    require_literal(["**", "a*", "^", "^a", "$"], where="documents.csv")
