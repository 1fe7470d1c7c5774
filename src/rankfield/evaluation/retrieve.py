"""One query, the best documents: exact search with a model over a data set's documents."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.encoders import RankingModel
from rankfield.errors import ImageError, InputError
from rankfield.schema import Field, RankingDataset
from rankfield.search import exact_search

__all__ = ["retrieve"]


def retrieve(
    model: RankingModel,
    dataset: RankingDataset,
    text: str = "",
    *,
    image: str | Path | bytes | None = None,
    k: int = 10,
) -> pl.DataFrame:
    """Return the k documents with the largest inner product, all of their columns included.

    The frame has ``rank`` (from 1) and ``similarity`` (cosine, −1 to 1) before the documents'
    columns. A picture goes into the model's image field of queries, or, where it has none, counts
    as much as the text.

    Raises:
        InputError: neither text nor picture, or a query that the model cannot take.
        ImageError: the picture cannot be read.
    """
    fields, values = _query(model, text, image)
    query = RankingDataset(
        name="query",
        query_fields=fields,
        document_fields=(),
        score_scale=dataset.score_scale,
        root=None if image is None or isinstance(image, bytes) else Path(image).resolve().parent,
        queries=pl.DataFrame({"query_id": ["query"], **{k: [v] for k, v in values.items()}}),
        documents=pl.DataFrame(schema={"doc_id": pl.String}),
        judgments=pl.DataFrame(
            schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
        ),
    )
    asking = RankingModel(model.encoder, fields, model.document_fields).to(model.device)
    try:
        asked = asking.embed_queries(query)
    except ImageError as error:  # its remedies are for a data set's pictures
        raise ImageError(
            error.problem, where=error.where, remedy="Give another picture."
        ) from error
    hits = exact_search(asked, model.embed_documents(dataset), k)
    rows = hits.indices[0].tolist()
    found: pl.DataFrame = dataset.documents[rows]
    return found.select(
        pl.Series("rank", range(1, len(rows) + 1)),
        pl.Series("similarity", hits.scores[0]),
        pl.all(),
    )


def _query(
    model: RankingModel, text: str, image: str | Path | bytes | None
) -> tuple[tuple[Field, ...], dict[str, str | bytes]]:
    """Return the query's fields and their values."""
    fields: list[Field] = []
    values: dict[str, str | bytes] = {}
    own = {field.modality: field for field in reversed(model.current_fields("query"))}
    if text.strip():
        if "text" not in own:
            raise InputError("the model takes no query text", where=model.name)
        fields.append(own["text"])
        values[own["text"].name] = text
    if image is not None:
        if "image" not in model.encoder.modalities:
            raise InputError("the model takes no pictures", where=model.name)
        weight = own["text"].weight if "text" in own else 1.0
        field = own.get("image", Field("image", "image", weight))
        fields.append(field)
        values[field.name] = image if isinstance(image, bytes) else Path(image).resolve().name
    if not fields:
        raise InputError("give a query text, a picture, or both")
    return tuple(fields), values
