"""How an export was made, for the layouts that have room for it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rankfield import __version__
from rankfield.files import write_json
from rankfield.schema import RankingDataset

__all__ = ["RECORD", "export_line", "export_record", "write_record"]

RECORD = "rankfield.json"
"""The file in an exported folder that says how it was made."""


def export_record(dataset: RankingDataset, layout: str, **options: Any) -> dict[str, Any]:
    """Return the version, the options, and what the data set says of itself."""
    return {
        "made_by": f"rankfield {__version__}, export {layout}",
        "options": options,
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "query_fields": [asdict(f) for f in dataset.query_fields],
        "document_fields": [asdict(f) for f in dataset.document_fields],
        "score": asdict(dataset.score_scale),
        "provenance": asdict(dataset.provenance),
    }


def export_line(dataset: RankingDataset) -> str:
    """Return the same in a line: version, name and fingerprint."""
    return f"made by rankfield {__version__} from {dataset.name}, {dataset.fingerprint()}"


def write_record(folder: Path, dataset: RankingDataset, layout: str, **options: Any) -> None:
    """Write `export_record` into an exported folder."""
    write_json(folder / RECORD, export_record(dataset, layout, **options))
