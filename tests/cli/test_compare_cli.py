from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rankfield.cli.main import main
from rankfield.evaluation import evaluate
from ranking_shop import FakeModel, ranking_shop


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = ranking_shop()
    first = evaluate(FakeModel("clip", noise=2.0), dataset)
    first.save(tmp_path / "clip.json")
    paths = [tmp_path / "clip.json"]
    for seed in range(2):
        paths.append(tmp_path / f"gcl{seed}.json")
        evaluate(FakeModel(noise=0.5, seed=seed), dataset, label="gcl").save(paths[-1])
    assert run(monkeypatch, "compare", *paths, "--metric", "nDCG@10") == 0
    shown = capsys.readouterr().out
    assert "gcl (2 runs)" in shown
    assert f"{first.splits['zero_shot']['nDCG@10'].value:.3f}" in shown
    assert "±" in shown
    assert " %)" in shown
    assert "ERR@10" not in shown
    assert run(monkeypatch, "compare", *paths) == 0
    assert "ERR@10" in capsys.readouterr().out


def test_bad_input_exits_with_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        evaluate(FakeModel(), ranking_shop(seed=seed)).save(tmp_path / f"{seed}.json")
    first, second = tmp_path / "0.json", tmp_path / "1.json"
    assert run(monkeypatch, "compare", first, tmp_path / "nowhere.json") == 2
    assert "there is no such file" in capsys.readouterr().err
    assert run(monkeypatch, "compare", first, second) == 2
    assert "expected the same data" in capsys.readouterr().err
    assert run(monkeypatch, "compare", first, "--metric", "ndcg") == 2
    assert "unknown metric 'ndcg'" in capsys.readouterr().err
    assert run(monkeypatch, "compare", first, second, "--force", "--metric", "RR@10") == 0
