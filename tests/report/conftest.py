"""A tiny data set with drawn images, and results over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from rankfield.evaluation import DatasetIdentity, Results
from rankfield.metrics import Mean
from rankfield.schema import SPLITS, Field, Provenance, RankingDataset, ScoreScale

QUERIES = 9

MakeResults = Callable[..., Results]


@pytest.fixture
def dataset(tmp_path: Path) -> RankingDataset:
    root = tmp_path / "data"
    root.mkdir()
    documents, judgments = [], []
    for i in range(12):
        if i != 11:  # the last image is missing
            Image.new("RGB", (140, 200), (20 * i, 90, 200)).save(root / f"{i}.png")
        documents.append((f"d{i}", f"{i}.png", f"Mug <b>{i}</b>", "glazed & matt", i % 2 == 0))
    for q in range(QUERIES):
        for i in range(11):
            split = {
                (True, True): "in_domain",
                (False, True): "novel_query",
                (True, False): "novel_document",
                (False, False): "zero_shot",
            }[(q < 6, i % 2 == 0)]
            judgments.append((f"q{q}", f"d{i}", float((i + q) % 5), split))
    return RankingDataset(
        name="tiny <shop>",
        query_fields=(Field("text", "text"),),
        document_fields=(
            Field("image", "image", 0.9),
            Field("title", "text", 0.1),
            Field("details", "text", 0.1),
        ),
        score_scale=ScoreScale(0, 4, 3, "grades"),
        queries=pl.DataFrame(
            {
                "query_id": [f"q{q}" for q in range(QUERIES)],
                "text": [f'<script>alert("{q}")</script> & mug' for q in range(QUERIES)],
            }
        ),
        documents=pl.DataFrame(
            documents, schema=["doc_id", "image", "title", "details", "seen"], orient="row"
        ),
        judgments=pl.DataFrame(
            judgments, schema=["query_id", "doc_id", "score", "split"], orient="row"
        ),
        provenance=Provenance(source="drawn", licence="CC0-1.0", seed=7),
        root=root,
    )


@pytest.fixture
def make_results(dataset: RankingDataset) -> MakeResults:
    def make(label: str, value: float, step: float = 0.0) -> Results:
        """Make results whose query q has nDCG@10 value + step · (q − mean of q)."""
        queries: list[tuple[str, str, float]] = []
        rankings: list[tuple[str, str, int, str, float]] = []
        for split in SPLITS:
            ids = [
                q for q in range(QUERIES) if (q < 6) == (split in ("in_domain", "novel_document"))
            ]
            middle = sum(ids) / len(ids)
            seen = split in ("in_domain", "novel_query")
            for q in ids:
                queries.append((split, f"q{q}", value + step * (q - middle)))
                rankings += [
                    (split, f"q{q}", rank, f"d{2 * (rank - 1) + (not seen)}", 1 - rank / 10)
                    for rank in range(1, 7)
                ]
        frame = pl.DataFrame(queries, schema=["split", "query_id", "nDCG@10"], orient="row")
        return Results(
            model=f"runs/{label}",
            label=label,
            dataset=DatasetIdentity(dataset.name, dataset.fingerprint()),
            subset="test",
            splits={
                split: {
                    "nDCG@10": Mean(value, frame.filter(pl.col("split") == split).height),
                    "mrr": Mean(value / 2, 3),
                    "map": Mean(None, 0),
                }
                for split in SPLITS
            },
            queries=frame,
            rankings=pl.DataFrame(
                rankings,
                schema=["split", "query_id", "rank", "doc_id", "similarity"],
                orient="row",
            ),
        )

    return make


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    events = [
        *({"event": "train", "step": s, "loss": 4 - s / 100, "seconds": s} for s in (20, 40, 60)),
        {"event": "dev", "step": 60, "ndcg@10": 0.625, "splits": {"in_domain": 0.625}},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    recipe = 'seed = 5\n[loss]\nweight = "inverse"\n[batch]\nsize = 64\n'
    path.with_name("recipe.toml").write_text(recipe)
    return path
