"""What a candidate changes beside the recipe: settings of a run that begin with "candidate.".

"candidate.sharpness" is the ρ of sharpness-aware steps; "candidate.catalogue" the share of the
training queries that get random documents of the catalogue as negatives; "candidate.soft_labels"
and "candidate.trees" the trust in the grades that a first model or boosted trees give documents
that nobody judged; "candidate.agreement" the weight of the agreement of fields;
"candidate.query_weights" the arguments of field weights that depend on the query.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from candidates.agreement import field_agreement
from candidates.catalogue import catalogue_negatives
from candidates.query_weights import query_weights
from candidates.sharpness import sharpness_aware
from candidates.trees import PairTrees, places
from rankfield.encoders import RankingModel
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, save_negatives, train

__all__ = ["soft_labels", "trained", "tree_labels"]

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
        first = train(load(own), data, folder / "first")
        own |= _labelled(soft_labels(first, data, _LABELS), folder, asked["soft_labels"])
    if "trees" in asked:
        own |= _labelled(tree_labels(data, _LABELS), folder, asked["trees"])
    with ExitStack() as changes:
        changes.enter_context(sharpness_aware(asked.get("sharpness", 0.0)))
        if "agreement" in asked:
            changes.enter_context(field_agreement(asked["agreement"]))
        if "query_weights" in asked:
            changes.enter_context(query_weights(**asked["query_weights"]))
        return train(load(own), data, folder / "run")


def _labelled(labels: pl.DataFrame, folder: Path, trust: float) -> dict[str, Any]:
    """Write further judgments and return the setting that names them."""
    file = folder / "labels.parquet"
    labels.write_parquet(file)
    return {"judgments": [{"path": str(file), "trust": trust, "map": "none"}]}


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
    rows, columns = places(judged, queries["query_id"], documents["doc_id"])
    slope, level = np.polyfit(cosines[rows, columns], judged["score"].to_numpy(), 1)
    grades = np.clip(slope * cosines + level, data.score_scale.minimum, data.score_scale.maximum)
    grades[rows, columns] = -np.inf
    return _best(grades, queries["query_id"], documents["doc_id"], count)


def tree_labels(data: RankingDataset, count: int) -> pl.DataFrame:
    """Return the grades that `PairTrees` give the `count` unjudged documents they like best."""
    trees = PairTrees(data)
    grades = trees.grades()
    grades[trees.judged] = -np.inf
    return _best(grades, trees.queries, trees.documents, count)


def _best(
    grades: NDArray[np.float64], queries: pl.Series, documents: pl.Series, count: int
) -> pl.DataFrame:
    """Return the highest finite grades of each row as judgments."""
    columns = np.argsort(-grades, axis=1, kind="stable")[:, :count]
    rows = np.repeat(np.arange(len(queries)), columns.shape[1])
    kept = np.isfinite(grades[rows, columns.ravel()])
    at, to = rows[kept], columns.ravel()[kept]
    return pl.DataFrame(
        {
            "query_id": queries.gather(at),
            "doc_id": documents.gather(to),
            "score": grades[at, to].astype(np.float64),
        }
    )
