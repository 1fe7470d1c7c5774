from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rankfield.cli.main import main
from rankfield.encoders import RankingModel
from rankfield.schema import RankingDataset
from rankfield.training import MineSettings, build_model, load_negatives, mine, parse_recipe
from training_data import tiny_shop

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `rankfield mine`: exit code, output, errors."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", "mine", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", copies=2)


@pytest.fixture(scope="module")
def model(shop: RankingDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "model"
    encoder = {"text_width": 32, "dimension": 16, "image_size": 16, "image_width": 32}
    build_model(parse_recipe({"encoder": encoder}), shop).save(folder)
    return folder


def test_negatives_of_a_run(shop: RankingDataset, model: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "new" / "negatives.parquet"
    options = ["--per-query", 3, "--first", 2, "--last", 9, "--margin", -2, "--relative-margin"]
    options += [-9, "--near-duplicate", 1.5, "--sample", "random", "--seed", 5, "--memory", 8]
    code, shown, err = run(model, shop.root, "--out", out, *options, "--device", "cpu")
    assert (code, err) == (0, "")
    settings = MineSettings(
        per_query=3,
        first=2,
        last=9,
        margin=-2.0,
        relative_margin=-9.0,
        near_duplicate=1.5,
        sample="random",
        seed=5,
        memory_mib=8,
    )
    mined = mine(RankingModel.load(model), shop, settings)
    assert load_negatives(out, shop).equals(mined.negatives)
    assert mined.negatives["rank"].min() == 2
    rows = [line.rsplit(maxsplit=1) for line in shown.splitlines() if line.strip()]
    counts = {row[0].strip(): row[1] for row in rows if len(row) == 2}
    assert counts["training queries"] == f"{mined.queries}"
    assert counts["negatives found"] == f"{mined.negatives.height}"
    assert counts["skipped: judged"] == f"{mined.judged}"
    assert counts["queries with fewer than 3"] == f"{mined.short}"
    assert "ranks 2 to 9" in shown
    assert str(out) in shown


def test_the_defaults_are_those_of_the_library(
    shop: RankingDataset, model: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "negatives.parquet"
    assert run(model, shop.root, "--out", out)[0] == 0
    mined = mine(RankingModel.load(model), shop)
    assert load_negatives(out, shop).equals(mined.negatives)
    before = out.read_bytes()
    code, _, err = run(model, shop.root, "--out", out)
    assert (code, "already exists" in err) == (2, True)
    assert out.read_bytes() == before
    assert run(model, shop.root, "--out", out, "--overwrite", "--last", 1)[0] == 0
    assert out.read_bytes() != before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "DATA"], "nowhere: there is no such folder"),
        (["DATA", "DATA"], "is a data set. Name the model first"),
        (["MODEL", "nowhere"], "nowhere: there is no such folder"),
        (["MODEL", "DATA", "--per-query", 0], "per_query: expected at least 1, found 0"),
        (["MODEL", "DATA", "--first", 9, "--last", 3], r"last: expected at least first (9)"),
        (["MODEL", "DATA", "--margin", "nan"], "margin: expected a finite number"),
        (["MODEL", "DATA", "--relative-margin", 2], "relative_margin: expected a share"),
        (["MODEL", "DATA", "--near-duplicate", 0], "near_duplicate: expected a cosine above 0"),
        (["MODEL", "DATA", "--seed", -1], "seed: expected at least 0"),
        (["MODEL", "DATA", "--memory", 0], "memory_mib: expected at least 1"),
        (["MODEL", "DATA", "--device", "toaster"], "no such device 'toaster'"),
        (["MODEL", "DATA", "--sample", "best"], "'best' is not one of"),
        (["MODEL", "DATA", "--margin", "wide"], "Invalid value for '--margin'"),
    ],
)
def test_bad_input_exits_with_two(
    words: list[object],
    message: str,
    *,
    shop: RankingDataset,
    model: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    places = {"MODEL": model, "DATA": shop.root}
    filled = [places.get(str(word), word) for word in words]
    code, out, err = run(*filled, "--out", tmp_path / "negatives.parquet")
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_has_diverged(
    shop: RankingDataset, model: Path, tmp_path: Path, run: Run
) -> None:
    loaded = RankingModel.load(model)
    for parameter in loaded.encoder.parameters():
        parameter.data.fill_(float("nan"))
    loaded.save(tmp_path / "broken")
    code, out, err = run(tmp_path / "broken", shop.root, "--out", tmp_path / "out.parquet")
    assert (code, out) == (2, "")
    assert "expected finite numbers, found NaN or infinity" in err
    assert not (tmp_path / "out.parquet").exists()


def test_data_that_does_not_hold_together_and_other_fields(
    shop: RankingDataset, model: Path, tmp_path: Path, run: Run
) -> None:
    shop.with_tables(documents=shop.documents.head(3)).save(tmp_path / "dangling")
    code, _, err = run(model, tmp_path / "dangling", "--out", tmp_path / "out.parquet")
    assert (code, "doc_id" in err) == (2, True)
    other = tiny_shop(tmp_path / "texts", photos=False, copies=2)
    code, _, err = run(model, other.root, "--out", tmp_path / "out.parquet")
    assert code == 2
    assert "the model needs the document field 'image'" in err
    assert not (tmp_path / "out.parquet").exists()


def test_a_place_that_cannot_be_written(
    shop: RankingDataset, model: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run(model, shop.root, "--out", tmp_path / "file" / "out.parquet")
    assert code == 2
    assert "cannot be written" in err
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
