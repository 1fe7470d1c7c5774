"""The ranking model: an encoder with the fields of both sides and their weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rankfield.encoders.base import Encoder, Fusion, Side
from rankfield.encoders.columns import ImageSource, ImageValue
from rankfield.encoders.encoded import Encoded
from rankfield.encoders.field_weights import FieldWeights
from rankfield.encoders.foreign import from_pretrained
from rankfield.encoders.fusion import FieldBatch, FieldVectors, field_embeddings, fuse_fields
from rankfield.encoders.micro_batches import MicroBatches
from rankfield.encoders.pipeline import embedded, embedded_table, encode_rows
from rankfield.encoders.pixels import read_pixels
from rankfield.encoders.pooling import Pooling
from rankfield.encoders.precision import Precision, chosen_precision
from rankfield.encoders.records import read_records
from rankfield.encoders.rows import FrameRows
from rankfield.encoders.saved import load_saved, save_model
from rankfield.encoders.sequence_batch import SEQUENCE
from rankfield.errors import ModelError
from rankfield.losses.matryoshka import truncated
from rankfield.schema import Field, RankingDataset

__all__ = ["RankingModel"]


class RankingModel(nn.Module):
    """Queries and documents as unit vectors whose inner product ranks.

    e = normalise(Σ_f ω_f · v_f) for both sides, with v_f = normalise(mean over the items x of
    field f of normalise(enc_f(x))); the fields and ω are saved with the model, so that training,
    evaluation, indexing and search agree.

    Args:
        encoder: text, image, or both.
        query_fields, document_fields: what a query and a document consist of.
        logit_scale: initial inverse temperature of the loss, a learnt weight.
        logit_bias: initial bias of the loss's sigmoid form, a learnt weight; None for none.
        learn_field_weights: make ω weights to learn, as `FieldWeights`, on a side with more than
            one field; what was learnt is saved as the fields' weights.
        name: for tables and reports.
        metadata: how it was trained: recipe, data fingerprint, seed, metrics.

    Raises:
        ModelError: a field whose modality the encoder lacks.
    """

    def __init__(
        self,
        encoder: Encoder,
        query_fields: Sequence[Field],
        document_fields: Sequence[Field],
        *,
        logit_scale: float = 1 / 0.07,
        logit_bias: float | None = None,
        name: str = "model",
        metadata: dict[str, Any] | None = None,
        learn_field_weights: bool = False,
    ) -> None:
        super().__init__()
        for field in (*query_fields, *document_fields):
            if field.modality not in encoder.modalities:
                raise ModelError(
                    f"the encoder takes {' and '.join(sorted(encoder.modalities))}, "
                    f"but the field {field.name!r} is {field.modality}",
                    remedy="Leave the field out or take another encoder.",
                )
        self.encoder = encoder
        self.query_fields, self.document_fields = tuple(query_fields), tuple(document_fields)
        self.log_logit_scale = nn.Parameter(torch.tensor(math.log(logit_scale)))
        self.logit_bias = None if logit_bias is None else nn.Parameter(torch.tensor(logit_bias))
        sides = {"query": self.query_fields, "document": self.document_fields}
        several = {side: fields for side, fields in sides.items() if len(fields) > 1}
        self.field_weights = nn.ModuleDict(
            {s: FieldWeights(f) for s, f in several.items()} if learn_field_weights else {}
        )
        self.name = name
        self.metadata = metadata or {}
        self.batch_size = encoder.batch_size
        self.micro_batches = MicroBatches()
        self.dimension = encoder.dimension
        self.precision: Precision = "float32"

    @property
    def computes_in(self) -> str:
        """In what it embeds documents, "float32" or "bfloat16": what `precision` comes to here."""
        return chosen_precision(self.precision, self.encoder, self.device)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.log_logit_scale.device

    def fields(self, side: Side) -> tuple[Field, ...]:
        """Return the fields of a side, with the weights that the model was made with."""
        return self.query_fields if side == "query" else self.document_fields

    def truncate_to(self, dimension: int) -> RankingModel:
        """Make all embeddings normalise(e[:d]), saved models' too, and return the model.

        For a model trained with `loss.matryoshka`; any other loses much of its ranking.

        Raises:
            ModelError: d is not from 1 to the encoder's dimension D.
        """
        self.dimension = self.checked_dimension(dimension)
        return self

    def checked_dimension(self, dimension: int) -> int:
        """Return d.

        Raises:
            ModelError: it is not from 1 to the encoder's dimension D.
        """
        if not 1 <= dimension <= self.encoder.dimension:
            raise ModelError(
                f"expected a dimension from 1 to {self.encoder.dimension}, found {dimension}",
                where=self.name,
            )
        return dimension

    def current_fields(self, side: Side) -> tuple[Field, ...]:
        """Return the fields of a side with the weights learnt so far, of the same total."""
        learnt = self._learnt(side)
        return self.fields(side) if learnt is None else learnt.fields()

    def _weights(self, side: Side) -> Mapping[str, float | Tensor]:
        learnt = self._learnt(side)
        weights: Mapping[str, float | Tensor]
        weights = {f.name: f.weight for f in self.fields(side)} if learnt is None else learnt()
        return weights

    def _learnt(self, side: Side) -> FieldWeights | None:
        if side not in self.field_weights:
            return None
        learnt = self.field_weights[side]
        assert isinstance(learnt, FieldWeights)
        return learnt

    def forward(self, queries: FieldBatch, documents: FieldBatch) -> Encoded:
        """Return unit embeddings of queries and documents, and what the loss takes beside them."""
        left = self.encode(queries, "query")
        right, parts = self.encode_parts(documents, "document")
        scale = self.log_logit_scale.exp()
        # A copy: DDP takes a bare weight among the outputs for an unused one.
        bias = scale.new_zeros(()) if self.logit_bias is None else self.logit_bias.clone()
        return Encoded(left, right, scale, bias, parts)

    def encode(self, batch: FieldBatch, side: Side) -> Tensor:
        """Return N × D unit embeddings, float32; N × d after `truncate_to`."""
        return self.encode_parts(batch, side)[0]

    def encode_parts(self, batch: FieldBatch, side: Side) -> tuple[Tensor, dict[str, Tensor]]:
        """Return N × D unit embeddings, and the same of each field alone, float32.

        The parts are by field name, in the model's order; a record without the field has a zero
        row, and a field that no record has is left out. After `truncate_to` all are N × d. Fields
        that were read in one sequence have no embeddings of their own.
        """
        whole = batch.inputs.get(SEQUENCE)
        if whole is not None:
            vectors = self.micro_batches.encode(self.encoder, "text", whole.items)
            unit = field_embeddings(batch.size, vectors, whole.rows, whole.index)
            return truncated(unit, self.dimension), {}
        found = {}
        for field in self.fields(side):
            if field.name in batch.inputs:
                inputs = batch.inputs[field.name]
                vectors = self.micro_batches.encode(self.encoder, field.modality, inputs.items)
                found[field.name] = FieldVectors(
                    vectors, inputs.rows, inputs.index, inputs.multi_valued
                )
        fused, parts = fuse_fields(batch.size, found, self._weights(side), self.dimension)
        return fused, {name: truncated(part, self.dimension) for name, part in parts.items()}

    def embed_queries(
        self, dataset: RankingDataset, queries: pl.DataFrame | None = None
    ) -> NDArray[np.float32]:
        """Return N × D unit embeddings of these queries (all by default), zero without any field.

        Raises:
            InputError: records in place of a data set: `encode_queries` takes them.
            DataError: a field that the data lacks.
            ImageError: an image that is missing or cannot be read.
        """
        return embedded_table(self, dataset, queries, "query")

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame | None = None
    ) -> NDArray[np.float32]:
        """Return N × D unit embeddings of these documents; otherwise as `embed_queries`."""
        return embedded_table(self, dataset, documents, "document")

    def embed_chunks(
        self,
        dataset: RankingDataset,
        frame: pl.DataFrame,
        side: Side,
        *,
        done: int = 0,
        show: bool = True,
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first row, its chunk's n × D unit embeddings) over the rows of a table, in order.

        A record without any field of the model has a zero row.

        Args:
            dataset: whose images the table names.
            frame: queries or documents.
            side: which of them.
            done: how many rows to leave out, at least; the chunk they end in is made again.
            show: whether progress is shown.

        Raises:
            DataError: a field that the data lacks.
            ImageError: an image that is missing, before anything is embedded, or cannot be read.
        """
        rows = FrameRows.of(dataset, frame, side, self.current_fields(side))
        yield from embedded(
            self,
            rows,
            side,
            dimension=self.dimension,
            batch_size=self.batch_size,
            done=done,
            show=show,
        )

    def encode_queries(
        self,
        records: Any,
        *,
        field: str | None = None,
        root: str | Path | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        device: str | torch.device | None = None,
        truncate_dim: int | None = None,
        precision: Precision | None = None,
    ) -> NDArray[np.float32]:
        """Return the N × D float32 unit embeddings of queries.

        Args:
            records: strings, images (path, bytes, PIL image), dictionaries from field names to
                values, or a frame of polars, pandas or pyarrow; a single record is a list of one.
                A text field holds a string, an image field an image (a string is its path) or a
                list of images; None and "" are absent. What is present is fused. Where the model
                has no image field for queries, the key "image" counts as much as the text.
            field: where strings and images that stand alone go, if it is not clear.
            root: the folder that paths start from and stay in; None: any path.
            batch_size, show_progress_bar: by default the model's, and for more than one batch.
            device, truncate_dim: where to move the model first; d, to give normalise(e[:d]).
            precision: "float32", "bfloat16" or "auto", the faster here; by default float32.

        Raises:
            DataError, ImageError: a record with nothing present, or that cannot be read; its row.
            InputError: a value that could go to any of two fields, or to none; another precision.
            ModelError: `truncate_dim` is not from 1 to the encoder's dimension.
        """
        fields = self.current_fields("query")
        spare = self._spare_image(fields)
        rows = read_records(records, "query", fields, field=field, root=root, spare=spare)
        return encode_rows(
            self,
            rows,
            "query",
            batch_size=batch_size,
            show=show_progress_bar,
            device=device,
            dimension=truncate_dim,
            precision=precision,
        )

    def encode_documents(
        self,
        records: Any,
        *,
        field: str | None = None,
        root: str | Path | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        device: str | torch.device | None = None,
        truncate_dim: int | None = None,
        precision: Precision | None = None,
    ) -> NDArray[np.float32]:
        """Return the N × D float32 unit embeddings of documents.

        As `encode_queries`; images are for image fields alone, the precision the model's.
        """
        fields = self.current_fields("document")
        rows = read_records(records, "document", fields, field=field, root=root)
        return encode_rows(
            self,
            rows,
            "document",
            batch_size=batch_size,
            show=show_progress_bar,
            device=device,
            dimension=truncate_dim,
            precision=precision,
        )

    def _spare_image(self, fields: Sequence[Field]) -> Field | None:
        """Return the field of an image in a query, if the model takes one and has no field."""
        if "image" not in self.encoder.modalities or any(f.modality == "image" for f in fields):
            return None
        return Field("image", "image", fields[0].weight if fields else 1.0)

    def read_pixels(self, values: Sequence[ImageValue], source: ImageSource) -> Tensor:
        """Return images as uint8 U × H × W × 3, resized for the vision tower.

        Raises:
            ImageError: an image that cannot be read.
            ModelError: the encoder takes no images.
        """
        if self.encoder.image_transform is None:
            raise ModelError("the encoder takes no images", where=self.name)
        return read_pixels(self.encoder.image_transform, values, source)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the encoder's own files and `rankfield.json`.

        Raises:
            OutputError: the folder exists and `overwrite` is false, or it cannot be written.
        """
        save_model(self, folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path, *, allow_code: bool = False) -> RankingModel:
        """Read a model folder that `save` wrote; embeddings are the same to the bit.

        Raises:
            ModelError: not a model folder, or one that cannot be read.
            RecipeError: it has a module of a factory, which `allow_code` lets be imported.
        """
        return load_saved(cls, folder, allow_code=allow_code)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        *,
        query_fields: Sequence[Field] | None = None,
        document_fields: Sequence[Field] | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        pooling: Pooling | None = None,
        fusion: Fusion | None = None,
        dataset: RankingDataset | None = None,
        revision: str | None = None,
        checkpoint: str | Path | None = None,
        allow_code: bool = False,
        truncate_dim: int | None = None,
        device: str | torch.device | None = None,
        precision: Precision = "float32",
    ) -> RankingModel:
        """Return a saved model, or a pretrained one of another library with these fields.

        Args:
            name_or_folder: a folder that `save` wrote; or a model of transformers, of
                sentence-transformers or of open_clip: a folder, a hub id ("hf-hub:ID": open_clip),
                or "package:NAME" for an installed package with a `get_model_path()`.
            query_fields, document_fields: with weights; by default those of `dataset`, or else
                "query", and "image" and "text", as far as the encoder takes them.
            query_prefix, document_prefix: go before each text; by default the model's prompts.
            pooling: of a text model of transformers, as `TransformersTextTower.load`.
            fusion: of a model that reads texts and images in one sequence: "sequence" or "fields".
            dataset: what the model shall embed.
            revision, checkpoint: of a hub id; weights of open_clip's architecture "ViT-B-32".
            allow_code: let a package or a factory be imported and run; no other code is run.
            truncate_dim, device: as `truncate_to`; by default a GPU if there is one.
            precision: in which it embeds documents, as `encode_queries`.

        Raises:
            ModelError: it cannot be reached or loaded, or the fields do not fit it.
            MissingExtraError: sentence-transformers or open_clip is needed and not installed.
            InputError: what the model has of its own, or a data set without a field for it.
            RecipeError: a package or factory that is not allowed.
        """
        model = from_pretrained(
            cls,
            name_or_folder,
            query_fields=query_fields,
            document_fields=document_fields,
            query_prefix=query_prefix,
            document_prefix=document_prefix,
            pooling=pooling,
            fusion=fusion,
            dataset=dataset,
            revision=revision,
            checkpoint=checkpoint,
            allow_code=allow_code,
        )
        model.precision = precision
        if truncate_dim is not None:
            model.truncate_to(truncate_dim)
        return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
