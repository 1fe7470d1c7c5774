"""A training step of generated queries and documents, for scaling.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.schema import Field, RankingDataset, ScoreScale

__all__ = ["QUERIES", "of_training"]

QUERIES = 64
COLOURS = ("red", "green", "blue", "grey", "nice", "large", "small", "cheap")
THINGS = ("ball", "box", "mug", "lamp", "number", "gift")


def of_training(documents: int, fields: int, folder: Path) -> Callable[[], None]:
    """Return a step of `QUERIES` queries with so many documents each, of so many text fields."""
    from accelerate import Accelerator

    from rankfield.training import build_model, parse_recipe
    from rankfield.training.batches import PairBatches
    from rankfield.training.optimizer import make_optimizer
    from rankfield.training.step import TrainingStep

    data = generated(documents, fields).save(folder / "data")
    values: dict[str, Any] = {
        "trackers": [],
        "precision": "fp32",
        "encoder": {"text_width": 128, "text_layers": 2, "max_tokens": 16},
        "batch": {
            "size": QUERIES * documents,
            "documents_per_query": documents,
            "more_queries": 0,
            "gradient_cache": "off",
        },
        "optimizer": {"steps": 100},
    }
    recipe = parse_recipe(values)
    model = build_model(recipe, data)
    batch = PairBatches(recipe, data, model)[0]
    step = TrainingStep(
        recipe,
        model,
        make_optimizer(model, recipe.optimizer),
        scale=data.score_scale,
        accelerator=Accelerator(cpu=True),
    )

    def once() -> None:
        step(0, batch)

    return once


def generated(documents: int, fields: int) -> RankingDataset:
    """Return a data set in which every query has its own documents."""
    words = [*COLOURS, *THINGS]
    rows = [(query, document) for query in range(QUERIES) for document in range(documents)]
    ids = [f"d{query}-{document}" for query, document in rows]
    names = [f"field{number}" for number in range(fields)]
    texts = {
        name: [
            " ".join(words[(row // 14 ** (place % 3) + place + number) % 14] for place in range(8))
            for row in range(len(ids))
        ]
        for number, name in enumerate(names)
    }
    queries = {
        "query_id": [f"q{query}" for query in range(QUERIES)],
        "query": [f"{words[query % 14]} {words[query // 14]}" for query in range(QUERIES)],
    }
    judgments = {
        "query_id": [f"q{query}" for query, _ in rows],
        "doc_id": ids,
        "score": [float(document + 1) for _, document in rows],
    }
    return RankingDataset(
        name="scaling",
        query_fields=(Field("query", "text"),),
        document_fields=tuple(Field(name, "text") for name in names),
        score_scale=ScoreScale(minimum=0.0, maximum=float(documents), relevant=1.0),
        queries=pl.DataFrame(queries),
        documents=pl.DataFrame({"doc_id": ids} | texts),
        judgments=pl.DataFrame(judgments),
    )
