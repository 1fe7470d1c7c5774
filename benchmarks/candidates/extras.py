"""What a candidate changes beside the recipe: settings of a run that begin with "candidate.".

"candidate.sharpness" is the ρ of sharpness-aware steps; "candidate.catalogue" the share of the
training queries that get random documents of the catalogue as negatives; "candidate.soft_labels"
the trust in a first model's grades of the documents that nobody judged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from candidates.catalogue import catalogue_negatives
from candidates.sharpness import sharpness_aware
from rankfield.encoders import RankingModel
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, save_negatives, train

__all__ = ["soft_labels", "trained"]

_PREFIX = "candidate."
_LABELS = 20
"""Unjudged documents of each query that the first model grades: those it likes best."""


def trained(
    settings: dict[str, Any],
    load: Callable[[dict[str, Any]], Recipe],
    data: RankingDataset,
    folder: Path,
) -> RankingModel:
    """Train in `folder`/run, with what the candidates among the settings ask for.

    Args:
        settings: of the recipe and of candidates, by name.
        load: makes a recipe of the recipe's own settings.
        data: what is trained on.
        folder: a new one, for the run and for what the candidates need.
    """
    folder.mkdir()
    own = {key: value for key, value in settings.items() if not key.startswith(_PREFIX)}
    asked = {k.removeprefix(_PREFIX): v for k, v in settings.items() if k.startswith(_PREFIX)}
    if "catalogue" in asked:
        file = folder / "negatives.parquet"
        save_negatives(catalogue_negatives(data, share=asked["catalogue"]), file)
        own["negatives.file"] = str(file)
    if "soft_labels" in asked:
        file = folder / "labels.parquet"
        first = train(load(own), data, folder / "first")
        soft_labels(first, data, _LABELS).write_parquet(file)
        own["judgments"] = [{"path": str(file), "trust": asked["soft_labels"], "map": "none"}]
    with sharpness_aware(asked.get("sharpness", 0.0)):
        return train(load(own), data, folder / "run")


def soft_labels(model: RankingModel, data: RankingDataset, count: int) -> pl.DataFrame:
    """Return grades of the `count` unjudged training documents that a model likes best.

    grade = a · cosine + b, cut to the scale, with a and b by least squares over the judged
    training pairs. Columns query_id, doc_id, score, for each query with judgments to train on.
    """
    judged = data.training_judgments()
    documents = data.training_documents()
    queries = data.queries.join(judged.select("query_id").unique(), on="query_id", how="semi")
    some = data.with_tables(queries=queries, documents=documents, judgments=judged)
    cosines = np.asarray(model.embed_queries(some)) @ np.asarray(model.embed_documents(some)).T
    query_rows = dict(zip(queries["query_id"], range(len(queries)), strict=True))
    document_rows = dict(zip(documents["doc_id"], range(len(documents)), strict=True))
    rows = np.array([query_rows[one] for one in judged["query_id"]])
    columns = np.array([document_rows[one] for one in judged["doc_id"]])
    slope, level = np.polyfit(cosines[rows, columns], judged["score"].to_numpy(), 1)
    grades = np.clip(slope * cosines + level, data.score_scale.minimum, data.score_scale.maximum)
    cosines[rows, columns] = -np.inf
    best = np.argsort(-cosines, axis=1)[:, :count]
    best_rows = np.repeat(np.arange(len(queries)), best.shape[1])
    kept = np.isfinite(cosines[best_rows, best.ravel()])
    at, to = best_rows[kept], best.ravel()[kept]
    return pl.DataFrame(
        {
            "query_id": queries["query_id"].gather(at),
            "doc_id": documents["doc_id"].gather(to),
            "score": grades[at, to].astype(np.float64),
        }
    )
