"""Ranked lists of any system, as a ranker."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.evaluation.listed import listed_hits
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import Search
from rankfield.formats.own_tables import is_rankings
from rankfield.formats.rankings import read_ranked_pairs
from rankfield.schema import RankingDataset

__all__ = ["RunRanker"]


@dataclass(frozen=True)
class RunRanker:
    """Gives each query its list in a run, ordered by descending score, as `listed_hits`.

    Documents outside the corpus of a split are left out; a query that the run lacks finds nothing.

    name: how to call it in results.
    run: ``query_id``, ``doc_id``, ``score``; each pair once.
    metadata: what results say of it.
    """

    name: str
    run: pl.DataFrame
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> RunRanker:
        """Read a run file, as `formats.rankings.read_ranked_pairs`.

        Raises:
            DataError: the file is missing or malformed, with file and line; or it is the rankings
                of an evaluation, which hold the best documents alone.
        """
        if is_rankings(path):
            raise DataError(
                "expected whole lists, found the best documents that an evaluation keeps",
                where=str(path),
                remedy="Write whole lists with `rankfield evaluate … --run FILE`, or measure these "
                "with `rankfield metrics`.",
            )
        return cls(Path(path).stem, read_ranked_pairs(path), {"run": Path(path).name})

    def searcher(self, dataset: RankingDataset, options: EvaluationOptions) -> Search:
        """Return the look-up.

        Raises:
            DataError: a query or a document that the data set lacks.
        """
        for key, table in (("query_id", dataset.queries), ("doc_id", dataset.documents)):
            unknown = self.run.join(table.select(key), on=key, how="anti", maintain_order="left")
            if unknown.height:
                raise DataError(
                    f"unknown {key} {unknown[key][0]!r}",
                    where=f"run {self.name}",
                    remedy=f"Give a run over {dataset.name}.",
                )
        return lambda view: listed_hits(view, self.run, options.k)
