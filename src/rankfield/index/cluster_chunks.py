"""The vectors of a data set's documents, embedded by an engine: on a cluster, by Ray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from rankfield.encoders import RankingModel
from rankfield.encoders.pipeline import CHUNK
from rankfield.encoders.precision import Precision
from rankfield.engines import Engine
from rankfield.errors import InputError
from rankfield.index.base import Chunks, Vectors
from rankfield.index.metadata import IndexMetadata
from rankfield.progress import progress
from rankfield.schema import RankingDataset

__all__ = ["cluster_chunks"]


@dataclass(frozen=True)
class _Task:
    """What every process needs to embed a part: both folders lie on storage that all share."""

    model: str
    dataset: str
    dimension: int
    precision: str
    device: str

    def __call__(self, start: int) -> Vectors:
        """Return the vectors of the chunk of documents that begins with a row."""
        model, dataset = _opened(self)
        rows = dataset.documents.slice(start, CHUNK)
        ((_, vectors),) = model.embed_chunks(dataset, rows, "document", show=False)
        return vectors


@lru_cache(maxsize=1)
def _opened(task: _Task) -> tuple[RankingModel, RankingDataset]:
    model = RankingModel.load(task.model).to(task.device).truncate_to(task.dimension)
    model.precision = cast(Precision, task.precision)
    return model, RankingDataset.load(task.dataset)


def cluster_chunks(
    engine: Engine,
    model: str | Path,
    dataset: RankingDataset,
    metadata: IndexMetadata,
    *,
    device: str,
) -> Chunks:
    """Return what embeds a data set's documents by an engine, from how many are done.

    The chunks are those of `RankingModel.embed_chunks`; processors of another kind give other last
    bits.

    Args:
        engine: which applies a function to many parts.
        model: folder of the model, which all machines see.
        dataset: a data set in such a folder.
        metadata: the dimension of the vectors, and the precision of the products.
        device: where each process embeds.

    Raises:
        InputError: the data set is in no folder.
    """
    if dataset.root is None:
        raise InputError(
            "expected a data set in a folder, which all machines see, found one in memory",
            where=dataset.name,
            remedy="Save it first, and load it.",
        )
    places = [str(Path(place).resolve()) for place in (model, dataset.root)]
    task = _Task(places[0], places[1], metadata.dimension, metadata.precision, device)
    count = dataset.documents.height

    def chunks(done: int) -> Iterator[tuple[int, Vectors]]:
        starts = range(done // CHUNK * CHUNK if done < count else count, count, CHUNK)
        with progress("embed document rows", count, done=starts.start, unit="rows") as advance:
            for start, vectors in zip(starts, engine.map(task, starts), strict=True):
                yield start, vectors
                advance(len(vectors))

    return chunks
