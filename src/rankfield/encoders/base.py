"""What every encoder offers: texts and images in, one vector space out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from rankfield.encoders.image_transform import ImageTransform
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.schema import Modality

__all__ = ["Encoder", "Fusion", "Side", "Tower", "WholeEncoder"]

Side = Literal["query", "document"]
Tower = Literal["text", "vision"]
Fusion = Literal["fields", "sequence"]
"""How the fields of a record become one vector: by their vectors, or read together."""


class Encoder(nn.Module, ABC):
    """A text, image, or text-and-image encoder into one space of `dimension` D.

    Tokenising and image resizing are apart from encoding, so that they can run ahead of it.
    """

    kind: str
    dimension: int
    modalities: frozenset[Modality]
    image_transform: ImageTransform | PatchTransform | None = None
    fusion: Fusion = "fields"
    batch_size: int = 256
    """Of texts, images or sequences that are embedded at once, unless another is given."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str], side: Side) -> dict[str, Tensor]:
        """Return what `encode_text` takes for these texts (a prefix of that side included)."""

    @abstractmethod
    def encode_text(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × D vectors, not normalised."""

    @abstractmethod
    def encode_image(self, pixels: Tensor) -> Tensor:
        """Return N × D vectors, not normalised, from uint8 N × `image_transform.shape`."""

    def encode(self, modality: Modality, items: Mapping[str, Tensor]) -> Tensor:
        """Return N × D vectors, not normalised, of token tensors or of `pixels`."""
        if modality == "text":
            return self.encode_text(dict(items))
        return self.encode_image(items["pixels"])

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer into an existing folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Encoder:
        """Read what `save` wrote."""

    def unpads(self) -> bool:
        """Return whether padding of texts costs `encode` little, as the encoder is now."""
        return False

    def precompute(self, texts: Iterable[str], side: Side, *, disk_mib: int = 0) -> None:
        """Compute what never changes in training (a frozen tower's output) once, ahead of it.

        It is kept in the cache for later runs if it fits into `disk_mib`; 0: never.
        """

    def precomputed_images(
        self,
        count: int,
        read: Callable[[int, int], Tensor],
        *,
        images: Callable[[], str],
        disk_mib: int,
    ) -> Tensor | None:
        """Return what never changes of N images in training, N × width: their `features`.

        The arguments are those of `frozen_image_outputs`. None: `pixels` are to be encoded.
        """

    def text_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the pretrained text tower, for a learning rate of its own."""
        return []

    @abstractmethod
    def towers(self) -> dict[Tower, nn.Module]:
        """Return the text and the vision tower, those that there are; heads left out."""

    def freeze(self, tower: Tower) -> None:
        """Keep the weights of a tower as they are in training."""
        self.towers()[tower].requires_grad_(False)

    def pretrained_towers(self) -> dict[Tower, nn.Module]:
        """Return the towers whose weights were loaded, not drawn at random; heads left out."""
        return {}

    def pretrained_weights(self) -> dict[str, Tensor]:
        """Return what was loaded, heads included: weights and statistics by their names here."""
        towers = {id(tower) for tower in self.pretrained_towers().values()}
        prefixes = tuple(f"{name}." for name, m in self.named_modules() if id(m) in towers)
        return {k: v for k, v in self.state_dict().items() if k.startswith(prefixes)}


class WholeEncoder(Encoder):
    """A text-and-image encoder that is loaded whole, its projections too, as one dual encoder."""

    modalities = frozenset({"text", "image"})

    def text_parameters(self) -> list[nn.Parameter]:
        """Return the text tower's parameters."""
        return list(self.towers()["text"].parameters())

    def pretrained_towers(self) -> dict[Tower, nn.Module]:
        """Return both towers."""
        return self.towers()

    def pretrained_weights(self) -> dict[str, Tensor]:
        """Return everything: the projections were loaded too."""
        return dict(self.state_dict())
