"""One query, the best documents: exact search with a model over a data set or an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from rankfield.column_names import free_name
from rankfield.encoders import RankingModel
from rankfield.errors import ImageError, InputError
from rankfield.index import CachedEmbedder, Filter, Index
from rankfield.schema import RankingDataset, require_dataset
from rankfield.search import Corpus, SearchOptions

__all__ = ["retrieve"]

_ADDED = ("rank", "similarity")


def retrieve(
    model: RankingModel,
    source: RankingDataset | Index,
    text: str = "",
    *,
    image: str | Path | bytes | None = None,
    k: int = 10,
    filter: Filter | None = None,
    documents: CachedEmbedder | None = None,
) -> pl.DataFrame:
    """Return the k documents with the largest inner product, all of their columns included.

    The frame has ``rank`` (from 1) and ``similarity`` (cosine, −1 to 1) before the documents'
    columns. A column of the documents that is called so too becomes ``source_rank`` or
    ``source_similarity``. An image goes into the model's image field of queries, or, where it has
    none, counts as much as the text. A document without any field of the model is not found.

    Args:
        model: embeds the query, on its device, where the search runs too.
        source: a data set, whose documents are embedded first, or an index of documents.
        text: of the query; may be empty where there is an image.
        image: a path or the bytes of an encoded image.
        k: how many documents, at least 1.
        filter: which documents may be found; of an index only.
        documents: what embeds the data set's documents once and keeps them.

    Raises:
        InputError: no data set or index, neither text nor image, a query that the model cannot
            take, or a filter without an index.
        ImageError: the image cannot be read.
        DataError: a field of the model that the data lacks, or an index of another dimension.
    """
    if not (isinstance(source, RankingDataset) or hasattr(source, "search")):
        source = require_dataset(
            source, remedy="Pass a RankingDataset, its folder, or an index (open_index)."
        )
    vector = _query_vector(model, text, image)
    options = SearchOptions(device=str(model.device))
    searched = source
    if isinstance(source, RankingDataset) and documents is not None:
        searched = documents.index(source, source.documents, "document")
    if not isinstance(searched, RankingDataset):
        found = searched.search(vector, k, filter, options)
        rows = _documents(source, found["doc_id"])
        return _shown(rows, found["similarity"])
    if filter is not None:
        raise InputError("only an index is filtered", where="retrieve")
    hits = Corpus.of(model.embed_documents(searched)).search(vector, k, options)
    indices = hits.indices[0][hits.indices[0] >= 0]
    similarities = hits.similarities[0][: len(indices)]
    return _shown(searched.documents[indices.tolist()], pl.Series("similarity", similarities))


def _documents(source: RankingDataset | Index, ids: pl.Series) -> pl.DataFrame:
    """Return all columns of some documents, in the order of their ids."""
    if not isinstance(source, RankingDataset):
        return source.documents(ids)
    rows = source.documents.select("doc_id").with_row_index("row")
    places = ids.to_frame().join(rows, on="doc_id", how="left", maintain_order="left")["row"]
    found: pl.DataFrame = source.documents[places.to_list()]
    return found


def _shown(rows: pl.DataFrame, similarities: pl.Series) -> pl.DataFrame:
    foreign = {c: free_name(c, [*rows.columns, *_ADDED]) for c in _ADDED if c in rows.columns}
    return rows.select(
        pl.Series("rank", range(1, rows.height + 1), dtype=pl.Int64),
        similarities,
        *(pl.col(c).alias(foreign.get(c, c)) for c in rows.columns),
    )


def _query_vector(
    model: RankingModel, text: str, image: str | Path | bytes | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the query's embedding, float32 (1, D)."""
    record: dict[str, str | Path | bytes] = {}
    own = {field.modality: field.name for field in reversed(model.fields("query"))}
    if text.strip():
        if "text" not in own:
            raise InputError("the model takes no query text", where=model.name)
        record[own["text"]] = text
    if image is not None:
        if "image" not in model.encoder.modalities:
            raise InputError("the model takes no images", where=model.name)
        if not isinstance(image, bytes) and not Path(image).is_file():
            raise ImageError("no such image", where=str(image), remedy="Give another image.")
        record[own.get("image", "image")] = image
    if not record:
        raise InputError("give a query text, an image, or both")
    try:
        return model.encode_queries(record)
    except ImageError as error:  # its remedies are for records of a table
        raise ImageError(error.problem, where=error.where, remedy="Give another image.") from error
