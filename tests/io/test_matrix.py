"""Matrices of others: mapped, or refused whatever is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rankfield.errors import InputError
from rankfield.io.matrix import map_matrix


@pytest.mark.parametrize("shape", [(3, 2), (0, 4), (70_000, 1)])
def test_it_is_what_was_saved(shape: tuple[int, int], tmp_path: Path) -> None:
    saved = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.save(tmp_path / "a.npy", saved)
    found = map_matrix(tmp_path / "a.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, saved)


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", b"PK\x03\x04", header(GOOD), header(GOOD[:30]), header("(" * 5000),
        header("[\n" + GOOD), header("3"), header(GOOD.replace("3, 2", "99999999999, 2")),
        header(GOOD.replace("3, 2", "-3, 2")), header(GOOD.replace("<f4", "|O")) + bytes(48),
        header(GOOD.replace("<f4", "x" * 99)), header("1" * 9000), header("\x00" + GOOD),
    ],
)  # fmt: skip
def test_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npy: expected a matrix as numpy\.save writes it"):
        map_matrix(tmp_path / "a.npy")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.npy"):
        map_matrix(tmp_path / "a.npy")
