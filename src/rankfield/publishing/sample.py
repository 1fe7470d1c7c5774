"""What a proof encodes: test queries and documents of a data set, or made-up records."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from rankfield.encoders import RankingModel
from rankfield.evaluation import DevSet
from rankfield.field_values import is_absent
from rankfield.publishing.options import PublishOptions
from rankfield.schema import Field, RankingDataset, ScoreScale, SplitView

__all__ = ["MADE_UP", "ProofSample"]

MADE_UP = "made-up records"
_TEXTS = (
    "red mug",
    "Blue ceramic coffee mug, 350 ml, dishwasher-safe",
    "LAMP",
    "женская куртка",
    "赤いマグカップ",
    "café crème, 20 % off!",
    "a-b_c/d 12.5x30 (new) #3",
    "x",
    "large green garden chair with cushions and a matching table " * 12,
    "no. 7 screwdriver set for small electronics",
    "gift for a friend who likes tea",
    "cheap wireless keyboard, black",
)
_SIZES = ((64, 64), (300, 200), (90, 240), (31, 17), (512, 512), (128, 127))


@dataclass(frozen=True)
class ProofSample:
    """Records to encode on both sides.

    dataset: whose fields and images they have.
    view: queries, documents, and the judgments of these queries.
    source: what they are, in words.
    """

    dataset: RankingDataset
    view: SplitView
    source: str

    @classmethod
    def of(
        cls, model: RankingModel, dataset: RankingDataset | None, options: PublishOptions
    ) -> ProofSample:
        """Return test queries with the documents judged for them and a sample of documents.

        Which ones hangs on their ids alone. Of each set of absent fields one document is among
        them. Without a data set they are made-up records of the model's fields, with the user's
        texts if there are any.

        Raises:
            DataError: a field of the model that the data lacks, when it is embedded.
        """
        if dataset is None:
            return _made_up(model, options)
        size = options.sample
        if dataset.judged_splits("test"):
            view = DevSet.of(dataset, ["all"], subset="test", queries=size, documents=size).views[0]
        else:
            view = SplitView(
                "all", dataset.queries[:size], dataset.documents[:size], dataset.judgments[:0]
            )
        fields = [f.name for f in model.fields("document") if f.name in dataset.documents.columns]
        rare = _one_of_each(dataset.documents, fields)
        more = rare.join(view.documents.select("doc_id"), on="doc_id", how="anti")
        documents = pl.concat([view.documents, more])
        return cls(
            dataset,
            SplitView(view.name, view.queries, documents, view.judgments),
            dataset.name,
        )

    def incomplete(self, fields: Sequence[Field]) -> int:
        """Return how many of the documents lack one of the fields."""
        absent = _absent(self.view.documents, [field.name for field in fields])
        return int(absent.select(pl.any_horizontal(pl.all())).to_series().sum()) if fields else 0


def _absent(documents: pl.DataFrame, fields: Sequence[str]) -> pl.DataFrame:
    """Return a Boolean column for each of these fields: whether a document lacks it."""
    return documents.select(is_absent(name, documents.schema[name]) for name in fields)


def _one_of_each(documents: pl.DataFrame, fields: Sequence[str]) -> pl.DataFrame:
    """Return a document of each set of absent fields that occurs."""
    if not fields:
        return documents[:0]
    return documents.filter(_absent(documents, fields).to_struct("kind").is_first_distinct())


def _made_up(model: RankingModel, options: PublishOptions) -> ProofSample:
    texts = options.texts or _TEXTS
    tables = {}
    for side, key in (("query", "query_id"), ("document", "doc_id")):
        fields = model.current_fields("query" if side == "query" else "document")
        records = _records(fields, texts)
        ids = pl.Series(key, [f"{side}{i}" for i in range(len(records))])
        dtypes = {f.name: pl.String if f.modality == "text" else pl.Binary for f in fields}
        tables[side] = pl.DataFrame(records, schema=dtypes, orient="row").insert_column(0, ids)
    judgments = pl.DataFrame(
        schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
    )
    dataset = RankingDataset(
        MADE_UP,
        model.current_fields("query"),
        model.current_fields("document"),
        ScoreScale(0.0, 1.0, 1.0),
        tables["query"],
        tables["document"],
        judgments,
    )
    source = "the given texts and made-up images" if options.texts else MADE_UP
    view = SplitView("all", tables["query"], tables["document"], judgments)
    return ProofSample(dataset, view, source)


def _records(fields: Sequence[Field], texts: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return complete records of these texts, then one of each set of fields that are present."""
    images = _images()
    rows = max(len(texts), len(images))

    def value(field: int, row: int) -> Any:
        values: Sequence[Any] = texts if fields[field].modality == "text" else images
        return values[(row + field) % len(values)]

    every = range(len(fields))
    records = [tuple(value(field, row) for field in every) for row in range(rows)]
    for count in range(1, len(fields)):
        for kept in combinations(every, count):
            row = len(records)
            records.append(tuple(value(f, row) if f in kept else None for f in every))
    return records


def _images() -> list[bytes]:
    """Return encoded images of several sizes: gradients with noise, of a fixed seed."""
    random = np.random.default_rng(0)
    found = []
    for number, (width, height) in enumerate(_SIZES):
        x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
        shade = np.stack([x, y, np.full_like(x, 40.0 * number)], axis=-1)
        noisy = np.clip(shade + random.normal(0, 24, shade.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "png")
        found.append(file.getvalue())
    return found
