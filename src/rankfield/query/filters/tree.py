"""A filter as a tree, whatever compiles it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

__all__ = [
    "RESERVED",
    "And",
    "Column",
    "Compare",
    "Condition",
    "In",
    "IsNull",
    "Match",
    "Not",
    "Operator",
    "Or",
    "Scalar",
    "Value",
    "filter_text",
]

Scalar = bool | int | float | str | date | datetime
Operator = Literal["=", "!=", "<", "<=", ">", ">="]

RESERVED = ("and", "or", "not", "in", "between", "is", "null", "true", "false")
"""Words that a column is called by in double quotes only."""

_PLAIN = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Column:
    """A stored column; `at` is where its name stands in the text, from 0."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A constant; `at` is where it stands in the text, from 0."""

    value: Scalar
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """column operator value; null where the column is."""

    column: Column
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """column = one of the values; null where the column is."""

    column: Column
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a text contains another, or starts with it, verbatim; null where the column is."""

    column: Column
    how: Literal["contains", "starts with"]
    value: Value


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether there is no value: true or false, never null."""

    column: Column


@dataclass(frozen=True, slots=True)
class Not:
    """not item; null where the item is."""

    item: Condition


@dataclass(frozen=True, slots=True)
class And:
    """Whether all items are true: false where one is false, else null where one is null."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Whether an item is true: true where one is true, else null where one is null."""

    items: tuple[Condition, ...]


Condition = Compare | In | Match | IsNull | Not | And | Or


def filter_text(condition: Condition) -> str:
    """Return a text that `parse_filter` reads as an equal tree."""
    if isinstance(condition, And | Or):
        word = " and " if isinstance(condition, And) else " or "
        return word.join(_inner(item) for item in condition.items)
    if isinstance(condition, Not):
        return f"not {_inner(condition.item)}"
    name = _name(condition.column.name)
    if isinstance(condition, IsNull):
        return f"{name} is null"
    if isinstance(condition, In):
        return f"{name} in ({', '.join(_constant(value.value) for value in condition.values)})"
    word = condition.how if isinstance(condition, Match) else condition.operator
    return f"{name} {word} {_constant(condition.value.value)}"


def _inner(condition: Condition) -> str:
    text = filter_text(condition)
    return f"({text})" if isinstance(condition, And | Or | Not) else text


def _name(name: str) -> str:
    if _PLAIN.fullmatch(name) and name.lower() not in RESERVED:
        return name
    return '"{}"'.format(name.replace('"', '""'))


def _constant(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else value.isoformat()
    return "'{}'".format(text.replace("'", "''"))
