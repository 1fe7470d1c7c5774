"""A few hundred mutants with every run of the tests; many more by hand, see `run.py`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import fuzz_mutants
from fuzz_mutants import mutants, mutated
from fuzz_targets import Target
from rankfield.errors import DataError

QUICK = 3
"""The weight of targets that take less than a tenth of a second."""


def test_no_mutant_ends_in_another_error() -> None:
    found = list(mutants(250, seed=0, weight=QUICK))
    assert [mutant for mutant in found if mutant.problem] == []
    assert {mutant.end for mutant in found} == {"read", "refused"}


def test_a_mutant_is_made_from_its_number_alone() -> None:
    first, again = (mutated(b"some text" * 9, random.Random("0 7")) for _ in range(2))
    assert first == again != b"some text" * 9


@pytest.mark.parametrize(
    ("error", "end", "problem"),
    [
        (KeyError("x"), "wrong", "KeyError: 'x' (a, test_fuzz.py:"),
        (DataError("no"), "refused", ""),
        (None, "read", ""),
    ],
)
def test_what_is_not_an_error_of_rankfield_is_told(
    error: Exception | None, end: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(folder: Path) -> None:
        if error is not None and (folder / "a").read_bytes() != b"good" * 99:
            raise error

    target = Target(lambda folder: (folder / "a").write_bytes(b"good" * 99), read)
    monkeypatch.setattr(fuzz_mutants, "targets", lambda: {"some": target})
    (mutant,) = mutants(1, seed=0)
    assert (mutant.number, mutant.target, mutant.end) == (0, "some", end)
    assert mutant.problem.startswith(problem)
    assert bool(mutant.problem) == bool(problem)
