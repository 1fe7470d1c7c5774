"""The queries that a report shows: chosen fairly, with the top results of two models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from rankfield.evaluation import Comparison, Results
from rankfield.field_values import first_value
from rankfield.report.numbers import paired_queries
from rankfield.report.thumbnails import Thumbnails
from rankfield.schema import SPLITS, Field, RankingDataset

__all__ = ["Column", "Example", "Shown", "choose_extremes", "choose_queries", "make_examples"]

_EQUAL = 1e-9
_LONGEST = 300


@dataclass(frozen=True)
class Shown:
    """One document as a query's result; `score` None means unjudged.

    `ideal` is the place that its score earns (1 is best, equal scores share a place) and `share`
    its score's place on the data set's scale, 0 to 1.
    """

    rank: int
    title: str
    details: str
    thumbnail: str
    similarity: float | None
    score: float | None
    ideal: int | None
    share: float


@dataclass(frozen=True)
class Column:
    """The top of one model's ranking."""

    label: str
    colour: str
    ndcg: float
    documents: list[Shown]


@dataclass(frozen=True)
class Example:
    """A query, what each model ranks first for it, and the best possible list."""

    split: str
    query_id: str
    text: str
    thumbnail: str
    difference: float
    judged: int
    columns: list[Column]
    ideal: list[Shown]


def choose_queries(comparison: Comparison, count: int, seed: int = 0) -> pl.DataFrame:
    """Choose `count` queries that stand for all: wins, losses and draws in their true proportion.

    The count is shared evenly between the splits. In each, the queries are put in order of the
    difference in nDCG@10 between the last and the first model (of nDCG@10 for a single model) and
    cut into as many equal parts as queries are wanted; `seed` draws one from each part.

    Returns:
        split, query_id, first, last, difference; by split, then from loss to win.
    """
    pairs = _shown_pairs(comparison)
    order = "difference" if len(comparison.names) > 1 else "last"
    found = set(pairs["split"])
    splits = [s for s in dict.fromkeys((*SPLITS, *comparison.splits)) if s in found]
    tables = {s: pairs.filter(pl.col("split") == s).sort(order, "query_id") for s in splits}
    generator = np.random.default_rng(seed)
    chosen = [pairs.clear()]
    for split, wanted in _shares({s: len(t) for s, t in tables.items()}, count).items():
        edges = np.linspace(0, len(tables[split]), wanted + 1).astype(int)
        rows = [int(generator.integers(a, b)) for a, b in pairwise(edges)]
        chosen.append(tables[split][rows])
    return pl.concat(chosen)


def choose_extremes(comparison: Comparison, count: int) -> pl.DataFrame:
    """Choose the `count` queries that the last model wins by most, then those it loses by most.

    A query is taken once, on the split where it differs most; of equal ones the first by split and
    id. Nothing for a single model.

    Returns:
        split, query_id, first, last, difference: the wins from the largest down, then the losses
        from the largest down.
    """
    pairs = _shown_pairs(comparison)
    if len(comparison.names) < 2:
        return pairs.clear()
    keys = ["split", "query_id"]
    wins = pairs.filter(pl.col("difference") > _EQUAL).sort(-pl.col("difference"), *keys)
    losses = pairs.filter(pl.col("difference") < -_EQUAL).sort("difference", *keys)
    return pl.concat(
        side.unique("query_id", keep="first", maintain_order=True).head(count)
        for side in (wins, losses)
    )


