"""What is compared in quality.py: data sets, the ways of training, and what each is tuned over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["DEFAULT", "PAPER", "SETS", "THRESHOLD", "Arm", "BenchmarkSet", "arms_of", "choices_of"]

Settings = dict[str, Any]

PAPER, THRESHOLD, DEFAULT = "GCL (the paper)", "CLIP above a threshold", "rankfield's default"


def weight(name: str, **parameters: Any) -> Settings:
    """Settings of a score-to-weight function."""
    return {"loss.weight": name, "loss.weight_parameters": parameters}


CONSTANT, DISCOUNT = weight("constant"), weight("discount")
EXPONENTIAL = (weight("exponential", temperature=0.2), weight("exponential", temperature=0.1))

PAIRS: Settings = {
    "loss.target": "pair",
    "loss.direction": "both",
    "batch.documents_per_query": 1,
    "batch.choice": "uniform",
    "batch.more_queries": 0,
}
"""The paper's batches and target: judged pairs at random, every other document a negative."""

LISTS: Settings = {
    **DISCOUNT,
    "loss.target": "ranked",
    "loss.direction": "query_to_document",
    "batch.documents_per_query": 4,
    "batch.choice": "balanced",
    "batch.more_queries": 64,
}
"""What `rankfield recipe` prints; the other losses that know the judgments get the same batches."""

SHORT_LISTS: Settings = {**LISTS, "loss.direction": "both", "batch.documents_per_query": 1}
"""What it prints for data with few good documents a query."""


