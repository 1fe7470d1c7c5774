"""A data set from its `dataset.toml` and tables that another layout holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rankfield.formats.dataset_checks import require_sound
from rankfield.io.table import Table
from rankfield.schema import RankingDataset
from rankfield.schema.header import read_header

__all__ = ["read_saved_header"]


def read_saved_header(folder: Path, tables: Mapping[str, Table]) -> RankingDataset:
    """Return the data set whose header stands in `folder`, of "queries", "documents", "judgments".

    Raises:
        DataError: the header is malformed, a column is missing or of another type, a bad id, pair
            or score.
    """
    frames = {name: table.frame for name, table in tables.items()}
    dataset = RankingDataset.of_tables(read_header(folder), frames, folder)
    require_sound(dataset, lambda table, row, column: tables[table].where(row, column))
    return dataset
