"""What is passed where a data set is expected: the data set itself, or its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rankfield.errors import InputError
from rankfield.schema.dataset import RankingDataset
from rankfield.schema.folder import DatasetFolder

__all__ = ["require_dataset"]

_REMEDY = (
    'Pass a RankingDataset, or the path of its folder; rankfield.import_tables("my-tables") makes '
    "one of tables."
)


def require_dataset(value: Any, *, remedy: str = _REMEDY) -> RankingDataset:
    """Return a data set, loaded if `value` is the path of its folder.

    Args:
        value: what the caller was given.
        remedy: what to do about anything else.

    Raises:
        InputError: it is something else, such as a text, a list or a frame.
        DataError: it is a path, and what is there is no data set.
    """
    if isinstance(value, RankingDataset):
        return value
    if isinstance(value, DatasetFolder):
        return RankingDataset.load(value.root)
    # a text that is no folder is rather a query than a mistyped path where records can be meant
    if isinstance(value, Path) or (isinstance(value, str) and Path(value).is_dir()):
        return RankingDataset.load(value)
    found = f"the text {value[:60]!r}" if isinstance(value, str) else f"a {_kind(value)}"
    raise InputError(f"expected a data set, found {found}", where="dataset", remedy=remedy)


def _kind(value: Any) -> str:
    """Return how to call a value: "list", "polars.DataFrame"."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
