"""Which judgments figures are of: the same ones compare, wherever they were read from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import polars as pl

from rankfield.evaluation.results import Results
from rankfield.schema import RankingDataset, ScoreScale

__all__ = ["judgments_fingerprint", "measured_data", "same_judgments", "was_measured_on"]


def judgments_fingerprint(judgments: pl.DataFrame) -> str:
    """Return sha256 of query_id, doc_id and score, in any order of rows, as 16 hex digits."""
    rows = judgments.select(
        pl.col("query_id", "doc_id").cast(pl.String), pl.col("score").cast(pl.Float64) + 0.0
    ).sort("query_id", "doc_id")
    found = sha256(rows["score"].to_numpy().tobytes())
    for name in ("query_id", "doc_id"):
        found.update(rows[name].str.len_bytes().to_numpy().tobytes())
        found.update("".join(rows[name]).encode())
    return found.hexdigest()[:16]


def measured_data(splits: Mapping[str, pl.DataFrame], scale: ScoreScale) -> dict[str, Any]:
    """Return what ``Results.metadata`` says of the judgments of each split, and of their scale."""
    said = {k: v for k, v in asdict(scale).items() if k != "meaning" and v is not None}
    found = {split: judgments_fingerprint(judgments) for split, judgments in splits.items()}
    return {"judgments": found, "scale": said}


def same_judgments(first: Results, other: Results, splits: Iterable[str]) -> bool:
    """Return whether both say that they are of the same judgments, on the same scale."""
    (mine, scale), (yours, other_scale) = (_said(one) for one in (first, other))
    known = all(mine.get(split) and mine.get(split) == yours.get(split) for split in splits)
    return known and bool(scale) and scale == other_scale


def was_measured_on(results: Results, dataset: RankingDataset) -> bool:
    """Return whether results are of a data set: the same tables, or the same judgments of it."""
    if results.dataset.fingerprint == dataset.fingerprint():
        return True
    judgments, found = dataset.judgments, dict[str, pl.DataFrame]()
    for split in results.splits:
        asked = results.queries.filter(split=split).select("query_id")
        rows = judgments.join(asked, on="query_id", how="semi")
        found[split] = rows if split == "all" or not dataset.is_split else rows.filter(split=split)
    said = measured_data(found, dataset.score_scale)
    return _said(results) == (said["judgments"], said["scale"])


def _said(results: Results) -> tuple[dict[str, Any], dict[str, Any]]:
    found = results.metadata.get("judgments"), results.metadata.get("scale")
    judgments, scale = (value if isinstance(value, dict) else {} for value in found)
    return judgments, scale
