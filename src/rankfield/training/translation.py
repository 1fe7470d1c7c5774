"""Parameters of another trainer as a recipe: each is taken over, or left out and named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankfield.column_names import normalised_name
from rankfield.errors import RecipeError
from rankfield.files import read_json_object
from rankfield.messages import did_you_mean, listed

__all__ = ["Parameters", "Translation", "read_parameters"]

_NOTHING: tuple[Any, ...] = (None, False, "", [], {})


@dataclass(frozen=True)
class Translation:
    """What a recipe takes over.

    source: the other trainer, by name.
    settings: section → key → value; "" is the recipe's top level.
    epochs, warmup_steps: where the trainer counts so; a recipe counts steps and shares of them.
    notes: what was left out or means something else here, one sentence each.
    """

    source: str
    settings: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()
    epochs: float | None = None
    warmup_steps: float | None = None

    def fitted(self, pairs: int, size: int) -> dict[str, dict[str, Any]]:
        """Return the settings with steps in place of epochs, and a share in place of warm-up steps.

        Args:
            pairs: that are trained on.
            size: of a batch.
        """
        settings = {section: dict(values) for section, values in self.settings.items()}
        optimizer = settings.setdefault("optimizer", {})
        if self.epochs is not None and "steps" not in optimizer:
            optimizer["steps"] = max(1, math.ceil(self.epochs * pairs / size))
        if self.warmup_steps is not None and "steps" in optimizer:
            optimizer["warmup"] = min(1.0, self.warmup_steps / optimizer["steps"])
        return settings


@dataclass
class Parameters:
    """The parameters of a file, taken one by one; what is left at the end is named.

    where: the file, for messages. values: normalised name → value.
    """

    where: str
    values: dict[str, Any]
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """Return a parameter and count it as taken; the default if it is missing or null.

        Raises:
            RecipeError: it is of another kind.
        """
        value = self.values.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            expected = " or ".join(
                k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,))
            )
            raise RecipeError(f"expected {expected}, found {value!r:.60}", where=self._at(name))
        return value

    def put(self, section: str, key: str, value: Any) -> None:
        """Set a key of the recipe."""
        self.settings.setdefault(section, {})[key] = value

    def number(self, name: str, section: str, key: str, default: float | None = None) -> None:
        """Take a number over as it is, or the other trainer's default."""
        value = self.take(name, (int, float), default)
        if value is not None:
            self.put(section, key, float(value))

    def whole(self, name: str, section: str, key: str, default: int | None = None) -> None:
        """Take a whole number over as it is, or the other trainer's default."""
        value = self.take(name, int, default)
        if value is not None:
            self.put(section, key, value)

    def choice(
        self, name: str, place: tuple[str, str], known: Mapping[str, Any], default: str | None
    ) -> None:
        """Take a word over that is called otherwise here; one without a counterpart is named."""
        value = self.take(name, str, default)
        if value is None:
            return
        if value in known:
            self.put(*place, known[value])
        else:
            self.notes.append(f"{name} = {value!r} has no counterpart; {'.'.join(place)} stays.")

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """Note each of these parameters that asks for something, with the reason."""
        for name, reason in reasons.items():
            value = self.values.pop(name, None)
            if value not in _NOTHING:
                self.notes.append(f"{name} = {value!r:.60} is left out: {reason}.")

    def finish(self, without_effect: Iterable[str] = (), known: Iterable[str] = ()) -> None:
        """Name all that is left.

        Args:
            without_effect: parameters that change no weight, such as of logs.
            known: names to look for what an unknown one may mean.
        """
        silent = [n for n in without_effect if self.values.pop(n, None) not in _NOTHING]
        if silent:
            self.notes.append(f"Without effect on the model: {listed(silent, 12)}.")
        names = [*without_effect, *known]
        for name, value in self.values.items():
            hint = did_you_mean(name, names, cutoff=0.75)
            text = f"{name} = {value!r:.60} is unknown and left out. {hint}"
            self.notes.append(text.strip())
        self.values = {}

    def _at(self, name: str) -> str:
        return f"{self.where}, {name}"


def read_parameters(path: Path, *, inside: Iterable[str] = ()) -> Parameters:
    """Return the parameters of a JSON file; nothing in it is run.

    Args:
        path: of an object: name → value, names in any spelling.
        inside: names of objects in it whose entries are parameters too.

    Raises:
        InputError: no such file, or not a JSON object.
        RecipeError: a parameter is given twice.
    """
    found: dict[str, Any] = {}
    nested = set(inside)
    pending: list[Mapping[str, Any]] = [read_json_object(path)]
    for values in pending:
        for name, value in values.items():
            plain = normalised_name(name.lstrip("-"))
            if plain in nested and isinstance(value, dict):
                pending.append(value)
            elif plain in found:
                raise RecipeError("given twice", where=f"{path}, {plain}", remedy="Remove one.")
            else:
                found[plain] = value
    return Parameters(str(path), found)
