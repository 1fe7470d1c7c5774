"""What to evaluate, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rankfield.metrics import Metric, OwnMetric
from rankfield.search import SearchOptions

__all__ = ["EvaluationOptions"]


@dataclass(frozen=True)
class EvaluationOptions:
    """What `evaluate` measures, and how.

    splits: names from `SPLITS` or "all"; None: those of a split data set that have judged queries
        of the subset, else "all".
    subset: "dev", "test" or None for both; ignored where the queries have no subsets.
    k: how many documents to retrieve for a query.
    keep: how many of them to keep in ``Results.rankings``.
    label: a name under which `compare` averages several runs.
    protocol: by whose rules: one of `protocol.PROTOCOLS`.
    metrics: further metrics beside those of the protocol, which must be rankfield's own.
    search: how embeddings are searched; it changes the speed only.
    """

    splits: Sequence[str] | None = None
    subset: str | None = "test"
    k: int = 1000
    keep: int = 10
    label: str | None = None
    protocol: str = "rankfield"
    metrics: Sequence[Metric | OwnMetric] = ()
    search: SearchOptions = field(default_factory=SearchOptions)
