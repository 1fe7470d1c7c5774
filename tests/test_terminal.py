"""What others wrote cannot steer the terminal, and an interrupt is said."""

from __future__ import annotations

import ast
import io
import json
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from rankfield.cli import main as module
from rankfield.cli.text_table import show_table
from rankfield.collect.mapping import Mapping
from rankfield.curation.dedupe import DedupeReport, Duplicates
from rankfield.errors import RemoteError
from rankfield.progress import progress
from rankfield.terminal import cell, console, echo, one_line, printable, printable_values

SOURCE = Path(__file__).parents[1] / "src" / "rankfield"
HOSTILE = "a\x1b]0;P\x07\x9b2J\u202e\u2066\u200f\u200b\ufeff[bold]b[/bold] :smile:"
SHOWN = r"a\x1b]0;P\x07\x9b2J\u202e\u2066\u200f\u200b\ufeff[bold]b[/bold] :smile:"


def hidden(text: str) -> list[str]:
    """Return the characters of a text that steer a terminal or cannot be seen."""
    return [c for c in text if not (c.isprintable() or c in "\n\t" or c.isspace())]


def test_control_characters_are_written_as_escapes() -> None:
    assert printable("a\x1b[31mb\x07\u202e") == r"a\x1b[31mb\x07\u202e"
    assert printable("zwei\n\tZeilen – é") == "zwei\n\tZeilen – é"
    assert printable(HOSTILE) == SHOWN


def test_joiners_stay_where_scripts_need_them_and_are_shown_in_ascii() -> None:
    needed = "\u0645\u06cc\u200c\u062e \U0001f469\u200d\U0001f52c"
    assert printable(needed) == needed
    assert printable("pay\u200dpal x\u200c") == r"pay\u200dpal x\u200c"


@given(st.text())
def test_what_is_shown_has_no_control_characters(text: str) -> None:
    # what is left has a width, or belongs to a script
    assert all(c.isprintable() or c in "\n\t" or ord(c) > 0x9F for c in printable(text))
    assert "\n" not in one_line(text)
    assert "\t" not in one_line(text)


@given(st.dictionaries(st.text(), st.text()))
def test_json_and_toml_stay_what_they_are(value: dict[str, str]) -> None:
    as_json = printable_values(json.dumps(value, ensure_ascii=False, indent=2), "json")
    assert json.loads(as_json) == value
    as_toml = printable_values(tomli_w.dumps(value), "toml")
    assert tomllib.loads(as_toml) == value
    for text in (as_json, as_toml):
        assert printable(text) == text


@pytest.mark.parametrize("code", [0x1B, 0x9B, 0x7F, 0x202E, 0xE0041])
def test_each_form_has_its_own_escape(code: int) -> None:
    value = {"key" + chr(code): chr(code)}
    as_json = printable_values(json.dumps(value, ensure_ascii=False), "json")
    as_toml = printable_values(tomli_w.dumps(value), "toml")
    assert json.loads(as_json) == tomllib.loads(as_toml) == value
    assert chr(code) not in as_json + as_toml


def test_echo_escapes_what_the_terminal_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    echo("é – \x1b")
    assert raw.getvalue() == b"\\xe9 \\u2013 \\x1b\n"
    monkeypatch.setattr(sys, "stdout", None)
    echo("nobody listens")


def test_file_names_that_are_not_utf8_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    echo(Path("bad\udcff.json"))
    assert capsys.readouterr().out == "bad\\udcff.json\n"


def test_consoles_show_text_as_it_is_without_controls(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(HOSTILE, soft_wrap=True)
    assert capsys.readouterr().out == SHOWN + "\n"


def test_a_table_keeps_its_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    show_table("ti\ntle", ["name", "value"], [["a\nb\tc", "1\n2"], [HOSTILE, "[red]3"]])
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == [r"ti\ntle"]
    assert [r"a\nb\tc", "1"] in lines
    assert ["2"] in lines
    assert f"{SHOWN}  [red]3" in out
    table = Table()
    table.add_row(cell("x\ny[bold]"))
    console().print(table)
    assert r"x\ny[bold]" in capsys.readouterr().out


def test_reports_of_the_library_are_inert_in_any_console(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rich.console import Console

    found = Duplicates("documents", 2, 1, 1, ((f"{HOSTILE}1", f"{HOSTILE}2"),))
    Console(width=300).print(DedupeReport((found,)))
    out = capsys.readouterr().out
    assert not hidden(out)
    assert f"{SHOWN}1 · {SHOWN}2" in out


def test_a_progress_bar_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    with progress(f"{HOSTILE}\n", 3) as advance:
        advance(1, f"remark {HOSTILE}")
    shown = screen.getvalue()
    assert f"{SHOWN}\\n" in shown
    assert f"remark {SHOWN}" in shown
    assert "\x1b]0" not in shown
    assert "\x9b" not in shown


def test_one_module_writes_to_the_terminal() -> None:
    for path in sorted(SOURCE.rglob("*.py")):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            where = f"{path.relative_to(SOURCE)}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"print", "typer.echo", "typer.secho", "click.echo"}, where
                assert called.split(".")[-1] != "Console", where
                assert not called.startswith(("sys.stdout.write", "sys.stderr.write")), where
            if isinstance(node, ast.ImportFrom):
                assert node.module != "rich.markup", where
                names = {alias.name for alias in node.names}
                assert not (node.module == "rich" and "print" in names), where
                assert not (node.module == "typer" and names & {"echo", "secho"}), where


@pytest.mark.parametrize(
    "words",
    [
        ["check", "shop", f"{HOSTILE}\n"],
        [f"{HOSTILE}\n"],
        ["check", f"--{HOSTILE}\n"],
        ["import", f"--{HOSTILE}\n"],
    ],
)
def test_usage_errors_are_inert(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "argv", ["rankfield", *words])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert SHOWN in err
    assert not hidden(err)
    assert len(err.splitlines()) == 5


def test_results_carry_none() -> None:
    mapping = Mapping.model_validate({"fields": {"title": {"path": "t"}}})
    found = mapping.read([{"t": "red\x1b[31m \x00mug\x9b"}])[0]
    assert found.fields["title"] == "red [31m mug"


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (RemoteError("the server answers 500 (\x1b]0;pwned\x07)"), 2, r"(\x1b]0;pwned\x07)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_shown_safely(
    raised: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("rankfield.collect.load_job", fail)
    monkeypatch.setattr(sys, "argv", ["rankfield", "collect", "job.toml", "out"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == code
    err = capsys.readouterr().err
    assert said in err
    assert "\x1b" not in err
