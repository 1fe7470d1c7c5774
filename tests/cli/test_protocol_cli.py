"""`--protocol`: whose rules, on the output and in the results."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rankfield.cli.main import main
from ranking_shop import ranking_shop


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_evaluate_and_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ranking_shop().save("shop")
    for protocol in ("rankfield", "beir", "marqo-gs"):
        words = ["--baseline", "bm25", "--protocol", protocol, "--out", f"{protocol}.json"]
        assert run(monkeypatch, "evaluate", "shop", *words) == 0
        assert json.loads(Path(f"{protocol}.json").read_text("utf-8"))["protocol"] == protocol
    shown = capsys.readouterr().out
    assert "By the rules of beir: scores cut to whole numbers" in shown
    assert "By the rules of marqo-gs: up to 2,000 queries" in shown
    assert "mRBP9" in shown
    assert run(monkeypatch, "compare", "marqo-gs.json") == 0
    shown = capsys.readouterr().out
    assert "mERR" in shown
    assert "Hole" not in shown
    assert run(monkeypatch, "compare", "rankfield.json", "beir.json") == 2
    assert "the same protocol, found rankfield and beir" in capsys.readouterr().err
    assert run(monkeypatch, "evaluate", "shop", "--baseline", "bm25", "--protocol", "gcl") == 2
    assert "expected one of rankfield, marqo-gs, beir" in capsys.readouterr().err
