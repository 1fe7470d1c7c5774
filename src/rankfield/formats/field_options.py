"""Fields as a user names them: NAME[:MODALITY[:WEIGHT]]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from rankfield.column_names import quoted_names
from rankfield.errors import DataError
from rankfield.formats.guesses import equal_weights, guess_fields, guess_modality
from rankfield.formats.image_lists import list_column, with_lists
from rankfield.io.table import Table
from rankfield.messages import did_you_mean
from rankfield.schema import Field, Modality

__all__ = ["guessed_fields", "parse_fields", "shown_fields"]

_DIVIDED = "images"
_OPTIONS = {"queries": "--query-field", "documents": "--document-field"}


def parse_fields(
    table: Table, chosen: Sequence[Field | str]
) -> tuple[tuple[Field, ...], frozenset[str]]:
    """Return the chosen fields, and the names of those declared as "images".

    "images" is an image field whose texts hold several paths each. A modality left out is guessed;
    weights left out are those of `equal_weights`.

    Raises:
        DataError: no such column, a column of another type, a malformed text, weights for some.
    """
    fields, weighted, divided = [], [], set()
    for item in chosen:
        name, modality, weight = (
            _parse_field(item) if isinstance(item, str) else (item.name, item.modality, item.weight)
        )
        if name not in table.columns:
            raise DataError(
                f"there is no column {name!r}; found {quoted_names(table.columns)}",
                where=str(table.path),
                remedy=did_you_mean(name, table.columns),
            )
        if modality == _DIVIDED:
            modality = "image"
            divided.add(name)
        guessed = modality or guess_modality(list_column(table, name).to_frame(), name) or "text"
        if guessed != "image" and (dtype := table.column(name).dtype).is_nested():
            raise DataError(
                f"expected text or the bytes of pictures, found {dtype}",
                where=f"{table.path}, column {name!r}",
            )
        fields.append(Field(name, cast(Modality, guessed), 1.0 if weight is None else weight))
        weighted.append(weight is not None)
    if any(weighted) and not all(weighted):
        raise DataError("expected a weight for every field or for none", where=str(table.path))
    whole = tuple(fields) if any(weighted) else equal_weights(fields)
    return whole, frozenset(divided)


def _parse_field(text: str) -> tuple[str, str | None, float | None]:
    name, _, rest = text.partition(":")
    modality, _, weight = rest.partition(":")
    try:
        return name, modality or None, float(weight) if weight else None
    except ValueError:
        raise DataError(
            f"expected NAME:MODALITY:WEIGHT with a number as weight, found {text!r}"
        ) from None


def guessed_fields(table: Table, name: str, identity: str, notes: list[str]) -> tuple[Field, ...]:
    """Return the columns of "queries" or "documents" that look like fields, with a note.

    Raises:
        DataError: none does.
    """
    fields = guess_fields(with_lists(table), name, identity)
    if not fields:
        raise DataError(
            f"no column looks like a text or a picture; found {quoted_names(table.columns)}",
            where=str(table.path),
            remedy=f"Name the columns with {_OPTIONS[name]} NAME:text or NAME:image.",
        )
    return shown_fields(fields, name, notes)


def shown_fields(fields: tuple[Field, ...], name: str, notes: list[str]) -> tuple[Field, ...]:
    """Return the fields of "queries" or "documents"; a note says which they are."""
    shown = ", ".join(f"{f.name} ({f.modality}, weight {f.weight:.3g})" for f in fields)
    notes.append(f"{name}: fields {shown}; choose others with {_OPTIONS[name]}")
    return fields
