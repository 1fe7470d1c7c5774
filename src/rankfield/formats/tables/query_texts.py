"""Queries by their texts: how two spellings are one query, and the id of a query without one."""

from __future__ import annotations

import hashlib

import polars as pl

__all__ = ["query_ids", "same_query"]


def same_query(text: pl.Expr) -> pl.Expr:
    """Return texts as queries are told apart: NFC, in lower case, one space between words.

    `rankfield labels` tells the queries of a log apart in the same way.
    """
    plain = text.str.normalize("NFC").str.to_lowercase()
    return plain.str.replace_all(r"[\t\n\f\r ]+", " ").str.strip_chars(" ")


def query_ids(texts: pl.Series) -> pl.Series:
    """Return the ids of queries that have none: 16 hexadecimal digits of the MD5 of `same_query`.

    They are those of `rankfield labels`, so that judgments of a log and of a sheet go together.
    """
    ids = [
        hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]
        for text in texts.to_list()
    ]
    return pl.Series("query_id", ids, pl.String)
