"""The recipe: one TOML file that says everything about a training run."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from rankfield.encoders.own_modules import is_factory
from rankfield.encoders.source import PACKAGE
from rankfield.errors import RecipeError
from rankfield.foreign_code import refuse_code
from rankfield.losses import is_own_loss
from rankfield.settings import Settings, check_settings, present_words, read_toml, toml_value
from rankfield.training.average import AverageSection
from rankfield.training.dev_set import DevSection
from rankfield.training.encoder import MODEL_KEYS, EncoderSection
from rankfield.training.lora import LoraSection
from rankfield.training.methods import DEFAULT_METHOD
from rankfield.training.negatives import NegativesSection
from rankfield.training.objective import LossSection
from rankfield.training.optimizer import OptimizerSection
from rankfield.training.order import BatchSection
from rankfield.training.sources import JudgmentSource
from rankfield.training.used_fields import DataSection

__all__ = ["TRACKERS", "Recipe", "change_paths", "load_recipe", "parse_recipe"]

_Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
TRACKERS: tuple[str, ...] = get_args(_Tracker)
"""What a run may be shown by."""


class Recipe(Settings):
    """One training run. Unknown keys are refused, with the nearest known one."""

    name: str = Field(DEFAULT_METHOD, description="of the model, in tables and reports")
    seed: int = Field(0, ge=0, lt=2**31, description="the same seed gives the same weights")
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32",
        description="of the encoders · auto: bf16 where this machine is faster by it, else fp32",
    )
    log_every: int = Field(20, ge=1, description="steps between lines of log.jsonl")
    checkpoint_every: int = Field(500, ge=0, description="steps; 0: only when interrupted")
    checkpoint_keep: int = Field(2, ge=1, description="newest checkpoints that stay on the disk")
    fsdp: bool = Field(False, description="share weights and optimiser state among the processes")
    trackers: list[_Tracker] = Field(["tensorboard"], description=", ".join(TRACKERS))
    project: str = Field(
        "rankfield", min_length=1, description="of the run at W&B, MLflow and Trackio"
    )
    data: DataSection = DataSection()
    encoder: EncoderSection = EncoderSection()
    loss: LossSection = LossSection()
    judgments: list[JudgmentSource] = Field([], description="more judgments")
    batch: BatchSection = BatchSection()
    negatives: NegativesSection = NegativesSection()
    optimizer: OptimizerSection = OptimizerSection()
    lora: LoraSection = LoraSection()
    average: AverageSection = AverageSection()
    dev: DevSection = DevSection()

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        if not is_own_loss(self.loss.name):
            self.check_loss()
        return self

    def check_loss(self) -> None:
        """Refuse a loss that does not fit the rest; one of the user's own is imported.

        Raises:
            ValueError: it does not fit, refuses its parameters, or there is no such loss.
        """
        if is_own_loss(self.loss.name):
            self.loss.check()
        negatives = self.negatives.used or self.negatives.judged
        if negatives and self.loss.main_loss().sampled:
            raise ValueError("hard negatives need a loss.name and target that know the judgments")

    def code(self) -> dict[str, str]:
        """Return key → "module:function" or "package:NAME" of all that training would import."""
        models = {f"encoder.{key}": getattr(self.encoder, key) for key in MODEL_KEYS}
        found = {k: n for k, n in models.items() if n.startswith(PACKAGE) or is_factory(n)}
        if ":" in self.loss.weight:
            found["loss.weight"] = self.loss.weight
        if is_own_loss(self.loss.name):
            found["loss.name"] = self.loss.name
        return found


def load_recipe(
    path: str | Path, overrides: Iterable[str] = (), *, allow_code: bool = False
) -> Recipe:
    """Read a TOML recipe and apply `section.key=value` overrides.

    Relative paths (`data.dataset`, `negatives.file`, `path` of judgments) are taken from the
    recipe's folder, those of overrides from the working folder; the result has absolute paths, so
    that the run's own recipe.toml can be read from anywhere.
    The value of an override is TOML, or else a string: `name=clip`, `dev.splits=["zero_shot"]`.

    Raises:
        RecipeError: no such file, not TOML; as `parse_recipe`.
    """
    file = Path(path)
    values = read_toml(file, remedy="`rankfield recipe` prints one.", kind=RecipeError)
    values = present_words(values, Recipe, where=str(file), kind=RecipeError)
    change_paths(values, lambda path: str((file.parent / path).resolve()))
    for override in overrides:
        _override(values, override)
    change_paths(values, lambda path: str(Path(path).resolve()))
    return parse_recipe(values, where=str(file), allow_code=allow_code)


def change_paths(values: dict[str, Any], change: Callable[[str], str]) -> None:
    """Change the paths to files in a recipe's nested values, where there are any."""
    sources = values.get("judgments")
    places = [(values.get("data"), "dataset"), (values.get("negatives"), "file")]
    places += [(source, "path") for source in (sources if isinstance(sources, list) else ())]
    for section, key in places:
        if isinstance(section, dict) and isinstance(section.get(key), str) and section[key]:
            section[key] = change(section[key])


def parse_recipe(
    values: dict[str, Any], *, where: str = "recipe", allow_code: bool = False
) -> Recipe:
    """Return the recipe of nested values.

    Args:
        values: section → key → value.
        where: how to name it in an error.
        allow_code: whether it may name code to import: "module:function" as loss.weight,
            "package:NAME" or "module:factory" as a model. Nothing is imported yet: training does.

    Raises:
        RecipeError: an unknown key (with the nearest known one), a value out of range, or code
            that is not allowed.
    """
    recipe = check_settings(values, Recipe, where=where, kind=RecipeError)
    if not allow_code:
        refuse_code([f"{key} = {name!r}" for key, name in recipe.code().items()], where=where)
    return recipe


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"expected section.key=value, found {override!r}", where="--set")
    try:
        *sections, last = _key_parts(key)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{key!r} is not a TOML key ({error})", where="--set") from None
    given = {last: toml_value(text)}
    for section in reversed(sections):
        given = {section: given}
    given = present_words(given, Recipe, where=f"--set {override}", kind=RecipeError)
    for section in sections:
        values, given = values.setdefault(section, {}), given[section]
        if not isinstance(values, dict):
            raise RecipeError(f"{section!r} is a value, not a section", where=f"--set {override}")
    values.update(given)


def _key_parts(key: str) -> list[str]:
    """Split a TOML key at its dots, except those in quotes."""
    table: Any = tomllib.loads(f"{key} = 0")
    parts = []
    while isinstance(table, dict):
        (part,) = table
        parts.append(part)
        table = table[part]
    return parts
