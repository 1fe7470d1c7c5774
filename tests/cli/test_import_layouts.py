"""Importing, guessing and exporting layouts of others on the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from format_miniatures import TABLES, write_files
from miniatures_of_layouts import esci, marqo_archive, marqo_parquet
from rankfield.cli.main import main
from rankfield.formats.hugging_face.writing import write_saved_dataset
from rankfield.schema import RankingDataset
from rankfield.validate import audit

Run = Callable[..., tuple[int, str, str]]


def pairs(folder: Path) -> Path:
    """Triplets of two queries."""
    folder.mkdir()
    frame = {"anchor": ["red", "tan"], "positive": ["Red mug", "Tan mug"], "negative": ["a", "b"]}
    pl.DataFrame(frame).write_csv(folder / "train.csv")
    return folder


def hub(folder: Path) -> Path:
    """A saved data set of judged pairs."""
    rows = {"query": ["red", "tan"], "title": ["Red mug", "Tan mug"], "score": [1.0, 3.0]}
    write_saved_dataset(folder, [pl.DataFrame(rows)], "0")
    return folder


CASES = [
    pytest.param("marqo-gs", marqo_archive, "query_1_product_id_0.csv", id="marqo-gs"),
    pytest.param(
        "marqo-gs-parquet",
        marqo_parquet,
        "data/zero_shot-00000-of-00002.parquet",
        id="marqo-gs-parquet",
    ),
    pytest.param("esci", esci, "shopping_queries_dataset_products.parquet", id="esci"),
    pytest.param("sentence-transformers", pairs, "train.csv", id="sentence-transformers"),
    pytest.param("huggingface", hub, "data-00000-of-00001.arrow", id="huggingface"),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: exit code, output, errors."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


@pytest.mark.parametrize(("layout", "make", "file"), CASES)
def test_there_and_back(
    tmp_path: Path, run: Run, layout: str, make: Callable[[Path], Path], file: str
) -> None:
    src = make(tmp_path / "src")
    code, out, err = run("import", src, tmp_path / "guessed")
    assert (code, err) == (0, "")
    assert f"looks like {layout}: " in out
    code, out, _ = run("import", layout, src, tmp_path / "named")
    assert code == 0
    first, second = (RankingDataset.load(tmp_path / name) for name in ("guessed", "named"))
    assert first.fingerprint() == second.fingerprint()
    assert [p for p in audit(first) if p.severity == "error"] == []
    assert f"{first.judgments.height} judgments" in out
    code, out, err = run("export", layout, tmp_path / "named", tmp_path / "back")
    assert (code, err) == (0, "")
    assert (tmp_path / "back" / "rankfield.json").is_file()
    code, _, err = run("import", layout, tmp_path / "back", tmp_path / "again")
    assert (code, err) == (0, "")
    assert RankingDataset.load(tmp_path / "again").judgments.height == first.judgments.height


@pytest.mark.parametrize(("layout", "make", "file"), CASES)
def test_a_file_that_is_cut_off_writes_nothing(
    tmp_path: Path, run: Run, layout: str, make: Callable[[Path], Path], file: str
) -> None:
    src = make(tmp_path / "src")
    data = (src / file).read_bytes()
    (src / file).write_bytes(data[: len(data) - 12])
    code, out, err = run("import", layout, src, tmp_path / "out")
    assert code == 2
    assert err.startswith("error: ")
    assert str(src / file) in err
    assert "Traceback" not in err
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_a_data_set_that_is_split_is_not_sent_to_be_split(tmp_path: Path, run: Run) -> None:
    _, out, _ = run("import", "esci", esci(tmp_path / "esci"), tmp_path / "data")
    assert "rankfield split" not in out
    assert f"--set data.dataset={tmp_path / 'data'}" in out.splitlines()[-1]
    _, out, _ = run("import", hub(tmp_path / "hub"), tmp_path / "pairs")
    assert out.splitlines()[-1].endswith(f"rankfield split {tmp_path / 'pairs'} OUT")


def test_help_says_what_counts_as_relevant(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for layout, default in (
        ("esci", "default: that of E"),
        ("sentence-transformers", "default: 1 of pairs and triplets"),
        ("trec", "default: the smallest above 0"),
    ):
        assert default in " ".join(run("import", layout, "--help")[1].split())


def test_tables_that_are_guessed_go_in_as_a_stream(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = write_files(tmp_path / "src", TABLES)
    assert run("import", "tables", src, tmp_path / "named")[0] == 0
    monkeypatch.delattr("rankfield.formats.tables.reading.read_tables")
    code, out, err = run("import", src, tmp_path / "guessed", "--name", "src")
    assert (code, err) == (0, "")
    assert "looks like tables" in out
    first, second = (RankingDataset.load(tmp_path / name) for name in ("guessed", "named"))
    assert first.fingerprint() == second.fingerprint()


def test_errors_of_a_guessed_import_name_no_hidden_verb(run: Run, tmp_path: Path) -> None:
    code, out, err = run("import", tmp_path, tmp_path / "out", "--columns", "x")
    assert code == 2
    assert "No such option: --columns" in err
    assert "import -h" in err
    assert "guess" not in out + err
