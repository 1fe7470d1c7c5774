"""Which options of `rankfield evaluate` have no meaning together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rankfield.cli.baselines import UNTRAINED
from rankfield.cli.opening import Opening
from rankfield.errors import InputError

__all__ = [
    "kind_of",
    "refuse_contradictions",
    "refuse_for_others",
    "refuse_opening",
    "refuse_search_options",
    "refuse_unused",
]


def kind_of(place: Path | None) -> str:
    """Return what is at a path: a model, an index or a run."""
    from rankfield.index import is_index

    if place is None or is_index(place):
        return "model" if place is None else "index"
    return "run" if place.is_file() else "model"


def refuse_opening(place: Path | None, names: Sequence[str], opening: Opening) -> None:
    """Refuse options of a model where none is opened."""
    if not names and place is not None and kind_of(place) == "model":
        return
    if option := opening.given():
        raise InputError("is for a pretrained model, found none", where=option)
    if opening.embedding_precision != "float32":
        raise InputError("is for a model, found none", where="--embedding-precision")


def refuse_for_others(
    place: Path | None,
    names: Sequence[str],
    dimension: int | None,
    cache: Path | None,
    without: Sequence[str],
    *,
    robustness: bool,
) -> None:
    """Refuse options for models where something else is evaluated."""
    if names:
        return
    kind = kind_of(place)
    for option, given in (
        ("--dimension", dimension is not None),
        ("--cache", cache is not None),
        ("--without", bool(without)),
        ("--robustness", robustness),
    ):
        if kind != "model" and given:
            raise InputError(f"is for a model, found {kind} {place}", where=option)


def refuse_contradictions(
    model: Path | None,
    names: Sequence[str],
    label: str | None,
    without: Sequence[str],
    cache: Path | None,
    *,
    robustness: bool,
) -> None:
    """Refuse options that exclude each other."""
    if names and model is not None and UNTRAINED not in names:
        raise InputError(
            f"{', '.join(names)} needs no model, found {model}",
            where="--baseline",
            remedy="Give the data set alone.",
        )
    if len(names) > 1 and label is not None:
        raise InputError("one label for several baselines would average them", where="--label")
    if without and robustness:
        raise InputError("measures the whole model, found --without too", where="--robustness")
    if names and names != [UNTRAINED] and (without or robustness):
        raise InputError(
            "only models can leave fields out", where="--without" if without else "--robustness"
        )
    if without and cache is not None:
        raise InputError("keeps whole embeddings, found --without", where="--cache")


def refuse_search_options(names: Sequence[str], device: str | None, precision: str) -> None:
    """Refuse options of the search over embeddings where nothing is embedded."""
    if not names or UNTRAINED in names:
        return
    for option, given in (("--device", device is not None), ("--precision", precision != "auto")):
        if given:
            raise InputError(f"{', '.join(names)} has no embeddings to search", where=option)


def refuse_unused(
    names: Sequence[str],
    recipe: Path | None,
    popularity_column: str | None,
    dimension: int | None,
    cache: Path | None,
) -> None:
    """Refuse options that would have no effect, rather than leave the user to believe in one."""
    if recipe is not None and UNTRAINED not in names:
        raise InputError("is for --baseline untrained", where="--recipe")
    if popularity_column is not None and "popularity" not in names:
        raise InputError("is for --baseline popularity", where="--popularity-column")
    if cache is not None and names:
        raise InputError("keeps the embeddings of saved models only", where="--cache")
    if dimension is not None and names and UNTRAINED not in names:
        raise InputError(f"{', '.join(names)} has no embeddings to cut", where="--dimension")
