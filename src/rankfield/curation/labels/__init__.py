"""Impressions, clicks, carts and orders → a score for each (query, document)."""

from rankfield.curation.labels.click_model import (
    ClickCounts,
    PositionModel,
    fit_position_model,
    relevance_given,
)
from rankfield.curation.labels.filters import EventFilters
from rankfield.curation.labels.make import LabelOptions, Labels, make_labels
from rankfield.curation.labels.propensities import (
    Propensities,
    estimate_propensities,
    read_propensities,
)
from rankfield.curation.labels.scores import Scoring

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
