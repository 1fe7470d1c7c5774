"""What others wrote cannot steer the terminal, and an interrupt is said."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.cli import main as module
from rankfield.cli.printable import printable
from rankfield.collect.mapping import Mapping
from rankfield.errors import RemoteError


def test_control_characters_are_written_as_escapes() -> None:
    assert printable("a\x1b[31mb\x07\u202e") == r"a\x1b[31mb\x07\u202e"
    assert printable("zwei\n\tZeilen – é") == "zwei\n\tZeilen – é"


@given(st.text())
def test_what_is_shown_has_no_control_characters(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" or ord(c) > 0x9F for c in printable(text))


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
