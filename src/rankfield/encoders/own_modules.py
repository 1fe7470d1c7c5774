"""Text and vision towers that code of the user's own makes, such as models of timm."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from rankfield.encoders.image_transform import ImageTransform
from rankfield.encoders.pretrained import allowed_code
from rankfield.encoders.source import PACKAGE
from rankfield.encoders.text_towers import TextTower
from rankfield.encoders.vision_tower import VisionTower
from rankfield.errors import ModelError, RecipeError
from rankfield.files import read_json_object
from rankfield.foreign_code import refuse_code

__all__ = ["OwnTextTower", "OwnVisionTower", "is_factory"]

_FACTORY, _WEIGHTS = "factory.json", "model.safetensors"
_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_factory(name: str) -> bool:
    """Return whether a name is "module:factory", which makes a tower."""
    return _NAME.fullmatch(name) is not None and not name.startswith(PACKAGE)


class OwnVisionTower(VisionTower):
    """A vision module of a factory `() → (module, width, ImageTransform)`.

    The module maps float32 N × 3 × height × width, normalised as the transform says, to
    N × width vectors. If it has an attribute `outputs_version`, a string, its outputs while it is
    frozen are kept for later runs: see `settings`.

    Args:
        factory: "module:function", which is imported and called; whoever makes the tower has
            allowed it.

    Raises:
        RecipeError: it cannot be imported, or returns something else.
    """

    kind = "module"
    pretrained = True

    def __init__(self, factory: str) -> None:
        nn.Module.__init__(self)
        self.factory = factory
        self.model, self.width, self.transform = _made(factory, ImageTransform)
        self.frozen = False

    def forward(self, pixels: Tensor) -> Tensor:
        """Return N × width vectors from uint8 N × H × W × 3 pixels."""
        return _checked(self.model(self.transform.inputs(pixels)["pixel_values"]), self)

    def settings(self) -> list[Any] | None:
        """Return what beside weights and input its output depends on; None: it is not known.

        What code gives is not known from its name: it is known if the module has an
        `outputs_version`, which whoever writes it changes with what it computes.

        Raises:
            ModelError: `outputs_version` is no string.
        """
        return _settings(self)

    def save(self, folder: Path) -> None:
        """Write the weights and the name of the factory."""
        _save(self, folder)

    @classmethod
    def open(cls, folder: Path, *, allow_code: bool) -> OwnVisionTower:
        """Read what `save` wrote, into a module that the factory makes again.

        Raises:
            RecipeError: code is not allowed, or cannot be imported.
        """
        tower = cls(_factory(folder, allow_code=allow_code))
        load_model(tower.model, folder / _WEIGHTS)
        return tower


class OwnTextTower(TextTower):
    """A text module of a factory `() → (module, width, tokenizer)`.

    The tokenizer maps a list of strings to a dictionary of tensors with a row for each; the module
    maps that dictionary to N × width vectors. `outputs_version` is as of `OwnVisionTower`.

    Args:
        factory: as of `OwnVisionTower`.

    Raises:
        RecipeError: as there.
    """

    kind = "module"
    pretrained = True

    def __init__(self, factory: str) -> None:
        super().__init__()
        self.factory = factory
        self.model, self.width, self.tokenizer = _made(factory, Callable)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return what the tokenizer makes of the texts."""
        return dict(self.tokenizer(list(texts)))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × width vectors."""
        return _checked(self.model(inputs), self)

    def settings(self) -> list[Any] | None:
        """Return what beside weights and input its output depends on; None: it is not known.

        What code gives is not known from its name: it is known if the module has an
        `outputs_version`, which whoever writes it changes with what it computes.

        Raises:
            ModelError: `outputs_version` is no string.
        """
        return _settings(self)

    def save(self, folder: Path) -> None:
        """Write the weights and the name of the factory."""
        _save(self, folder)

    @classmethod
    def open(cls, folder: Path, *, allow_code: bool) -> OwnTextTower:
        """Read what `save` wrote, as `OwnVisionTower.open` does."""
        tower = cls(_factory(folder, allow_code=allow_code))
        load_model(tower.model, folder / _WEIGHTS)
        return tower


def _made(factory: str, third: Any) -> tuple[nn.Module, int, Any]:
    """Import and call a factory, and check what it returns."""
    module, _, name = factory.partition(":")
    try:
        with allowed_code():
            made = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"cannot be imported ({error})",
            where=factory,
            remedy="Is its folder on the Python path?",
        ) from error
    match made:
        case (nn.Module() as model, int(width), part) if isinstance(part, third):
            return model, width, part
    what = "an ImageTransform" if third is ImageTransform else "a tokenizer"
    raise RecipeError(
        f"expected a torch module, its width and {what}, found {str(made)[:80]}", where=factory
    )


def _checked(vectors: Any, tower: OwnTextTower | OwnVisionTower) -> Tensor:
    if not isinstance(vectors, Tensor) or vectors.shape[1:] != (tower.width,):
        found = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise ModelError(
            f"expected N × {tower.width} vectors of the module, found {found}", where=tower.factory
        )
    return vectors


def _settings(tower: OwnTextTower | OwnVisionTower) -> list[Any] | None:
    version = getattr(tower.model, "outputs_version", None)
    if version is None:
        return None
    if not isinstance(version, str):
        raise ModelError(
            f"expected a string as outputs_version, found {version!r:.80}", where=tower.factory
        )
    return [type(tower).__name__, tower.factory, tower.width, repr(tower), version]


def _save(tower: OwnTextTower | OwnVisionTower, folder: Path) -> None:
    save_model(tower.model, str(folder / _WEIGHTS))
    (folder / _FACTORY).write_text(json.dumps({"factory": tower.factory}), "utf-8")


def _factory(folder: Path, *, allow_code: bool) -> str:
    factory = read_json_object(folder / _FACTORY)["factory"]
    if not isinstance(factory, str) or not is_factory(factory):
        raise ModelError(f"expected module:factory, found {factory!r}", where=str(folder))
    if not allow_code:
        refuse_code([factory], where=f"model {folder.parent}")
    return factory