def _shown_pairs(comparison: Comparison) -> pl.DataFrame:
    """Return `paired_queries`, of those whose rankings both models have kept."""
    pairs = paired_queries(comparison)
    for name in (comparison.names[0], comparison.names[-1]):
        kept = comparison.runs[name][0].rankings.select("split", "query_id").unique()
        pairs = pairs.join(kept, on=["split", "query_id"], how="semi", maintain_order="left")
    return pairs


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Deal `count` out one by one, passing over splits that have no query left."""
    shares = dict.fromkeys(sizes, 0)
    count = min(count, sum(sizes.values()))
    while sum(shares.values()) < count:
        for split in sizes:
            if shares[split] < sizes[split] and sum(shares.values()) < count:
                shares[split] += 1
    return shares


def make_examples(
    dataset: RankingDataset,
    comparison: Comparison,
    colours: Mapping[str, str],
    choices: Sequence[pl.DataFrame],
    *,
    depth: int,
) -> list[tuple[Example, ...]]:
    """Gather what the page shows of the chosen queries, `depth` documents deep.

    Args:
        dataset: where queries and documents are.
        comparison: the first and the last model are shown, each by its first run.
        colours: name of a model → its colour.
        choices: what `choose_queries` and `choose_extremes` return.
        depth: documents in each list.

    Returns:
        The examples of each choice, in its order.
    """
    names = list(dict.fromkeys((comparison.names[0], comparison.names[-1])))
    rows = [list(choice.iter_rows(named=True)) for choice in choices]
    keys = {(row["split"], row["query_id"]) for choice in rows for row in choice}
    judged = {key: _judged(dataset, *key) for key in keys}
    tops = {key: [_top(comparison.runs[n][0], *key, depth) for n in names] for key in keys}
    shown = {d for table in judged.values() for d in table["doc_id"].head(depth)}
    shown |= {d for lists in tops.values() for top in lists for d in top["doc_id"]}
    maker = _Maker(dataset, shown)

    def example(row: Mapping[str, Any]) -> Example:
        key = (row["split"], row["query_id"])
        values = (row["first"], row["last"])[-len(names) :]
        columns = [
            Column(name, colours[name], value, maker.ranked(top, judged[key]))
            for name, value, top in zip(names, values, tops[key], strict=True)
        ]
        text, thumbnail = maker.query(row["query_id"])
        ideal = maker.ranked(judged[key].head(depth), judged[key])
        return Example(*key, text, thumbnail, row["difference"], len(judged[key]), columns, ideal)

    return [tuple(map(example, choice)) for choice in rows]


def _top(result: Results, split: str, query_id: str, depth: int) -> pl.DataFrame:
    own = (pl.col("split") == split) & (pl.col("query_id") == query_id)
    return result.rankings.filter(own).sort("rank").head(depth)


def _judged(dataset: RankingDataset, split: str, query_id: str) -> pl.DataFrame:
    """Return a query's judgments in a split, best first, with the place that each score earns."""
    judged = dataset.judgments.filter(pl.col("query_id") == query_id)
    if dataset.is_split and split != "all":
        judged = judged.filter(pl.col("split") == split)
    place = pl.col("score").rank("min", descending=True).cast(pl.Int64).alias("ideal")
    return (
        judged.select("doc_id", "score")
        .with_columns(place)
        .sort(["score", "doc_id"], descending=[True, False])
    )


class _Maker:
    """Turns ids into what is shown of them."""

    def __init__(self, dataset: RankingDataset, doc_ids: Collection[str]) -> None:
        self.dataset = dataset
        self.thumbnails = Thumbnails(dataset)
        needed = dataset.documents.filter(pl.col("doc_id").is_in(sorted(doc_ids)))
        self.records = {record["doc_id"]: record for record in needed.iter_rows(named=True)}

    def query(self, query_id: str) -> tuple[str, str]:
        """Return a query's text and its thumbnail; the id if it has neither."""
        found = self.dataset.queries.filter(pl.col("query_id") == query_id)
        record = found.row(0, named=True) if len(found) else {}
        thumbnail = _thumbnail(record, self.dataset.query_fields, self.thumbnails)
        text = " · ".join(_texts(record, self.dataset.query_fields))
        return text or ("" if thumbnail else query_id), thumbnail

    def ranked(self, top: pl.DataFrame, judged: pl.DataFrame) -> list[Shown]:
        """Return the documents of `top` in its order, with what the judgments say of them."""
        known = {d: (s, i) for d, s, i in judged.select("doc_id", "score", "ideal").iter_rows()}
        if "similarity" not in top.columns:
            top = top.with_columns(similarity=None)
        return [
            self._shown(rank, doc_id, similarity, *known.get(doc_id, (None, None)))
            for rank, (doc_id, similarity) in enumerate(
                top.select("doc_id", "similarity").iter_rows(), start=1
            )
        ]

    def _shown(
        self,
        rank: int,
        doc_id: str,
        similarity: float | None,
        score: float | None,
        ideal: int | None,
    ) -> Shown:
        record = self.records.get(doc_id, {})
        title, *details = _texts(record, self.dataset.document_fields) or [doc_id]
        return Shown(
            rank=rank,
            title=title,
            details=" · ".join(details),
            thumbnail=_thumbnail(record, self.dataset.document_fields, self.thumbnails),
            similarity=similarity,
            score=score,
            ideal=ideal,
            share=self._share(score),
        )

    def _share(self, score: float | None) -> float:
        if score is None:
            return 0.0
        return float(self.dataset.score_scale.place(np.float64(score)))


def _texts(record: Mapping[str, Any], fields: Sequence[Field]) -> list[str]:
    """Return the texts of a record, as much of each as one would read."""
    texts = [str(record[f.name]) for f in fields if f.modality == "text" and record.get(f.name)]
    return [text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…" for text in texts]


def _thumbnail(record: Mapping[str, Any], fields: Sequence[Field], thumbnails: Thumbnails) -> str:
    for f in fields:
        image = first_value(record.get(f.name)) if f.modality == "image" else None
        if image is not None:
            return thumbnails.address(image)
    return ""
