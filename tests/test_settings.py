from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from rankfield.errors import InputError
from rankfield.settings import Settings, check_settings, read_settings


class Leaf(Settings):
    size: int = Field(1, ge=1)


class Tree(Settings):
    name: str
    leaf: Leaf | None = None
    by_name: dict[str, Leaf] = Field({})
    several: list[Leaf] = Field([])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "x, name: this key is missing. Add it."),
        ({"nam": "a"}, "x, nam: unknown key (1 more). Did you mean 'name'?"),
        ({"name": 3}, "x, name: input should be a valid string, found 3"),
        ({"name": "a", "leaf": {"sise": 2}}, "x, leaf.sise: unknown key. Did you mean 'size'?"),
        (
            {"name": "a", "by_name": {"q": {"zzz": 2}}},
            "by_name.q.zzz: unknown key. Known keys: size",
        ),
        ({"name": "a", "several": [{}, {"sise": 1}]}, "several.1.sise: unknown key. Did you mean"),
        ({"name": "a", "leaf": {"size": 0}}, "leaf.size: input should be greater than or equal"),
        ({"name": "a", "leaf": {"size": "x" * 500}}, "found 'xxx"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as raised:
        check_settings(values, Tree, where="x")
    assert message in str(raised.value)
    assert len(str(raised.value)) < 250


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    with pytest.raises(InputError, match=r"t\.toml: there is no such file\. Make one"):
        read_settings(path, Tree, remedy="Make one.")
    path.write_bytes(b"name = \xff")
    with pytest.raises(InputError, match="not valid TOML"):
        read_settings(path, Tree)
    path.write_text("\ufeffname = 'a'", "utf-8")
    assert read_settings(path, Tree) == Tree(name="a")
    with pytest.raises(InputError, match="cannot be read"):
        read_settings(tmp_path, Tree)
