"""Which judged pairs make up each step, and what every process encodes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rankfield.encoders import RankingModel, SequenceEncoder
from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn
from rankfield.encoders.contents import first_of_content
from rankfield.encoders.field_batch import field_batch, field_codes
from rankfield.encoders.fusion import FieldBatch
from rankfield.encoders.sequence_batch import sequence_batch
from rankfield.schema import RankingDataset
from rankfield.schema.row_numbers import in_four_bytes
from rankfield.sorting import dense_ranks
from rankfield.training.augment import flip_and_shift
from rankfield.training.field_dropout import drop_fields
from rankfield.training.negatives import NegativeTable
from rankfield.training.objective import BatchPairs
from rankfield.training.order import epoch_order, query_clusters
from rankfield.training.pairs import TrainingPairs
from rankfield.training.recipe import Recipe
from rankfield.training.sources import add_judgments
from rankfield.training.table_columns import table_columns
from rankfield.training.training_images import TrainingImages
from rankfield.training.used_fields import without_fields

__all__ = ["PairBatches", "TrainingBatch"]

Ints = NDArray[np.int64]
_SIDES: tuple[Side, ...] = ("query", "document")

_AT_ONCE = 65_536
# Tell a step's random numbers for one purpose from those for another.
_DRAW, _MORE, _WORTHLESS = 7, 8, 9


@dataclass(frozen=True)
class TrainingBatch:
    """One process's share of a step.

    query_rows, document_rows: the distinct rows that this process encodes: every P-th of the global
        batch's, filled up with the first one so that all processes have as many.
    queries, documents: how many distinct ones the global batch has.
    pairs: indices into those.
    inputs: side → what the encoder takes for this process's rows, augmented, some fields dropped.
    seed: of the step's random numbers.
    random_state: of torch's generator for the CPU after what was drawn for `inputs`.
    """

    query_rows: NDArray[np.int64]
    document_rows: NDArray[np.int64]
    queries: int
    documents: int
    pairs: BatchPairs
    inputs: dict[Side, FieldBatch]
    seed: int
    random_state: Tensor


class PairBatches(Dataset[TrainingBatch]):
    """Step → batch, a function of the seed and the step alone, so that a run can go on anywhere.

    Each epoch takes the pairs in a new order (`order.epoch_order`); the pairs left over at its end
    are dropped. Every distinct query and document of the global batch is encoded once, by one of
    the P processes. Records of equal content count as one.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: RankingDataset,
        model: RankingModel,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.dataset, self.model, self.recipe = dataset, model, recipe
        self.rank, self.processes = rank, processes
        self.columns: dict[Side, list[FieldColumn]] = {
            side: table_columns(dataset, side, model.fields(side)) for side in _SIDES
        }
        self.pairs = TrainingPairs.of(recipe, dataset, self.columns)
        self.negatives: NegativeTable | None = None
        self._worthless = self._judged_worthless() if recipe.negatives.judged else None
        self._orders: dict[int, NDArray[np.integer]] = {}
        self._rows = self._possible_rows()
        self._vectors = self._query_vectors() if recipe.batch.similar_queries else None
        self.images = TrainingImages(
            model,
            dataset,
            self.columns,
            self._rows,
            limit_mib=recipe.data.image_cache_mib,
            disk_mib=recipe.data.image_disk_cache_mib,
            outputs_mib=self._outputs_mib(),
        )
        if recipe.batch.more_queries:
            _ = self.pairs.by_document  # now, or each process that reads ahead sorts for itself

    def __len__(self) -> int:
        return self.recipe.optimizer.steps

    def __getitem__(self, step: int) -> TrainingBatch:
        """Return this process's share of a step."""
        chosen, queries, documents = self.rows(step)
        pairs = BatchPairs(
            self.pairs.sampled(chosen, queries, documents), self.pairs.among(queries, documents)
        )
        seed = (self.recipe.seed << 32) + step * 1024 + self.rank
        generator = torch.Generator().manual_seed(seed)
        rows: dict[Side, Ints] = {
            "query": self.share(queries, self.rank),
            "document": self.share(documents, self.rank),
        }
        inputs = {side: self._inputs(side, shared, generator) for side, shared in rows.items()}
        return TrainingBatch(
            rows["query"],
            rows["document"],
            len(queries),
            len(documents),
            pairs,
            inputs,
            seed,
            generator.get_state(),
        )

    def rows(self, step: int) -> tuple[Ints, Ints, Ints]:
        """Return the pairs of a step's global batch, and its distinct query and document rows."""
        chosen = self.indices(step)
        queries = np.unique(self.pairs.query_rows[chosen])
        documents = np.unique(self.pairs.document_rows[chosen])
        if self._worthless is not None:
            rng = np.random.default_rng([self.recipe.seed, step, _WORTHLESS])
            drawn = self._worthless.draw(queries, self.recipe.negatives.judged, rng)
            documents = np.union1d(documents, drawn[drawn >= 0])
        if self.recipe.batch.more_queries:
            rng = np.random.default_rng([self.recipe.seed, step, _MORE])
            most = self.recipe.batch.more_queries
            more = self.pairs.judging(documents, most, queries, rng)
            queries = np.union1d(queries, more)
        if self.negatives is not None:
            documents = np.union1d(documents, self._draw(step, queries))
        return chosen, queries, documents

    def _inputs(self, side: Side, rows: Ints, generator: torch.Generator) -> FieldBatch:
        """Return what the encoder takes for these rows."""
        encoder, share = self.model.encoder, self.recipe.data.field_dropout
        if isinstance(encoder, SequenceEncoder):
            # A sequence that is prepared cannot lose a field any more.
            codes = drop_fields(field_codes(self.columns[side], rows), share, generator=generator)
            source = self.dataset.image_source
            return sequence_batch(encoder, self.columns[side], codes, side, source)
        images = self.images.items(side, rows)
        if self.recipe.data.augment:
            images = {
                name: {"pixels": flip_and_shift(items["pixels"], generator=generator)}
                for name, items in images.items()
            }
        batch = field_batch(encoder, self.columns[side], rows, side, images)
        return drop_fields(batch, share, generator=generator)

    def use_negatives(self, frame: pl.DataFrame) -> None:
        """Add hard negatives to every batch: a frame with ``query_id`` and ``doc_id``.

        Documents that have none of the model's fields are left out.

        Raises:
            DataError: an id that the data set lacks.
        """
        judged = add_judgments(
            self.dataset.training_judgments(), self.recipe.judgments, self.dataset
        )
        absent = without_fields(self.dataset, "document", self.model.fields("document"))
        frame = frame.join(absent, on="doc_id", how="anti", maintain_order="left")
        table = NegativeTable.of(frame, self.dataset, judged=judged)
        known = _distinct(self.pairs.document_rows)
        rows = np.concatenate([known, np.setdiff1d(table.documents, known)])
        # A negative of the same content as a trained document is that document.
        same = first_of_content(self.columns["document"], self.dataset, rows)
        order = np.argsort(rows)
        places = order[np.searchsorted(rows, table.documents, sorter=order)]
        self.negatives = replace(table, documents=same[places])

    def _draw(self, step: int, queries: Ints) -> Ints:
        """Return the step's hard negatives of these query rows."""
        assert self.negatives is not None
        rng = np.random.default_rng([self.recipe.seed, step, _DRAW])
        # Contents were merged after mining, so a draw may hold a document twice, or a judged one.
        drawn = self.negatives.draw(queries, self.recipe.negatives.per_query, rng)
        return drawn[drawn >= 0]

    def _judged_worthless(self) -> NegativeTable:
        """Return the documents of each query that are judged and have the weight 0.

        No pair of theirs is in the pool, so that a batch would meet them by chance alone.
        """
        worthless = self.pairs.weights == 0
        queries, documents = self.pairs.query_rows, self.pairs.document_rows
        return NegativeTable.of_rows(
            queries[worthless].astype(np.int64),
            documents[worthless].astype(np.int64),
            total=int(queries.max()) + 1,
        )

    def share(self, rows: Ints, rank: int) -> Ints:
        """Return a process's part of distinct rows, as long as every other process's."""
        mine = rows[rank :: self.processes]
        missing = -(-len(rows) // self.processes) - len(mine)
        return np.concatenate([mine, rows[:missing]])

    def indices(self, step: int) -> Ints:
        """Return the pairs of the global batch of a step."""
        size = self.recipe.batch.size
        epoch, place = divmod(step, len(self.pairs.pool) // size)
        return self._epoch(epoch)[place * size : (place + 1) * size].astype(np.int64)

    def _epoch(self, epoch: int) -> NDArray[np.integer]:
        """Return an epoch's pairs in their order; of a mapped data set, that of all processes."""
        if epoch not in self._orders:
            mapped = self.dataset.mapped
            if mapped is None or self._vectors is not None or self.pairs.key is None:
                self._orders = {epoch: self._order(epoch)}
            else:
                batch = self.recipe.batch
                said = [self.pairs.key, self.recipe.seed, batch.documents_per_query, batch.choice]
                what = f"order {json.dumps(said)} {epoch}"
                made = mapped.derived(what, lambda: {"order": in_four_bytes(self._order(epoch))})
                self._orders = {epoch: made["order"]}
        return self._orders[epoch]

    def _order(self, epoch: int) -> Ints:
        rng = np.random.default_rng([self.recipe.seed, epoch])
        batch = self.recipe.batch
        pool = self.pairs.pool
        queries = self.pairs.query_rows[pool]
        clusters = None
        if self._vectors is not None:
            inverse = dense_ranks(queries)[1]
            clusters = query_clusters(self._vectors, batch.similar_queries, rng)[inverse]
        order = epoch_order(
            queries,
            self.pairs.scores[pool],
            self.pairs.weights[pool],
            documents_per_query=batch.documents_per_query,
            choice=batch.choice,
            clusters=clusters,
            scale=self.dataset.score_scale,
            rng=rng,
        )
        return pool[order]

    def texts(self, side: Side) -> Iterator[str]:
        """Yield the distinct texts of this side that training can meet."""
        for column in self.columns[side]:
            if column.field.modality == "text":
                codes = column.codes_of(self._rows[side])
                for part in np.split(codes, range(_AT_ONCE, len(codes), _AT_ONCE)):
                    yield from map(str, column.take(part))

    def _outputs_mib(self) -> int:
        """Return what a frozen vision tower's outputs may take; 0: they do not pay.

        Images that are mirrored and shifted have other outputs each time; and of fewer steps than
        an epoch has, not all images are met.
        """
        data, pairs = self.recipe.data, self.recipe.optimizer.steps * self.recipe.batch.size
        met = sum(map(len, self._rows.values()))
        return 0 if data.augment or pairs < met else data.vision_disk_cache_mib

    def _query_vectors(self) -> NDArray[np.float32]:
        """Embed the training queries with the untrained model: which are near each other."""
        rows = np.unique(self.pairs.query_rows[self.pairs.pool])
        vectors = self.model.embed_queries(self.dataset, self.dataset.queries[rows])
        if dist.is_available() and dist.is_initialized():  # no two devices round alike
            shared = torch.from_numpy(vectors).to(self.model.device)  # NCCL takes no other
            dist.broadcast(shared, 0)
            vectors = shared.cpu().numpy()
        return vectors

    def _possible_rows(self) -> dict[Side, Ints]:
        """Return the rows that training can meet; a negative may be any visible document."""
        documents = _distinct(self.pairs.document_rows)
        if self.recipe.negatives.used:
            ids = self.dataset.training_documents()["doc_id"]
            documents = np.flatnonzero(self.dataset.documents["doc_id"].is_in(ids.implode()))
        return {"query": _distinct(self.pairs.query_rows), "document": documents}


def _distinct(rows: Ints) -> Ints:
    """Return the distinct rows, ascending, without sorting them."""
    return np.flatnonzero(np.bincount(rows))
