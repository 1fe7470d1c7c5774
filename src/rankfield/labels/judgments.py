"""Statistics → judgments.parquet, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rankfield.errors import DataError
from rankfield.labels.calibration import Calibration
from rankfield.labels.cells import read_cells
from rankfield.labels.click_model import Floats
from rankfield.labels.prior import Prior
from rankfield.labels.scores import Scoring, grade, score_pairs
from rankfield.progress import progress

__all__ = ["JudgmentWriter", "write_grades"]


class JudgmentWriter:
    """Streams the statistics through the scoring into judgments.parquet (and queries.parquet).

    Args:
        statistics: the counts.
        made: the folder to write to.
        scoring, weights, prior: as `scores.score_pairs`.
        theta: propensity by position, float64 (K + 1,); position 0 is any value.

    Afterwards it knows the held-out calibration with and without the propensities (`corrected`,
    `raw`), how many `pairs`, `queries`, and pairs shown too little (`left_out`) there were, and the
    `mean_score` of what was examined.
    """

    def __init__(
        self,
        statistics: Path,
        made: Path,
        *,
        scoring: Scoring,
        weights: Mapping[str, float],
        theta: Floats,
        prior: Prior,
    ) -> None:
        self.statistics, self.made = statistics, made
        self.scoring, self.weights = scoring, weights
        self.theta, self.prior = theta, prior
        self.corrected, self.raw = Calibration(), Calibration()
        self.pairs = self.queries = self.left_out = 0
        self._sum = self._examined = 0.0

    @property
    def mean_score(self) -> float:
        """The mean score of the pairs, each as often as it was examined: Σ E s / Σ E."""
        return self._sum / self._examined if self._examined else 0.0

    def run(self, *, raw_rate: float) -> None:
        """Write the files.

        Args:
            raw_rate: clicks of the log for each impression.

        Raises:
            DataError: no pair was shown often enough.
        """
        import pyarrow.parquet as pq

        total = pq.read_metadata(self.statistics).num_rows
        with ExitStack() as stack, progress("scoring", total, unit="rows") as advance:
            writers: dict[str, Any] = {}
            for name, frame, rows in self._pieces(raw_rate):
                table = frame.to_arrow()
                if name not in writers:
                    path = self.made / f"{name}.parquet"
                    writer = pq.ParquetWriter(path, table.schema, compression="zstd")
                    writers[name] = stack.enter_context(writer)
                writers[name].write_table(table)
                advance(rows)
        if not self.pairs:
            raise DataError(
                f"no pair was shown {self.scoring.min_impressions} times",
                where="min_impressions",
                remedy="Lower --min-impressions.",
            )

    def _pieces(self, raw_rate: float) -> Iterator[tuple[str, pl.DataFrame, int]]:
        for cells in read_cells(self.statistics):
            theta = self.theta[cells.position]
            frame = score_pairs(cells, theta, self.prior, self.scoring, self.weights)
            self.corrected.add(cells, theta, self.prior.rates["click"], self.prior.strength)
            self.raw.add(cells, np.ones(len(theta)), raw_rate, self.prior.strength)
            self.pairs += frame.height
            self.left_out += len(cells.starts) - frame.height
            self.queries += frame["query_id"].n_unique()
            self._examined += float(frame["examinations"].sum())
            self._sum += float((frame["score"] * frame["examinations"]).sum())
            yield "judgments", frame, cells.frame.height
            if "query" in cells.frame.columns:
                texts = cells.frame.select("query_id", "query").unique(maintain_order=True)
                kept = texts.join(frame, on="query_id", how="semi", maintain_order="left")
                yield "queries", kept, 0


def write_grades(path: Path, quantiles: tuple[float, ...]) -> None:
    """Cut the scores of a judgments file into grades; `relevance` keeps what they were."""
    import pyarrow.parquet as pq

    graded = path.with_name("graded.parquet")
    scores = pl.read_parquet(path, columns=["score"], glob=False)["score"].to_numpy()
    grades = grade(scores, quantiles)
    done = 0
    with pq.ParquetFile(path) as file, ExitStack() as stack:
        writer = None
        for group in range(file.num_row_groups):
            frame = pl.DataFrame(file.read_row_group(group))
            part = pl.Series("score", grades[done : done + frame.height])
            done += frame.height
            table = frame.with_columns(part, relevance=frame["score"]).to_arrow()
            if writer is None:
                writer = pq.ParquetWriter(graded, table.schema, compression="zstd")
                stack.enter_context(writer)
            writer.write_table(table)
    graded.replace(path)
