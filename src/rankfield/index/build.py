"""Building an index of a data set's documents, and finding its model again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import polars as pl

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.fingerprint import model_fingerprint
from rankfield.encoders.precision import Precision
from rankfield.encoders.rows import FrameRows
from rankfield.engines import Engine
from rankfield.errors import InputError, ModelError, OutputError
from rankfield.field_values import content_bytes, flat_values
from rankfield.index.base import KEY, Chunks, Index, Vectors
from rankfield.index.cluster_chunks import cluster_chunks
from rankfield.index.metadata import HEADER, IndexMetadata, change_metadata, is_index
from rankfield.index.previous import keep_previous
from rankfield.index.recall import measured_recall
from rankfield.index.stores import open_index, store_named, store_place
from rankfield.index.thumbnails import thumbnails_of
from rankfield.nearby import nearby_text
from rankfield.schema import RankingDataset, require_dataset
from rankfield.search.first_pass import PROVEN, check_first_pass

__all__ = [
    "KEYS",
    "build_index",
    "check_current",
    "check_data",
    "check_dtype",
    "chunks_of",
    "index_model",
    "metadata_of",
]

_REBUILD = "Build it again (rankfield index MODEL DATASET --out FOLDER --overwrite)"

_SAMPLE, _RECALL = 100, 0.99
_OVERSAMPLE = (8, 16, 32, 64, 128, 256)

KEYS: dict[Side, str] = {"query": "query_id", "document": KEY}
"""The column of ids on each side."""


def build_index(
    model: str | Path,
    dataset: RankingDataset,
    folder: str | Path,
    *,
    store: str = "exact",
    dtype: str = "float32",
    dimension: int | None = None,
    first_pass: str = "none",
    engine: Engine | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
    overwrite: bool = False,
    thumbnails: bool = True,
) -> Index:
    """Embed a data set's documents with a saved model and make an index of them in `folder`.

    The index stores their ids, all of their columns that hold plain values (texts, numbers, dates)
    and a small form of their first image, WebP of at most 160 pixels a side. One that is there
    already and is of the same model and data is opened. A build that was interrupted goes on.

    Args:
        model: folder of the model.
        dataset: the data set, or its folder.
        folder: where the index goes.
        store: one of `stores.STORES`, with the place of its copy, as "lancedb:FOLDER" or
            "milvus:http://host:19530".
        dtype: "float32", or "float16" for half the space and vectors rounded to it.
        dimension: cut the embeddings to so many dimensions; by default those of the model.
        first_pass: what a search of few queries looks at first: "none" (the vectors) or "int8",
            which find the same; "binary" or "dimensions:N", which may miss some
            (`search.first_pass`). How much is then computed exactly is chosen so that a search
            finds 99 % of the ten nearest documents of the data set's queries, if it can.
        engine: what embeds the documents (`make_engine`); by default this process. The model's and
            the data set's folders must lie on storage that all machines share.
        device: where to embed, as torch names it.
        precision: in which to embed, as `RankingModel.encode_documents`; the metadata say which it
            came to.
        overwrite: replace what is in `folder`, once the new index is complete; an index that is
            replaced is kept beside it (`roll_back`).
        thumbnails: store small images of the documents.

    Raises:
        InputError: no data set, another dtype, precision, store or first pass.
        ModelError: no model, or a dimension that it does not have.
        DataError, ImageError: as `RankingModel.embed_documents`, or an id that occurs twice.
        OutputError: something else is in `folder`, another run builds it, or it cannot be written.
    """
    dataset = require_dataset(dataset)
    (name, place), root = store_place(store), Path(folder)
    made_by = store_named(name)
    check_dtype(dtype)
    loaded = RankingModel.load(model).to(device)
    loaded.precision = precision
    if dimension is not None:
        loaded.truncate_to(dimension)
    check_first_pass(first_pass, loaded.dimension)
    documents = _stored_columns(dataset)
    metadata = metadata_of(
        loaded, model_fingerprint(model), dataset, dataset.documents, "document", dtype=dtype
    ).model_copy(
        update={
            "first_pass": first_pass,
            "store_place": place,
            "store_name": uuid4().hex if place else "",
            "model_path": nearby_text(model, root / HEADER),
            "text_fields": [f.name for f in dataset.document_fields if f.modality == "text"],
            "data_path": nearby_text(dataset.root, root / HEADER) if dataset.root else "",
        }
    )
    if is_index(root) and not overwrite:
        found = open_index(root)
        difference = _difference(found, metadata, documents)
        if not difference:
            return found
        raise OutputError(
            f"holds another index: {difference}",
            where=str(root),
            remedy="Name another folder, or replace it (--overwrite).",
        )
    if engine is None:
        chunks = chunks_of(loaded, dataset, dataset.documents, "document")
    else:
        chunks = cluster_chunks(engine, model, dataset, metadata, device=device)
    if is_index(root):
        keep_previous(root)
    images = thumbnails_of(dataset) if thumbnails else None
    index = made_by.build(root, metadata, documents, chunks, overwrite=overwrite, thumbnails=images)
    if name == "exact" and first_pass in PROVEN:
        return index
    return _measured(index, _sample_queries(loaded, dataset))


def _sample_queries(model: RankingModel, dataset: RankingDataset) -> Vectors:
    """Return embeddings of up to 100 of a data set's queries, drawn at random."""
    count = min(_SAMPLE, dataset.queries.height)
    queries = dataset.queries.sample(count, seed=0)
    return model.embed_queries(dataset, queries)


