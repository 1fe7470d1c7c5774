"""A few hundred mutants with every run of the tests; many more by hand, see `run.py`."""

from __future__ import annotations

import random

import pytest

import fuzz_mutants
from fuzz_mutants import mutated, run


def test_no_mutant_ends_in_another_error() -> None:
    assert run(250, seed=0, quiet=True) == []


def test_a_mutant_is_made_from_its_number_alone() -> None:
    first, again = (mutated(b"some text" * 9, random.Random("0 7")) for _ in range(2))
    assert first == again != b"some text" * 9


def test_what_is_not_an_error_of_rankfield_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(fuzz_mutants, "read_json", fail)
    (line,) = run(1, seed=0, only="json", quiet=True)
    assert line.startswith("mutant 0 of json: KeyError: 'x'")
