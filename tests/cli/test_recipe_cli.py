"""`rankfield recipe --out` writes the recipe, or nothing."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from rankfield.cli.main import app
from rankfield.errors import OutputError
from rankfield.settings import read_toml
from rankfield.synthetic import sample_shop


def test_the_recipe_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    sample_shop(tmp_path / "shop", documents=20, queries=5, images=False)
    printed = CliRunner().invoke(app, ["recipe", str(tmp_path / "shop")])
    out = tmp_path / "new" / "ranked.toml"
    done = CliRunner().invoke(app, ["recipe", str(tmp_path / "shop"), "--out", str(out)])
    assert done.exit_code == 0
    assert out.read_text("utf-8") == printed.stdout
    assert "optimizer" in read_toml(out)
    again = CliRunner().invoke(app, ["recipe", str(tmp_path / "shop"), "--out", str(out)])
    assert isinstance(again.exception, OutputError)
    assert out.read_text("utf-8") == printed.stdout
    failed = tmp_path / "failed.toml"
    missing = CliRunner().invoke(app, ["recipe", str(tmp_path / "none"), "--out", str(failed)])
    assert missing.exit_code != 0
    assert not failed.exists()
