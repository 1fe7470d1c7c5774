"""Low-rank adapters on pretrained towers: Hu et al., LoRA, arXiv 2106.09685, through `peft`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from rankfield.encoders import Encoder
from rankfield.errors import RecipeError
from rankfield.extras import needs_extra
from rankfield.messages import did_you_mean
from rankfield.settings import Settings

__all__ = ["LoraSection", "add_adapters", "merged"]

_ALL_LINEAR = "all-linear"
_ADAPTER = "default"


class LoraSection(Settings):
    """Low-rank adapters on pretrained towers, whose own weights do not train."""

    rank: int = Field(0, ge=0, description="of the adapters; 0: none, all weights are trained")
    alpha: float = Field(16.0, gt=0, description="adapters count alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="on what goes into an adapter")
    targets: list[str] = Field(
        ["all-linear"], min_length=1, description="names of modules, or all linear ones"
    )
    towers: list[Literal["text", "vision"]] = Field(
        ["text", "vision"], min_length=1, description="those of them that are pretrained"
    )

    @model_validator(mode="after")
    def _fits(self) -> LoraSection:
        if not self.rank:
            self.refuse_ignored(("alpha", "dropout", "targets", "towers"), "a rank above 0")
        return self


def add_adapters(encoder: Encoder, section: LoraSection, *, frozen: Collection[str] = ()) -> None:
    """Freeze the pretrained towers that the section names and give their layers adapters.

    A target W (out × in) then computes (W + alpha / rank · B A) x with A (rank × in) drawn at
    random and B (out × rank) zero, so that at first the adapters change nothing. A and B train, in
    float32; heads outside the towers train as before. Targets are linear layers,
    embeddings and convolutions that do not share their input among groups.

    Args:
        encoder: changed in place.
        section: rank > 0.
        frozen: towers that get no adapters.

    Raises:
        MissingExtraError: peft is not installed.
        RecipeError: no pretrained tower is left, it has no such module, or one that cannot be
            adapted.
    """
    with needs_extra("lora", "peft is not installed", "recipe, lora"):
        from peft import LoraConfig, inject_adapter_in_model
    wanted = [name for name in section.towers if name not in frozen]
    towers = {k: v for k, v in encoder.pretrained_towers().items() if k in wanted}
    if not towers:
        raise RecipeError(
            "there is no pretrained tower to adapt",
            where="recipe, lora.towers",
            remedy="Adapters need a loaded tower that is not in encoder.freeze.",
        )
    for name, targets in _targets(towers, section.targets).items():
        tower: Any = towers[name]
        tower.requires_grad_(False)
        config = LoraConfig(
            r=section.rank,
            lora_alpha=section.alpha,
            lora_dropout=section.dropout,
            target_modules=targets,
        )
        try:
            inject_adapter_in_model(config, tower, _ADAPTER)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise RecipeError(
                f"cannot be adapted ({error})", where="recipe, lora.targets"
            ) from error
        del tower.peft_config  # transformers would take the saved model for an adapter


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Replace each adapted layer by W + alpha / rank · B A while the context lasts.

    Inside, the model has the plain layers of its library: it can be saved, and loads without peft.
    Afterwards adapters and base weights are the same tensors as before, to the bit. A model
    without adapters is not changed.
    """
    swapped: list[tuple[nn.Module, str, nn.Module]] = []
    kept: list[tuple[nn.Parameter, torch.Tensor]] = []
    try:
        for parent, name, layer in _adapted(model):
            base = layer.get_base_layer()
            with torch.no_grad():
                total = base.weight + layer.get_delta_weight(_ADAPTER).to(base.weight.dtype)
            kept.append((base.weight, base.weight.data))
            swapped.append((parent, name, layer))
            base.weight.data = total
            setattr(parent, name, base)
        yield
    finally:
        for weight, data in kept:
            weight.data = data
        for parent, name, layer in swapped:
            setattr(parent, name, layer)


def _adapted(model: nn.Module) -> list[tuple[nn.Module, str, Any]]:
    """Return parent, name and layer of each adapted layer; without any, peft is not imported."""
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if hasattr(child, "get_delta_weight") and hasattr(child, "get_base_layer")
    ]


def _targets(towers: Mapping[Any, nn.Module], targets: Collection[str]) -> dict[Any, list[str]]:
    """Return tower → full names of its modules that match these names or ends of names."""
    modules = {name: _modules(tower) for name, tower in towers.items()}
    found: dict[Any, list[str]] = {name: [] for name in towers}
    for target in targets:
        before = sum(map(len, found.values()))
        for name, inside in modules.items():
            found[name] += [
                path
                for path, module in inside.items()
                if (isinstance(module, nn.Linear) if target == _ALL_LINEAR else _ends(path, target))
            ]
        if sum(map(len, found.values())) == before:
            raise _no_target(target, modules)
    for name, paths in found.items():
        if not paths:
            raise RecipeError(
                f"the {name} tower has no {' or '.join(targets)} module",
                where="recipe, lora.targets",
                remedy=f"Leave it out of lora.towers, or name some of {_names(modules[name])}.",
            )
    return {name: list(dict.fromkeys(paths)) for name, paths in found.items()}


def _modules(tower: nn.Module) -> dict[str, nn.Module]:
    """Return the modules with a weight; torch's own attention bypasses adapters."""
    hidden = tuple(
        f"{name}." for name, m in tower.named_modules() if isinstance(m, nn.MultiheadAttention)
    )
    return {
        name: module
        for name, module in tower.named_modules()
        if isinstance(getattr(module, "weight", None), nn.Parameter)
        and not (hidden and name.startswith(hidden))
    }


def _ends(path: str, target: str) -> bool:
    return path == target or path.endswith(f".{target}")


def _no_target(target: str, modules: Mapping[Any, Mapping[str, nn.Module]]) -> RecipeError:
    known = _names(
        {f"{tower}.{path}": m for tower in modules for path, m in modules[tower].items()}
    )
    remedy = did_you_mean(target, known.split(", ")) or f"They have {known}."
    problem = f"the towers have no {'linear' if target == _ALL_LINEAR else target} module"
    return RecipeError(problem, where="recipe, lora.targets", remedy=remedy)


def _names(modules: Mapping[str, nn.Module]) -> str:
    names = sorted({path.rsplit(".", 1)[-1] for path in modules})
    return ", ".join(name for name in names if not name.isdigit())
