"""The dev queries that choose a run's model, and what they are searched in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rankfield.evaluation import DevSet, dev_splits
from rankfield.schema import SPLITS, RankingDataset, SplitName
from rankfield.settings import Settings

__all__ = ["DevSection", "dev_set", "mean_ndcg"]


def _number_or(word: str, least: int) -> BeforeValidator:
    """Return a check with one message, where a union would give one for each of its types."""

    def check(value: Any) -> Any:
        if value == word or (type(value) is int and value >= least):
            return value
        raise ValueError(f"expected {word!r} or a whole number from {least}, found {value!r}")

    return BeforeValidator(check)


_Limit = Annotated[int | Literal["all"], _number_or("all", 1)]


class DevSection(Settings):
    """Measurements during training; the model with the best mean nDCG@10 is kept."""

    every: Annotated[int | Literal["off"], _number_or("off", 0)] = Field(
        200,
        description='steps between measurements; 0: only at the end; "off": never, keep the last',
    )
    splits: list[SplitName] = Field(
        list(SPLITS), min_length=1, description="dev queries of these splits, where there are any"
    )
    documents: _Limit = Field(
        50_000,
        description='of a larger corpus search the judged and a fixed sample of so many; "all"',
    )
    queries: _Limit = Field(
        5_000, description='of more dev queries in a split take a fixed sample of so many; "all"'
    )

    @property
    def used(self) -> bool:
        """Whether anything is measured."""
        return self.every != "off"

    def due(self, steps: int) -> bool:
        """Return whether to measure after so many steps; the last step is always measured."""
        return isinstance(self.every, int) and self.every > 0 and steps % self.every == 0


def dev_set(section: DevSection, dataset: RankingDataset) -> DevSet | None:
    """Return what a recipe measures during training; None where dev is off or nothing is defined.

    nDCG is undefined on a split where no dev query has a document of positive gain: it is left out.
    """
    splits = dev_splits(dataset, section.splits) if section.used else []
    if not splits:
        return None
    whole = DevSet.of(dataset, splits, queries=section.queries, documents=section.documents)
    return whole.defined()


def mean_ndcg(splits: Mapping[str, float]) -> float:
    """Return the mean over splits, by which the best model is chosen."""
    return sum(splits.values()) / len(splits)
