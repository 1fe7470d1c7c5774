"""Where the parts of a result stand in the JSON answer of a search API."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator

from rankfield.settings import Settings
from rankfield.web import RequestError

__all__ = ["FieldMapping", "Found", "Mapping", "value_at"]

_STEP = re.compile(r'\.?(?:"([^"]+)"|\[(\d+)\]|([^.\[\]"]+))')
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_RESERVED = ("doc_id", "query_id", "score", "seen")


def _steps(path: str) -> list[str | int]:
    """Divide a path: names between dots, numbers in brackets, names with dots in quotes."""
    steps: list[str | int] = []
    end = 0
    for match in _STEP.finditer(path):
        if match.start() != end:
            break
        quoted, number, name = match.groups()
        steps.append(int(number) if number else quoted or name)
        end = match.end()
    if end != len(path) or path.startswith("."):
        raise ValueError(
            f"{path!r} is not a path; expected names between dots and numbers in brackets, as "
            'hits.hits[0]."a.name"'
        )
    return steps


def value_at(value: Any, path: str) -> Any:
    """Return what stands at a path of a JSON value, None if nothing does; "" is the value itself.

    ``images[0].url`` goes into a table by name and into a list by number.
    """
    for step in _steps(path):
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _checked_paths(paths: str | list[str]) -> str | list[str]:
    for path in [paths] if isinstance(paths, str) else paths:
        _steps(path)
    return paths


class FieldMapping(Settings):
    """A field of the documents."""

    path: str | list[str] = Field(description="in one result; of several, the first that is there")
    modality: Literal["text", "image"] = "text"
    weight: float = Field(1.0, gt=0, description="in the fused embedding")

    _paths = field_validator("path")(_checked_paths)


class Mapping(Settings):
    """What stands where in an answer. Paths start at the answer, or at one result."""

    results: str = Field("", description="path to the list of results; empty: the answer itself")
    doc_id: str | list[str] = Field(
        [], description="path in a result to its id; none: made from its contents"
    )
    fields: dict[str, FieldMapping] = Field(description="fields of the documents", min_length=1)
    columns: dict[str, str | list[str]] = Field(
        {}, description="further columns of the documents: name = path"
    )
    error: str = Field("", description="path to an error message in an answer of status 200")
    no_results: str = Field("", description="part of the error message that means: nothing found")
    failed_if: list[str] = Field(
        [], description="paths; true or above 0 means an incomplete answer"
    )

    _paths = field_validator("results", "doc_id", "error", "failed_if")(_checked_paths)

    @field_validator("columns")
    @classmethod
    def _columns(cls, columns: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        for path in columns.values():
            _checked_paths(path)
        return columns

    @field_validator("fields", "columns")
    @classmethod
    def _names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if name in _RESERVED or not name.strip():
                raise ValueError(f"{name!r} cannot be the name of a field or column")
        return named

    def read(self, answer: Any) -> list[Found]:
        """Return the results in an answer, in its order.

        Raises:
            RequestError: the answer says that it failed or is incomplete, or has no results' list.
        """
        for path in self.failed_if:
            if flag := value_at(answer, path):
                raise RequestError(f"the answer is incomplete: {path} is {flag}", passing=True)
        message = value_at(answer, self.error) if self.error else None
        if message:
            if self.no_results and self.no_results in str(message):
                return []
            raise RequestError(f"the answer says: {str(message)[:200]}")
        results = value_at(answer, self.results)
        if not isinstance(results, list):
            keys = f"the keys {', '.join(answer)}" if isinstance(answer, dict) else "no table"
            place = f"at {self.results!r} in the answer" if self.results else "as the answer"
            raise RequestError(
                f"expected a list {place}, found {type(results).__name__} (it has {keys[:200]})",
                remedy="Fix mapping.results.",
            )
        return [self._found(result) for result in results]

    def _found(self, result: Any) -> Found:
        fields = {n: _text(_first(result, f.path)) for n, f in self.fields.items()}
        columns = {name: _plain(_first(result, path)) for name, path in self.columns.items()}
        doc_id = _text(_first(result, self.doc_id))
        if not doc_id:
            contents = json.dumps(fields, sort_keys=True).encode()
            doc_id = f"d{hashlib.sha256(contents).hexdigest()[:16]}"
        return Found(doc_id, fields, columns)


@dataclass(frozen=True)
class Found:
    """One result: its id, its fields (None where absent) and further columns."""

    doc_id: str
    fields: dict[str, str | None]
    columns: dict[str, str | float | None]


def _first(result: Any, paths: str | list[str]) -> Any:
    """Return the first value that is there; of a list its first entry."""
    for path in [paths] if isinstance(paths, str) else paths:
        value = value_at(result, path)
        if isinstance(value, list):
            value = value[0] if value else None
        if value not in (None, ""):
            return value
    return None


def _text(value: Any) -> str | None:
    """Return a value as one line of text that can be stored; None for nothing, tables and lists."""
    if value is None or isinstance(value, (dict, list, bool)):
        return None
    # half of a surrogate pair is valid JSON, but no text; neither are bytes that steer a terminal
    try:
        text = str(value).encode("utf-8", "ignore").decode()
    except ValueError:  # a number of more digits than Python writes
        return None
    return " ".join(_CONTROL.sub(" ", text).split()) or None


def _plain(value: Any) -> str | float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # JSON has numbers of any length
            return None
    return str(value).lower() if isinstance(value, bool) else _text(value)