def _measured(index: Index, queries: Vectors) -> Index:
    """Return an index that computes as much exactly as the wanted recall takes, and knows it."""
    for oversample in _OVERSAMPLE:
        change_metadata(index.folder, oversample=oversample)
        index = open_index(index.folder)
        if measured_recall(index, queries, shares=(1.0,))[1.0] >= _RECALL:
            break
    recall = measured_recall(index, queries)
    change_metadata(index.folder, recall={f"{share:g}": round(r, 4) for share, r in recall.items()})
    return open_index(index.folder)


def _difference(index: Index, metadata: IndexMetadata, documents: pl.DataFrame) -> str:
    """Say in what an index differs from what would be built; "" if in nothing."""
    mine = index.metadata
    for what, own, wanted in (
        ("model", mine.model_fingerprint, metadata.model_fingerprint),
        ("data", mine.data_fingerprint, metadata.data_fingerprint),
        ("dimension", mine.dimension, metadata.dimension),
        ("dtype", mine.dtype, metadata.dtype),
        ("precision", mine.precision, metadata.precision),
        ("first pass", mine.first_pass, metadata.first_pass),
        ("place of the store", mine.store_place, metadata.store_place),
        ("version of rankfield", mine.rankfield, metadata.rankfield),
    ):
        if own != wanted:
            return f"its {what} is {own}, expected {wanted}"
    if index.changed:
        return "its documents were changed since it was built"
    if mine.origin() != metadata.origin() or not index.documents().equals(documents):
        return "the columns that it stores are not those of the data set"
    return ""


def _stored_columns(dataset: RankingDataset) -> pl.DataFrame:
    """Return `doc_id` and the documents' columns with plain values that are no image field."""
    images = {field.name for field in dataset.document_fields if field.modality == "image"}
    return dataset.documents.select(
        name
        for name, kind in dataset.documents.schema.items()
        if name not in images and not kind.is_nested() and kind not in (pl.Binary, pl.Object)
    )


