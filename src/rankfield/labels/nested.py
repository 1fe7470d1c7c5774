"""Values inside nested columns: `a.b.c` of JSON texts, structs and lists, as SQL and in Python."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rankfield.labels.sql import quote_text

__all__ = [
    "ColumnPath",
    "find_path",
    "json_path",
    "nested_list",
    "nested_value",
    "values_inside",
]

_TYPED_VALUES = ("string_value", "int_value", "float_value", "double_value")
"""The fields of a parameter's value in Google Analytics' export; one of them is filled."""


@dataclass(frozen=True)
class ColumnPath:
    """A column of a log, or the value under `keys` inside a nested one."""

    column: str
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path with dots, as given with `--column`."""
        return ".".join((self.column, *self.keys))


def find_path(name: str, found: Sequence[str]) -> ColumnPath | None:
    """Return the column `name`, or the nested value whose column is the longest part before a dot.

    A column whose own name has dots comes first.
    """
    names = set(found)
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        column = ".".join(parts[:end])
        if column in names:
            return ColumnPath(column, tuple(parts[end:]))
    return None


def nested_value(source: str, keys: Sequence[str], keyed: Collection[int] = ()) -> str:
    """Return the SQL of the text under `keys` in JSON, null where there is none.

    Args:
        source: the SQL of the JSON.
        keys: names, from the outside in.
        keyed: the places in `keys` of names in a list of {key, value}: the first element with that
            key counts. Its value may be typed (`string_value`, `int_value` …).
    """
    plain: list[str] = []
    for place, key in enumerate(keys):
        if place not in keyed:
            plain.append(key)
            continue
        found = _by_key(f"json_extract({source}, {json_path(plain)})", key)
        plain = []
        if place == len(keys) - 1:
            return _typed_value(found)
        source = f"json_extract({found}, '$.value')"
    return f"json_extract_string({source}, {json_path(plain)})"


def nested_list(source: str, keys: Sequence[str]) -> str:
    """Return the SQL of the list of JSON values under `keys`; what is no list is one element."""
    value = f"json_extract({source}, {json_path(keys)})"
    return (
        f"CASE WHEN json_type({value}) = 'ARRAY' THEN json_extract({value}, '$[*]')"
        f" ELSE [{value}] END"
    )


def json_path(keys: Sequence[str]) -> str:
    """Return the SQL text of the path to the value under `keys`."""
    escaped = (key.replace("\\", "\\\\").replace('"', '\\"') for key in keys)
    return quote_text("$" + "".join(f'."{key}"' for key in escaped))


def _by_key(elements: str, key: str) -> str:
    named = f"json_extract_string(e, '$.key') = {quote_text(key)}"
    return f"list_filter(json_extract({elements}, '$[*]'), lambda e: {named})[1]"


def _typed_value(found: str) -> str:
    typed = ", ".join(quote_text(f"$.value.{name}") for name in _TYPED_VALUES)
    filled = f"list_filter(json_extract_string({found}, [{typed}]), lambda v: v IS NOT NULL)[1]"
    scalar = f"json_extract_string({found}, '$.value')"
    return f"CASE WHEN json_type({found}, '$.value') = 'OBJECT' THEN {filled} ELSE {scalar} END"


def values_inside(record: Any, keys: Sequence[str]) -> Iterator[str]:
    """Yield the texts under `keys` in a parsed JSON value, one for each element of a list."""
    if isinstance(record, str) and keys:
        try:
            record = json.loads(record)
        except (ValueError, RecursionError):
            return
    if isinstance(record, list):
        yield from _inside_list(record, keys)
    elif not keys:
        if record is not None:
            yield record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
    elif isinstance(record, dict):
        yield from values_inside(record.get(keys[0]), keys[1:])


def _inside_list(items: list[Any], keys: Sequence[str]) -> Iterator[str]:
    for item in items:
        if keys and isinstance(item, dict) and {"key", "value"} <= item.keys():
            if item["key"] == keys[0]:
                value = item["value"]
                filled = [value.get(f) for f in _TYPED_VALUES] if isinstance(value, dict) else []
                first = next((v for v in filled if v is not None), value)
                yield from values_inside(first, keys[1:])
        else:
            yield from values_inside(item, keys)
