"""Every metric. A new one is one file, one line here, and a test."""

from __future__ import annotations

from rankfield.metrics.average_precision import AP
from rankfield.metrics.bpref import BPREF
from rankfield.metrics.err import ERR
from rankfield.metrics.family import Family
from rankfield.metrics.inferred_average_precision import INFAP
from rankfield.metrics.judged import JUDGED
from rankfield.metrics.ndcg import NDCG
from rankfield.metrics.precision import PRECISION
from rankfield.metrics.rbp import RBP
from rankfield.metrics.recall import RECALL
from rankfield.metrics.reciprocal_rank import RR
from rankfield.metrics.success import SUCCESS

__all__ = ["METRICS"]

_FAMILIES: tuple[Family, ...] = (
    NDCG,
    ERR,
    RBP,
    RR,
    AP,
    INFAP,
    BPREF,
    RECALL,
    PRECISION,
    SUCCESS,
    JUDGED,
)

METRICS: dict[str, Family] = {family.name: family for family in _FAMILIES}
"""Name → declaration."""
