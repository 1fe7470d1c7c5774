"""What both layouts of Marqo-GS share: pairs with sides of the four splits become a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from rankfield.column_names import free_name
from rankfield.errors import SplitError
from rankfield.formats.checks import (
    best_of_pairs,
    require_values,
    require_within,
)
from rankfield.formats.fields import guessed_fields, parse_fields, shown_fields
from rankfield.formats.foreign_columns import set_aside_in_frame
from rankfield.formats.guesses import guess_scale
from rankfield.formats.layout import Option
from rankfield.formats.published_splits import hashed_subsets, sided
from rankfield.io.numbers import finite_numbers, with_numbers
from rankfield.io.table import Table
from rankfield.schema import Field, Provenance, RankingDataset, ScoreScale

__all__ = [
    "DEV",
    "LICENCE",
    "PAIR_NAMES",
    "SCORE",
    "SIDES",
    "MarqoPairs",
    "assemble",
    "chosen_score",
    "document_fields_of",
    "require_split",
    "score_column",
    "with_free_columns",
]

SIDES: dict[str, tuple[bool, bool]] = {
    "in_domain": (True, True),
    "novel_query": (False, True),
    "novel_document": (True, False),
    "zero_shot": (False, False),
}
"""Split → whether its queries and its documents are seen in training."""

PAIR_NAMES = frozenset({"query_seen", "document_seen", "doc_id", "split", "score"})
"""What `assemble` adds to the pairs; a column of such a name is to be set aside before."""

LICENCE = "Apache-2.0"

SCORE = Option(
    "score",
    "Column with the score; default: score_linear, score_reciprocal or score, whichever comes"
    " first.",
    metavar="COLUMN",
)
DEV = Option("dev", "Fraction of the queries in dev, if no ground truth says.", float, 0.5)

_SCALES = {
    "score_linear": ScoreScale(1, 100, 1, "101 − position in the list of results"),
    "score_reciprocal": ScoreScale(0, 1, 0.01, "1 / position in the list of results"),
}
_SUBSETS = ("seen_documents_subset", "unseen_documents_subset")


@dataclass
class MarqoPairs:
    """Query–product pairs as read, and the products.

    table: query, product_id, the score column, perhaps query_id, further columns, and the sides
        query_seen and document_seen.
    documents: doc_id, seen, fields and further columns; an id may stand on both sides.
    score: the score column's name.
    subsets: split, subset ("dev", "test") and key (a query's text or id) of the ground truth.
    """

    table: Table
    documents: pl.DataFrame
    score: str
    subsets: pl.DataFrame | None = None
    notes: list[str] = field(default_factory=list)


def assemble(
    pairs: MarqoPairs,
    *,
    name: str,
    document_fields: tuple[Field, ...],
    dev: float,
    provenance: Provenance,
    root: Path | None,
) -> RankingDataset:
    """Return the data set with the published splits.

    A query or product on both sides counts as seen; its pairs of the unseen side are left out, with
    a note. Of a repeated pair the highest score counts. Subsets come from the ground truth, and
    without it from a hash of the query's text.

    Args:
        pairs: as read; its notes grow.
        name: of the data set.
        document_fields: fields among the columns of the documents.
        dev: fraction of the queries in "dev" where there is no ground truth, in (0, 1).
        provenance: where the data come from.
        root: the folder that paths of images start from.

    Raises:
        DataError: an empty query or product_id, a score that is not finite or off its scale.
        SplitError: `dev` is out of range.
    """
    if not 0 < dev < 1:
        raise SplitError(f"expected a fraction above 0 and below 1, found {dev}", where="dev")
    table = pairs.table
    require_values(table, "query", "product_id")
    scores = finite_numbers(table, pairs.score)
    scale = _SCALES.get(pairs.score) or guess_scale(scores)
    require_within(table, pairs.score, scores, scale, "Choose the right column with --score.")
    frame = table.frame.drop(pairs.score).rename({"product_id": "doc_id"})
    frame = frame.with_columns(pl.col("doc_id").cast(pl.String), score=scores)
    frame = _with_query_ids(frame, pairs.notes)
    documents = pairs.documents.sort("seen", descending=True, maintain_order=True)
    documents = documents.unique("doc_id", keep="first", maintain_order=True)
    frame = _one_side(frame, documents, pairs.notes)
    columns = [c for c in frame.columns if c not in ("query_id", "query", "doc_id", "score")]
    queries = frame.select("query_id", "query", seen="query_seen")
    queries = queries.unique("query_id", keep="first", maintain_order=True)
    judgments = frame.select(
        "query_id",
        "doc_id",
        "score",
        *(c for c in columns if c not in ("query_seen", "document_seen", "split")),
        split=sided("query_seen", "document_seen"),
    )
    return RankingDataset(
        name=name,
        query_fields=(Field("query", "text"),),
        document_fields=document_fields,
        score_scale=scale,
        queries=_with_subsets(queries, pairs, dev),
        documents=documents,
        judgments=with_numbers(
            best_of_pairs(judgments, pairs.notes), ("query_id", "doc_id", "split")
        ),
        provenance=provenance,
        root=root,
    )


def document_fields_of(
    documents: pl.DataFrame,
    where: Path,
    chosen: Sequence[Field | str] | None,
    usual: Mapping[str, Field],
    notes: list[str],
) -> tuple[Field, ...]:
    """Return the chosen fields, else the usual ones if they are there, else a guess.

    Raises:
        DataError: a chosen field is no column or of another type, or none can be guessed.
    """
    table = Table.counted(where, documents.drop("seen", strict=False))
    if chosen:
        return parse_fields(table, chosen)[0]
    if fields := tuple(f for name, f in usual.items() if name in table.columns):
        return shown_fields(fields, "documents", notes)
    return guessed_fields(table, "documents", "doc_id", notes)


def score_column(judgments: pl.DataFrame) -> str:
    """Return the name under which an export writes the score.

    That is the first published name that is free and whose scale holds the scores, else "score".
    """
    low, high = judgments["score"].min(), judgments["score"].max()
    for name, scale in _SCALES.items():
        if name not in judgments.columns and scale.minimum <= low and high <= scale.maximum:  # type: ignore[operator]
            return name
    return "score"


def chosen_score(columns: Sequence[str]) -> str:
    """Return the score's column where none is named: the first that `score_column` may write."""
    return next((name for name in (*_SCALES, "score") if name in columns), next(iter(_SCALES)))


def with_free_columns(
    dataset: RankingDataset, notes: list[str], *, first_image: str = ""
) -> RankingDataset:
    """Return the data set to export, with no two columns of one name in the rows of pairs.

    A document field, and a further column of the judgments, that is called as one of the layout's
    own columns is kept as "source_NAME", with a note; so is a column called as a document field.

    Args:
        dataset: to be written.
        notes: grows.
        first_image: what the first image field of the documents is to be called.
    """
    own = {"query", "product_id", "query_id", *filter(None, [first_image])}
    images = [f.name for f in dataset.document_fields if f.modality == "image"]
    names: dict[str, str] = {}
    if first_image and images and images[0] != first_image:
        names[images[0]] = first_image
    for f in dataset.document_fields:
        stays = f.name == first_image and f.name == images[0]
        if f.name in own and f.name not in names and not stays:
            names[f.name] = free_name(f.name, dataset.documents.columns)
            notes.append(f"documents: the field {f.name!r} is called {names[f.name]!r}")
    documents = set_aside_in_frame(
        dataset.documents, {*names.values()} - set(names), "documents", notes
    ).rename(names)
    fields = tuple(replace(f, name=names.get(f.name, f.name)) for f in dataset.document_fields)
    further = dataset.judgments.drop("query_id", "doc_id", "score", "split", strict=False)
    taken = {*own, *(f.name for f in fields)}
    aside = set_aside_in_frame(further, taken, "judgments", notes)
    judgments = dataset.judgments.rename(dict(zip(further.columns, aside.columns, strict=True)))
    return replace(dataset, document_fields=fields, documents=documents, judgments=judgments)


def require_split(dataset: RankingDataset, layout: str) -> None:
    """Raise `SplitError` unless the data set is split: the layout is made of the four splits."""
    if not dataset.is_split:
        raise SplitError(
            f"the layout {layout} consists of the four splits, and the data set has none",
            where=dataset.name,
            remedy="Run `rankfield split` first.",
        )


def _with_query_ids(frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Return the pairs with the file's query ids if each stands for one text, else the text."""
    if "query_id" in frame.columns:
        frame = frame.with_columns(pl.col("query_id").cast(pl.String))
        texts = frame.select("query_id", "query").unique()
        whole = frame["query_id"].null_count() == 0 and texts["query_id"].n_unique() == len(texts)
        if whole and not (frame["query_id"] == "").any():
            return frame
        notes.append("queries: a query_id stands for several texts or none; the text is the id")
        frame = frame.drop("query_id")
    return frame.with_columns(query_id="query")


def _one_side(frame: pl.DataFrame, documents: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Leave out pairs of the unseen side whose query or document is seen in training."""
    seen = frame.filter("query_seen")["query_id"].unique().implode()
    known = documents.filter("seen")["doc_id"].implode()
    for what, wrong in (
        ("query", ~pl.col("query_seen") & pl.col("query_id").is_in(seen)),
        ("product", ~pl.col("document_seen") & pl.col("doc_id").is_in(known)),
    ):
        kept = frame.filter(~wrong)
        if kept.height < frame.height:
            notes.append(
                f"judgments: {frame.height - kept.height:,} left out of the unseen side, because"
                f" their {what} is on the seen side too"
            )
        frame = kept
    return frame


def _with_subsets(queries: pl.DataFrame, pairs: MarqoPairs, dev: float) -> pl.DataFrame:
    """Add `subset`, and of a ground truth the exact subset on either side of the documents.

    A query that is test on one side of the documents is test, even if dev on the other.
    """
    if pairs.subsets is None or pairs.subsets.is_empty():
        pairs.notes.append(f"subsets: no ground truth; dev is {dev:g} of the queries, by a hash")
        return queries.with_columns(subset=hashed_subsets(queries["query"], dev))
    for document_seen, column in zip((True, False), _SUBSETS, strict=True):
        names = pl.Series([None] * queries.height, dtype=pl.String)
        for query_seen in (True, False):
            split = next(k for k, v in SIDES.items() if v == (query_seen, document_seen))
            for subset in ("dev", "test"):
                found = _in_truth(queries, pairs, split, subset) & (queries["seen"] == query_seen)
                names = pl.select(pl.when(found).then(pl.lit(subset)).otherwise(names)).to_series()
        queries = queries.with_columns(names.alias(column))
    test = pl.any_horizontal(pl.col(c).eq("test").fill_null(False) for c in _SUBSETS)
    queries = queries.with_columns(
        subset=pl.when(test).then(pl.lit("test")).otherwise(pl.coalesce(_SUBSETS))
    )
    both = int((queries[_SUBSETS[0]] != queries[_SUBSETS[1]]).sum())
    outside = queries["subset"].null_count()
    pairs.notes.append(
        f"subsets: from the ground truth; {outside:,} queries are in neither dev nor test"
    )
    if both:
        pairs.notes.append(
            f"subsets: {both:,} queries are dev in one split and test in another: they are test"
        )
    return queries


def _in_truth(queries: pl.DataFrame, pairs: MarqoPairs, split: str, subset: str) -> pl.Series:
    assert pairs.subsets is not None
    keys = pairs.subsets.filter(split=split, subset=subset)["key"].implode()
    return queries.select(pl.col("query").is_in(keys) | pl.col("query_id").is_in(keys)).to_series()
