"""What the proof needs of a client that loads a published model."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rankfield.encoders.base import Side

__all__ = ["AnyClient", "Client", "RecordClient"]


class Client(Protocol):
    """A published model, loaded by the system that it was written for.

    Single texts and images go in; the proof fuses the fields of a record as `fields.json` says.
    """

    def encode_texts(self, texts: list[str], side: Side) -> NDArray[np.float32]:
        """Return N × D unit vectors of texts without prefix."""

    def encode_images(self, images: list[Image.Image]) -> NDArray[np.float32]:
        """Return N × D unit vectors of RGB images of any size."""


@runtime_checkable
class RecordClient(Protocol):
    """A client that fuses the fields of a record itself."""

    def encode_records(self, records: list[dict[str, Any]], side: Side) -> NDArray[np.float32]:
        """Return N × d unit vectors of queries or documents, zeros for one without any field.

        A record holds a string or RGB image for each field that it has, a list of images where
        the data has lists.
        """


AnyClient = Client | RecordClient
"""What a layout opens."""
