"""The ranking model: an encoder with the fields of both sides and their weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rankfield.encoders.base import Encoder, Side
from rankfield.encoders.columns import FieldColumn, field_columns
from rankfield.encoders.composed import ComposedEncoder
from rankfield.encoders.dual import DualEncoder
from rankfield.encoders.encoded import Encoded
from rankfield.encoders.field_weights import FieldWeights
from rankfield.encoders.fusion import FieldBatch, FieldInputs, field_embeddings, fuse
from rankfield.encoders.modes import evaluating
from rankfield.encoders.present_images import require_images
from rankfield.encoders.pretrained import loading, require_plain_files
from rankfield.encoders.quiet import quiet_transformers
from rankfield.errors import DataError, ModelError
from rankfield.files import new_folder, read_json_object, write_json
from rankfield.images import loaded_image
from rankfield.losses.matryoshka import truncated
from rankfield.progress import progress
from rankfield.schema import Field, RankingDataset

__all__ = ["RankingModel"]

_ENCODERS: dict[str, type[Encoder]] = {"composed": ComposedEncoder, "transformers": DualEncoder}
_FORMAT = 1
_CHUNK = 2048


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
        made: how it was made: recipe, data fingerprint, seed, metrics.

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
        made: dict[str, Any] | None = None,
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
        self.made = made or {}
        self.batch_size = 256
        self.dimension = encoder.dimension

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
        if not 1 <= dimension <= self.encoder.dimension:
            raise ModelError(
                f"expected a dimension from 1 to {self.encoder.dimension}, found {dimension}",
                where=self.name,
            )
        self.dimension = dimension
        return self

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
        row, and a field that no record has is left out. After `truncate_to` all are N × d.
        """
        parts = {}
        for field in self.fields(side):
            if field.name in batch.inputs:
                inputs = batch.inputs[field.name]
                raw = self._vectors(field, inputs.items)
                parts[field.name] = field_embeddings(
                    batch.size, raw, inputs.rows, inputs.index, several=inputs.several
                )
        fused = truncated(fuse(parts, self._weights(side)), self.dimension)
        return fused, {name: truncated(part, self.dimension) for name, part in parts.items()}

    def _vectors(self, field: Field, items: Mapping[str, Tensor]) -> Tensor:
        if field.modality == "text":
            return self.encoder.encode_text(dict(items))
        return self.encoder.encode_image(items["pixels"])

    def prepare(
        self,
        columns: Sequence[FieldColumn],
        rows: NDArray[np.int64],
        side: Side,
        pixels: Callable[[FieldColumn, NDArray[np.int64]], Tensor],
    ) -> FieldBatch:
        """Return the batch of these rows of a table.

        Args:
            columns: the table's fields, from `field_columns`.
            rows: row numbers.
            side: query or document.
            pixels: function (column, codes) → uint8 U × H × W × 3 tensor of these pictures.
        """
        inputs = {}
        for column in columns:
            positions, codes = column.entries_of(rows)
            if not len(positions):
                continue
            distinct, index = np.unique(codes, return_inverse=True)
            if column.field.modality == "text":
                items = self.encoder.tokenize([str(column.values[c]) for c in distinct], side)
            else:
                items = {"pixels": pixels(column, distinct)}
            inputs[column.field.name] = FieldInputs(
                items, torch.from_numpy(positions), torch.from_numpy(index), column.several
            )
        return FieldBatch(len(rows), inputs)

    def embed_queries(
        self, dataset: RankingDataset, queries: pl.DataFrame | None = None
    ) -> NDArray[np.float32]:
        """Return N × D unit embeddings of these queries (all of them by default).

        A query without any field of the model has a zero row.

        Raises:
            DataError: a field that the data lacks.
            ImageError: a picture that is missing or cannot be read.
        """
        frame = dataset.queries if queries is None else queries
        return self._embed(dataset, frame, "query")

    def embed_documents(
        self, dataset: RankingDataset, documents: pl.DataFrame | None = None
    ) -> NDArray[np.float32]:
        """Return N × D unit embeddings of these documents (all of them by default).

        A document without any field of the model has a zero row.

        Raises:
            DataError: a field that the data lacks.
            ImageError: a picture that is missing or cannot be read.
        """
        frame = dataset.documents if documents is None else documents
        return self._embed(dataset, frame, "document")

    def embed_chunks(
        self, dataset: RankingDataset, frame: pl.DataFrame, side: Side, *, done: int = 0
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first row, its chunk's n × D unit embeddings) over the rows of a table, in order.

        Chunks are of one size and start at its multiples, whatever is done already: an embedding
        depends on its chunk, whose texts share batches, in the last bits. A record without any
        field of the model has a zero row.

        Args:
            dataset: whose pictures the table names.
            frame: queries or documents.
            side: which of them.
            done: how many rows to leave out, at least; the chunk they end in is made again.

        Raises:
            DataError: a field that the data lacks.
            ImageError: a picture that is missing, before anything is embedded, or cannot be read.
        """
        self.check_fields(frame, side, dataset.name)
        first = done // _CHUNK * _CHUNK if done < len(frame) else len(frame)
        require_images(dataset, frame[first:], side, self.fields(side))
        with (
            evaluating(self),
            progress(f"embed {side} rows", len(frame), done=first, unit="rows") as step,
        ):
            for start in range(first, len(frame), _CHUNK):
                chunk = frame.slice(start, _CHUNK)
                # A mode that ends before the caller gets control.
                with torch.inference_mode():
                    embeddings = self._embed_chunk(dataset, chunk, side)
                yield start, embeddings
                step(len(chunk))

    def _embed(
        self, dataset: RankingDataset, frame: pl.DataFrame, side: Side
    ) -> NDArray[np.float32]:
        out = np.empty((len(frame), self.dimension), dtype=np.float32)
        for start, embeddings in self.embed_chunks(dataset, frame, side):
            out[start : start + len(embeddings)] = embeddings
        return out

    def check_fields(self, frame: pl.DataFrame, side: Side, where: str) -> None:
        """Raise a DataError that names the first field of the model that the table lacks."""
        for field in self.fields(side):
            if field.name not in frame.columns:
                raise DataError(
                    f"the model needs the {side} field {field.name!r}, which the data lacks; "
                    f"it has {', '.join(frame.columns)}",
                    where=where,
                )

    def _embed_chunk(
        self, dataset: RankingDataset, frame: pl.DataFrame, side: Side
    ) -> NDArray[np.float32]:
        parts = {}
        for column in field_columns(frame, self.fields(side)):
            rows, codes = column.entries_of(np.arange(len(frame)))
            if not len(rows):
                continue
            raw = self._encode_values(dataset, column, side)
            index = torch.from_numpy(codes).to(raw.device)
            places = torch.from_numpy(rows).to(raw.device)
            parts[column.field.name] = field_embeddings(
                len(frame), raw, places, index, several=column.several
            )
        if not parts:
            return np.zeros((len(frame), self.dimension), dtype=np.float32)
        fused = fuse(parts, self._weights(side))
        return truncated(fused, self.dimension).cpu().numpy()

    def _encode_values(self, dataset: RankingDataset, column: FieldColumn, side: Side) -> Tensor:
        """Encode a column's distinct values; texts of like length share a batch."""
        text = column.field.modality == "text"
        order = np.arange(len(column.values))
        if text:
            order = np.argsort([len(v) for v in column.values], kind="stable")
        out: Tensor | None = None
        for part in np.split(order, range(self.batch_size, len(order), self.batch_size)):
            if text:
                items = self.encoder.tokenize([str(column.values[i]) for i in part], side)
            else:
                items = {"pixels": self.load_pixels(dataset, [column.values[i] for i in part])}
            on_device = {name: item.to(self.device) for name, item in items.items()}
            raw = self._vectors(column.field, on_device)
            if out is None:
                out = raw.new_empty(len(order), raw.shape[1])
            out[torch.from_numpy(part).to(raw.device)] = raw
        assert out is not None
        return out

    def load_pixels(self, dataset: RankingDataset, values: Sequence[str | bytes]) -> Tensor:
        """Return these pictures as uint8 U × H × W × 3, resized for the vision tower.

        Raises:
            ImageError: a picture that cannot be read.
        """
        transform = self.encoder.image_transform
        if transform is None:
            raise ModelError("the encoder takes no pictures")

        def load(value: str | bytes) -> NDArray[np.uint8]:
            with loaded_image(dataset.image_source(value)) as image:
                return transform.to_array(image)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return torch.from_numpy(np.stack(list(pool.map(load, values))))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the encoder's own files and `rankfield.json`.

        Raises:
            OutputError: the folder exists and `overwrite` is false, or it cannot be written.
        """
        from rankfield import __version__

        with quiet_transformers(), new_folder(folder, overwrite=overwrite) as temporary:
            self.encoder.save(temporary)
            header = {
                "format": _FORMAT,
                "rankfield": __version__,
                "name": self.name,
                "encoder": self.encoder.kind,
                "dimension": self.dimension,
                "query_fields": [vars(f) for f in self.current_fields("query")],
                "document_fields": [vars(f) for f in self.current_fields("document")],
                "log_logit_scale": float(self.log_logit_scale.detach()),
                "made": self.made,
            }
            write_json(temporary / "rankfield.json", header)

    @classmethod
    def load(cls, folder: str | Path) -> RankingModel:
        """Read a model folder that `save` wrote; embeddings are the same to the bit.

        Raises:
            ModelError: not a model folder, or one that cannot be read.
        """
        root = Path(folder)
        path = root / "rankfield.json"
        if not path.is_file():
            problem = "not a rankfield model" if root.exists() else "there is no such folder"
            raise ModelError(
                problem, where=str(root), remedy="Give the folder `model` of a training run."
            )
        require_plain_files(root)
        with loading(str(root)), quiet_transformers():
            header = read_json_object(path)
            if header["format"] != _FORMAT:
                raise ModelError(
                    f"expected format {_FORMAT}, found {header['format']!r}",
                    where=str(path),
                    remedy="Use the rankfield version that wrote it.",
                )
            encoder = _ENCODERS[header["encoder"]].load(root)
            model = cls(
                encoder,
                [Field(**f) for f in header["query_fields"]],
                [Field(**f) for f in header["document_fields"]],
                name=header["name"],
                made=header["made"],
            )
            # Folders of earlier versions do not say it.
            model.truncate_to(header.get("dimension", encoder.dimension))
            with torch.no_grad():
                model.log_logit_scale.fill_(header["log_logit_scale"])
        return model.eval()
