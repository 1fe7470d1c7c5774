"""The ranking dataset: queries, documents with fields, and a float score for each judged pair."""

from rankfield.schema.dataset import SPLITS, SUBSETS, RankingDataset, SplitName, SplitView
from rankfield.schema.fields import Field, Modality, Provenance, ScoreScale
from rankfield.schema.folder import DatasetFolder
from rankfield.schema.image_source import image_source
from rankfield.schema.require import require_dataset
from rankfield.schema.tables import Part, Tables

__all__ = [
    "SPLITS",
    "SUBSETS",
    "DatasetFolder",
    "Field",
    "Modality",
    "Part",
    "Provenance",
    "RankingDataset",
    "ScoreScale",
    "SplitName",
    "SplitView",
    "Tables",
    "image_source",
    "require_dataset",
]
