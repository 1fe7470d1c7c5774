"""What one round of the loop found."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from rankfield.evaluation.interleaving import Preference
from rankfield.metrics import Mean

__all__ = ["LoopRound"]


class LoopRound(BaseModel):
    """A round of the loop: what visitors did, what was learnt, whether it went into service.

    number: from 1. served: the round whose model was served until then; 0 is the first model.
    lists, clicks: of the visitors. pairs: judgments made of all clicks so far.
    propensities: θ by place, estimated from the clicks.
    tau, naive_tau: mean Kendall's τ of the judgments and of plain click rates with the hidden
        relevance.
    difference: of nDCG@10 on the dev queries, candidate − served, with its interval.
    better, worse: on how many dev queries the candidate is above and below what is served.
    test: nDCG@10 of the candidate on the test queries.
    swapped: whether the candidate was put into service: the interval of `difference` is above 0.
    preference: of the visitors between interleaved results of both (second: the candidate); None
        where nothing was swapped.
    rolled_back: whether it was taken out again: the interval of their preference is below one half.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    number: int
    served: int
    lists: int
    clicks: int
    pairs: int
    propensities: list[float]
    tau: float | None
    naive_tau: float | None
    difference: Mean
    better: int
    worse: int
    test: Mean
    swapped: bool
    preference: Preference | None = None
    rolled_back: bool = False

    @property
    def serves(self) -> int:
        """The round whose model is served after this one."""
        return self.number if self.swapped and not self.rolled_back else self.served

    @property
    def verdict(self) -> str:
        """What became of the candidate, in words."""
        if not self.swapped:
            value = self.difference.value
            return "not swapped in: " + ("no better" if not value or value < 0 else "not proven")
        if self.rolled_back:
            return "rolled back: visitors prefer the former"
        if self.preference is not None and self.preference.low > 0.5:
            return "swapped in, confirmed by visitors"
        return "swapped in, visitors undecided"
