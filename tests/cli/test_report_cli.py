from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankfield.cli.main import main
from rankfield.curation import split
from rankfield.encoders.fingerprint import model_fingerprint
from rankfield.evaluation import EvaluationOptions, Results, evaluate_rankings
from rankfield.schema import RankingDataset, SplitView
from rankfield.search import Hits, rank_scores
from rankfield.synthetic import sample_shop


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

        evaluate_rankings(name, search, data, EvaluationOptions(label=name)).save(
            folder / f"{name}.json"
        )
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


def _with_run(shop: Path, folder: Path, model: str, fingerprint: str) -> Path:
    """Copy results into a folder beside a run with a recipe; they say where their model is."""
    run = folder / "run"
    (run / "model").mkdir(parents=True)
    (run / "model" / "rankfield.json").write_text("{}")
    (run / "log.jsonl").write_text('{"event": "train", "step": 7, "loss": 1.0}\n')
    recipe = 'bucket = "s3://private"\nseed = 3\n[data]\ndataset = "/home/someone/acme/shop"\n'
    (run / "recipe.toml").write_text(recipe)
    for file in shop.glob("a.*"):
        (folder / file.name).write_bytes(file.read_bytes())
    value = json.loads((shop / "a.json").read_text("utf-8"))
    value["made"] |= {"model": model, "fingerprint": fingerprint}
    (folder / "a.json").write_text(json.dumps(value), "utf-8")
    return folder / "a.json"


@pytest.mark.parametrize("absolute", [True, False])
def test_results_of_others_cannot_have_any_folder_read(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, absolute: bool
) -> None:
    place = str(tmp_path / "run" / "model") if absolute else "run/model"
    results = _with_run(shop, tmp_path, place, "0" * 16)
    outs: list[str | Path] = ["--out", tmp_path / "r.html", "--out", tmp_path / "r.json"]
    assert _run(monkeypatch, results, "--data", shop / "data", *outs) == 0
    value = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert value["runs"] == value["recipes"] == {}
    assert "s3://private" not in (tmp_path / "r.html").read_text("utf-8")


def test_the_run_of_the_measured_model_is_found_and_shown_without_paths(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    _with_run(shop, tmp_path / "other", "", "")
    fingerprint = model_fingerprint(tmp_path / "other" / "run" / "model")
    results = _with_run(shop, tmp_path, "run/model", fingerprint)
    outs: list[str | Path] = ["--out", tmp_path / "r.json", "--model-card", tmp_path / "card.md"]
    assert _run(monkeypatch, results, "--data", shop / "data", *outs) == 0
    value = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert value["recipes"] == {"a": {"seed": 3, "data": {"dataset": "shop"}}}
    assert value["runs"]["a"] == "seed 3, 7 steps"
    card = (tmp_path / "card.md").read_text("utf-8")
    assert 'dataset = "shop"' in card
    assert "acme" not in card


def test_results_say_no_absolute_path_and_find_their_data(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (shop / "a.json").read_text("utf-8")
    assert json.loads(text)["dataset"]["path"] == "data"
    assert str(shop) not in text
    assert Results.load(shop / "a.json").dataset.path == str((shop / "data").resolve())
    for file in shop.glob("a.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    value = json.loads(text)
    value["dataset"]["path"] = str(shop / "data")
    (tmp_path / "a.json").write_text(json.dumps(value), "utf-8")
    assert _run(monkeypatch, tmp_path / "a.json", "--out", tmp_path / "r.html") == 2
    said = capsys.readouterr().err
    assert "the data set 'sample shop' lies elsewhere. Say where it is (--data)." in said


def test_names_are_drawn_as_they_are(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = RankingDataset.load(shop / "data")
    band = pl.Series("band", ["$\\frac{$", "$10 - $20", "\x1b[2J\u0e01<x>"])
    names = band.gather([i % 3 for i in range(data.queries.height)])
    data.queries = data.queries.with_columns(names)
    data = data.save(tmp_path / "data")

    def search(view: SplitView) -> Hits:
        shape = (view.queries.height, view.documents.height)
        return rank_scores(np.random.default_rng(0).random(shape, dtype=np.float32), 100)

    evaluate_rankings("a", search, data, EvaluationOptions(label="$x^2$")).save(tmp_path / "a.json")
    outs: list[str | Path] = ["--out", tmp_path / "r.html", "--out", tmp_path / "r.md"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _run(monkeypatch, tmp_path / "a.json", "--slice", "query.band", *outs) == 0
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "$10 - $20</text>" in page
    assert "$\\frac{$</text>" in page
    assert "\\x1b[2J\u0e01&lt;x&gt;</text>" in page
    assert "\x1b" not in page
    assert "\\$x^2\\$" in (tmp_path / "r.md").read_text("utf-8")
