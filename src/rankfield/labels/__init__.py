"""Impressions, clicks, carts and orders → a score for each (query, document)."""

from rankfield.labels.click_model import (
    ClickCounts,
    PositionModel,
    fit_position_model,
    relevance_given,
)
from rankfield.labels.filters import EventFilters
from rankfield.labels.make import LabelOptions, Labels, make_labels
from rankfield.labels.propensities import (
    Propensities,
    estimate_propensities,
    read_propensities,
)
from rankfield.labels.scores import Scoring

__all__ = [
    "ClickCounts",
    "EventFilters",
    "LabelOptions",
    "Labels",
    "PositionModel",
    "Propensities",
    "Scoring",
    "estimate_propensities",
    "fit_position_model",
    "make_labels",
    "read_propensities",
    "relevance_given",
]
