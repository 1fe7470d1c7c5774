"""Options that have a new name are still read by the old one."""

from __future__ import annotations

import pytest
from typer.main import get_command

from rankfield.cli.former_options import FORMER_OPTIONS, present_options
from rankfield.cli.main import app


def test_a_former_name_is_translated_with_a_notice(capsys: pytest.CaptureFixture[str]) -> None:
    assert present_options("split", ["in", "out", "--near-pictures=6"]) == [
        "in",
        "out",
        "--near-images=6",
    ]
    assert capsys.readouterr().err == "note: --near-pictures=6 is now --near-images=6\n"
    assert present_options("dedupe", ["--pictures", "--", "--pictures"]) == [
        "--images",
        "--",
        "--pictures",
    ]
    assert present_options("train", ["--pictures"]) == ["--pictures"]
    for words in (["--propensities=swaps"], ["--propensities", "swaps"]):
        assert "=".join(present_options("labels", words)) == "--propensities=interventions"
    assert present_options("labels", ["swaps"]) == ["swaps"]


@pytest.mark.parametrize("verb", FORMER_OPTIONS)
def test_the_present_name_is_an_option_and_the_former_is_none(verb: str) -> None:
    command = get_command(app).commands[verb]  # type: ignore[attr-defined]
    names = {name for parameter in command.params for name in parameter.opts}
    assert set(FORMER_OPTIONS[verb].values()) <= names
    assert not set(FORMER_OPTIONS[verb]) & names
