"""What goes into an index, checked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.errors import DataError, InputError
from rankfield.index.base import KEY
from rankfield.search.rows import require_vectors

__all__ = ["check_documents", "check_vectors", "chosen_rows"]


def check_documents(
    documents: pl.DataFrame, folder: Path, stored: pl.Schema | None = None
) -> pl.DataFrame:
    """Return documents with the columns that the index stores.

    Args:
        documents: with a column of ids.
        folder: of the index, for messages.
        stored: the columns that the index stores; those of the documents if None.

    Raises:
        DataError: a column is missing or of another type, or an id is missing or occurs twice.
    """
    where = f"{folder}, documents"
    if documents.schema.get(KEY) != pl.String:
        raise DataError(
            f"expected a text column {KEY}, found {', '.join(documents.columns)}", where=where
        )
    ids = documents[KEY]
    if ids.null_count():
        raise DataError(f"found no {KEY} in row {int(ids.is_null().arg_max() or 0)}", where=where)
    if ids.n_unique() < len(ids):
        twice = ids.filter(ids.is_duplicated())[0]
        raise DataError(
            f"the {KEY} {twice!r} occurs twice", where=where, remedy="Give each document once."
        )
    if stored is None:
        return documents
    return documents.select(_cast(documents, name, kind, where) for name, kind in stored.items())


def _cast(documents: pl.DataFrame, name: str, kind: pl.DataType, where: str) -> pl.Series:
    """Return a column as the index stores it: numbers may be of another width, if none is lost."""
    found = documents.schema.get(name)
    if found is not None and (found == kind or (found.is_numeric() and kind.is_numeric())):
        with suppress(pl.exceptions.InvalidOperationError):
            return documents[name].cast(kind)
    raise DataError(f"expected a column {name!r} of type {kind}, found {found}", where=where)


def check_vectors(
    vectors: npt.NDArray[np.floating], dimension: int, where: str, rows: int | None = None
) -> None:
    """Refuse vectors that the index cannot take.

    Args:
        vectors: what was given.
        dimension: of the index.
        where: the index, for the message.
        rows: how many vectors there must be; any number if None.

    Raises:
        DataError: no vectors, another shape, or a vector that is not finite.
    """
    require_vectors(vectors, where)
    if vectors.ndim != 2 or vectors.shape[1] != dimension or rows not in (None, len(vectors)):
        raise DataError(
            f"expected vectors of shape ({'N' if rows is None else rows}, {dimension}), found "
            f"{vectors.shape}",
            where=where,
            remedy="Encode with the model that the index was built with.",
        )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise DataError(f"vector {int(finite.argmin())} is not finite", where=where)


def chosen_rows(
    filter: Callable[[pl.DataFrame], pl.Series], documents: pl.DataFrame
) -> npt.NDArray[np.bool_]:
    """Return which documents a filter lets through; null counts as no.

    Raises:
        InputError: it does not say yes or no for each document.
    """
    found = filter(documents)
    if (
        not isinstance(found, pl.Series)
        or found.dtype != pl.Boolean
        or len(found) != documents.height
    ):
        raise InputError(
            f"expected a boolean for each of {documents.height} documents, found "
            f"{getattr(found, 'dtype', type(found).__name__)}",
            where="filter",
        )
    chosen: npt.NDArray[np.bool_] = found.fill_null(value=False).to_numpy()
    return chosen
