"""Every loss by its name, or one of the user's own as "module:Class".

A new loss is one file, one line here, and a test.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from rankfield.losses.contrastive import ContrastiveLoss
from rankfield.losses.judged_contrastive import JudgedContrastiveLoss
from rankfield.losses.lambda_loss import LambdaLoss
from rankfield.losses.listnet import ListNetLoss
from rankfield.losses.margin_mse import MarginMSELoss
from rankfield.losses.ranking_loss import RankingLoss
from rankfield.losses.sigmoid import SigmoidLoss
from rankfield.messages import did_you_mean, first_line

__all__ = [
    "LOSSES",
    "is_own_loss",
    "loss_class",
    "loss_description",
    "loss_settings",
    "make_loss",
]

LOSSES: dict[str, type[RankingLoss]] = {
    "contrastive": ContrastiveLoss,
    "judged_contrastive": JudgedContrastiveLoss,
    "sigmoid": SigmoidLoss,
    "listnet": ListNetLoss,
    "lambda": LambdaLoss,
    "margin_mse": MarginMSELoss,
}
"""Name, as recipes have it, → module."""

_OF_THE_MODEL = ("logit_scale", "logit_bias")


def is_own_loss(name: str) -> bool:
    """Return whether a name is "module:Class", which is imported: for what the user trusts."""
    return ":" in name


def loss_class(name: str) -> type[RankingLoss]:
    """Return the module of a loss; one of the user's own is imported.

    Raises:
        ValueError: an unknown name, with the nearest known one, or no loss of that name there.
    """
    if is_own_loss(name):
        return _own_class(name)
    if name not in LOSSES:
        hint = did_you_mean(name, LOSSES)
        raise ValueError(
            f"unknown loss {name!r}; known losses: {', '.join(LOSSES)}. {hint}".strip()
        )
    return LOSSES[name]


def _own_class(name: str) -> type[RankingLoss]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"the loss {name!r} cannot be imported ({first_line(error)}). Is its folder on the"
            f" Python path? ({sys.path[0] or '.'} comes first)"
        ) from error
    if not (isinstance(found, type) and issubclass(found, RankingLoss)):
        raise ValueError(f"the loss {name!r} is no subclass of rankfield.losses.RankingLoss")
    return found


def loss_description(name: str) -> str:
    """Return what a loss is, in one line: the first of its module's docstring."""
    return (inspect.getdoc(loss_class(name)) or "").partition("\n")[0]


def loss_settings(name: str) -> list[str]:
    """Return the names of the keywords that make a loss, the model's parameters apart."""
    names = inspect.signature(loss_class(name)).parameters
    return [one for one in names if one not in _OF_THE_MODEL]


def make_loss(
    name: str, settings: Mapping[str, Any], parameters: Mapping[str, Any] | None = None
) -> RankingLoss:
    """Return a loss whose logit scale (and bias) is the model's.

    Args:
        name: of `LOSSES`.
        settings: what losses have in common; the loss gets those that its constructor names.
        parameters: its own, beside those.

    Raises:
        ValueError: an unknown name or parameter, or a value that the loss refuses.
    """
    known = loss_settings(name)
    own = [one for one in known if one not in settings]
    for one in parameters or {}:
        if one not in own:
            raise ValueError(
                f"the loss {name!r} has no parameter {one!r}; it has {', '.join(own) or 'none'}"
            )
    given = {one: settings[one] for one in known if one in settings}
    return loss_class(name)(**given, **(parameters or {}))
