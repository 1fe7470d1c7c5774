"""Duplicates of a data set, its four splits, and the leaks between them."""

from rankfield.curation.clusters import clusters_of_keys, clusters_of_pairs, merge_clusters
from rankfield.curation.dedupe import DedupeReport, dedupe, group_duplicates
from rankfield.curation.leaks import LeakReport, leak_report
from rankfield.curation.near_clusters import near_clusters
from rankfield.curation.near_rules import NearRule, make_criteria
from rankfield.curation.near_texts import Shingles
from rankfield.curation.split_time import TimeRule
from rankfield.curation.splits import split, split_sizes

__all__ = [
    "DedupeReport",
    "LeakReport",
    "NearRule",
    "Shingles",
    "TimeRule",
    "clusters_of_keys",
    "clusters_of_pairs",
    "dedupe",
    "group_duplicates",
    "leak_report",
    "make_criteria",
    "merge_clusters",
    "near_clusters",
    "split",
    "split_sizes",
]
