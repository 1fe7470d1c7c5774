"""Names that options had in earlier versions: scripts that use them keep working, with a notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rankfield.terminal import echo

__all__ = ["FORMER_OPTIONS", "FORMER_VALUES", "present_options"]

FORMER_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "dedupe": {"--pictures": "--images"},
    "split": {"--near-pictures": "--near-images"},
}
"""Verb → former name of an option → its present name."""
FORMER_VALUES: Mapping[str, Mapping[tuple[str, str], str]] = {
    "labels": {("--propensities", "swaps"): "interventions"},
}
"""Verb → option and former value → its present value."""


def present_options(verb: str, words: Sequence[str]) -> list[str]:
    """Return a verb's arguments with the present names of its options; a notice names each."""
    names, values = FORMER_OPTIONS.get(verb, {}), FORMER_VALUES.get(verb, {})
    end = list(words).index("--") if "--" in words else len(words)
    found: list[str] = []
    for before, word in zip(["", *words], words[:end], strict=False):
        name, equals, value = word.partition("=")
        present = names.get(name, name) + equals + values.get((name, value), value)
        present = values.get((before, word), present)
        if present != word:
            echo(f"note: {word} is now {present}", err=True)
        found.append(present)
    return [*found, *words[end:]]
