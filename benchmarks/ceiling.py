"""How well the sample shop can be ranked by what its products show, without what is chance.

    python benchmarks/ceiling.py            the shop of `fair.py`, then RESULTS.md

The hidden relevance that made the lists ranks the corpora of `fair.py`'s test, with the part of a
product's popularity that its brand, price and category explain, and without the rest and without
chance: an upper limit for documents that training has not seen.
Figures go to benchmarks/results/ceiling.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from by_set import set_options, write_figures, write_page
from fair import prepared
from fair_sets import SETS
from worker import METRICS, SPLITS, halved

NAME = "shop"


def shown_relevance(documents: int, queries: int, seed: int, popularity: float) -> pl.DataFrame:
    """Return the relevance of what each product shows to each query: a run of all products."""
    from rankfield.synthetic.catalogue import doc_id, make_catalogue
    from rankfield.synthetic.queries import make_queries
    from rankfield.synthetic.relevance import Relevance

    catalogue = make_catalogue(documents, seed)
    relevance = Relevance(catalogue, seed, popularity=0.0, noise=0.0)
    rows = np.arange(documents)
    ids = pl.Series([doc_id(row) for row in range(documents)])
    appeal = np.float32(popularity) * catalogue.appeal
    parts = []
    for number, query in enumerate(make_queries(catalogue, queries, seed)):
        score = sum(relevance.parts(query, rows).values(), appeal)
        parts.append(pl.DataFrame({"query_id": f"q{number:06d}", "doc_id": ids, "score": score}))
    return pl.concat(parts)


def measured(folder: Path) -> dict[str, Any]:
    """Return the figures on test."""
    from rankfield.evaluation import EvaluationOptions, RunRanker, evaluate
    from rankfield.schema import RankingDataset

    words = SETS[NAME].prepare
    options = dict(zip(words[2::2], words[3::2], strict=True))
    documents, queries, seed = (
        int(options[f"--{key}"]) for key in ("documents", "queries", "seed")
    )
    data = halved(RankingDataset.load(folder / "split"), "test", SETS[NAME].group)
    shown = shown_relevance(documents, queries, seed, float(options["--popularity"]))
    run = shown.join(data.documents.select("doc_id"), on="doc_id", how="semi")
    run = run.join(data.queries.select("query_id"), on="query_id", how="semi")
    found = evaluate(RunRanker("what is shown", run), data, EvaluationOptions(subset="test"))
    return {
        "set": NAME,
        **{metric: [found.splits[split][metric].value for split in SPLITS] for metric in METRICS},
    }


def main() -> None:
    """Rank, measure, and write figures and page."""
    given = set_options(__doc__).parse_args()
    found = measured(prepared(NAME, given.out, given.data, given.cranfield))
    write_figures("ceiling", found)
    write_page()


if __name__ == "__main__":
    main()
