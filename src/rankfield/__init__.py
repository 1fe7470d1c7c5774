"""rankfield: train embedding models that rank.

The names below load what they need when they are first used; importing rankfield loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rankfield.curation import split
    from rankfield.encoders import RankingModel
    from rankfield.evaluation.compare import compare
    from rankfield.evaluation.evaluate import evaluate
    from rankfield.evaluation.options import EvaluationOptions
    from rankfield.evaluation.results import Results
    from rankfield.evaluation.retrieve import retrieve
    from rankfield.formats import import_tables
    from rankfield.index import build_index, open_index
    from rankfield.publishing import publish, push
    from rankfield.query import Query, Searcher
    from rankfield.report import write_report
    from rankfield.schema import Field, RankingDataset, ScoreScale
    from rankfield.synthetic import sample_shop
    from rankfield.training import Recipe, load_recipe, parse_recipe, train
    from rankfield.validate import audit
    from rankfield.weighting import score_weights

_HOMES = {
    "EvaluationOptions": "evaluation",
    "Field": "schema",
    "Query": "query",
    "RankingDataset": "schema",
    "RankingModel": "encoders",
    "Recipe": "training",
    "Results": "evaluation",
    "ScoreScale": "schema",
    "Searcher": "query",
    "audit": "validate",
    "build_index": "index",
    "compare": "evaluation",
    "evaluate": "evaluation",
    "import_tables": "formats",
    "load_recipe": "training",
    "open_index": "index",
    "parse_recipe": "training",
    "publish": "publishing",
    "push": "publishing",
    "retrieve": "evaluation",
    "sample_shop": "synthetic",
    "score_weights": "weighting",
    "split": "curation",
    "train": "training",
    "write_report": "report",
}

__all__ = [
    "EvaluationOptions",
    "Field",
    "Query",
    "RankingDataset",
    "RankingModel",
    "Recipe",
    "Results",
    "ScoreScale",
    "Searcher",
    "__version__",
    "audit",
    "build_index",
    "compare",
    "evaluate",
    "import_tables",
    "load_recipe",
    "open_index",
    "parse_recipe",
    "publish",
    "push",
    "retrieve",
    "sample_shop",
    "score_weights",
    "split",
    "train",
    "write_report",
]

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
