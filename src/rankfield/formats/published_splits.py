"""Splits that a data set was published with, in the terms of rankfield's four."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import polars as pl

from rankfield.schema import SPLITS, SUBSETS, RankingDataset

__all__ = ["PARTS", "hashed_subsets", "part_name", "sided", "split_by_queries"]

PARTS = ("train", "dev", "test")

_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "validation", "valid", "val"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


def part_name(name: str) -> str:
    """Return train, dev or test for what others call them, another name as it is, "-" as "_"."""
    plain = name.lower().replace("-", "_")
    return _ALIASES.get(plain, plain)


def sided(query_seen: str, document_seen: str) -> pl.Expr:
    """Return the split of a judgment from whether its query and its document are seen."""
    query, document = pl.col(query_seen), pl.col(document_seen)
    return (
        pl.when(query & document)
        .then(pl.lit(SPLITS[0]))
        .when(document)
        .then(pl.lit(SPLITS[1]))
        .when(query)
        .then(pl.lit(SPLITS[2]))
        .otherwise(pl.lit(SPLITS[3]))
    )


def hashed_subsets(texts: pl.Series, dev: float) -> pl.Series:
    """Return "dev" for about a fraction of the texts, "test" for the others, always the same.

    Equal texts, case and blanks apart, are on one side: blake2b of the text decides.
    """
    keys = texts.fill_null("").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    limit = int(dev * 2**64)
    digests = (hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    names = ["dev" if int.from_bytes(digest, "big") < limit else "test" for digest in digests]
    return pl.Series("subset", names, dtype=pl.String)


def split_by_queries(
    dataset: RankingDataset, parts: pl.DataFrame, *, held_out: float, notes: list[str]
) -> RankingDataset:
    """Return the data set split as its queries were published: train, dev, test.

    All documents count as seen: such data have one corpus. Train queries are seen (in_domain; of
    their subsets each has half, by a hash of the text), dev and test queries are not (novel_query).
    Without dev queries, a fraction `held_out` of the train queries becomes them. If a query is in
    two parts, or none is in train, or all are, the data set stays without splits and its judgments
    keep the parts in the column "source_split".

    Args:
        dataset: not split, each query judged.
        parts: query_id, doc_id and part (of `PARTS`) for each judgment, in the order of the
            judgments.
        held_out: fraction of the train queries, in [0, 1).
        notes: gets a line on what was done.
    """
    queries = parts.group_by("query_id", maintain_order=True).agg(pl.col("part").unique())
    names = set(parts["part"].unique())
    is_split = "train" in names and names & set(SUBSETS)
    if not is_split or bool((queries["part"].list.len() > 1).any()):
        if names - {""} and len(names) > 1:
            notes.append(
                f"the parts {', '.join(sorted(names))} are not a split of the queries into train,"
                " dev and test; judgments keep them as 'source_split'; make splits with"
                " `rankfield split`"
            )
            return replace(
                dataset, judgments=dataset.judgments.with_columns(source_split=parts["part"])
            )
        return dataset
    part = queries.select("query_id", part=pl.col("part").list.first())
    table = dataset.queries.join(part, on="query_id", how="left", maintain_order="left")
    texts = table[next((f.name for f in dataset.query_fields if f.modality == "text"), "query_id")]
    if "dev" not in names:
        table = _with_dev(table, texts, held_out, notes)
    if "test" not in names:
        notes.append("queries: there are no test queries; evaluate on dev with --subset dev")
    seen = (table["part"] == "train").fill_null(False)  # a query without judgments is in no part
    subset = pl.when(seen).then(hashed_subsets(texts, 0.5)).otherwise(table["part"])
    table = table.with_columns(seen=seen, subset=subset).drop("part")
    notes.append(
        "splits: train queries are in_domain, dev and test queries novel_query; every document"
        " counts as seen, since all are one corpus"
    )
    sides = dataset.judgments.select("query_id").join(
        table.select("query_id", "seen"), on="query_id", how="left", maintain_order="left"
    )
    split = sides.select(pl.when("seen").then(pl.lit(SPLITS[0])).otherwise(pl.lit(SPLITS[1])))
    return replace(
        dataset,
        queries=table,
        documents=dataset.documents.with_columns(seen=pl.lit(True)),
        judgments=dataset.judgments.with_columns(split=split.to_series()),
    )


def _with_dev(
    table: pl.DataFrame, texts: pl.Series, held_out: float, notes: list[str]
) -> pl.DataFrame:
    """Return queries of which a fraction of the train part is dev, by a hash of their texts."""
    if held_out == 0:
        notes.append(
            "queries: there are no dev queries to choose a model by; --held-out 0.1 makes a tenth"
            " of the train queries dev"
        )
        return table
    out = hashed_subsets(texts, held_out) == "dev"
    table = table.with_columns(
        part=pl.when(out & (pl.col("part") == "train")).then(pl.lit("dev")).otherwise("part")
    )
    moved = table["part"].eq("dev").sum()
    notes.append(f"queries: {moved:,} of the train queries are held out as dev (novel_query)")
    return table
