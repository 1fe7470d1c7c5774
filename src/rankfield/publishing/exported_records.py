"""A published folder whose ONNX graphs fuse the fields of a whole record, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankfield.encoders import ImageTransform
from rankfield.encoders.base import Side
from rankfield.encoders.pretrained import loading
from rankfield.files import read_json_object
from rankfield.publishing.exported_model import TextTokens, Towers
from rankfield.publishing.sessions import OnnxSession
from rankfield.schema import Field

__all__ = ["ExportedRecords"]

_RECORDS = 16


@dataclass(frozen=True)
class _Part:
    """What the graph gets of one field: tensors by the ends of their names, and what is there."""

    tensors: Mapping[str, NDArray[Any]]
    present: NDArray[np.bool_]


class ExportedRecords:
    """A folder of `rankfield publish --as onnx-document`: records in, fused unit vectors out.

    Args:
        folder: that was published.
        threads: how many; by default one for each core.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ModelError: not such a folder, or one that cannot be read.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        root = Path(folder)
        towers = Towers.load(root)
        with loading(str(root)):
            settings = read_json_object(root / "fields.json")
            self._fields: dict[Side, list[Field]] = {}
            self._prefixes: dict[Side, str] = {}
            sides: tuple[Side, Side] = ("query", "document")
            for side in sides:
                self._fields[side] = [Field(**one) for one in settings[side]["fields"]]
                self._prefixes[side] = settings[side]["prefix"]
        self._sessions: dict[Side, OnnxSession] = {
            side: OnnxSession(root / "onnx" / f"{side}.onnx", threads) for side in sides
        }
        self._tokens = TextTokens(root, towers) if towers.max_tokens else None
        images = (root / "preprocessor_config.json").is_file()
        self._transform = ImageTransform.from_pretrained(root) if images else None

    def encode_records(
        self, records: Sequence[Mapping[str, Any]], side: Side
    ) -> NDArray[np.float32]:
        """Return N × d unit vectors, zeros for a record without any field.

        Args:
            records: field name → a string, an RGB image of PIL, or a list of such images. A field
                that is missing or None is absent.
            side: whose fields they have.
        """
        session, found = self._sessions[side], []
        for start in range(0, len(records), _RECORDS):
            part = records[start : start + _RECORDS]
            inputs: dict[str, NDArray[Any]] = {}
            for field in self._fields[side]:
                values = [record.get(field.name) for record in part]
                one = (
                    self._texts(values, side) if field.modality == "text" else self._images(values)
                )
                inputs |= {f"{field.name}.{end}": tensor for end, tensor in one.tensors.items()}
                inputs[f"{field.name}.present"] = one.present
            known = {name: tensor for name, tensor in inputs.items() if name in session.names}
            found.append(session.run(known, f"{side}_embeds"))
        return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)

    def _texts(self, values: Sequence[str | None], side: Side) -> _Part:
        assert self._tokens is not None
        tokens = self._tokens.read([self._prefixes[side] + (value or "") for value in values])
        names = frozenset({"input_ids", "attention_mask", "token_type_ids"})
        present = np.array([bool(value) for value in values])
        return _Part(self._tokens.tensors(tokens, names), present)

    def _images(self, values: Sequence[Any]) -> _Part:
        assert self._transform is not None
        lists = [
            value if isinstance(value, list) else [] if value is None else [value]
            for value in values
        ]
        most = max(1, *map(len, lists))
        shape = (len(lists), most, self._transform.height, self._transform.width, 3)
        pixels, present = np.zeros(shape, dtype=np.uint8), np.zeros(shape[:2], dtype=np.bool_)
        for row, images in enumerate(lists):
            for place, image in enumerate(images):
                pixels[row, place] = self._transform.to_array(image)
                present[row, place] = True
        return _Part({"pixels": pixels}, present)
