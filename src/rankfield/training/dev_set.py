"""The dev queries that choose a run's model, and what they are searched in."""

from __future__ import annotations

from rankfield.evaluation import DevSet, dev_splits
from rankfield.schema import RankingDataset
from rankfield.training.recipe import DevSection

__all__ = ["dev_set"]


def dev_set(section: DevSection, dataset: RankingDataset) -> DevSet | None:
    """Return what a recipe measures on the way; None where dev is off or nothing is defined.

    NDCG is undefined on a split where no dev query has a document of positive gain: it is left out.
    """
    splits = dev_splits(dataset, section.splits) if section.used else []
    if not splits:
        return None
    whole = DevSet.of(dataset, splits, queries=section.queries, documents=section.documents)
    return whole.defined()
