"""A data set as the Parquet files of Amazon's Shopping Queries data set (ESCI)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl

from rankfield.files import new_folder
from rankfield.formats.exports import pair_notes, text_field, write_record
from rankfield.formats.foreign_columns import set_aside_in_frame
from rankfield.schema import SUBSETS, RankingDataset

__all__ = ["EXAMPLES", "GRADES", "PRODUCTS", "SOURCES", "TEXTS", "write_esci"]

GRADES: dict[str, float] = {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0}
"""Label → score, the gains of its own nDCG: exact, substitute, complement, irrelevant."""

EXAMPLES = "shopping_queries_dataset_examples.parquet"
PRODUCTS = "shopping_queries_dataset_products.parquet"
SOURCES = "shopping_queries_dataset_sources.csv"
TEXTS = (
    *("product_title", "product_description", "product_bullet_point"),
    *("product_brand", "product_color"),
)
_NUMBER = "\0number"
_LOCALE = "us"


def write_esci(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write a data set as ESCI's Parquet files.

    A judgment's label is that of its column `esci_label` if there is one, else that of `GRADES`
    whose score is nearest to the judgment's place on the scale, `ScoreScale.place`. Queries seen in
    training (all, without splits) are "train", others "test". The queries' ids become whole numbers
    unless they are. The first text field of the documents becomes `product_title` unless there is
    such a column; locale and versions are "us" and 1 where the data set has none.

    Args:
        dataset: any.
        out: the folder to make.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        DataError: queries or documents have no text field.
        OutputError: `out` exists or cannot be written; nothing is left there.
    """
    notes = pair_notes(dataset, queries=("seen", "subset", "locale", "source"))
    examples, products = _examples(dataset, notes), _products(dataset, notes)
    with new_folder(out) as folder:
        examples.write_parquet(folder / EXAMPLES)
        products.write_parquet(folder / PRODUCTS)
        write_record(folder, dataset, "esci")
        if "source" in dataset.queries.columns:
            numbers = _query_numbers(dataset, [])
            sources = dataset.queries.select(query_id=numbers, source="source")
            sources.write_csv(folder / SOURCES)
    return notes


def _query_numbers(dataset: RankingDataset, notes: list[str]) -> pl.Series:
    """Return whole numbers for the queries: their ids if they are such, else their places."""
    ids = dataset.queries["query_id"]
    if ids.str.contains(r"^(0|[1-9]\d{0,17})$").all():
        return ids.cast(pl.Int64)
    notes.append("queries: the layout's ids are whole numbers; each has its row as id")
    return pl.int_range(len(ids), eager=True)


def _examples(dataset: RankingDataset, notes: list[str]) -> pl.DataFrame:
    queries = dataset.queries
    names = queries.select(
        "query_id",
        _query_numbers(dataset, notes).alias(_NUMBER),
        query=text_field(dataset, "queries"),
        split=_parts(dataset),
    )
    _note_novel_documents(dataset, notes)
    rows = dataset.judgments.drop("split", strict=False)
    taken = ("query", "product_id", "product_locale")
    rows = set_aside_in_frame(rows, taken, "judgments", notes)
    rows = rows.join(names, on="query_id", how="left", maintain_order="left")
    rows = rows.join(_product_keys(dataset), on="doc_id", how="left", maintain_order="left")
    columns = {
        "example_id": pl.int_range(pl.len()),
        "esci_label": _labels(dataset),
        "small_version": pl.lit(1, pl.Int64),
        "large_version": pl.lit(1, pl.Int64),
    }
    rows = rows.with_columns(**{k: v for k, v in columns.items() if k not in rows.columns})
    first = ["example_id", "query", "query_id", "product_id", "product_locale", *columns, "split"]
    order = list(dict.fromkeys(first))
    further = [c for c in rows.columns if c not in {*order, "doc_id", "score", _NUMBER}]
    if further:
        notes.append(f"judgments: further columns are kept: {', '.join(further)}")
    return rows.drop("query_id").rename({_NUMBER: "query_id"}).select(*order, *further)


def _note_novel_documents(dataset: RankingDataset, notes: list[str]) -> None:
    if not dataset.is_split:
        return
    count = dataset.judgments.filter(pl.col("split") == "novel_document").height
    if count:
        notes.append(
            f"judgments: the {count:,} of novel_document are in train, as their queries are: do not"
            " evaluate on them what is trained on this export"
        )


def _parts(dataset: RankingDataset) -> pl.Expr:
    if "seen" in dataset.queries.columns:
        train = pl.col("seen")
    elif dataset.has_subsets:  # the layout has no dev, and what is not test is trained on
        train = pl.col("subset").is_in(SUBSETS).fill_null(False).not_()
    else:
        return pl.lit("train")
    return pl.when(train).then(pl.lit("train")).otherwise(pl.lit("test"))


def _labels(dataset: RankingDataset) -> pl.Expr:
    place = dataset.score_scale.place(pl.col("score"))
    by_gain = sorted(GRADES.items(), key=lambda grade: grade[1])
    label = pl.lit(by_gain[0][0])
    for (_, below), (name, gain) in pairwise(by_gain):
        label = pl.when(place >= (below + gain) / 2).then(pl.lit(name)).otherwise(label)
    return label


def _product_keys(dataset: RankingDataset) -> pl.DataFrame:
    """Return product_id and product_locale of each document: its own if no two have the same."""
    documents = dataset.documents
    locale = documents.schema.get("product_locale") == pl.String
    keys = documents.select(
        "doc_id",
        product_id="product_id" if "product_id" in documents.columns else "doc_id",
        product_locale="product_locale" if locale else pl.lit(_LOCALE),
    )
    pairs = keys.select("product_id", "product_locale")
    whole = keys.schema["product_id"] == pl.String and pairs.drop_nulls().height == pairs.height
    if whole and not pairs.is_duplicated().any():
        return keys
    return keys.with_columns(product_id="doc_id")


def _products(dataset: RankingDataset, notes: list[str]) -> pl.DataFrame:
    documents = dataset.documents.drop("product_id", "product_locale", strict=False)
    if not {f.name for f in dataset.document_fields} & set(TEXTS):
        documents = set_aside_in_frame(documents, ["product_title"], "documents", notes)
    documents = documents.join(_product_keys(dataset), on="doc_id", maintain_order="left")
    if "product_title" not in documents.columns:
        title = text_field(dataset, "documents")
        documents = documents.rename({title: "product_title"})
        notes.append(f"documents: the field {title!r} is called 'product_title'")
    missing = [pl.lit(None, pl.String).alias(c) for c in TEXTS if c not in documents.columns]
    documents = documents.with_columns(missing)
    kept = ["product_id", *TEXTS, "product_locale"]
    lost = [c for c in documents.columns if c not in {*kept, "doc_id", "seen"}]
    if lost:
        notes.append(f"documents: the layout has no place for {', '.join(lost)}")
    return documents.select(kept)
