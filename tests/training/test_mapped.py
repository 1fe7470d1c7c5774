"""A data set that is mapped trains as one that is read, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.columns import first_places
from rankfield.errors import DataError
from rankfield.evaluation import DevSet
from rankfield.schema import RankingDataset, mapped, row_numbers
from rankfield.training import Recipe, build_model, parse_recipe, train
from rankfield.training.batches import PairBatches
from rankfield.validate import load_valid
from training_data import tiny_shop

_ENCODER = {"dimension": 16, "text_width": 32, "max_tokens": 12}


def recipe(**sections: dict[str, Any]) -> Recipe:
    values: dict[str, Any] = {
        "log_every": 1,
        "trackers": [],
        "encoder": _ENCODER,
        "batch": {"size": 16},
        "optimizer": {"steps": 14},
        "dev": {"every": 7, "documents": 9},
    }
    for name, keys in sections.items():
        values[name] = values.get(name, {}) | keys
    return parse_recipe(values)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("RANKFIELD_CACHE", str(folder))
    monkeypatch.setattr(mapped, "MAPPED_FROM", 1)
    monkeypatch.setattr(row_numbers, "_BY_HASH", 1)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tiny"
    tiny_shop(folder, photos=False)
    return folder


def weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(RankingModel.load(out / "model").state_dict())


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"data": {"workers": 2, "minimum_score": 2.0}},
        {"batch": {"size": 8, "choice": "score", "similar_queries": 2}},
        {"batch": {"size": 8, "choice": "stratified"}, "negatives": {"refresh_every": 5}},
    ],
    ids=["default", "workers", "clusters", "mined"],
)
def test_the_same_weights(
    shop: Path, cache: Path, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    wanted = recipe(**sections)
    train(wanted, RankingDataset.load(shop), tmp_path / "read")
    data = load_valid(shop)
    assert data.mapped is not None
    train(wanted, data, tmp_path / "mapped")
    train(wanted, load_valid(shop), tmp_path / "again")  # from what the first kept
    expected = weights(tmp_path / "read")
    for run in ("mapped", "again"):
        found = weights(tmp_path / run)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        lines = [(tmp_path / name / "log.jsonl").read_text() for name in ("read", run)]
        assert _dev(lines[0])
        assert _dev(lines[0]) == _dev(lines[1])


def _dev(log: str) -> list[str]:
    return [line.partition('"ndcg@10"')[2] for line in log.splitlines() if '"ndcg@10"' in line]


def test_nothing_of_the_tables_is_in_memory(shop: Path, cache: Path) -> None:
    data = load_valid(shop)
    batches = PairBatches(recipe(), data, build_model(recipe(), data))
    _ = batches[0]
    pairs = batches.pairs
    arrays: list[Any] = [
        pairs.query_rows,
        pairs.document_rows,
        pairs.scores,
        pairs.weights,
        pairs.pool,
    ]
    arrays += [*pairs.by_document, pairs.by_query, *batches._orders.values()]
    for columns in batches.columns.values():
        arrays += [part for column in columns for part in (column.starts, column.entries)]
    assert len(arrays) == 13
    assert all(isinstance(array, np.memmap) for array in arrays)
    assert all(cache in Path(str(array.filename)).parents for array in arrays)


def test_a_data_set_of_the_same_content(shop: Path, cache: Path) -> None:
    read, data = RankingDataset.load(shop), load_valid(shop)
    for table in ("queries", "documents", "judgments"):
        frame = getattr(data, table)
        assert frame.schema == getattr(read, table).schema
        assert frame.equals(getattr(read, table))
    assert data.fingerprint() == read.fingerprint()
    for mine, rows in zip(data.judged_rows(), read.judged_rows(), strict=True):
        np.testing.assert_array_equal(mine, rows)
    assert data.with_tables(queries=data.queries.head(3)).mapped is None
    sets = [DevSet.of(one, ["in_domain", "zero_shot"], documents=4) for one in (read, data)]
    for one, other in zip(sets[0].views, sets[1].views, strict=True):
        assert one.documents.equals(other.documents)
    assert sets[0].totals == sets[1].totals


def _changed(data: RankingDataset, case: str) -> RankingDataset:
    judgments, first = data.judgments, data.judgments.head(1)
    if case == "duplicate id":
        return data.with_tables(documents=pl.concat([data.documents, data.documents.head(1)]))
    if case == "duplicate pair":
        return data.with_tables(judgments=pl.concat([judgments, first]))
    other = {
        "unknown id": first.with_columns(doc_id=pl.lit("nowhere")),
        "null id": first.with_columns(doc_id=pl.lit(None, dtype=pl.String)),
        "off the scale": first.with_columns(score=pl.lit(99.0)),
        "no number": first.with_columns(score=pl.lit(float("nan"))),
    }[case]
    return data.with_tables(judgments=pl.concat([judgments.tail(-1), other]))


@pytest.mark.parametrize(
    "case",
    ["duplicate id", "duplicate pair", "unknown id", "null id", "off the scale", "no number"],
)
def test_the_same_refusals(
    shop: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    _changed(RankingDataset.load(shop), case).save(tmp_path / "bad")
    with pytest.raises(DataError) as refused:
        load_valid(tmp_path / "bad")
    with pytest.raises(DataError) as again:  # a failed check is not kept
        load_valid(tmp_path / "bad")
    monkeypatch.setattr(mapped, "MAPPED_FROM", 10**9)
    with pytest.raises(DataError) as expected:
        load_valid(tmp_path / "bad")
    assert str(refused.value) == str(again.value) == str(expected.value)


def test_a_changed_folder_is_mapped_anew(shop: Path, cache: Path, tmp_path: Path) -> None:
    data = RankingDataset.load(shop)
    data.save(tmp_path / "data")
    before = load_valid(tmp_path / "data")
    fewer = data.with_tables(judgments=data.judgments.head(20))
    fewer.save(tmp_path / "data", overwrite=True)
    after = load_valid(tmp_path / "data")
    assert after.judgments.height == 20
    assert before.judgments.height == data.judgments.height  # a run that is under way goes on
    assert before.judgments.equals(data.judgments)
    assert len([path for path in cache.iterdir() if path.name.count("-") == 2]) == 1


def test_a_damaged_table_is_made_again(shop: Path, cache: Path) -> None:
    data = load_valid(shop)
    expected = data.documents
    (entry,) = [path for path in cache.iterdir() if path.name.count("-") == 2]
    file = entry / "documents.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()  # the mapped one stays as it is
    file.write_bytes(content)
    assert load_valid(shop).documents.equals(expected)


def test_small_sets_and_images_as_bytes_are_read(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_shop(tmp_path / "photos")
    assert load_valid(tmp_path / "photos").mapped is None
    tiny_shop(tmp_path / "plain", photos=False)
    monkeypatch.setattr(mapped, "MAPPED_FROM", 10_000)
    assert load_valid(tmp_path / "plain").mapped is None
    assert not cache.exists()


@pytest.mark.parametrize("collide", [False, True])
def test_rows_of_ids(collide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_numbers, "_BY_HASH", 1)
    if collide:
        hashes = pl.Series.hash
        monkeypatch.setattr(pl.Series, "hash", lambda self: hashes(self) % 3)
    table = pl.Series("doc_id", ["a", "b", "longer than twelve", "c"])
    ids = pl.Series(["c", None, "x", "longer than twelve", "a", "a"])
    found = row_numbers.row_numbers(ids, table)
    assert found.dtype == np.int64
    assert found.tolist() == [3, -1, -1, 2, 0, 0]
    with pytest.raises(DataError, match="column 'doc_id' has the same id twice"):
        row_numbers.row_numbers(ids, pl.concat([table, table.head(1)]))


@pytest.mark.parametrize("collide", [False, True])
def test_first_places(collide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if collide:
        hashes = pl.Series.hash
        monkeypatch.setattr(pl.Series, "hash", lambda self: hashes(self) % 2)
    values = ["b", "a", "b", "c", "a", "a", "longer than twelve letters", "d"]
    assert first_places(pl.Series(values)).tolist() == [values.index(v) for v in values]
