"""TOML files read into checked settings: an unknown key is refused, with the nearest known one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from rankfield.errors import InputError
from rankfield.messages import did_you_mean
from rankfield.parsing import parse_toml
from rankfield.paths import read_bytes
from rankfield.terminal import echo
from rankfield.unicode_text import decode_utf8

__all__ = [
    "MAX_TOML",
    "Renamed",
    "Settings",
    "check_settings",
    "present_words",
    "read_settings",
    "read_toml",
    "table_keys",
    "toml_value",
]

MAX_TOML = 1 << 24
"""Bytes of a TOML file that is read."""
S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Renamed:
    """What a former key of a table is called now, and its former values."""

    key: str
    values: Mapping[str, str] = field(default_factory=dict)


class Settings(BaseModel):
    """A table of settings: frozen, exact about types, closed to unknown keys.

    `former_words` says how files written for earlier versions are still read: former key (or a
    present key with former values) → `Renamed`. `check_settings` translates them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    former_words: ClassVar[Mapping[str, Renamed]] = {}

    def refuse_ignored(self, keys: Iterable[str], needed: str) -> None:
        """Refuse values of keys that have no effect here; the default may be written out.

        Args:
            keys: the keys.
            needed: what gives them an effect.

        Raises:
            ValueError: one of them has another value than its default.
        """
        for key in keys:
            default = type(self).model_fields[key].get_default(call_default_factory=True)
            if getattr(self, key) != default:
                raise ValueError(f"{key} has no effect here: it needs {needed}; leave it out")


def read_toml(
    path: Path, *, remedy: str = "", kind: type[InputError] = InputError
) -> dict[str, Any]:
    """Return the values of a TOML file.

    Raises:
        InputError: no such file, not UTF-8, or not TOML; says in which line. It is of the
            class `kind`.
    """
    try:
        data = read_bytes(path, MAX_TOML, kind)
        return parse_toml(decode_utf8(data, where=str(path), kind=kind, form="TOML"))
    except FileNotFoundError:
        raise kind("there is no such file", where=str(path), remedy=remedy) from None
    except ValueError as error:
        raise kind(f"not valid TOML ({error})", where=str(path), remedy=remedy) from error
    except OSError as error:
        raise kind(f"cannot be read ({error.strerror})", where=str(path)) from error


def toml_value(text: str) -> Any:
    """Return the value of KEY=VALUE on a command line: TOML, or else the text as it is."""
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text


def read_settings(path: Path, model: type[S], *, remedy: str = "") -> S:
    """Read a TOML file into `model`.

    Raises:
        InputError: as `read_toml` and `check_settings`.
    """
    return check_settings(read_toml(path, remedy=remedy), model, where=str(path))


def check_settings(
    values: dict[str, Any], model: type[S], *, where: str, kind: type[InputError] = InputError
) -> S:
    """Return `values` as `model`, former words translated with a notice.

    Raises:
        InputError: an unknown key, a missing one, or a value that does not fit; says which. It is
            of the class `kind`.
    """
    values = present_words(values, model, where=where, kind=kind)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _explain(error, model, where, kind) from None


def present_words(
    values: Mapping[str, Any],
    model: type[BaseModel],
    *,
    where: str = "",
    kind: type[InputError] = InputError,
) -> dict[str, Any]:
    """Return nested values with the former words of `model`'s tables replaced by the present ones.

    With `where`, a notice on standard error names them in one line. Without, it is silent, and of a
    key given under both names the present one counts.

    Raises:
        InputError: a key is given under its former and its present name.
    """
    notices: list[str] = []
    found: dict[str, Any] = _translated(values, model, "", notices, (where, kind))
    if where and notices:
        echo(f"note: {where}: {'; '.join(notices)}", err=True)
    return found


def _translated(
    value: Any, annotation: Any, place: str, notices: list[str], at: tuple[str, type[InputError]]
) -> Any:
    """Return a value of a field with this annotation, in present words."""
    if isinstance(value, list) and get_origin(annotation) is list:
        (entry,) = get_args(annotation)
        return [_translated(x, entry, f"{place}{i}.", notices, at) for i, x in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    if get_origin(annotation) is dict:
        entry = get_args(annotation)[-1]
        return {k: _translated(x, entry, f"{place}{k}.", notices, at) for k, x in value.items()}
    model = next(iter(_models(annotation)), None)
    if model is None:
        return value
    found = {}
    for key, inner in value.items():
        renamed = getattr(model, "former_words", {}).get(key, Renamed(key))
        if renamed.key != key and renamed.key in value:
            where, kind = at
            if not where:
                continue
            raise kind(
                f"{place}{key} is the former name of {place}{renamed.key}; both are given",
                where=where,
                remedy=f"Remove {place}{key}.",
            )
        new = renamed.values.get(inner, inner) if isinstance(inner, str) else inner
        if (renamed.key, new) != (key, inner):
            name = f"{place}{renamed.key} = " if renamed.key != key else ""
            notices.append(f"{place}{key} = {_short(inner)} is now {name}{_short(new)}")
        info = model.model_fields.get(renamed.key)
        below = f"{place}{renamed.key}."
        found[renamed.key] = (
            _translated(new, info.annotation, below, notices, at) if info is not None else new
        )
    return found


def _explain(
    error: ValidationError, model: type[BaseModel], where: str, kind: type[InputError]
) -> InputError:
    # a misspelt key is missing too: the unknown one says more
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    keys = [str(part) for part in first["loc"]]
    place = ", ".join([where, *([".".join(keys)] if keys else [])])
    more = error.error_count() - 1
    also = f" ({more} more)" if more else ""
    if first["type"] == "value_error":  # settings that do not go together: no single one is wrong
        return kind(f"{first['ctx']['error']}{also}", where=place)
    if first["type"] == "missing":
        return kind(f"this key is missing{also}", where=place, remedy="Add it.")
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, keys[:-1])
        remedy = did_you_mean(keys[-1], known) or f"Known keys: {', '.join(known)}."
        return kind(f"unknown key{also}", where=place, remedy=remedy)
    message = first["msg"][0].lower() + first["msg"][1:]
    return kind(f"{message}, found {_short(first['input'])}{also}", where=place)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _known_keys(annotation: Any, keys: list[str]) -> list[str]:
    """Return the keys of the table that `keys` lead to, through lists and tables by name."""
    for key in keys:
        if get_origin(annotation) in (dict, list, tuple):  # the key picks an entry
            annotation = next(a for a in reversed(get_args(annotation)) if a is not Ellipsis)
            continue
        model = next(iter(_models(annotation)), None)
        if model is None or key not in table_keys(model):
            return []
        annotation = table_keys(model)[key].annotation
    return [key for model in _models(annotation) for key in table_keys(model)]


def table_keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys of a table with its fields, of which some have another name in Python."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
