"""The shop that the loop runs on: documents, visitors' queries, held-out queries, the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from rankfield.errors import InputError
from rankfield.formats.tables.query_texts import same_query
from rankfield.schema import RankingDataset

__all__ = ["Shop"]

_NEEDED = ("shop/dataset.toml", "data/dataset.toml", "clip/model/rankfield.json")


@dataclass(frozen=True)
class Shop:
    """What `rankfield demo` made, as the loop sees it.

    folder: of the demo.
    data: all documents; the queries, those that nobody asks marked dev or test; judgments of these
        alone, which are the hidden relevance. Test queries, and some of dev, are new to all models;
        the other dev queries are of those that the demo's models have been trained on.
    visitors: the queries that are asked, `query_id` and `query`, each text once.
    truth: the hidden relevance of all pairs: `query_id`, `doc_id`, `score`.
    """

    folder: Path
    data: RankingDataset
    visitors: pl.DataFrame
    truth: pl.DataFrame

    @classmethod
    def open(cls, demo: str | Path, *, asked: int = 300, seed: int = 0) -> Shop:
        """Open the folder of a demo.

        Args:
            demo: the folder.
            asked: how many of the queries that its models were trained on visitors ask, at most.
            seed: of which ones.

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
        new = ~pl.col("seen").fill_null(True)
        known_texts = queries.filter(~new).unique(
            same_query(pl.col("query")), keep="first", maintain_order=True
        )
        order = np.random.default_rng([seed, 3]).permutation(known_texts.height)
        visitors = known_texts[np.sort(order[:asked])].select("query_id", "query")
        texts = visitors.select(same_query(pl.col("query"))).to_series()
        is_asked = same_query(pl.col("query")).is_in(texts.implode())
        marked = queries.with_columns(
            subset=pl.when(new)
            .then(pl.col("subset").cast(pl.String))
            .when(~is_asked)
            .then(pl.lit("dev"))
        ).drop("seen")
        known = marked.drop_nulls("subset").select("query_id")
        judgments = whole.judgments.join(known, on="query_id", how="semi", maintain_order="left")
        return cls(
            folder,
            whole.with_tables(queries=marked, judgments=judgments),
            visitors,
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
