"""Names that options had in earlier versions: scripts that use them keep working, with a notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rankfield.terminal import echo

__all__ = ["FORMER_OPTIONS", "present_options"]

FORMER_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "dedupe": {"--pictures": "--images"},
    "split": {"--near-pictures": "--near-images"},
}
"""Verb → former name of an option → its present name."""


def present_options(verb: str, words: Sequence[str]) -> list[str]:
    """Return a verb's arguments with the present names of its options; a notice names each."""
    former = FORMER_OPTIONS.get(verb, {})
    found = []
    options = True
    for word in words:
        name, equals, value = word.partition("=")
        options = options and word != "--"
        present = former.get(name, name) if options else name
        if present != name:
            echo(f"note: {name} is now {present}", err=True)
        found.append(f"{present}{equals}{value}")
    return found
