"""What every layout may be asked for when a model is published."""

from __future__ import annotations

from dataclasses import dataclass

from rankfield.errors import InputError
from rankfield.schema import RankingDataset

__all__ = ["PublishOptions"]


@dataclass(frozen=True)
class PublishOptions:
    """How a model is written and proved.

    sample: how many test queries, and how many documents beside those judged for them, the proof
        encodes on both sides, at least 1.
    texts: what to prove with where there is no data set; by default made-up texts.
    int8_loss: the share of nDCG@10 that an int8 export may lose, from 0 to below 1.
    overwrite: whether to replace what is at the output.
    dataset: what `publish` was given; a layout may calibrate on its training records.

    Raises:
        InputError: a sample of none, or a share out of range.
    """

    sample: int = 2000
    texts: tuple[str, ...] = ()
    int8_loss: float = 0.005
    overwrite: bool = False
    dataset: RankingDataset | None = None

    def __post_init__(self) -> None:
        if self.sample < 1:
            raise InputError(f"expected at least 1, found {self.sample}", where="sample")
        if not 0 <= self.int8_loss < 1:
            raise InputError(
                f"expected a share from 0 to below 1, found {self.int8_loss}", where="int8 loss"
            )
