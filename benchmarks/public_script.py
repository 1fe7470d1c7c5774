"""The evaluation script published with GCL (marqo-ai/GCL, evals/eval_gs_v1.py), from a copy.

Nothing of it is kept here. Fetch it yourself and name it:

    curl -LO https://raw.githubusercontent.com/marqo-ai/GCL/main/evals/eval_gs_v1.py

`load` imports it as a module: `run_queries`, `run_queries_cpu`, `get_test_queries`,
`calculate_mean_err`, `calculate_mean_rbp`. It needs faiss, beir, pandas and transformers; what else
it imports (open_clip and two neighbours of the script) only its embedding code uses, and gets empty
stand-ins. `evaluate` repeats the order of calls of its last part, which is not a function there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

__all__ = ["CUTOFFS", "cuda_is_cpu", "evaluate", "fingerprint", "load"]

CUTOFFS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 500, 1000)
"""At which ranks the script measures."""

_STAND_INS = {
    "open_clip": (),
    "flag_args": ("configure_as_flag_arg",),
    "eval_dataset_loader": ("MFRightEvalDataset",),
}
"""Modules that the script imports and its search and metrics never call → names it takes."""

_Table = Mapping[str, Mapping[str, float]]


def load(path: Path) -> ModuleType:
    """Return the script at `path` as a module.

    Raises:
        FileNotFoundError: no such file.
        ImportError: faiss, beir, pandas or transformers is missing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: fetch it as the head of {__file__} says")
    spec = importlib.util.spec_from_file_location("public_gcl_evaluation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # It configures logging for the whole program, which only its own run should.
    with mock.patch.dict(sys.modules, _stand_ins()), mock.patch.object(logging, "basicConfig"):
        spec.loader.exec_module(module)
    return module


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of the script, which tells its versions apart."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def cuda_is_cpu() -> Iterator[None]:
    """Let `Tensor.cuda` return the tensor itself, so that `run_queries` runs without a GPU."""
    import torch

    with mock.patch.object(torch.Tensor, "cuda", lambda self, *_args, **_kwargs: self):
        yield


def evaluate(
    script: ModuleType, judgments: _Table, retrieved: _Table, top: int = 1000
) -> dict[str, Any]:
    """Return what the script writes to output.json: metric → cutoff → value, and a summary.

    Args:
        script: from `load`.
        judgments: query → document → whole-numbered grade.
        retrieved: query → document → similarity.
        top: how many documents were retrieved for a query.
    """
    from beir.retrieval.evaluation import EvaluateRetrieval

    beir = EvaluateRetrieval()
    cutoffs = [k for k in CUTOFFS if k <= top]
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
        ndcg, average_precision, recall, precision = beir.evaluate(judgments, retrieved, cutoffs)
        found: dict[str, Any] = {
            "mAP": average_precision,
            "ndcg": ndcg,
            "precision": precision,
            "recall": recall,
        }
        for name in ("mrr", "hole", "acc"):
            found[name] = beir.evaluate_custom(judgments, retrieved, cutoffs, metric=name)
        found["summary"] = {"mERR": script.calculate_mean_err(judgments, retrieved)}
        for percent in (7, 8, 9):
            mean = script.calculate_mean_rbp(judgments, retrieved, p=percent / 10)
            found["summary"][f"mRBP{percent}"] = mean
    return found


def _stand_ins() -> dict[str, ModuleType]:
    """Return an empty module for each that is not installed."""
    made = {}
    for name, attributes in _STAND_INS.items():
        if importlib.util.find_spec(name) is None:
            module = ModuleType(name)
            for attribute in attributes:
                setattr(module, attribute, None)
            made[name] = module
    return made
