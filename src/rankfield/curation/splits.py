"""The four splits: queries seen or unseen in training × documents seen or unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import polars as pl

from rankfield.curation.split_draw import draw_folds, draw_fraction
from rankfield.curation.split_keys import group_keys, strata
from rankfield.curation.split_time import (
    TimeRule,
    earliest_times,
    find_cut,
    first_times,
    shown_cut,
)
from rankfield.errors import SplitError
from rankfield.schema import (
    SPLITS,
    SUBSETS,
    DatasetFolder,
    RankingDataset,
    Tables,
    require_dataset,
)
from rankfield.schema.tables import T
from rankfield.validate import require_valid

__all__ = ["split", "split_sizes"]

_NOTE = "split: "


def split(
    dataset: T,
    *,
    queries: float = 0.8,
    documents: float = 0.5,
    dev: float = 0.5,
    group_documents_by: str | None = None,
    group_queries_by: str | None = None,
    stratify_documents_by: str | None = None,
    stratify_queries_by: str | None = None,
    by_time: Sequence[TimeRule] = (),
    folds: int | None = None,
    fold: int = 0,
    seed: int = 0,
) -> T:
    """Return the data set with queries and documents on the seen or the unseen side of training.

    Queries get ``seen`` and ``subset`` ("dev" or "test", on both sides), documents get ``seen``,
    judgments get ``split``: in_domain (both seen), novel_query (document seen), novel_document
    (query seen), zero_shot (neither). Earlier splits are replaced.

    Whole groups are assigned: documents with the same value of `group_documents_by` (one without
    a value stands alone), and queries that are equal after normalisation, word order and plural
    apart (`texts.near_key`), or that share a value of `group_queries_by`. Groups come in the
    order of blake2b(seed, kind, key), so the result depends on the contents and the seed, never
    on the order of rows. Each is taken if it still fits into the fraction of rows asked for;
    where large groups keep the fraction from being met within 1 % of the rows, a note in the
    provenance says so.

    With strata (`split_keys.strata`) the fractions hold in each stratum. By time, the side is
    seen before a cut and unseen from it on (`split_time.TimeRule`), groups by their earliest
    record; by the time of judgments both sides are divided, documents that were never judged are
    drawn, and judgments of seen pairs from the cut on are dropped: training must not know them.
    With folds, each query and each document is unseen in exactly one of them.

    With `documents` = 1 every document is seen: queries alone are divided, in_domain and
    novel_query are searched over the whole collection, and the other splits are empty.

    Args:
        dataset: any ranking data set, in memory or in its folder; or that folder.
        queries: fraction of the queries seen in training, in (0, 1).
        documents: fraction of the documents seen in training, in (0, 1]; 1: all of them.
        dev: fraction of each side's queries in "dev", in [0, 1); 0: every query is a test query.
        group_documents_by, group_queries_by: a column of the documents, of the queries.
        stratify_documents_by, stratify_queries_by: a column, or "frequency".
        by_time: at most one rule for queries and one for documents, or one for judgments.
        folds: how many; the fractions of queries and documents are then 1 − 1 / folds, of
            documents also 1 if `documents` is 1.
        fold: which one, from 0.
        seed: another seed gives another split.

    Raises:
        InputError: something else in place of the data set.
        SplitError: a fraction out of range, no such column, options that exclude each other, or a
            split × subset without a judged query.
        DataError: `validate.require_valid` fails, as on duplicate or unknown ids.
    """
    if not isinstance(dataset, RankingDataset | DatasetFolder):
        dataset = cast(T, require_dataset(dataset))
    for name, fraction, end in (
        ("queries", queries, None),
        ("documents", documents, 1),
        ("dev", dev, 0),
    ):
        if not (0 < fraction < 1 or fraction == end):
            also = "" if end is None else f", or {end}"
            raise SplitError(
                f"expected a fraction above 0 and below 1{also}, found {fraction}", where=name
            )
    plan = _Plan(
        seed,
        {"queries": queries, "documents": documents},
        {"queries": group_queries_by, "documents": group_documents_by},
        {"queries": stratify_queries_by, "documents": stratify_documents_by},
        tuple(by_time),
        folds,
        fold,
    )
    plan.require_sense()
    require_valid(dataset)
    query_side = _side(dataset, "queries", plan)
    document_side = _side(dataset, "documents", plan)
    in_dev = _subsets(query_side, dev, plan)
    subset = pl.select(pl.when(in_dev).then(pl.lit("dev")).otherwise(pl.lit("test"))).to_series()
    result = dataset.with_columns(
        "queries", pl.DataFrame({"seen": query_side.seen, "subset": subset})
    )
    result = result.with_columns("documents", pl.DataFrame({"seen": document_side.seen}))
    result = result.with_columns("judgments", _split_judgments(result).to_frame("split"))
    result = _without_known_future(result, plan)
    _require_judged(result, SPLITS[: 2 if plan.all_documents else 4], SUBSETS[dev == 0 :])
    notes = [plan.described(dev), *plan.notes]
    return result.with_notes([_NOTE + note for note in notes], replacing=_NOTE)


def split_sizes(dataset: Tables) -> pl.DataFrame:
    """Return the sizes of the four splits of a split data set, for dev and test.

    Returns:
        8 rows in the order of `SPLITS` × `SUBSETS` with columns split, subset, queries (judged in
        that split), documents (the whole corpus of that side), judgments.
    """
    subsets = dataset.frame("queries", ["query_id", "subset"])
    judged = (
        dataset.lazy("judgments")
        .group_by("split", "query_id")
        .agg(judgments=pl.len())
        .collect(engine="streaming")
        .join(subsets, on="query_id")
        .group_by("split", "subset")
        .agg(queries=pl.len(), judgments=pl.col("judgments").sum())
    )
    seen = int(dataset.frame("documents", ["seen"])["seen"].sum())
    corpus = dict.fromkeys(SPLITS[:2], seen)
    corpus |= dict.fromkeys(SPLITS[2:], dataset.height("documents") - seen)
    cells = pl.DataFrame(
        [(name, subset, corpus[name]) for name in SPLITS for subset in SUBSETS],
        schema=["split", "subset", "documents"],
        orient="row",
    )
    return cells.join(judged, on=["split", "subset"], how="left", maintain_order="left").select(
        "split",
        "subset",
        pl.col("queries").fill_null(0),
        "documents",
        pl.col("judgments").fill_null(0),
    )


@dataclass
class _Plan:
    """How both sides are to be divided; `notes` collects what there is to say."""

    seed: int
    fractions: dict[str, float]
    groups: dict[str, str | None]
    strata: dict[str, str | None]
    by_time: tuple[TimeRule, ...]
    folds: int | None
    fold: int
    notes: list[str] = field(default_factory=list)
    cut: float | None = None  # of the judgments' time

    def require_sense(self) -> None:
        """Refuse options that exclude each other."""
        tables = [rule.table for rule in self.by_time]
        if len(set(tables)) < len(tables) or ("judgments" in tables and len(tables) > 1):
            raise SplitError(
                "expected a rule for queries, for documents, or one for both by the judgments'"
                f" time, found {', '.join(tables)}",
                where="by time",
            )
        for table, column in self.strata.items():
            if column is not None and self.rule(table) is not None:
                raise SplitError(
                    f"the {table} are divided by time, so they cannot be stratified by {column!r}"
                )
        if self.all_documents and "documents" in tables:
            raise SplitError("the documents are divided by time, so they cannot all be seen")
        if self.folds is None:
            return
        if self.by_time:
            raise SplitError("folds are drawn, not cut by time: choose one of them")
        if self.folds < 2 or not 0 <= self.fold < self.folds:
            raise SplitError(
                f"expected 2 folds or more and a fold from 0 to folds − 1, found {self.folds}"
                f" and {self.fold}",
                where="folds",
            )

    @property
    def all_documents(self) -> bool:
        """Whether every document is seen."""
        return self.fractions["documents"] == 1

    def rule(self, table: str) -> TimeRule | None:
        """Return the rule that divides a table by time."""
        rules = (rule for rule in self.by_time if rule.table in (table, "judgments"))
        return next(rules, None)

    def described(self, dev: float) -> str:
        """Return the options in words, for the provenance."""
        if self.folds is None:
            parts = [f"{table} {fraction}" for table, fraction in self.fractions.items()]
        else:
            parts = [f"fold {self.fold} of {self.folds}"]
            parts += ["documents 1"] if self.all_documents else []
        parts += [f"dev {dev}", f"seed {self.seed}"]
        for verb, columns in (("grouped", self.groups), ("stratified", self.strata)):
            parts += [f"{t} {verb} by {c}" for t, c in reversed(columns.items()) if c is not None]
        return ", ".join(parts)


@dataclass(frozen=True)
class _Side:
    """A table's records: their groups, their strata if there are, and whether they are seen."""

    keys: pl.Series
    strata: pl.Series | None
    seen: pl.Series


