"""The baselines of `rankfield evaluate --baseline`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rankfield.cli.opening import Opened
from rankfield.errors import InputError
from rankfield.files import read_json
from rankfield.messages import did_you_mean

if TYPE_CHECKING:
    from rankfield.evaluation import EvaluationOptions
    from rankfield.schema import RankingDataset

__all__ = ["UNTRAINED", "chosen_baselines", "output_of", "untrained_model"]

UNTRAINED = "untrained"


def chosen_baselines(names: Sequence[str], *, untrained: bool) -> list[str]:
    """Return the baselines that `--baseline` names, each once.

    Args:
        names: of the option; "all" is all that need nothing more.
        untrained: whether there is a recipe to build an untrained model of; "all" holds it then.

    Raises:
        InputError: an unknown name, or "untrained" without a recipe.
    """
    from rankfield.evaluation import BASELINES

    known = (*BASELINES, UNTRAINED)
    chosen: list[str] = []
    for name in names:
        if name == "all":
            chosen += known if untrained else BASELINES
        elif name in known:
            chosen.append(name)
        else:
            raise InputError(
                f"expected one of {', '.join(known)} or all, found {name!r}",
                where="--baseline",
                remedy=did_you_mean(name, (*known, "all")),
            )
    if UNTRAINED in chosen and not untrained:
        raise InputError(
            "untrained needs to know of which model",
            where="--baseline",
            remedy="Name a recipe (--recipe) or a trained model before the data set.",
        )
    return list(dict.fromkeys(chosen))


def output_of(out: Path, name: str, *, several: bool) -> Path:
    """Return where a baseline's results go: `out` itself, of several out.NAME.json beside it."""
    return out.with_suffix(f".{name}.json") if several else out


def untrained_model(
    dataset: RankingDataset,
    options: EvaluationOptions,
    *,
    recipe: Path | None,
    model: Path | None,
    allow_code: bool,
) -> Opened:
    """Return the model that training by a recipe starts from, adapters left out.

    Args:
        dataset: what it would be trained on.
        options: where it shall compute.
        recipe: a recipe, or
        model: a trained model that holds its own.
        allow_code: as `load_recipe`.

    Raises:
        InputError: a folder without a recipe.
        RecipeError, ModelError: as `training.build_model`.
    """
    from rankfield.training import build_model, load_recipe, parse_recipe
    from rankfield.training.lora import LoraSection
    from rankfield.training.published_recipe import LOCAL

    if recipe is not None:
        wanted = load_recipe(recipe, allow_code=allow_code)
    else:
        assert model is not None
        header = model / "rankfield.json"
        try:
            values = read_json(header)["made"]["recipe"]
            wanted = parse_recipe(values, where=str(header), allow_code=allow_code)
        except (KeyError, TypeError) as error:
            raise InputError(
                "the model does not say by which recipe it was trained",
                where=str(header),
                remedy="Name the recipe (--recipe).",
            ) from error
    encoder = wanted.encoder
    names = (encoder.model, encoder.text_model, encoder.vision_model)
    if recipe is None and (lost := [n for n in names if n.startswith(LOCAL)]):
        raise InputError(
            f"the model was trained from {lost[0]!r}, a folder of which it holds the name alone",
            where=str(model),
            remedy="Name the run's recipe (--recipe).",
        )
    built = build_model(wanted.model_copy(update={"lora": LoraSection()}), dataset)
    built.name = UNTRAINED
    return Opened(built.eval().to(options.search.device), "", {"baseline": UNTRAINED})
