"""Interleaving: one list of two models' results, and which of them the visitors prefer.

A visitor of an A/B test sees the results of one model, and visitors differ more than models do. A
list of both lets each visitor compare them: far fewer queries tell which model is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import binomtest

from rankfield.errors import MetricError

__all__ = ["Interleaved", "Preference", "click_credits", "preference", "team_draft"]


@dataclass(frozen=True)
class Interleaved:
    """A list of results, and which ranking gave each.

    doc_ids: the documents, best first.
    teams: the names of the rankings, of the same length.
    """

    doc_ids: tuple[str, ...]
    teams: tuple[str, ...]


@dataclass(frozen=True)
class Preference:
    """Which of two rankings visitors prefer.

    first, second, ties: of how many units (visits, visitors) each got more clicks, or both as many.
    share: second / (first + second); .5 if there is no such unit.
    low, high: its 95 % interval by Clopper and Pearson (1934), exact and never too narrow.
    p_value: two-sided, of the sign test: such a share or one further from one half by chance.
    """

    first: int
    second: int
    ties: int
    share: float
    low: float
    high: float
    p_value: float


def team_draft(
    rankings: Mapping[str, Sequence[str]], k: int, rng: np.random.Generator
) -> Interleaved:
    """Return one list of several rankings by team draft.

    In every round the rankings, in a random order, each give their best document that is not yet in
    the list; one that has none left sits out. Two rankings: Radlinski, Kurup, Joachims, CIKM 2008;
    more: Schuth et al., CIKM 2014.

    Args:
        rankings: name → document ids, best first.
        k: the length of the list; it is shorter where the rankings have fewer documents.
        rng: the randomness, of which a list must have its own.

    Raises:
        MetricError: fewer than two rankings, or k < 1.
    """
    if len(rankings) < 2 or k < 1:
        raise MetricError(
            f"expected two rankings or more and k of at least 1, found {len(rankings)} and {k}",
            where="interleaving",
        )
    left = {name: iter(dict.fromkeys(ids)) for name, ids in rankings.items()}
    doc_ids: dict[str, str] = {}
    while left and len(doc_ids) < k:
        names = list(left)
        for place in rng.permutation(len(names)):
            if len(doc_ids) == k:
                break
            name = names[place]
            best = next((one for one in left[name] if one not in doc_ids), None)
            if best is None:
                del left[name]
            else:
                doc_ids[best] = name
    return Interleaved(tuple(doc_ids), tuple(doc_ids.values()))


def click_credits(shown: pl.DataFrame, clicks: pl.DataFrame, *, unit: str) -> pl.DataFrame:
    """Return how many documents of each ranking were clicked, by unit.

    A document counts once for each list, however often it was clicked; clicks on what the list did
    not show, or on lists that were not interleaved, count for none.

    Args:
        shown: what was shown: `query_id` (of the list, as in UBI), `doc_id`, `team`.
        clicks: `query_id`, `doc_id`.
        unit: the column of `shown` that says what is independent of what: "query_id", where a list
            is a unit, or a column such as "client_id", where a visitor is one.

    Returns:
        `unit`, `team`, `clicks`; 0 where a ranking got none.
    """
    keys = ["query_id", "doc_id"]
    clicked = clicks.select(keys).unique().with_columns(clicked=pl.lit(1))
    counted = shown.join(clicked, on=keys, how="left", maintain_order="left")
    return (
        counted.group_by(pl.col(unit).alias("unit"), "team", maintain_order=True)
        .agg(pl.col("clicked").fill_null(0).sum().cast(pl.Int64).alias("clicks"))
    )  # fmt: skip


def preference(credits: pl.DataFrame, first: str, second: str) -> Preference:
    """Return which of two rankings is preferred: which got more clicks in more units.

    Args:
        credits: of `click_credits`.
        first: the name of a ranking.
        second: the name of the other one.

    Raises:
        MetricError: a name that is in no list.
    """
    known = credits["team"].unique().to_list()
    for name in (first, second):
        if name not in known:
            raise MetricError(
                f"no list shows a document of {name!r}, only of {', '.join(sorted(known))}",
                where="interleaving",
            )
    counts = [
        credits.filter(team=name).group_by("unit").agg(pl.col("clicks").sum())
        for name in (first, second)
    ]
    both = counts[0].join(counts[1], on="unit", how="full", coalesce=True).fill_null(0)
    lead = (both["clicks_right"] - both["clicks"]).to_numpy()
    wins, losses = int((lead > 0).sum()), int((lead < 0).sum())
    ties = len(lead) - wins - losses
    if not wins + losses:
        return Preference(0, 0, ties, 0.5, 0.0, 1.0, 1.0)
    test = binomtest(wins, wins + losses)
    interval = test.proportion_ci(method="exact")
    share = wins / (wins + losses)
    low, high = float(interval.low), float(interval.high)
    return Preference(losses, wins, ties, share, low, high, float(test.pvalue))
