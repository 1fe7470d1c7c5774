from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rankfield.cli.main import main
from rankfield.curation import sample_shop, split
from rankfield.evaluation import evaluate_rankings
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Hits, rank_scores


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split shop, and results of two rankers over it in a.json and b.json."""
    folder = tmp_path_factory.mktemp("report")
    shop = sample_shop(folder / "shop", documents=200, queries=40, per_query=20, images=False)
    data = split(shop, seed=0).save(folder / "data")
    for name, seed in (("a", 1), ("b", 2)):
        rng = np.random.default_rng(seed)

        def search(view: SplitView, rng: np.random.Generator = rng) -> Hits:
            shape = (view.queries.height, view.documents.height)
            return rank_scores(rng.random(shape, dtype=np.float32), 100)

        evaluate_rankings(name, search, data, label=name).save(folder / f"{name}.json")
    return folder


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["rankfield", "report", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_all_forms_at_once(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = {"event": "train", "step": 1, "loss": 2.0}
    (shop / "log.jsonl").write_text(json.dumps(log) + "\n")
    outs = [tmp_path / f"r.{ending}" for ending in ("html", "md", "json")]
    options = [part for out in outs for part in ("--out", out)]
    options += ["--slice", "document.category", "--model-card", tmp_path / "card.md"]
    assert _run(monkeypatch, shop / "a.json", shop / "b.json", *options) == 0
    assert "In nDCG@10, b ranks" in capsys.readouterr().out
    assert "b against a on sample shop" in outs[0].read_text("utf-8")
    assert "By the documents’ category" in outs[1].read_text("utf-8")
    value = json.loads(outs[2].read_text("utf-8"))
    assert [table["by"] for table in value["slices"]] == ["document.category"]
    assert value["runs"]["b"].endswith("1 steps")
    assert (tmp_path / "card.md").read_text("utf-8").startswith("---\n")
    assert _run(monkeypatch, shop / "a.json", "--out", outs[0]) == 2  # it exists


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "r.pdf"], "expected a file ending in .html, .md, .json, found 'r.pdf'"),
        (["--out", "r.md", "--model-card", "r.md"], "r.md: two outputs of one name"),
        (["--out", "r.html", "--data", "nowhere"], "there is no such folder"),
        (["--out", "r.html", "--slice", "colour"], "expected query.COLUMN, document.COLUMN"),
        (["--out", "r.html", "--slice", "query.colour"], "there is no column 'colour'"),
    ],
)
def test_bad_input_ends_with_a_message(
    shop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, shop / "a.json", *options) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_data_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = split(RankingDataset.load(shop / "shop"), seed=1).save(tmp_path / "other")
    assert other.root is not None
    out = tmp_path / "r.html"
    assert _run(monkeypatch, shop / "a.json", "--data", other.root, "--out", out) == 2
    assert "measured on other data" in capsys.readouterr().err
    assert not out.exists()