def metadata_of(
    model: RankingModel,
    fingerprint: str,
    dataset: RankingDataset,
    frame: pl.DataFrame,
    side: Side,
    *,
    dtype: str,
) -> IndexMetadata:
    """Return what an index of these rows of a data set is made with.

    The fingerprint of the data is of the rows' ids and of the fields that the model embeds.

    Args:
        model: the model.
        fingerprint: of its folder.
        dataset: whose images the rows name.
        frame: the rows.
        side: what they are.
        dtype: of the vectors.

    Raises:
        InputError: another dtype.
        DataError: a field that the data lacks.
    """
    check_dtype(dtype)
    fields = FrameRows.of(dataset, frame, side, model.current_fields(side)).fields
    images = [field.name for field in fields if field.modality == "image"]
    columns = dict.fromkeys([*(field.name for field in fields), KEYS[side]])
    return IndexMetadata(
        model=model.name,
        model_fingerprint=fingerprint,
        data=dataset.name,
        data_fingerprint=_fingerprint(dataset, frame, columns, images),
        dimension=model.dimension,
        dtype=dtype,
        precision=model.computes_in if side == "document" else "float32",
        built=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check_dtype(dtype: str) -> None:
    """Refuse what an index does not keep vectors as.

    Raises:
        InputError: neither float32 nor float16.
    """
    if dtype not in ("float32", "float16"):
        raise InputError(f"expected float32 or float16, found {dtype!r}", where="dtype")


def chunks_of(
    model: RankingModel, dataset: RankingDataset, frame: pl.DataFrame, side: Side
) -> Chunks:
    """Return what embeds these rows, from how many are done."""
    return lambda done: model.embed_chunks(dataset, frame, side, done=done)


def _fingerprint(
    dataset: RankingDataset, frame: pl.DataFrame, columns: Iterable[str], images: Sequence[str]
) -> str:
    """Return sha256 of some columns of these rows, as 16 hexadecimal digits.

    An image in a file counts by path, size and time of change, one in the table by its content.
    """
    digest = hashlib.sha256()
    for name in columns:
        digest.update(f"{name}\0".encode())
        for part in content_bytes(frame[name]):
            digest.update(part)
        if name in images:
            _, values = flat_values(frame[name])
            for value in values.unique(maintain_order=True):
                source = dataset.image_source(value)
                if isinstance(source, Path) and source.exists():
                    state = source.stat()
                    digest.update(f"{state.st_size} {state.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def index_model(
    index: Index, model: str | Path | None = None, *, device: str = "cpu"
) -> RankingModel:
    """Return the model that an index was built with, to embed queries.

    Args:
        index: the index.
        model: folder of the model; by default where it was when the index was built.
        device: where to embed, as torch names it.

    Raises:
        ModelError: it is not there, or it is another model.
    """
    metadata = index.metadata
    place = metadata.model_place(index.folder) if model is None else Path(model)
    where = str(index.folder)
    if place is None or not (place / "rankfield.json").is_file():
        raise ModelError(
            f"the model {metadata.model!r} is not where it was when the index was built",
            where=where,
            remedy="Name its folder (--model FOLDER) to `rankfield search`; for another command "
            "move it back.",
        )
    found = model_fingerprint(place)
    if found != metadata.model_fingerprint:
        raise ModelError(
            f"the index is of model {metadata.model_fingerprint}, {place} is {found}",
            where=where,
            remedy=f"{_REBUILD}, move its model back, or name that one's folder (--model FOLDER) "
            "to `rankfield search`.",
        )
    return RankingModel.load(place).to(device).truncate_to(metadata.dimension)


def check_data(index: Index, model: RankingModel, dataset: RankingDataset) -> None:
    """Refuse an index of other documents than a data set's: other ids, or fields that differ.

    Columns that the model does not read do not count: an index serves the splits of its data set.

    Args:
        index: the index; if it was changed since it was built, its documents are its own.
        model: its model.
        dataset: the data set.

    Raises:
        InputError: the vectors are not those of the data set's documents.
    """
    difference = "" if index.changed else _of_other_documents(index, model, dataset)
    if difference:
        raise InputError(
            difference,
            where=str(index.folder),
            remedy=f"{_REBUILD}, or evaluate the model itself (rankfield evaluate MODEL DATASET).",
        )


def check_current(index: Index, model: RankingModel) -> None:
    """Refuse an index whose data set has changed since, in what the model reads or what is stored.

    The data set is read only if it is still there and one of its tables was written after the
    index was. An index that was changed since it was built is current.

    Raises:
        InputError: the data set has changed.
    """
    place = index.metadata.data_place(index.folder)
    if place is None or index.changed:
        return
    built = (index.folder / HEADER).stat().st_mtime
    tables = (place / "dataset.toml", place / "documents.parquet")
    times = [max(t.stat().st_mtime, t.stat().st_ctime) for t in tables if t.is_file()]
    if len(times) < len(tables) or max(times) <= built:
        return
    dataset = RankingDataset.load(place)
    difference = _of_other_documents(index, model, dataset)
    if not difference and not index.documents().equals(_stored_columns(dataset)):
        difference = f"the columns that the index stores are not those of {dataset.name} any more"
    if difference:
        raise InputError(
            difference,
            where=str(index.folder),
            remedy=f"{_REBUILD}, or search it as it is (--stale).",
        )


def _of_other_documents(index: Index, model: RankingModel, dataset: RankingDataset) -> str:
    """Say that the vectors are of other documents than a data set's; "" if they are of these."""
    mine = index.metadata
    found = metadata_of(
        model, mine.model_fingerprint, dataset, dataset.documents, "document", dtype=mine.dtype
    ).data_fingerprint
    if found == mine.data_fingerprint:
        return ""
    return f"the index is of data {mine.data_fingerprint}, {dataset.name} is {found}"
