from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from rankfield.errors import InputError
from rankfield.settings import Renamed, Settings, check_settings, present_words, read_settings


class Leaf(Settings):
    size: int = Field(1, ge=1)
    colour: str = "red"
    former_words: ClassVar[Mapping[str, Renamed]] = {
        "extent": Renamed("size"),
        "hue": Renamed("colour", {"rouge": "red", "bleu": "blue"}),
        "colour": Renamed("colour", {"rouge": "red"}),
    }


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


def test_former_words_are_read_wherever_the_table_lies(capsys: pytest.CaptureFixture[str]) -> None:
    values: dict[str, Any] = {
        "name": "a",
        "leaf": {"extent": 2, "hue": "bleu"},
        "by_name": {"q": {"colour": "rouge", "size": 3}},
        "several": [{}, {"hue": "green"}],
    }
    tree = check_settings(values, Tree, where="my.toml")
    assert tree.leaf == Leaf(size=2, colour="blue")
    assert tree.by_name == {"q": Leaf(size=3)}
    assert tree.several == [Leaf(), Leaf(colour="green")]
    assert values["leaf"] == {"extent": 2, "hue": "bleu"}
    assert capsys.readouterr().err == (
        "note: my.toml: leaf.extent = 2 is now leaf.size = 2; leaf.hue = 'bleu' is now "
        "leaf.colour = 'blue'; by_name.q.colour = 'rouge' is now 'red'; several.1.hue = 'green' "
        "is now several.1.colour = 'green'\n"
    )


def test_present_words_need_no_notice(capsys: pytest.CaptureFixture[str]) -> None:
    values = {"name": "a", "leaf": {"size": 2, "colour": "red"}, "stray": {"hue": "bleu"}}
    assert present_words(values, Tree, where="my.toml") == values
    assert present_words({"leaf": {"hue": "rouge"}}, Tree) == {"leaf": {"colour": "red"}}
    both = {"leaf": {"size": 3, "extent": 2}}
    assert present_words(both, Tree) == {"leaf": {"size": 3}}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"name": "a", "leaf": {"extent": 2, "size": 3}},
            "x: leaf.extent is the former name of leaf.size; both are given. Remove leaf.extent.",
        ),
        ({"name": "a", "leaf": {"extent": 0}}, "leaf.size: input should be greater than or equal"),
        ({"name": "a", "leaf": {"hue": ["bleu"]}}, "leaf.colour: input should be a valid string"),
        ({"name": "a", "leaf": {"hu": "bleu"}}, "x, leaf.hu: unknown key"),
        ({"name": "a", "leaf": 3}, "x, leaf: input should be"),
        ({"name": "a", "several": 3}, "x, several: input should be"),
    ],
)
def test_former_words_that_do_not_fit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        check_settings(values, Tree, where="x")
    assert message in str(raised.value)
