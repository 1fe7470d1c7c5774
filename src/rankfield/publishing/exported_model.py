"""A published ONNX or OpenVINO folder as an encoder of texts and images on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from rankfield.encoders import ImageTransform
from rankfield.encoders.base import Side
from rankfield.encoders.pretrained import loading
from rankfield.errors import ModelError
from rankfield.files import read_json_object, write_json
from rankfield.paths import stays_inside
from rankfield.publishing.sessions import Session, open_session

__all__ = ["ExportedModel", "TextTokens", "Towers"]

_FILE = "graphs.json"
_MOST_TEXTS = 64
_IMAGES = 32


@dataclass(frozen=True)
class Towers:
    """`graphs.json` of a folder with a graph for each tower.

    text, image: files of the graphs, from the folder; "" where there is none.
    text_output, image_output: the output that holds the unit vectors.
    max_tokens: where texts are cut, their prefix included.
    pad_token: id that shorter texts are filled up with.
    full_length: whether they are filled up to `max_tokens`, whatever the batch.
    """

    text: str = ""
    text_output: str = ""
    image: str = ""
    image_output: str = ""
    max_tokens: int = 0
    pad_token: int = 0
    full_length: bool = False

    def save(self, folder: Path) -> None:
        """Write `graphs.json`."""
        write_json(folder / _FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Towers:
        """Read `graphs.json`.

        Raises:
            ModelError: it is missing or malformed, or names a file outside the folder.
        """
        if not (folder / _FILE).is_file():
            raise ModelError(
                f"has no {_FILE}",
                where=str(folder),
                remedy="Give a folder of `rankfield publish --as onnx` or `--as openvino`.",
            )
        with loading(str(folder)):
            towers = cls(**read_json_object(folder / _FILE))
            # links may lead out: a hub's cache is made of them
            outside = [p for p in (towers.text, towers.image) if not stays_inside(p)]
        if outside:
            raise ModelError(
                f"names the graph {outside[0]!r}, which is outside its folder",
                where=str(folder / _FILE),
                remedy="Publish the model again.",
            )
        return towers


class TextTokens:
    """Token tensors of texts, without torch.

    Args:
        folder: with `tokenizer.json`.
        towers: say where texts are cut and how they are padded.
    """

    def __init__(self, folder: Path, towers: Towers) -> None:
        with loading(str(folder)):
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(towers.max_tokens)
        self._towers = towers

    def read(self, texts: Sequence[str]) -> list[Any]:
        """Return the tokens of each text, not padded."""
        encoded: list[Any] = self._tokenizer.encode_batch(list(texts))
        return encoded

    def tensors(self, tokens: Sequence[Any], names: frozenset[str]) -> dict[str, NDArray[np.int64]]:
        """Return int64 N × L tensors of texts that `read` gave, those of these names."""
        longest = max(len(one.ids) for one in tokens)
        width = self._towers.max_tokens if self._towers.full_length else longest
        shape = (len(tokens), width)
        found = {
            "input_ids": np.full(shape, self._towers.pad_token, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, one in enumerate(tokens):
            for name, values in (("input_ids", one.ids), ("token_type_ids", one.type_ids)):
                found[name][row, : len(values)] = values
            found["attention_mask"][row, : len(one.ids)] = 1
        return {name: tensor for name, tensor in found.items() if name in names}


class ExportedModel:
    """A folder that `rankfield publish` wrote for ONNX Runtime or OpenVINO, on the CPU.

    Texts of like length share a batch, and a batch holds a number of tokens, not of texts: its
    states stay in the processor's cache. The prefix of each side is put before texts.

    Args:
        folder: of `--as onnx`, `onnx-int8`, `openvino` or `openvino-int8`.
        threads: how many; by default one for each core.
        tokens: how many tokens a batch holds at most, padding included.

    Raises:
        MissingExtraError: the runtime is not installed.
        ModelError: not such a folder, or one that cannot be read.
    """

    def __init__(
        self, folder: str | Path, *, threads: int | None = None, tokens: int = 512
    ) -> None:
        root = Path(folder)
        self._towers = towers = Towers.load(root)
        with loading(str(root)):
            fields = read_json_object(root / "fields.json")
            self._prefixes: dict[Side, str] = {
                "query": fields["query"]["prefix"],
                "document": fields["document"]["prefix"],
            }
        self._budget = tokens
        self._text: Session | None = None
        self._image: Session | None = None
        if towers.text:
            self._text = open_session(root / towers.text, threads)
            self._tokens = TextTokens(root, towers)
        if towers.image:
            self._image = open_session(root / towers.image, threads)
            self._transform = ImageTransform.from_pretrained(root)

    def encode_texts(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        """Return N × D unit vectors of texts without prefix.

        Raises:
            ModelError: the folder has no text tower.
        """
        if self._text is None:
            raise ModelError("this folder has no text tower")
        tokens = self._tokens.read([self._prefixes[side] + text for text in texts])
        found: NDArray[np.float32] | None = None
        for rows in _batches([len(one.ids) for one in tokens], self._budget):
            inputs = self._tokens.tensors([tokens[row] for row in rows], self._text.names)
            vectors = self._text.run(inputs, self._towers.text_output)
            if found is None:
                found = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
            found[rows] = vectors
        return np.zeros((0, 0), dtype=np.float32) if found is None else found

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return N × D unit vectors of RGB images of any size.

        Raises:
            ModelError: the folder has no vision tower.
        """
        if self._image is None:
            raise ModelError("this folder has no vision tower")
        found = []
        for start in range(0, len(images), _IMAGES):
            part = images[start : start + _IMAGES]
            pixels = np.stack([self._transform.to_array(image) for image in part])
            values = self._transform.normalise(torch.from_numpy(pixels)).contiguous().numpy()
            found.append(self._image.run({"pixel_values": values}, self._towers.image_output))
        return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)


def _batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield rows whose padded tokens stay within a budget, shorter texts first; at least one."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = (len(rows) + 1) * lengths[row] > budget or len(rows) == _MOST_TEXTS
        if rows and full:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
