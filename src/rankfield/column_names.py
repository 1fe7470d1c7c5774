"""Names of columns however a file spells them: queryId, QUERY_ID and query-id are query_id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rankfield.errors import DataError

__all__ = [
    "DOC_IDS",
    "PLAIN_IDS",
    "QUERY_IDS",
    "QUERY_TEXTS",
    "SCORES",
    "find_column",
    "free_name",
    "normalised_name",
    "quoted_names",
    "require_literal",
]

QUERY_IDS = ("query_id", "qid", "queryid")
"""What the ids of queries are called, the likeliest first."""
DOC_IDS = (
    *("doc_id", "docid", "docno", "document_id", "product_id", "productid", "item_id", "itemid"),
    *("corpus_id", "pid", "sku", "asin"),
)
"""What the ids of documents are called, the likeliest first."""
QUERY_TEXTS = (
    *("query", "query_text", "search_term", "search_terms", "search_query", "search_phrase"),
    *("search_text", "user_query", "keyword", "keywords", "search_keyword", "search_keywords"),
)
"""What the texts of queries are called beside other columns, the likeliest first."""
PLAIN_IDS = ("id", "_id")
"""What an id is called in a table of one kind of record."""
SCORES = ("score", "relevance", "grade", "label", "rating")
"""What scores are called, the likeliest first."""

_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIVIDERS = re.compile(r"[\s.\-_]+")


def normalised_name(name: str) -> str:
    """Return a name in lower case with "_" between its words.

    Words are divided by a capital letter after a small one, and by blanks, ".", "-" and "_":
    queryId, QueryID, QUERY_ID, "query id" and query-id all become query_id. A "_" in front stays.
    """
    words = _DIVIDERS.sub("_", _BREAK.sub("_", name.strip())).lower()
    return words if len(words) < 2 else words.rstrip("_")


def find_column(columns: Sequence[str], names: Sequence[str], *, where: str = "") -> str | None:
    """Return the column that is called by the first of `names` that one has, or None.

    Of one name, the column that is spelt in the same way comes before other spellings.

    Args:
        columns: of the table.
        names: what the column may be called, the likeliest first.
        where: the table, for the message.

    Raises:
        DataError: two columns are other spellings of the same name, such as docId and DOC_ID.
    """
    for name in names:
        if name in columns:
            return name
        wanted = normalised_name(name)
        found = [column for column in columns if normalised_name(column) == wanted]
        if len(found) > 1:
            raise DataError(
                f"the columns {quoted_names(found)} are spellings of the same name",
                where=where,
                remedy="Rename or remove all but one of them.",
            )
        if found:
            return found[0]
    return None


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return "source_NAME", with "source_" repeated until the name is not taken."""
    free = f"source_{name}"
    while free in taken:
        free = f"source_{free}"
    return free


def require_literal(names: Iterable[str], *, where: str) -> None:
    """Raise `DataError` for a name of a column that polars takes for a pattern.

    "*" would be all columns, and a name that begins with "^" and ends with "$" a regular
    expression.
    """
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise DataError(
                f"the name {name[:60]!r} of a column is a pattern",
                where=where,
                remedy="Rename the column.",
            )


def quoted_names(names: Sequence[str]) -> str:
    """Return names as a message lists them."""
    return ", ".join(map(repr, names))
