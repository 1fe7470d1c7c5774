"""What fair.py compares: data sets, arms, and the trials that every arm gets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from quality_arms import CONSTANT, DISCOUNT, EXPONENTIAL, PAIRS, SMALL

__all__ = [
    "CLIP",
    "DEFAULT",
    "FAIR",
    "GCL",
    "PRETRAINED",
    "SETS",
    "THRESHOLD",
    "Arm",
    "FairSet",
    "arms_of",
    "trials",
]

Settings = dict[str, Any]

CLIP, THRESHOLD, GCL = "CLIP, all judged pairs", "CLIP above a threshold", "GCL"
DEFAULT = "rankfield's loss"

SAMPLINGS: dict[str, Settings] = {
    "uniform pairs": {"batch.documents_per_query": 1, "batch.choice": "uniform"},
    "pairs by score": {"batch.documents_per_query": 1, "batch.choice": "score"},
    "balanced groups": {"batch.documents_per_query": 4, "batch.choice": "balanced"},
    "stratified groups": {"batch.documents_per_query": 4, "batch.choice": "stratified"},
}
SCALES = (1 / 0.07, 30.0)


@dataclass(frozen=True)
class FairSet:
    """A data set: how it is made, what all arms share, and what they are tuned over.

    common: settings over recipes/RECIPE.toml.
    rates: the lower goes with the lower logit scale, the higher with the higher.
    thresholds: two lowest scores for CLIP.
    text_weights: the document fields that the untrained text model reads.
    group: the column of documents that are all in dev's or all in test's half.
    others: so many unjudged documents stay in the corpus; None: all.
    all_pairs: whether CLIP on all judged pairs is an arm.
    ours: what `rankfield recipe` adds to the default loss for such data.
    """

    title: str
    recipe: str
    prepare: tuple[str, ...]
    split: tuple[str, ...]
    common: Settings
    rates: tuple[float, float]
    thresholds: tuple[float, float]
    text_weights: dict[str, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    group: str = "doc_id"
    others: int | None = None
    all_pairs: bool = True
    ours: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """A loss, with two settings of its own that it is tuned over."""

    name: str
    settings: Settings
    options: tuple[Settings, Settings] = ({}, {})


def arms_of(wanted: FairSet) -> list[Arm]:
    """Return the arms of a set."""
    low, high = ({"data.minimum_score": t} for t in wanted.thresholds)
    return [
        *([Arm(CLIP, {**PAIRS, **CONSTANT})] if wanted.all_pairs else []),
        Arm(THRESHOLD, {**PAIRS, **CONSTANT}, (low, high)),
        Arm(GCL, PAIRS, (EXPONENTIAL[0], EXPONENTIAL[1])),
        Arm(
            DEFAULT,
            {"loss.target": "ranked", "batch.more_queries": 64, **wanted.ours},
            (DISCOUNT, EXPONENTIAL[0]),
        ),
    ]


def trials(arm: Arm, wanted: FairSet) -> list[Settings]:
    """Return eight settings: each way of drawing with both scales, the options in turn.

    The loss that knows the judgments takes both directions with single pairs and one with groups,
    as `rankfield recipe` writes it.
    """
    found = []
    for number, sampling in enumerate(SAMPLINGS.values()):
        groups = sampling["batch.documents_per_query"] > 1
        direction = arm.settings.get("loss.direction", "query_to_document" if groups else "both")
        for turn, (scale, rate) in enumerate(zip(SCALES, wanted.rates, strict=True)):
            found.append(
                {
                    **wanted.common,
                    **arm.settings,
                    **arm.options[(number + turn) % 2],
                    **sampling,
                    "loss.direction": direction,
                    "loss.logit_scale": scale,
                    "optimizer.learning_rate": rate,
                }
            )
    return found


RANKED_LISTS: Settings = {"loss.margin_mse": 30.0}


def small_shop(title: str, *words: str) -> FairSet:
    """Return a shop of 264 products, half of them to train on, made with further options."""
    return FairSet(
        title=title,
        recipe="shop",
        prepare=("sample", "{raw}", "--documents", "264", "--queries", "300", *words),
        split=(),
        common={**SMALL, "batch.size": 64, "optimizer.steps": 120},
        rates=(1e-3, 2e-3),
        thresholds=(26, 38),
        seeds=(0, 1, 2),
        ours=RANKED_LISTS,
    )


MANY = tuple(range(10))
TEXT: Settings = {"batch.size": 32, "optimizer.steps": 40, "precision": "bf16"}

SETS = {
    "shop": FairSet(
        title="Sample shop: 20,000 products of seed 1130, photo and title, all from scratch",
        recipe="shop",
        prepare=(
            *("sample", "{raw}", "--documents", "20000", "--queries", "2000"),
            *("--seed", "1130", "--popularity", "0.8", "--noise", "0.8"),
        ),
        split=(),
        common={**SMALL, "optimizer.steps": 500},
        rates=(1e-3, 2e-3),
        thresholds=(51, 76),
        ours=RANKED_LISTS,
    ),
    "luma": FairSet(
        title="luma: 417 clothes, photo from scratch, title and details by all-MiniLM-L6-v2",
        recipe="luma",
        prepare=("import", "tables", "{data}/luma", "{raw}", "--relevant", "3"),
        split=("--group-documents-by", "style_id"),
        common={**SMALL, "optimizer.steps": 200},
        rates=(1e-3, 2e-3),
        thresholds=(2, 3),
        text_weights={"title": 0.5, "details": 0.5},
        seeds=MANY,
        group="style_id",
    ),
    "grocery": FairSet(
        title="grocery: 5,421 photos from shops, found by photo alone, from scratch",
        recipe="grocery",
        prepare=("import", "tables", "{data}/grocery", "{raw}", "--relevant", "3"),
        split=(),
        common={**SMALL, "optimizer.steps": 200},
        rates=(1e-3, 2e-3),
        thresholds=(2, 3),
        text_weights={"title": 1.0},
        seeds=MANY,
    ),
    "icecat": FairSet(
        title="icecat: electronics products by title, human grades; all-MiniLM-L6-v2 fine-tuned",
        recipe="icecat",
        prepare=(
            *("import", "tables", "{data}/icecat", "{raw}"),
            *("--document-field", "title", "--relevant", "1"),
        ),
        split=(),
        common=TEXT,
        rates=(2e-5, 8e-5),
        thresholds=(1, 2),
        text_weights={"title": 1.0},
        others=500,
        all_pairs=False,
    ),
    "cranfield": FairSet(
        title="Cranfield: 1,400 abstracts, human grades; all-MiniLM-L6-v2 fine-tuned",
        recipe="icecat",
        prepare=("import", "tables", "{made}", "{raw}", "--relevant", "2"),
        split=(),
        common={**TEXT, "optimizer.steps": 20, "data.document_weights": {"text": 1.0}},
        rates=(2e-5, 8e-5),
        thresholds=(2, 3),
        text_weights={"text": 1.0},
        seeds=(0, 1, 2),
        all_pairs=False,
    ),
    "small": small_shop(
        "Small shop: 264 products, half of them to train on, photo and title from scratch",
        *("--per-query", "50", "--seed", "1131", "--popularity", "0.8", "--noise", "0.8"),
    ),
    "small-plain": small_shop(
        "Small shop without popularity and chance: the fields show all that counts",
        *("--per-query", "50", "--seed", "1131", "--popularity", "0", "--noise", "0"),
    ),
    "small-judged": small_shop(
        "Small shop in which every product is judged",
        *("--per-query", "264", "--seed", "1131", "--popularity", "0.8", "--noise", "0.8"),
    ),
}


def frozen(title: str, name: str) -> FairSet:
    """Return a set with pretrained towers that are kept: only the projections are trained."""
    steps = SETS[name].common["optimizer.steps"]
    return replace(
        SETS[name],
        title=title,
        recipe=f"{name}-pretrained",
        common={"optimizer.steps": steps},
        seeds=SETS[name].seeds[:3],
        all_pairs=False,
    )


SETS |= {
    "luma-pretrained": frozen("luma from all-MiniLM-L6-v2 and EfficientNet-Lite0, kept", "luma"),
    "grocery-pretrained": frozen("grocery from EfficientNet-Lite0, kept", "grocery"),
}

SETS["small-long"] = replace(
    SETS["small"],
    title="Small shop, 8 times the steps, no further queries",
    common={**SETS["small"].common, "optimizer.steps": 960},
    ours={**RANKED_LISTS, "batch.more_queries": 0},
)

PRETRAINED = ("luma-pretrained", "grocery-pretrained")
FAIR = ("shop", "luma", "grocery", "icecat", "cranfield")
"""The sets of the comparison; the others are for questions of their own."""
