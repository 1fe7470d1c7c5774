"""The prior of labels: falling with exposure, and close to the truth where little is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from rankfield.labels import LabelOptions, make_labels
from rankfield.synthetic.click_simulation import ClickSimulation


def test_what_is_hardly_shown_is_not_believed_to_be_average(tmp_path: Path) -> None:
    shop = ClickSimulation(queries=60, ranker_error=0.5, seed=1)
    shop.events(60_000).write_parquet(tmp_path / "e.parquet")
    known = {k: float(p) for k, p in enumerate(shop.propensities, 1)}
    labels = make_labels(tmp_path / "e.parquet", tmp_path / "out", LabelOptions(propensities=known))
    rates = np.array(labels.record["prior"]["by_exposure"]["click"])
    assert (np.diff(rates) <= 0).all()
    made = pl.read_parquet(tmp_path / "out" / "judgments.parquet").join(
        shop.relevance(), on=["query_id", "doc_id"]
    )
    largest = pl.col("examinations").max().over("query_id")
    rare = made.filter(pl.col("examinations") < largest / 200)
    assert rare.height > 100
    relevance = rare["relevance"].to_numpy()
    attracted = (relevance + 0.05 * (1 - relevance)).mean()
    # before the rates had to fall, single clicks of robots made it twice as much
    np.testing.assert_allclose(rare["click_relevance"].to_numpy().mean(), attracted, rtol=0.25)
