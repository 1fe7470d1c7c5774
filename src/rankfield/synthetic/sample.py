"""The sample shop: a procedural catalogue with images, queries and ranked lists."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from rankfield.errors import InputError
from rankfield.files import new_folder
from rankfield.progress import progress
from rankfield.schema import Field, Provenance, RankingDataset, ScoreScale
from rankfield.synthetic.catalogue import (
    BLOCK,
    Catalogue,
    catalogue_blocks,
    doc_id,
    make_catalogue,
)
from rankfield.synthetic.images import draw_images, image_path
from rankfield.synthetic.queries import Query, make_queries
from rankfield.synthetic.relevance import WEIGHTS, Relevance
from rankfield.synthetic.titles import make_titles
from rankfield.synthetic.vocabulary import (
    AUDIENCES,
    BRANDS,
    CATEGORIES,
    COLOURS,
    MATERIALS,
    PATTERNS,
    STYLES,
    USES,
)

__all__ = ["sample_shop"]

_QUERIES_PER_BATCH = 2000

_NAMES = {
    "brand": BRANDS,
    "category": tuple(c.name for c in CATEGORIES),
    "colour": tuple(t.name for t, _ in COLOURS),
    "pattern": tuple(t.name for t in PATTERNS),
    "material": tuple(t.name for t in MATERIALS),
    "style": tuple(t.name for t in STYLES),
    "use": tuple(t.name for t in USES),
    "audience": tuple(t.name for t in AUDIENCES),
}

_QUERY_SCHEMA = pa.schema([("query_id", pa.string()), ("query", pa.string())])
_JUDGMENT_SCHEMA = pa.schema(
    [
        ("query_id", pa.string()),
        ("doc_id", pa.string()),
        ("score", pa.float64()),
        ("position", pa.int32()),
        ("score_linear", pa.float64()),
        ("score_reciprocal", pa.float64()),
    ]
)


def sample_shop(
    out: str | Path,
    *,
    documents: int = 5000,
    queries: int = 1000,
    per_query: int = 100,
    seed: int = 0,
    images: bool = True,
    image_size: int = 96,
    workers: int | None = None,
    popularity: float = WEIGHTS["popularity"],
    noise: float = WEIGHTS["noise"],
) -> RankingDataset:
    """Make the sample shop's data set folder and return it loaded.

    For each query the hidden relevance (`synthetic.relevance`) of every product decides the
    ranked list. The product at position p = 1 … `per_query` has ``score`` and ``score_linear``
    `per_query` + 1 − p and ``score_reciprocal`` 1 / p, as in Marqo-GS-10M. The tables are written
    in row groups: memory while writing is about 150 bytes for each product, plus a constant.

    Documents have the fields ``image`` (JPEG files; left out with `images` false) and ``title``,
    and as plain columns what the products truly are: ``brand``, ``category``, ``colour``,
    ``pattern``, ``material``, ``style``, ``use``, ``audience``, ``price``, ``rating``,
    ``reviews``. Queries have the field ``query``.

    Args:
        out: the folder to make.
        documents: number of products, ≥ 1.
        queries: number of queries, ≥ 1.
        per_query: length of the ranked lists, ≥ 1; shorter if there are fewer products.
        seed: ≥ 0; everything follows from it, whatever the number of workers.
        images: whether to draw images.
        image_size: their width and height in pixels, 16 to 1024.
        workers: processes that draw; None for one on each core.
        popularity, noise: what one standard deviation of a product's popularity, and of chance,
            adds to the hidden relevance, ≥ 0. A wished category adds 4.0, a brand 1.6.

    Raises:
        InputError: a number out of range.
        OutputError: `out` already exists or cannot be written.
    """
    _at_least(1, documents=documents, queries=queries, per_query=per_query)
    _at_least(1, workers=1 if workers is None else workers)
    _at_least(0, seed=seed)
    if not 16 <= image_size <= 1024:
        raise InputError(f"expected image_size from 16 to 1024 pixels, found {image_size}")
    for name, value in (("popularity", popularity), ("noise", noise)):
        if not 0 <= value < math.inf:
            raise InputError(f"expected {name} ≥ 0, found {value}")
    with new_folder(out) as folder:
        _write_documents(folder, documents, seed, images)
        catalogue = make_catalogue(documents, seed)
        relevance = Relevance(catalogue, seed, popularity=popularity, noise=noise)
        _write_queries(folder, relevance, queries, per_query)
        header = _header(
            documents, queries, per_query, seed, images, popularity=popularity, noise=noise
        )
        header.write_header(folder)
        if images:
            draw_images(folder, documents, seed=seed, size=image_size, workers=workers)
    return RankingDataset.load(out)


def _at_least(least: int, **numbers: int) -> None:
    for name, value in numbers.items():
        if value < least:
            raise InputError(f"expected {name} ≥ {least}, found {value}")


def _write_documents(folder: Path, documents: int, seed: int, images: bool) -> None:
    blocks = (
        _document_table(block, number, seed, images)
        for number, block in enumerate(catalogue_blocks(documents, seed))
    )
    with progress("products", documents, unit="products") as advance:
        for table in _write(folder / "documents.parquet", blocks):
            advance(table.num_rows)


def _document_table(block: Catalogue, number: int, seed: int, images: bool) -> pa.Table:
    rows = range(number * BLOCK, number * BLOCK + len(block))
    columns: dict[str, Any] = {"doc_id": [doc_id(row) for row in rows]}
    if images:
        columns["image"] = [image_path(row) for row in rows]
    columns["title"] = make_titles(block, number, seed)
    for name, values in _NAMES.items():
        columns[name] = pa.array(np.array(values, dtype=object)[getattr(block, name)])
    columns["price"] = np.round(block.price.astype(np.float64), 2)
    columns |= _reputation(block, number, seed)
    return pa.table(columns)


def _reputation(block: Catalogue, number: int, seed: int) -> dict[str, Any]:
    """Return star ratings and numbers of reviews, which popularity explains in part."""
    rng = np.random.default_rng([seed, 5, number])
    noise = rng.standard_normal((2, BLOCK))[:, : len(block)]
    reviews = np.exp(3.2 + 1.1 * block.popularity + 0.5 * noise[0]).astype(np.int32)
    rating = np.clip(3.9 + 0.3 * block.popularity + 0.35 * noise[1], 1, 5)
    return {"rating": np.round(rating.astype(np.float64), 1), "reviews": reviews}


def _write_queries(folder: Path, relevance: Relevance, count: int, per_query: int) -> None:
    queries = make_queries(relevance.catalogue, count, relevance.seed)
    texts = pa.table(
        {
            "query_id": [_query_id(number) for number in range(count)],
            "query": [query.text for query in queries],
        },
        schema=_QUERY_SCHEMA,
    )
    pq.write_table(texts, folder / "queries.parquet")
    lists = _ranked_lists(relevance, queries, per_query)
    with progress("ranked lists", count, unit="queries") as advance:
        for table in _write(folder / "judgments.parquet", lists):
            advance(len(table["query_id"].unique()))


def _ranked_lists(relevance: Relevance, queries: list[Query], per_query: int) -> Iterator[pa.Table]:
    for start in range(0, len(queries), _QUERIES_PER_BATCH):
        batch = range(start, min(start + _QUERIES_PER_BATCH, len(queries)))
        ranked = [relevance.ranked(number, queries[number], per_query) for number in batch]
        position = np.concatenate([np.arange(1, len(rows) + 1) for rows in ranked])
        linear = (per_query + 1.0) - position
        ids = [_query_id(number) for number in batch]
        columns = {
            "query_id": np.repeat(np.array(ids, dtype=object), [len(rows) for rows in ranked]),
            "doc_id": [doc_id(row) for rows in ranked for row in rows.tolist()],
            "score": linear,
            "position": position.astype(np.int32),
            "score_linear": linear,
            "score_reciprocal": 1.0 / position,
        }
        yield pa.table(columns, schema=_JUDGMENT_SCHEMA)


def _query_id(number: int) -> str:
    return f"q{number:06d}"


def _write(path: Path, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Write each table as a row group, and yield it once it is written."""
    writer: pq.ParquetWriter | None = None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            yield table
    finally:
        if writer is not None:
            writer.close()


def _header(
    documents: int,
    queries: int,
    per_query: int,
    seed: int,
    images: bool,
    *,
    popularity: float,
    noise: float,
) -> RankingDataset:
    """Return the data set without its rows: fields, score scale and provenance."""
    image = (Field("image", "image", 0.5),) if images else ()
    text = pl.String
    columns = dict.fromkeys(("doc_id", *(f.name for f in image), "title"), text)
    return RankingDataset(
        name="sample shop",
        query_fields=(Field("query", "text"),),
        document_fields=(*image, Field("title", "text", 0.5)),
        score_scale=ScoreScale(
            minimum=1.0,
            maximum=float(per_query),
            relevant=1.0,
            meaning=f"{per_query} + 1 − position in the query's ranked list",
        ),
        queries=pl.DataFrame(schema={"query_id": text, "query": text}),
        documents=pl.DataFrame(schema=columns),
        judgments=pl.DataFrame(schema={"query_id": text, "doc_id": text, "score": pl.Float64}),
        provenance=Provenance(
            source=f"procedural: {documents} products, {queries} queries; relevance with "
            f"{popularity:g} × popularity and {noise:g} × chance",
            licence="CC0-1.0",
            made_by="rankfield sample",
            seed=seed,
        ),
    )
