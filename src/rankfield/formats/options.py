"""The options of a layout's writer, from texts KEY=VALUE."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rankfield.errors import InputError
from rankfield.messages import did_you_mean

__all__ = ["parse_options"]


def parse_options(
    function: Callable[..., Any], texts: Iterable[str], layout: str
) -> dict[str, Any]:
    """Return the keyword arguments that `texts` say, by the types of the function's own.

    Text, numbers, true and false, one of several words, and mappings LABEL=SCORE,… are understood.

    Raises:
        InputError: malformed, unknown, given twice, or not of the option's type.
    """
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    options: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in known:
            raise InputError(
                f"expected KEY=VALUE with one of {', '.join(known)}, found {text!r}"
                if known
                else f"the layout {layout} has no options, found {text!r}",
                where="--option",
                remedy=did_you_mean(key, known) if key not in known else "",
            )
        if key in options:
            raise InputError(f"{key} is given twice", where="--option")
        options[key] = _parsed(hints[key], value.strip(), key)
    return options


def _parsed(hint: Any, value: str, key: str) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        words = typing.get_args(hint)
        if value not in words:
            raise _wrong(key, f"one of {', '.join(map(str, words))}", value)
        return value
    if origin is not None and issubclass(origin, Mapping):
        pairs = [part.rpartition("=") for part in value.split(",")]
        return {label.strip(): _number(float, score, key) for label, _, score in pairs}
    if hint is bool:
        if value not in ("true", "false"):
            raise _wrong(key, "true or false", value)
        return value == "true"
    return _number(hint, value, key) if hint in (int, float) else hint(value)


def _number(kind: Callable[[str], Any], value: str, key: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise _wrong(key, "a number", value) from None


def _wrong(key: str, expected: str, found: str) -> InputError:
    return InputError(f"expected {expected}, found {found!r}", where=f"--option {key}")
