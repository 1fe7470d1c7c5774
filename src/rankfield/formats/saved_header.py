"""A data set from its `dataset.toml` and tables that another layout holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rankfield.errors import DataError
from rankfield.formats.text_tables import TextTable
from rankfield.schema import RankingDataset
from rankfield.schema.header import read_header
from rankfield.validate import first_error

__all__ = ["read_saved_header"]


def read_saved_header(folder: Path, tables: Mapping[str, TextTable]) -> RankingDataset:
    """Return the data set whose header stands in `folder`, of "queries", "documents", "judgments".

    Raises:
        DataError: the header is malformed, a column is missing or of another type, a bad id, pair
            or score.
    """
    frames = {name: table.frame for name, table in tables.items()}
    header = read_header(folder)
    dataset = RankingDataset(
        name=header.name,
        query_fields=header.query_fields,
        document_fields=header.document_fields,
        score_scale=header.score_scale,
        provenance=header.provenance,
        root=folder,
        **frames,
    )
    if found := first_error(dataset):
        problem, more = found
        raise DataError(
            problem.message + (f" (and {more:,} more rows)" if more else ""),
            where=tables[problem.table].where(problem.row or 0, problem.field),
            remedy="Mend or remove the row.",
        )
    return dataset
