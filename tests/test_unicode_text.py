"""What is text: blank and invisible texts, halves of surrogate pairs, and other encodings."""

from __future__ import annotations

import codecs
import unicodedata
from pathlib import Path

import polars as pl
import pytest

from rankfield.errors import DataError, InputError
from rankfield.field_values import first_value, flat_values, is_absent, without_items
from rankfield.files import read_json
from rankfield.settings import read_toml
from rankfield.unicode_text import NOT_BLANK, decode_utf8, half_surrogate, is_blank

BLANK = [
    *("", " ", "\t\r\n", "\u00a0", "\u200b", "\ufeff", "\u2060", "\u200d\u200c", "\u00ad"),
    *("\u3000", "\u2028", "\u2800", "\u3164", "\ufe0f", "\x00", "\u200b \u00a0\ufeff"),
]
SEEN = ["a", ".", "0", "é", "猫", "\u200bx", "a\u00a0", "😀", "❤\ufe0f", "-", "]", "\\", "^"]


@pytest.mark.parametrize(("texts", "blank"), [(BLANK, True), (SEEN, False)])
def test_python_and_polars_agree_on_blank_texts(texts: list[str], blank: bool) -> None:
    assert [is_blank(text) for text in texts] == [blank] * len(texts)
    found = pl.Series(texts).str.contains(NOT_BLANK)
    assert found.to_list() == [not blank] * len(texts)


def test_every_separator_control_and_format_character_is_blank() -> None:
    kinds = {"Zs", "Zl", "Zp", "Cc"}
    signs = [chr(i) for i in range(0x11000) if unicodedata.category(chr(i)) in kinds]
    assert all(map(is_blank, signs))
    letters = [chr(i) for i in range(0x300) if unicodedata.category(chr(i)).startswith("L")]
    assert not any(map(is_blank, letters))


def test_blank_texts_are_absent_wherever_fields_are_read() -> None:
    column = pl.Series("text", [*BLANK, "mug", None])
    frame = column.to_frame()
    absent = frame.select(is_absent("text", pl.String()))["text"].to_list()
    assert absent == [True] * len(BLANK) + [False, True]
    rows, values = flat_values(column)
    assert (rows.tolist(), values.to_list()) == ([len(BLANK)], ["mug"])
    lists = pl.Series("text", [BLANK, ["\u200b", "mug"], []], dtype=pl.List(pl.String))
    absent = lists.to_frame().select(is_absent("text", lists.dtype))["text"].to_list()
    assert absent == [True, False, True]
    assert first_value(["\u200b", "mug"]) == "mug"
    assert first_value("\u00a0") is None
    assert without_items(lists, {1: {1}})[1] is None


def test_the_place_of_half_a_surrogate_pair() -> None:
    assert half_surrogate({"a": [{"b": "x"}, {"b": "\ud83d"}]}) == "a[1].b"
    assert half_surrogate({"a": {"\ude00": 1}}) == "a, the key '\\ude00'"
    assert half_surrogate("\udc00") == ""
    assert half_surrogate({"a": ["😀", None, 3, True]}) is None


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["recipe.toml", "results.json"])
def test_utf_16_is_named(tmp_path: Path, name: str, encoding: str) -> None:
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE
    (tmp_path / name).write_bytes(mark + "a = 1\n".encode(encoding))
    read = read_toml if name.endswith("toml") else read_json
    with pytest.raises(
        InputError, match=rf"{name}, row 1: .*the file is UTF-16, as PowerShell's >"
    ):
        read(tmp_path / name)


def test_a_byte_order_mark_and_the_row_of_a_wrong_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(codecs.BOM_UTF8 + b"a = 1\n")
    assert read_toml(path) == {"a": 1}
    path.write_bytes(b'{"a": 1}')
    assert read_json(path) == {"a": 1}
    path.write_bytes(codecs.BOM_UTF8 + b'{"a": 1}')
    assert read_json(path) == {"a": 1}
    path.write_bytes(codecs.BOM_UTF8 + b"a = 1\nb = \xff\n")
    with pytest.raises(DataError, match=r"a\.toml, row 2: not UTF-8: byte 0xff at position 5"):
        decode_utf8(path.read_bytes(), where=str(path), kind=DataError)


def test_json_with_half_a_surrogate_pair_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"runs": [{"name": "x \\ud83d"}]}')
    with pytest.raises(InputError, match=r"a\.json: not valid JSON \(runs\[0\]\.name: half of"):
        read_json(path)
    path.write_text('{"runs": [{"name": "x \\ud83d\\ude00"}]}')
    assert read_json(path) == {"runs": [{"name": "x 😀"}]}
