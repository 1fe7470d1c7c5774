"""The shop that the loop runs on: documents, visitors' queries, held-out queries, the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from rankfield.errors import InputError
from rankfield.schema import RankingDataset

__all__ = ["Shop", "same_text"]

_NEEDED = ("shop/dataset.toml", "data/dataset.toml", "clip/model/rankfield.json")


@dataclass(frozen=True)
class Shop:
    """What `rankfield demo` made, as the loop sees it.

    folder: of the demo.
    data: all documents; the queries, those that no training may see marked dev or test; judgments
        of these alone, which are the hidden relevance.
    visitors: the other queries, `query_id` and `query`, each text once. Only they are asked.
    truth: the hidden relevance of all pairs: `query_id`, `doc_id`, `score`.
    """

    folder: Path
    data: RankingDataset
    visitors: pl.DataFrame
    truth: pl.DataFrame

    @classmethod
    def open(cls, demo: str | Path) -> Shop:
        """Open the folder of a demo.

        Raises:
            InputError: it is none, or its models are not trained yet.
        """
        folder = Path(demo)
        for name in _NEEDED:
            if not (folder / name).is_file():
                raise InputError(
                    f"expected the folder of a finished demo; {name} is missing",
                    where=str(folder),
                    remedy=f"Make it: rankfield demo {folder}",
                )
        whole = RankingDataset.load(folder / "shop")
        sides = RankingDataset.load(folder / "data").queries.select("query_id", "seen", "subset")
        queries = whole.queries.join(sides, on="query_id", how="left", maintain_order="left")
        held_out = ~pl.col("seen").fill_null(True)
        marked = queries.with_columns(
            subset=pl.when(held_out).then(pl.col("subset").cast(pl.String))
        ).drop("seen")
        known = marked.drop_nulls("subset").select("query_id")
        judgments = whole.judgments.join(known, on="query_id", how="semi", maintain_order="left")
        return cls(
            folder,
            whole.with_tables(queries=marked, judgments=judgments),
            marked.filter(pl.col("subset").is_null())
            .unique(same_text("query"), keep="first", maintain_order=True)
            .select("query_id", "query"),
            whole.judgments.select("query_id", "doc_id", "score"),
        )

    @property
    def first_model(self) -> Path:
        """The model that is served first: it has learnt what matches, and no order."""
        return self.folder / "clip" / "model"

    @cached_property
    def relevance(self) -> Mapping[str, Mapping[str, float]]:
        """Query → document → hidden relevance in (0, 1]; a document that is missing has 0."""
        most = self.data.score_scale.maximum
        found: dict[str, dict[str, float]] = {}
        for query, document, score in self.truth.iter_rows():
            found.setdefault(query, {})[document] = score / most
        return found


def same_text(column: str) -> pl.Expr:
    """Return a text as `rankfield labels` compares it: without case and repeated spaces."""
    return pl.col(column).str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
