"""The data set made of the answers: the same answers give the same data set, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import polars as pl

from rankfield import __version__
from rankfield.collect.images import Images
from rankfield.collect.job import Job
from rankfield.collect.mapping import Found
from rankfield.schema import Field, Provenance, RankingDataset, ScoreScale

__all__ = ["Gathered", "assemble"]


@dataclass
class Gathered:
    """The results of all queries: documents once each, as they were first found, and pairs."""

    documents: dict[str, Found] = field(default_factory=dict)
    query_ids: list[str] = field(default_factory=list)
    doc_ids: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def add(self, query_id: str, results: Iterator[Found]) -> None:
        """Add the results of a query, best first."""
        for position, found in enumerate(results, 1):
            first = self.documents.setdefault(found.doc_id, found)
            self.query_ids.append(query_id)
            self.doc_ids.append(first.doc_id)
            self.positions.append(position)

    def images(self, job: Job) -> list[str]:
        """Return the addresses of all images, each once, in order of first sight."""
        names = [n for n, f in job.search.mapping.fields.items() if f.modality == "image"]
        addresses = (found.fields[n] for found in self.documents.values() for n in names)
        return list(dict.fromkeys(address for address in addresses if address))


def assemble(
    job: Job, queries: pl.DataFrame, gathered: Gathered, images: Images | None, root: Path
) -> tuple[RankingDataset, list[str]]:
    """Return the data set (images under `root`) and what was left out.

    score = depth + 1 − position; ``position`` from 1 and ``score_reciprocal`` = 1 / position are
    kept. Documents come in order of their ids, queries in their own, judgments by query and
    position. Documents without any field, and without an image if the job drops those, are left
    out, with their judgments; then queries without a result.
    """
    notes = []
    documents = _documents(job, gathered, images)
    fields = _fields(job, images)
    kept = documents.filter(_usable(job, fields)).sort("doc_id")
    if dropped := documents.height - kept.height:
        notes.append(f"{dropped:,} documents have no usable field or image and are left out")
    judgments = _judgments(job, gathered).join(
        kept.select("doc_id"), on="doc_id", how="semi", maintain_order="left"
    )
    found = queries.join(
        judgments.select("query_id"), on="query_id", how="semi", maintain_order="left"
    )
    if missing := queries.height - found.height:
        notes.append(f"{missing:,} queries have no results and are left out")
    dataset = RankingDataset(
        name=job.name,
        query_fields=(Field("query", "text"),),
        document_fields=fields,
        score_scale=_scale(job.search.depth),
        queries=found,
        documents=kept,
        judgments=judgments,
        provenance=Provenance(
            source=_source(job),
            licence=job.licence,
            made_by=f"rankfield collect {__version__}",
            notes=tuple(notes),
        ),
        root=root,
    )
    return dataset, notes


def _fields(job: Job, images: Images | None) -> tuple[Field, ...]:
    return tuple(
        Field(name, f.modality, f.weight)
        for name, f in job.search.mapping.fields.items()
        if f.modality == "text" or images is not None
    )


def _usable(job: Job, fields: tuple[Field, ...]) -> pl.Expr:
    usable = pl.any_horizontal(pl.col(f.name).is_not_null() for f in fields)
    images = [f.name for f in fields if f.modality == "image"]
    if images and job.images.missing == "drop":
        usable = usable & pl.all_horizontal(pl.col(n).is_not_null() for n in images)
    return usable


def _scale(depth: int) -> ScoreScale:
    return ScoreScale(
        minimum=1.0,
        maximum=float(depth),
        relevant=1.0,
        meaning=f"{depth} + 1 − position in the query's ranked list",
    )


def _documents(job: Job, gathered: Gathered, images: Images | None) -> pl.DataFrame:
    found = list(gathered.documents.values())
    columns = [pl.Series("doc_id", [f.doc_id for f in found], dtype=pl.String)]
    for name, mapped in job.search.mapping.fields.items():
        values = [f.fields[name] for f in found]
        if mapped.modality == "image":
            if images is None:
                continue
            # the address stays beside the image
            columns.append(pl.Series(f"{name}_url", [_shown(v) for v in values], dtype=pl.String))
            values = [images.path(v) if v else None for v in values]
        columns.append(pl.Series(name, values, dtype=pl.String))
    for name in job.search.mapping.columns:
        columns.append(_column(name, [f.columns[name] for f in found]))
    return pl.DataFrame(columns)


def _shown(address: str | None) -> str | None:
    return None if address is None or address.startswith("data:") else address


def _column(name: str, values: list[Any]) -> pl.Series:
    if all(v is None or isinstance(v, float) for v in values):
        return pl.Series(name, values, dtype=pl.Float64)
    texts = [f"{v:g}" if isinstance(v, float) else v for v in values]
    return pl.Series(name, texts, dtype=pl.String)


def _judgments(job: Job, gathered: Gathered) -> pl.DataFrame:
    position = pl.col("position")
    return pl.DataFrame(
        {
            "query_id": pl.Series(gathered.query_ids, dtype=pl.String),
            "doc_id": pl.Series(gathered.doc_ids, dtype=pl.String),
            "position": pl.Series(gathered.positions, dtype=pl.Int64),
        }
    ).select(
        "query_id",
        "doc_id",
        score=(job.search.depth + 1 - position).cast(pl.Float64),
        position=position,
        score_reciprocal=1.0 / position,
    )


def _source(job: Job) -> str:
    """Return where the results came from, without what may hold a key."""
    parts = urlsplit(job.search.url)
    host = parts.netloc.rpartition("@")[2]
    index = f", index {job.search.index}" if job.search.index else ""
    return f"{job.search.kind} at {urlunsplit((parts.scheme, host, parts.path, '', ''))}{index}"