def _side(dataset: Tables, table: str, plan: _Plan) -> _Side:
    keys = group_keys(dataset, table, plan.groups[table])
    column = plan.strata[table]
    kinds = None if column is None else strata(dataset, table, column, keys)
    rule = plan.rule(table)
    if table == "documents" and plan.all_documents:
        seen = pl.Series([True]).new_from_index(0, len(keys))
    elif rule is not None:
        seen = _by_time(dataset, table, keys, rule, plan)
    elif plan.folds is not None:
        seen = draw_folds(keys, plan.folds, plan.seed, table, strata=kinds) != plan.fold
    else:
        seen = draw_fraction(
            keys, plan.fractions[table], plan.seed, table, strata=kinds, notes=plan.notes
        )
    return _Side(keys, kinds, seen)


def _by_time(
    dataset: Tables, table: str, keys: pl.Series, rule: TimeRule, plan: _Plan
) -> pl.Series:
    """Return for each record whether it is of the past."""
    earliest = earliest_times(first_times(dataset, rule, table), keys)
    if rule.table != "judgments":
        cut = find_cut(earliest, plan.fractions[table], rule)
        past = earliest < cut
        shown = shown_cut(dataset, rule, cut)
        share = int(past.sum()) / len(past)
        plan.notes.append(f"{table} seen before {shown} of {rule.column}: {share:.1%}")
        return past
    if plan.cut is None:
        times = first_times(dataset, rule, "judgments")
        plan.cut = find_cut(times, plan.fractions["queries"], rule)
        shown = shown_cut(dataset, rule, plan.cut)
        plan.notes.append(f"seen if judged before {shown} of {rule.column}")
    return _with_never_judged(earliest < plan.cut, keys, table, plan)


