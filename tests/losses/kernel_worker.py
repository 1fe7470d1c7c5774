"""The tiled losses by Triton's kernels, without a GPU: `TRITON_INTERPRET=1 kernel_worker.py FILE`.

Each case's errors, against the definitions in float64, go to FILE: of the losses by kernels, and of
the definitions in the same type.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from judged_batches import Batch, JudgedLoss, random_batch, value_and_gradients
from rankfield.losses import (
    judged_contrastive_loss,
    sigmoid_loss,
    tiled_judged_contrastive_loss,
    tiled_sigmoid_loss,
)
from rankfield.losses.competitors import competitors
from rankfield.losses.tile_form import TileForm
from rankfield.losses.tile_fused import FusedTile
from rankfield.losses.tile_softmax import SoftmaxTile

CASES: dict[str, dict[str, Any]] = {
    "one logit": {"shape": (1, 1)},
    "less than a block": {"shape": (5, 7)},
    "more than a block": {"shape": (130, 259), "pattern": "full row"},
    "several tiles": {"shape": (131, 70), "side": 60},
    "kept tiles": {"shape": (40, 33), "side": 20, "memory_mib": 2**-9},
    "all judged": {"shape": (6, 4), "pattern": "all"},
    "far apart": {"shape": (20, 30), "scale": 1000.0},
}
FORMS: dict[str, dict[str, Any]] = {
    "mask": {"target": "mask"},
    "ranked": {"target": "ranked", "direction": "query_to_document"},
    "queries compete": {"target": "ranked", "direction": "document_to_query"},
    "soft": {"target": "soft"},
    "pair": {"target": "pair"},
    "sigmoid": {"target": "ranked"},
}


def by_kernels(form: TileForm, _like: Tensor) -> TileForm:
    """Return the form by kernels, as on a GPU."""
    return FusedTile(form)


def error(found: list[Tensor], exact: list[Tensor]) -> list[float]:
    """Return ‖found − exact‖ / (‖exact‖ + 10⁻⁶) of each, infinite for what is not finite."""
    pairs = zip(found, exact, strict=True)
    errors = [float((a.double() - b).norm() / (b.norm() + 1e-6)) for a, b in pairs]
    return [x if x == x else float("inf") for x in errors]  # noqa: PLR0124


def errors(case: dict[str, Any], form: str, dtype: torch.dtype) -> dict[str, list[float]]:
    """Return the errors by kernels and of the definition of value and gradients."""
    case = dict(case)
    shape, pattern = case.pop("shape"), case.pop("pattern", "random")
    scale = case.pop("scale", 20.0)
    m, n = shape
    batch = random_batch(m, n, pattern, seed=3, width=8).to(dtype)
    exact = Batch(batch.queries.double(), batch.documents.double(), batch.pairs)
    exact = replace(exact, pairs=replace(batch.pairs, weights=batch.pairs.weights.double()))
    plain: JudgedLoss
    tiled: JudgedLoss
    if form == "sigmoid":
        plain, tiled = (
            partial(loss, logit_bias=-3.0, **FORMS[form])
            for loss in (sigmoid_loss, tiled_sigmoid_loss)
        )
    else:
        plain, tiled = (
            partial(loss, **FORMS[form])
            for loss in (judged_contrastive_loss, tiled_judged_contrastive_loss)
        )
    expected = value_and_gradients(plain, exact, scale)
    # As parameters are, weights and scale are of float32 beside embeddings of bfloat16.
    found = value_and_gradients(partial(tiled, **case), batch, scale)
    return {
        "kernels": error(found, expected),
        "definition": error(value_and_gradients(plain, batch, scale), expected),
    }


def expanded(kernels: bool) -> list[Tensor]:
    """Return the gradients of a plain sum, which autograd hands on as one expanded number."""
    batch = random_batch(9, 7, seed=5, width=8).to(torch.float32)
    queries, documents = (x.clone().requires_grad_() for x in (batch.queries, batch.documents))
    form: TileForm = FusedTile(SoftmaxTile()) if kernels else SoftmaxTile()
    found = competitors(queries, documents, batch.pairs, 3.0, direction="both", form=form)
    assert found.documents is not None
    assert found.queries is not None
    total = found.documents.sum() + found.queries.sum()
    return list(torch.autograd.grad(total, [queries, documents]))


def main(path: Path) -> None:
    """Write the errors of all cases."""
    exact = [x.double() for x in expanded(kernels=False)]
    of_sums = {"kernels": error(expanded(kernels=True), exact), "definition": [0.0, 0.0]}
    sys.modules["rankfield.losses.competitors"].fused = by_kernels  # type: ignore[attr-defined]
    found = {
        f"{name}, {form}, {dtype}": errors(case, form, dtype)
        for name, case in CASES.items()
        for form in FORMS
        if form != "pair" or case["shape"] < (20, 0)  # a row for each of half of all pairs
        for dtype in (torch.float32, torch.bfloat16)
    }
    path.write_text(json.dumps(found | {"sums": of_sums}), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
