"""Which documents a judged one competes with: what the targets of judged losses mean."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from rankfield.losses.judged_lists import NO_LOGIT, JudgedLists, judged_lists
from rankfield.losses.judged_pairs import JudgedPairs
from rankfield.losses.reduction import check_choice

__all__ = ["Target", "check_target", "unjudged_and_lower", "unjudged_and_lower_sums"]

Target = Literal["pair", "mask", "soft", "ranked"]


def check_target(target: str, margin: float) -> None:
    """Raise a ValueError unless the target is known and takes the margin."""
    check_choice("target", target, Target)
    if not 0.0 <= margin <= 1.0:
        raise ValueError(f"expected a margin of 0 to 1, found {margin}")
    if margin and target in ("soft", "pair"):
        raise ValueError(f"a margin needs the target mask or ranked, found {target!r}")


def unjudged_and_lower(own: Tensor, unjudged: Tensor, pairs: JudgedPairs) -> Tensor:
    """Return, for each pair, logsumexp over its query's unjudged and lower-scored documents, P.

    Args:
        own: P logits of the pairs.
        unjudged: m, logsumexp over each query's unjudged documents.
        pairs: each once.
    """
    lists = judged_lists(pairs)
    logits = torch.where(lists.real, own[lists.pairs], NO_LOGIT)
    ascending = torch.cat([unjudged[lists.queries, None], logits], dim=1)
    up_to = torch.logcumsumexp(ascending, dim=1)
    below = up_to.gather(1, lists.tie_start)
    return torch.zeros_like(own).index_copy(0, lists.pairs[lists.real], below[lists.real])


def unjudged_and_lower_sums(
    costs: Tensor, unjudged: Tensor, pairs: JudgedPairs
) -> tuple[JudgedLists, Tensor]:
    """Return the judged lists, and the costs of what is unjudged or scored lower, R × K.

    Args:
        costs: P, of each pair as a competitor.
        unjudged: m, of all the query's unjudged documents.
        pairs: each once.
    """
    lists = judged_lists(pairs)
    of_lists = torch.where(lists.real, costs[lists.pairs], 0.0)
    up_to = torch.cat([unjudged[lists.queries, None], of_lists], dim=1).cumsum(1)
    return lists, up_to.gather(1, lists.tie_start)
