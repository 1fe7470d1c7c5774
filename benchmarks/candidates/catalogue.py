"""Random training documents as further negatives: the catalogue, as nobody's judgments show it.

    python benchmarks/candidates/catalogue.py DATASET catalogue.parquet --per-query 50 --share 0.1
    rankfield train recipe.toml --out run --set negatives.file=catalogue.parquet

A step draws `negatives.per_query` of a query's documents for every query in it that has any; they
compete for all queries of the batch that have not judged them. So a step of q queries encodes about
q · share · negatives.per_query documents more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from rankfield.schema import RankingDataset
from rankfield.training import MineSettings, save_negatives
from rankfield.training.mining import Mined

__all__ = ["catalogue_negatives"]

NAME = "a random draw from the catalogue"


def catalogue_negatives(
    dataset: RankingDataset, *, per_query: int = 50, share: float = 1.0, seed: int = 0
) -> Mined:
    """Return random training documents for training queries, none judged for its query.

    The draw of each query is uniform over the documents that training may see and that no judgment
    of the query, whatever its score and split, names. Similarities are 0: nothing is embedded.

    Args:
        dataset: that is trained on (its fingerprint is checked by training).
        per_query: how many documents a query gets, fewer where there are fewer.
        share: of the queries with judgments to train on, above 0, to 1: only so many get any.
        seed: of the draw. A query's draw depends on it and the query's row alone.

    Raises:
        ValueError: a share out of range.
        InputError: `per_query` or `seed` out of range.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"expected a share above 0, to 1, found {share}")
    settings = MineSettings(per_query=per_query, sample="random", seed=seed)
    known = dataset.training_judgments()["query_id"].unique()
    queries = dataset.queries["query_id"]
    rows = np.flatnonzero(queries.is_in(known.implode()).to_numpy())
    count = max(1, round(share * len(rows)))
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:count])
    documents = dataset.training_documents()["doc_id"]
    judged = dict(dataset.judgments.group_by("query_id").agg("doc_id").iter_rows())
    frames = [
        _drawn(queries[int(row)], documents, judged, settings, [seed, int(row)]) for row in rows
    ]
    return Mined(
        negatives=pl.concat(frames),
        queries=len(rows),
        judged=0,
        near_duplicates=0,
        above_margin=0,
        short=sum(frame.height < per_query for frame in frames),
        model=NAME,
        data=dataset.name,
        fingerprint=dataset.fingerprint(),
        settings=settings,
    )


def _drawn(
    query: str,
    documents: pl.Series,
    judged: dict[str, list[str]],
    settings: MineSettings,
    seed: list[int],
) -> pl.DataFrame:
    """Return one query's rows of the file."""
    order = np.random.default_rng(seed).permutation(len(documents))
    mine = pl.Series(judged[query], dtype=pl.String)
    # So many that enough are left without the judged ones.
    some = documents.gather(order[: settings.per_query + len(mine)])
    left = some.filter(~some.is_in(mine.implode())).head(settings.per_query)
    ranks = pl.int_range(1, len(left) + 1, dtype=pl.Int32, eager=True)
    return pl.DataFrame({"doc_id": left, "rank": ranks}).select(
        pl.lit(query).alias("query_id"),
        "doc_id",
        "rank",
        pl.lit(0.0, dtype=pl.Float32).alias("similarity"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-query", type=int, default=50)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = catalogue_negatives(
        RankingDataset.load(options.dataset),
        per_query=options.per_query,
        share=options.share,
        seed=options.seed,
    )
    save_negatives(found, options.out)
    print(f"{found.negatives.height} negatives of {found.queries} queries, {found.short} short")


if __name__ == "__main__":
    main()
