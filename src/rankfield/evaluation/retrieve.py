"""One query, the best documents: exact search with a model over a data set's documents."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.column_names import free_name
from rankfield.encoders import RankingModel
from rankfield.errors import ImageError, InputError
from rankfield.evaluation.ranker import Embedder
from rankfield.schema import Field, RankingDataset
from rankfield.search import Corpus, SearchOptions

__all__ = ["retrieve"]

_ADDED = ("rank", "similarity")


def retrieve(
    model: RankingModel,
    dataset: RankingDataset,
    text: str = "",
    *,
    image: str | Path | bytes | None = None,
    k: int = 10,
    documents: Embedder | None = None,
) -> pl.DataFrame:
    """Return the k documents with the largest inner product, all of their columns included.

    The frame has ``rank`` (from 1) and ``similarity`` (cosine, −1 to 1) before the documents'
    columns. A column of the documents that is called so too becomes ``source_rank`` or
    ``source_similarity``. A picture goes into the model's image field of queries, or, where it has
    none, counts as much as the text. A document without any field of the model is not found.

    Args:
        model: embeds the query, on its device, where the search runs too.
        dataset: its documents are searched.
        text: of the query; may be empty where there is a picture.
        image: a path or the bytes of an encoded picture.
        k: how many documents, at least 1.
        documents: what embeds the documents: a `CachedEmbedder` of the model, which does it once;
            the model itself if None.

    Raises:
        InputError: neither text nor picture, or a query that the model cannot take.
        ImageError: the picture cannot be read.
        DataError: a field of the model that the data lacks.
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
    asking.truncate_to(model.dimension)
    try:
        asked = asking.embed_queries(query)
    except ImageError as error:  # its remedies are for a data set's pictures
        raise ImageError(error.problem, where=error.where, remedy="Give another image.") from error
    embedded = (documents or model).embed_documents(dataset, dataset.documents)
    hits = Corpus.of(embedded).search(asked, k, SearchOptions(device=str(model.device)))
    found = hits.indices[0] >= 0
    rows: pl.DataFrame = dataset.documents[hits.indices[0][found].tolist()]
    foreign = {c: free_name(c, [*rows.columns, *_ADDED]) for c in _ADDED if c in rows.columns}
    return rows.select(
        pl.Series("rank", range(1, rows.height + 1), dtype=pl.Int64),
        pl.Series("similarity", hits.similarities[0][found]),
        *(pl.col(c).alias(foreign.get(c, c)) for c in rows.columns),
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
        if not isinstance(image, bytes) and not Path(image).is_file():
            raise ImageError("no such image", where=str(image), remedy="Give another image.")
        values[field.name] = image if isinstance(image, bytes) else Path(image).resolve().name
    if not fields:
        raise InputError("give a query text, a picture, or both")
    return tuple(fields), values