def _with_never_judged(past: pl.Series, keys: pl.Series, table: str, plan: _Plan) -> pl.Series:
    """Draw those of which no time is known; one group alone is seen."""
    never = past.is_null()
    if not never.any():
        return past
    plan.notes.append(f"{int(never.sum()):,} {table} were never judged, and drawn")
    unknown = keys.filter(never)
    if unknown.n_unique() == 1:
        return past.fill_null(True)
    fraction = plan.fractions[table]
    drawn = draw_fraction(unknown, fraction, plan.seed, table, notes=plan.notes)
    return past.scatter(never.arg_true(), drawn)


def _without_known_future(dataset: T, plan: _Plan) -> T:
    """Drop the judgments that training would know before their time."""
    if plan.cut is None:
        return dataset
    times = first_times(dataset, plan.by_time[0], "judgments")
    trained = dataset.frame("judgments", ["split"])["split"] == SPLITS[0]
    early = trained & (times >= plan.cut)
    plan.notes.append(f"dropped {int(early.sum()):,} judgments of seen pairs from the cut on")
    return dataset.with_rows("judgments", ~early)


def _subsets(side: _Side, dev: float, plan: _Plan) -> pl.Series:
    """Return for each query whether it is in dev, drawn on each side by itself."""
    in_dev = np.zeros(len(side.keys), dtype=bool)
    if dev == 0:
        return pl.Series(in_dev)
    for rows, name in ((side.seen, "seen queries"), (~side.seen, "unseen queries")):
        kinds = None if side.strata is None else side.strata.filter(rows)
        drawn = draw_fraction(
            side.keys.filter(rows), dev, plan.seed, name, strata=kinds, notes=plan.notes
        )
        in_dev[rows.to_numpy()] = drawn.to_numpy()
    return pl.Series(in_dev)


def _split_judgments(dataset: Tables) -> pl.Series:
    """Return the split of each judgment; every id is known."""
    index = np.zeros(dataset.height("judgments"), dtype=np.uint32)
    for table, identity, step in (("queries", "query_id", 1), ("documents", "doc_id", 2)):
        sides = dataset.frame(table, [identity, "seen"])
        unseen = sides.filter(~pl.col("seen"))[identity].implode()
        judged = dataset.frame("judgments", [identity])[identity]
        index += step * judged.is_in(unseen).to_numpy().astype(np.uint32)
    return pl.Series(SPLITS).gather(index)


def _require_judged(dataset: Tables, splits: Sequence[str], subsets: Sequence[str]) -> None:
    wanted = pl.col("split").is_in(splits) & pl.col("subset").is_in(subsets)
    empty = split_sizes(dataset).filter(wanted, pl.col("queries") == 0)
    if empty.is_empty():
        return
    cells = ", ".join(
        f"{name} × {subset}" for name, subset in empty.select("split", "subset").rows()
    )
    raise SplitError(
        f"no judged query in {cells}: the data set has too few judged queries or documents for"
        " these fractions",
        where=dataset.name,
        remedy="Choose fractions nearer 0.5, another seed or smaller groups, or add data.",
    )
