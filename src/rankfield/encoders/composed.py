"""Any text tower beside any vision tower, with projections into one space."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rankfield.encoders.base import Encoder, Side, Tower
from rankfield.encoders.frozen_images import frozen_image_outputs
from rankfield.encoders.frozen_outputs import frozen_outputs
from rankfield.encoders.own_modules import OwnTextTower, OwnVisionTower
from rankfield.encoders.text_towers import (
    SentenceTransformersTower,
    TextTower,
    TransformersTextTower,
)
from rankfield.encoders.vision_tower import VisionTower
from rankfield.errors import ModelError
from rankfield.files import read_json_object
from rankfield.schema import Modality

__all__ = ["ComposedEncoder"]

_TEXT_TOWERS: dict[str, type[SentenceTransformersTower] | type[TransformersTextTower]] = {
    "sentence-transformers": SentenceTransformersTower,
    "transformers": TransformersTextTower,
}
_CONFIG, _PROJECTIONS = "composed.json", "projections.safetensors"


class ComposedEncoder(Encoder):
    """enc(x) = P_m · tower_m(x) for the modality m of x, with P_m linear, without bias.

    With `dimension` None there is one tower and no projection: its own space is the space. Prefixes
    that are None are the text tower's prompts "query" and "document", if it has any.

    Raises:
        ModelError: no tower, or two without a common dimension.
    """

    kind = "composed"

    def __init__(
        self,
        text: TextTower | None,
        vision: VisionTower | None,
        *,
        dimension: int | None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
    ) -> None:
        super().__init__()
        if text is None and vision is None:
            raise ModelError("a composed encoder needs a text or a vision tower")
        if dimension is None and text is not None and vision is not None:
            raise ModelError("two towers need a common dimension to project into")
        self.text, self.vision = text, vision
        self.projected = dimension is not None
        widths = [tower.width for tower in (text, vision) if tower is not None]
        self.dimension = dimension or widths[0]
        self.text_projection = _projection(text, dimension)
        self.vision_projection = _projection(vision, dimension)
        self.image_transform = vision.transform if vision else None
        self.prefixes: dict[Side, str] = {
            "query": _prompt(text, query_prefix, "query"),
            "document": _prompt(text, document_prefix, "document", "passage", "corpus"),
        }
        modalities: set[Modality] = set()
        if text is not None:
            modalities.add("text")
        if vision is not None:
            modalities.add("image")
        self.modalities = frozenset(modalities)

    def tokenize(self, texts: Sequence[str], side: Side) -> dict[str, Tensor]:
        """Return token ids and mask, or the remembered output of a frozen tower."""
        tower = self._text_tower()
        prefixed = [self.prefixes[side] + text for text in texts]
        features = tower.recall(prefixed)
        return tower.tokenize(prefixed) if features is None else {"features": features}

    def encode_text(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × D vectors, not normalised."""
        tower = self._text_tower()
        pooled = inputs["features"] if "features" in inputs else tower(inputs)
        projected: Tensor = self.text_projection(pooled)
        return projected

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Return N × D vectors, not normalised, from uint8 N × H × W × 3 pixels."""
        if self.vision is None:
            raise ModelError("this encoder has no vision tower")
        projected: Tensor = self.vision_projection(self.vision(pixels))
        return projected

    def encode(self, modality: Modality, items: Mapping[str, Tensor]) -> Tensor:
        """Return N × D vectors, not normalised, of token tensors, of `pixels` or of `features`."""
        if modality == "image" and "features" in items:
            projected: Tensor = self.vision_projection(items["features"])
            return projected
        return super().encode(modality, items)

    def unpads(self) -> bool:
        """Return whether the text tower does."""
        return self.text is not None and self.text.unpads()

    def precompute(self, texts: Iterable[str], side: Side, *, disk_mib: int = 0) -> None:
        """Compute a frozen text tower's output for these texts once; see `frozen_outputs`."""
        if self.text is None or not self.text.frozen:
            return
        wanted = {self.prefixes[side] + text for text in texts}
        ordered = sorted(wanted, key=lambda text: (len(text), text))
        self.text.remember(ordered, frozen_outputs(self.text, ordered, disk_mib=disk_mib))

    def precomputed_images(
        self,
        count: int,
        read: Callable[[int, int], Tensor],
        *,
        images: Callable[[], str],
        disk_mib: int,
    ) -> Tensor | None:
        """Return a frozen vision tower's outputs; see `frozen_image_outputs`."""
        if self.vision is None or not self.vision.frozen:
            return None
        return frozen_image_outputs(self.vision, count, read, images=images, disk_mib=disk_mib)

    def text_parameters(self) -> list[nn.Parameter]:
        """Return the text tower's parameters, its projection left out."""
        return list(self.text.parameters()) if self.text is not None else []

    def _towers(self) -> dict[Tower, TextTower | VisionTower]:
        both: dict[Tower, TextTower | VisionTower | None]
        both = {"text": self.text, "vision": self.vision}
        return {name: tower for name, tower in both.items() if tower is not None}

    def towers(self) -> dict[Tower, nn.Module]:
        """Return the towers."""
        return dict(self._towers())

    def freeze(self, tower: Tower) -> None:
        """Keep the weights and running statistics of a tower; dropout stays off."""
        self._towers()[tower].freeze()

    def pretrained_towers(self) -> dict[Tower, nn.Module]:
        """Return the towers that were loaded."""
        return {name: tower for name, tower in self._towers().items() if tower.pretrained}

    def _text_tower(self) -> TextTower:
        if self.text is None:
            raise ModelError("this encoder has no text tower")
        return self.text

    def save(self, folder: Path) -> None:
        """Write `text/`, `vision/`, the projections and `composed.json`."""
        for name, tower in (("text", self.text), ("vision", self.vision)):
            if tower is not None:
                (folder / name).mkdir()
                tower.save(folder / name)
        projections = {
            f"{name}.weight": layer.weight.detach().contiguous()
            for name, layer in (("text", self.text_projection), ("vision", self.vision_projection))
            if isinstance(layer, nn.Linear)
        }
        if projections:
            save_file(projections, folder / _PROJECTIONS)
        config = {
            "text": self.text.kind if self.text else None,
            "vision": self.vision.kind if self.vision else None,
            "dimension": self.dimension if self.projected else None,
            "query_prefix": self.prefixes["query"],
            "document_prefix": self.prefixes["document"],
        }
        (folder / _CONFIG).write_text(json.dumps(config, indent=2), "utf-8")

    @classmethod
    def load(cls, folder: Path, *, allow_code: bool = False) -> ComposedEncoder:
        """Read what `save` wrote; `allow_code` lets a tower's own factory be imported.

        Raises:
            RecipeError: a tower needs code that is not allowed, or cannot be imported.
        """
        config = read_json_object(folder / _CONFIG)
        for part in ("text", "vision"):
            # transformers would look for a folder that is missing on the hub
            if config[part] and not (folder / part).is_dir():
                raise ModelError(f"the folder {part!r} is missing", where=str(folder))
        text: TextTower | None = None
        vision: VisionTower | None = None
        if config["text"] == OwnTextTower.kind:
            text = OwnTextTower.open(folder / "text", allow_code=allow_code)
        elif config["text"]:
            text = _TEXT_TOWERS[config["text"]].load(folder / "text")
        if config["vision"] == OwnVisionTower.kind:
            vision = OwnVisionTower.open(folder / "vision", allow_code=allow_code)
        elif config["vision"]:
            vision = VisionTower.load(folder / "vision")
        prefixes = {k: config[k] for k in ("query_prefix", "document_prefix")}
        dimension = config["dimension"]
        weights = load_file(folder / _PROJECTIONS) if dimension is not None else {}
        for name, weight in weights.items():
            # before a layer of that size is made
            if len(weight) != dimension:
                raise ModelError(
                    f"{_CONFIG} has dimension {dimension}, {name} has {len(weight)}",
                    where=str(folder),
                    remedy="Save the model again.",
                )
        encoder = cls(text, vision, dimension=dimension, **prefixes)
        encoder._load_projections(weights)
        return encoder

    def _load_projections(self, weights: dict[str, Tensor]) -> None:
        for name in ("text", "vision"):
            layer = getattr(self, f"{name}_projection")
            if isinstance(layer, nn.Linear):
                layer.load_state_dict({"weight": weights[f"{name}.weight"]})


def _prompt(tower: TextTower | None, given: str | None, *names: str) -> str:
    """Return the prefix that is given, else the first of the tower's prompts of these names."""
    if given is not None or tower is None:
        return given or ""
    return next((tower.prompts[name] for name in names if tower.prompts.get(name)), "")


def _projection(tower: TextTower | VisionTower | None, dimension: int | None) -> nn.Module:
    if tower is None or dimension is None:
        return nn.Identity()
    return nn.Linear(tower.width, dimension, bias=False)
