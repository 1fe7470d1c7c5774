"""The recipe: one TOML file that says everything about a training run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rankfield.errors import RecipeError
from rankfield.schema import SPLITS, SplitName
from rankfield.settings import Settings, check_settings, read_toml
from rankfield.training.recipe_code import require_leave

__all__ = [
    "AverageSection",
    "BatchSection",
    "DataSection",
    "DevSection",
    "EncoderSection",
    "JudgmentSource",
    "LoraSection",
    "LossSection",
    "NegativesSection",
    "OptimizerSection",
    "Recipe",
    "load_recipe",
    "parse_recipe",
]


def _number_or(word: str, least: int) -> BeforeValidator:
    """Return a check with one message, where a union would give one for each of its types."""

    def check(value: Any) -> Any:
        if value == word or (type(value) is int and value >= least):
            return value
        raise ValueError(f"expected {word!r} or a whole number from {least}, found {value!r}")

    return BeforeValidator(check)


_Limit = Annotated[int | Literal["all"], _number_or("all", 1)]


class DataSection(Settings):
    """Which pairs and fields are trained on."""

    dataset: str = Field("", description="data set folder; relative to the recipe")
    minimum_score: float | None = Field(
        None, description="train on pairs with at least this score; the rest are left out"
    )
    query_weights: dict[str, float] = Field(
        {}, description="query fields to use and their weights; empty: those of the data set"
    )
    document_weights: dict[str, float] = Field(
        {}, description="document fields to use and their weights; empty: those of the data set"
    )
    augment: bool = Field(False, description="flip and shift photos at random while training")
    field_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of fields left out at random, never all of a record's"
    )
    workers: int = Field(0, ge=0, description="processes that read photos ahead")
    image_cache_mib: int = Field(
        2048, ge=0, description="keep the resized photos in memory if they fit into this"
    )


class EncoderSection(Settings):
    """The model that is trained.

    A name is a hub id, a local folder, or "package:NAME" for an installed package with a
    `get_model_path()`.
    """

    kind: Literal["small", "composed", "transformers", "sentence-transformers"] = Field(
        "small",
        description="small: from scratch · composed: a text beside a vision model · "
        "transformers: CLIP, SigLIP · sentence-transformers: text",
    )
    model: str = Field("", description="of kind transformers or sentence-transformers")
    text_model: str = Field("", description="of kind composed; empty: a small one from scratch")
    vision_model: str = Field("", description="of kind composed; empty: a small one from scratch")
    dimension: int = Field(128, ge=2, description="of the common space (small, composed)")
    text_width: int = Field(128, ge=32, multiple_of=32, description="of a small text tower")
    text_layers: int = Field(
        0, ge=0, description="attention layers of a small text tower; 0: a bag of word pieces"
    )
    image_size: int = Field(64, ge=16, description="pixels a side, of a small vision tower")
    image_width: int = Field(256, ge=32, description="channels at the end of a small vision tower")
    max_tokens: int = Field(32, ge=4, description="longer texts are cut")
    freeze: list[Literal["text", "vision"]] = Field([], description="towers that are not trained")
    query_prefix: str = Field("", description='put before query texts, such as "query: "')
    document_prefix: str = Field("", description='put before document texts, such as "passage: "')
    learn_field_weights: bool = Field(
        False, description="learn the weights of the fields too, from the given ones on"
    )


class LossSection(Settings):
    """What is minimised."""

    target: Literal["pair", "mask", "soft", "ranked"] = Field(
        "ranked",
        description="what a judged document competes with · pair: all others (the paper) · "
        "mask: the unjudged · ranked: the unjudged and the lower-scored · soft: as a distribution",
    )
    direction: Literal["rows", "columns", "both"] = Field(
        "rows", description="rows: documents compete for a query · columns: queries for a document"
    )
    form: Literal["softmax", "sigmoid"] = Field("softmax", description="sigmoid: as in SigLIP")
    weight: str = Field(
        "discount",
        description="score → weight: discount (of DCG, in the query's own list), constant (CLIP), "
        "linear, inverse, inverse_sqrt, log, exponential, piecewise, or module:function",
    )
    weight_parameters: dict[str, Any] = Field(
        {}, description="step, temperature or points of the weight function"
    )
    normaliser: Literal["weights", "count"] = Field(
        "weights", description="divide by the sum of weights or the number of pairs"
    )
    margin: float = Field(
        0.0, ge=0, lt=1, description="cosine by which a judged document must lead (mask, ranked)"
    )
    listwise: Literal["none", "listnet", "lambda"] = Field(
        "none", description="a term over each query's judged documents, added to the loss"
    )
    listwise_weight: float = Field(1.0, gt=0, description="of that term")
    listwise_temperature: float = Field(1.0, gt=0, description="its logits are divided by this")
    per_field: float = Field(
        0.0, ge=0, description="weight of a term for each document field alone, beside the fused"
    )
    logit_scale: float = Field(1 / 0.07, gt=0, le=1000, description="initial inverse temperature")
    max_logit_scale: float = Field(100.0, gt=0, le=1000, description="its upper limit")
    logit_bias: float = Field(-10.0, description="initial bias of the sigmoid form")
    matryoshka: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="dimensions that must rank too when the rest is cut off; empty: all alone"
    )

    @model_validator(mode="after")
    def _fits(self) -> LossSection:
        if self.margin and (self.target in ("pair", "soft") or self.form == "sigmoid"):
            raise ValueError("a margin needs the target mask or ranked in the softmax form")
        return self


class BatchSection(Settings):
    """How pairs are put together."""

    size: int = Field(128, ge=2, description="judged pairs a step, over all processes")
    documents_per_query: int = Field(
        4, ge=1, description="judged documents of a query that go together"
    )
    choice: Literal["uniform", "score", "stratified", "balanced"] = Field(
        "balanced",
        description="uniform · score: by weight · stratified: over the list · balanced: by grade",
    )
    more_queries: int = Field(
        64, ge=0, description="further queries that judge the batch's documents; cheap and dense"
    )
    similar_queries: int = Field(
        0, ge=0, description="queries near each other that go together; 0: at random"
    )


class NegativesSection(Settings):
    """Hard negatives beside the judged pairs; none without a file or a refresh."""

    file: str = Field("", description="of `rankfield mine`; relative to the recipe")
    per_query: int = Field(1, ge=1, description="added to each step for every query in it")
    refresh_every: int = Field(
        0, ge=0, description="steps after which the model mines anew; 0: never"
    )
    last: int = Field(100, ge=1, description="last rank to mine from")
    margin: float | None = Field(
        None, description="how far negatives stay below the best relevant document's cosine"
    )
    relative_margin: float = Field(0.05, le=1, description="the same as a share of that cosine")
    near_duplicate: float = Field(
        0.98, gt=0, description="drop what is so close to a judged document"
    )

    @property
    def used(self) -> bool:
        """Whether there are any."""
        return bool(self.file or self.refresh_every)


class OptimizerSection(Settings):
    """AdamW with warm-up and cosine decay."""

    steps: int = Field(1000, ge=1, description="optimiser steps in all")
    learning_rate: float = Field(1e-3, gt=0, description="at its peak")
    text_learning_rate: float | None = Field(
        None, gt=0, description="of the text tower, where it should differ"
    )
    warmup: float = Field(0.05, ge=0, le=1, description="share of the steps that warm up")
    weight_decay: float = Field(0.05, ge=0, description="not on norms, biases, logit scale")
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.98, ge=0, lt=1)
    epsilon: float = Field(1e-6, gt=0)
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="each layer of a pretrained tower: the rate above times this"
    )
    unfreeze_over: float = Field(
        0.0, ge=0, le=1, description="share of the steps over which pretrained layers join in"
    )


class LoraSection(Settings):
    """Low-rank adapters on pretrained towers, whose own weights stay as they are."""

    rank: int = Field(0, ge=0, description="of the adapters; 0: none, all weights are trained")
    alpha: float = Field(16.0, gt=0, description="adapters count alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="on what goes into an adapter")
    targets: list[str] = Field(
        ["all-linear"], min_length=1, description="names of modules, or all linear ones"
    )
    towers: list[Literal["text", "vision"]] = Field(
        ["text", "vision"], min_length=1, description="those of them that are pretrained"
    )


class AverageSection(Settings):
    """Averages of weights: over the steps, and between the base model and the trained one."""

    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of the moving average over steps; 0: none"
    )
    wise: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [], description="shares of the trained model to try after training; the best on dev is kept"
    )


class DevSection(Settings):
    """Measuring on the way; the model with the best mean NDCG@10 is kept."""

    every: Annotated[int | Literal["off"], _number_or("off", 0)] = Field(
        200,
        description='steps between measurements; 0: only at the end; "off": never, keep the last',
    )
    splits: list[SplitName] = Field(
        list(SPLITS), min_length=1, description="dev queries of these splits, where there are any"
    )
    documents: _Limit = Field(
        50_000,
        description='of a larger corpus search the judged and a fixed sample of so many; "all"',
    )
    queries: _Limit = Field(
        5_000, description='of more dev queries in a split take a fixed sample of so many; "all"'
    )

    @property
    def used(self) -> bool:
        """Whether anything is measured."""
        return self.every != "off"

    def due(self, steps: int) -> bool:
        """Return whether to measure after so many steps, the end apart."""
        return isinstance(self.every, int) and self.every > 0 and steps % self.every == 0


class JudgmentSource(Settings):
    """Scores of one more teacher, such as a cross-encoder or a language model."""

    path: str = Field(
        min_length=1, description="Parquet or CSV: query_id, doc_id, score; relative to the recipe"
    )
    trust: float = Field(0.5, gt=0, le=1, description="1 is that of the data set's judgments")
    map: Literal["ranks", "linear", "none"] = Field(
        "ranks", description="how scores get onto the data set's scale"
    )


class Recipe(Settings):
    """One training run. Unknown keys are refused, with the nearest known one."""

    name: str = Field("gcl", description="of the model, in tables and reports")
    seed: int = Field(0, ge=0, lt=2**31, description="the same seed gives the same weights")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of the encoders")
    log_every: int = Field(20, ge=1, description="steps between lines of log.jsonl")
    checkpoint_every: int = Field(500, ge=0, description="steps; 0: only when interrupted")
    trackers: list[Literal["tensorboard", "wandb"]] = Field(["tensorboard"])
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
        if self.negatives.used and self.loss.target == "pair":
            raise ValueError("hard negatives need a loss.target that knows the judgments")
        return self


def load_recipe(
    path: str | Path, overrides: Iterable[str] = (), *, allow_code: bool = False
) -> Recipe:
    """Read a TOML recipe and apply `section.key=value` overrides.

    Relative paths (`data.dataset`, `negatives.file`, `path` of judgments) are taken from the
    recipe's folder, overriding ones from the working folder; the result holds them whole, so that
    the run's own recipe.toml can be read from anywhere.
    The value of an override is TOML, or else a string: `name=clip`, `dev.splits=["zero_shot"]`.

    Raises:
        RecipeError: no such file, not TOML; as `parse_recipe`.
    """
    file = Path(path)
    values = read_toml(file, remedy="`rankfield recipe` prints one.", kind=RecipeError)
    _resolve_paths(values, file.parent)
    for override in overrides:
        _override(values, override)
    _resolve_paths(values, Path())
    return parse_recipe(values, where=str(file), allow_code=allow_code)


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    sources = values.get("judgments")
    places = [(values.get("data"), "dataset"), (values.get("negatives"), "file")]
    places += [(source, "path") for source in (sources if isinstance(sources, list) else ())]
    for section, key in places:
        if isinstance(section, dict) and isinstance(section.get(key), str) and section[key]:
            section[key] = str((folder / section[key]).resolve())


def parse_recipe(
    values: dict[str, Any], *, where: str = "recipe", allow_code: bool = False
) -> Recipe:
    """Return the recipe of nested values.

    Args:
        values: section → key → value.
        where: how to name it in an error.
        allow_code: whether it may name code to import: "module:function" as loss.weight,
            "package:NAME" as a model. Reading the recipe imports nothing; training does.

    Raises:
        RecipeError: an unknown key (with the nearest known one), a value out of range, or code
            without leave.
    """
    recipe = check_settings(values, Recipe, where=where, kind=RecipeError)
    if not allow_code:
        require_leave(recipe, where=where)
    return recipe


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"expected section.key=value, found {override!r}", where="--set")
    try:
        *sections, last = _key_parts(key)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{key!r} is not a TOML key ({error})", where="--set") from None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise RecipeError(f"{section!r} is a value, not a section", where=f"--set {override}")
    values[last] = value


def _key_parts(key: str) -> list[str]:
    """Split a TOML key at its dots, those in quotes left alone."""
    table: Any = tomllib.loads(f"{key} = 0")
    parts = []
    while isinstance(table, dict):
        (part,) = table
        parts.append(part)
        table = table[part]
    return parts
