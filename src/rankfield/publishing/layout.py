"""The parts of a layout that models are published in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rankfield.encoders import RankingModel
from rankfield.publishing.client import AnyClient
from rankfield.publishing.options import PublishOptions

__all__ = ["ModelLayout"]


@dataclass(frozen=True)
class ModelLayout:
    """One way to write a ranking model for another system; a constant `LAYOUT` of its module.

    name: as in `--as`.
    title: for tables and cards.
    write: writes into an existing empty folder.
    open: loads the folder in its real client; None where the client cannot be started here.
    check: holds the folder to the documented schema; needed where `open` is None.
    package: the client's distribution, whose version the proof names.
    extra: of rankfield, that installs the client; "" where the core has it.
    imports: the client's top-level module, looked for before any work.
    sequences: which models that read texts and images in one sequence it holds: "any", "whole"
        for those that read all fields of a record together, or none.
    tolerance: the largest allowed difference of a cosine, and of 1 − cosine.
    ndcg_loss: the largest allowed share of nDCG@10 that is lost.
    int8: whether `PublishOptions.int8_loss` takes its place.
    refuses: why a model cannot be written so and what to do, in one sentence; None if it can.
    usage: how to load the folder, in Markdown; it is called FOLDER.
    """

    name: str
    title: str
    write: Callable[[RankingModel, Path, PublishOptions], None]
    open: Callable[[Path, PublishOptions], AnyClient] | None
    refuses: Callable[[RankingModel], str | None]
    usage: str
    check: Callable[[Path], None] | None = None
    package: str = ""
    extra: str = ""
    imports: str = ""
    sequences: Literal["any", "whole"] | None = None
    tolerance: float = 1e-5
    ndcg_loss: float = 1e-4
    int8: bool = False