@dataclass(frozen=True)
class BenchmarkSet:
    """A data set: how it is made, what all arms share, the rates and thresholds to choose from.

    common: settings over recipes/SET.toml, the same for every arm.
    text_weights: the document fields that the untrained text model reads.
    variants: whether to try the default's other settings, one by one.
    short_lists: a query has few good documents.
    slow: a step takes seconds: three arms, nothing tuned, and fewer steps to time.
    """

    title: str
    prepare: tuple[str, ...]
    split: tuple[str, ...]
    common: Settings
    learning_rates: tuple[float, ...]
    thresholds: tuple[float, ...]
    text_weights: dict[str, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    variants: bool = False
    short_lists: bool = False
    slow: bool = False


@dataclass(frozen=True)
class Arm:
    """One way of training.

    options: two settings that it is tuned over, beside the learning rate.
    steps, like: as many times the steps, with the settings chosen for the arm `like` and its own.
    main: tuned over all of the set's learning rates; the others take the first.
    variant: shown in a table of its own.
    """

    name: str
    settings: Settings
    options: tuple[Settings, Settings] = ({}, {"loss.logit_scale": 30.0})
    steps: float = 1.0
    like: str = ""
    main: bool = False
    variant: bool = False


def _variant(key: str, value: Any, **more: Any) -> Arm:
    settings = {key: value, **{k.replace("__", "."): v for k, v in more.items()}}
    name = ", ".join(f"{k} = {v}".lower() for k, v in settings.items())
    return Arm(f"`{name}`", settings, like=DEFAULT, variant=True)


_VARIANTS = (
    _variant("batch.documents_per_query", 2),
    _variant("batch.documents_per_query", 8),
    _variant("batch.choice", "stratified"),
    _variant("batch.choice", "uniform"),
    _variant("batch.more_queries", 256),
    _variant("batch.similar_queries", 4),
    _variant("negatives.refresh_every", 50),
    _variant("loss.per_field", 0.1),
    _variant("loss.matryoshka", [16, 64]),
    _variant("data.field_dropout", 0.1),
    _variant("average.ema", 0.98),
)


def arms_of(wanted: BenchmarkSet) -> list[Arm]:
    """Return the arms of a set, all tuned over two options × the set's learning rates."""
    low, high = ({"data.minimum_score": t} for t in wanted.thresholds)
    weights = (DISCOUNT, EXPONENTIAL[0])
    listnet = {"loss.target": "mask", "loss.listwise": "listnet"}
    sigmoid = {"loss.target": "mask", "loss.name": "sigmoid", "loss.logit_scale": 10.0}
    few = [
        Arm("CLIP, all judged pairs", {**PAIRS, **CONSTANT}, main=True),
        Arm(THRESHOLD, {**PAIRS, **CONSTANT}, (low, high), main=True),
        Arm(PAPER, PAIRS, EXPONENTIAL, main=True),
        Arm(DEFAULT, SHORT_LISTS if wanted.short_lists else LISTS, main=True),
    ]
    if wanted.slow:
        return few[1:]
    return [
        *few[:3],
        Arm("mask", {**LISTS, "loss.target": "mask"}, weights),
        Arm("soft", {**LISTS, "loss.target": "soft"}, weights),
        Arm("mask, sigmoid", {**LISTS, **sigmoid}, weights),
        Arm("mask + ListNet", {**LISTS, **listnet}, weights),
        Arm(
            "ranked, columns",
            {**LISTS, "loss.direction": "document_to_query"},
            (DISCOUNT, CONSTANT),
        ),
        Arm("ranked, both", {**LISTS, "loss.direction": "both"}, (DISCOUNT, CONSTANT)),
        Arm("ranked, no more queries", {**LISTS, "batch.more_queries": 0}, (DISCOUNT, CONSTANT)),
        Arm(
            "ranked + LambdaLoss",
            {**LISTS, "loss.listwise": "lambda"},
            ({}, {"loss.listwise_weight": 0.3}),
        ),
        few[3],
        Arm(f"{DEFAULT}, ⅓ of the steps", {}, steps=1 / 3, like=DEFAULT),
        Arm(f"{PAPER}, 3 × the steps", {}, steps=3.0, like=PAPER),
        *(_VARIANTS if wanted.variants else ()),
    ]


def choices_of(arm: Arm, wanted: BenchmarkSet) -> list[Settings]:
    """Return the settings that an arm is tuned over: options × learning rates."""
    options = arm.options[:1] if wanted.slow else arm.options
    return [
        {**wanted.common, **arm.settings, **option, "optimizer.learning_rate": rate}
        for option in options
        for rate in (wanted.learning_rates if arm.main else wanted.learning_rates[:1])
    ]


SMALL: Settings = {
    "encoder.image_width": 128,
    "encoder.image_size": 48,
    "optimizer.weight_decay": 0.3,
}
"""A photo tower that trains in a minute, and the weight decay that all arms share."""

SETS = {
    "shop": BenchmarkSet(
        title="Sample shop: 20,000 products, photo and title, all from scratch",
        prepare=("sample", "{raw}", "--documents", "20000", "--queries", "2000"),
        split=(),
        common={**SMALL, "optimizer.steps": 500},
        learning_rates=(1e-3, 2e-3),
        thresholds=(51, 76),
    ),
    "luma": BenchmarkSet(
        title="luma: 417 clothes, photo, title and details, split by style",
        prepare=("import", "tables", "{data}/luma", "{raw}", "--relevant", "3"),
        split=("--group-documents-by", "style_id"),
        common={**SMALL, "optimizer.steps": 200},
        learning_rates=(2e-3, 1e-3),
        thresholds=(2, 3),
        text_weights={"title": 0.5, "details": 0.5},
        variants=True,
    ),
    "grocery": BenchmarkSet(
        title="grocery: 5,421 photos from shops, found by photo alone",
        prepare=("import", "tables", "{data}/grocery", "{raw}", "--relevant", "3"),
        split=(),
        common={**SMALL, "optimizer.steps": 200},
        learning_rates=(2e-3, 1e-3),
        thresholds=(2, 3),
        text_weights={"title": 1.0},
    ),
    "icecat": BenchmarkSet(
        title="icecat: 19,406 electronics products by title, human grades; in bf16, nothing tuned",
        prepare=(
            *("import", "tables", "{data}/icecat", "{raw}"),
            *("--document-field", "title", "--relevant", "1"),
        ),
        split=(),
        common={"batch.size": 32, "optimizer.steps": 40, "precision": "bf16"},
        learning_rates=(4e-5,),
        thresholds=(2, 1),
        text_weights={"title": 1.0},
        short_lists=True,
        slow=True,
    ),
}
