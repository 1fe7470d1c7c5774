"""Foreign text is plain text in Markdown, YAML and spreadsheets, and reads as what it was."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.escaping import (
    fenced_code,
    markdown_text,
    spreadsheet_cells,
    visible_controls,
    yaml_value,
)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (
            "# heading\n\n![beacon](http://x.example/y)",
            "\\# heading !\\[beacon\\](http\\://x.example/y)",
        ),
        ("www.example.com", "www\\.example.com"),
        ("<script>", "\\<script\\>"),
        ("&lt; $x^2$", "\\&lt; \\$x^2\\$"),
        ("a | b", "a \\| b"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("1) item", "1\\) item"),
        ("---", "\\---"),
        ("===", "\\==="),
        ("0.1.0 and -3", "0.1.0 and -3"),
        ("a\x1b[1m\u202eb", "a\\\\x1b\\[1m\\\\u202eb"),
    ],
)
def test_markdown_text_is_one_line_of_plain_text(text: str, escaped: str) -> None:
    assert markdown_text(text) == escaped


@given(st.text())
def test_markdown_text_has_no_bare_sign(text: str) -> None:
    escaped = markdown_text(text)
    assert "\n" not in escaped
    unescaped = escaped.replace("\\\\", "")
    for sign in "`*_{}[]<>#|~&$":
        assert unescaped.replace("\\" + sign, "").count(sign) == 0


def test_code_cannot_end_its_own_fence() -> None:
    assert fenced_code("a\n```\nb\n", "toml") == "````toml\na\n```\nb\n````"
    assert fenced_code("a\x1b", "") == "```\na\\x1b\n```"


@given(
    st.recursive(st.text() | st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v))
)
def test_yaml_values_are_json_on_one_line(value: object) -> None:
    line = yaml_value(value)
    assert "\n" not in line
    if "\\U" not in line:  # a character that JSON writes in two halves, and YAML in one
        assert json.loads(line) == value


@pytest.mark.parametrize("text", ["\U0001f600 ---\nlicense: mit", "\x1b\x85\u2028\ufeff", 'a"b: c'])
def test_yaml_reads_the_same_text(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    line = yaml_value({"name": text})
    assert yaml.safe_load(f"x: {line}") == {"x": {"name": text}}


def test_cells_that_a_spreadsheet_would_run_are_texts() -> None:
    texts = [
        "=1+1",
        "+x",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "＝1",
        "-3",
        "+1.5e-3",
        "a=b",
        None,
    ]
    frame = pl.DataFrame({"=a": texts, "number": range(len(texts))})
    safe = spreadsheet_cells(frame)
    assert safe.columns == ["'=a", "number"]
    risky = [f"'{text}" for text in texts[:8]]
    assert safe["'=a"].to_list() == [*risky, "-3", "+1.5e-3", "a=b", None]
    assert safe["number"].to_list() == frame["number"].to_list()
    numbers = pl.DataFrame({"x": [1.0]})
    assert spreadsheet_cells(numbers).equals(numbers)


def test_what_only_orders_a_line_stays_on_pages() -> None:
    assert visible_controls("a\u200fb\u200d\tc\r\nd") == "a\u200fb\u200d\tc\r\nd"
    assert visible_controls("\x00\x1b\x9b\u202e\u2067") == r"\x00\x1b\x9b\u202e\u2067"
