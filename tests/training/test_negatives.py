from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.errors import DataError, OutputError
from rankfield.schema import RankingDataset
from rankfield.training import (
    Mined,
    MineSettings,
    NegativeTable,
    build_model,
    load_negatives,
    mine,
    parse_recipe,
    save_negatives,
)
from rankfield.training.mining_schedule import latest_negatives, refresh_negatives
from rankfield.training.negatives import NegativesSection, negatives_provenance
from training_data import tiny_shop

ANY: dict[str, Any] = {"relative_margin": -3.0, "near_duplicate": 2.0}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)


@pytest.fixture(scope="module")
def model(shop: RankingDataset) -> RankingModel:
    encoder = {"text_width": 32, "dimension": 16, "text_layers": 1}
    return build_model(parse_recipe({"encoder": encoder}), shop)


@pytest.fixture(scope="module")
def mined(shop: RankingDataset, model: RankingModel) -> Mined:
    return mine(model, shop, MineSettings(**ANY))


# ---- files -------------------------------------------------------------------------------------


def test_a_file_holds_the_negatives_and_where_they_come_from(
    shop: RankingDataset, mined: Mined, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "negatives.parquet"
    save_negatives(mined, path)
    assert load_negatives(path, shop).equals(mined.negatives)
    assert negatives_provenance(path) == {
        "rankfield": "0.1.0",
        "model": "ranked",
        "data": {"name": "tiny", "fingerprint": shop.fingerprint()},
        "settings": vars(MineSettings(**ANY)),
        "counts": {
            "queries": 22,
            "found": mined.negatives.height,
            "judged": mined.judged,
            "near_duplicates": 0,
            "above_margin": 0,
            "short": mined.short,
        },
    }


def test_a_file_is_replaced_only_on_demand(mined: Mined, tmp_path: Path) -> None:
    path = tmp_path / "negatives.parquet"
    path.write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        save_negatives(mined, path)
    assert path.read_text() == "mine"
    save_negatives(mined, path, overwrite=True)
    assert pl.read_parquet(path).equals(mined.negatives)
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_other_data_and_of_other_programs(
    shop: RankingDataset, mined: Mined, tmp_path: Path
) -> None:
    path = tmp_path / "negatives.parquet"
    save_negatives(mined, path)
    renamed = shop.with_tables(queries=shop.queries.with_columns(query=pl.lit("other")))
    with pytest.raises(DataError, match=r"negatives\.parquet: .* mined with other data"):
        load_negatives(path, renamed)
    assert load_negatives(path, renamed, force=True).equals(mined.negatives)
    wide = mined.negatives.with_columns(pl.col("similarity").cast(pl.Float64), extra=1)
    wide.with_columns(pl.col("rank").cast(pl.Int64)).write_parquet(tmp_path / "theirs.parquet")
    assert load_negatives(tmp_path / "theirs.parquet", shop).equals(mined.negatives)


def put(name: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Change row 3."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        values = frame[name].to_list()
        values[3] = value
        return frame.with_columns(pl.Series(name, values, dtype=frame[name].dtype))

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (put("query_id", "q999"), "row 3 .*'query_id': 'q999' is not among the queries"),
        (put("query_id", None), "row 3 .*'query_id': nothing is not among the queries"),
        (put("doc_id", "d999"), "row 3 .*'doc_id': 'd999' is not among the documents"),
        (put("rank", 0), "row 3 .*'rank': expected a rank of at least 1, found 0"),
        (put("rank", None), "row 3 .*'rank': expected a rank of at least 1, found nothing"),
        (put("similarity", float("nan")), "row 3 .*'similarity': expected a finite number"),
        (put("similarity", float("inf")), "row 3 .*'similarity': expected a finite number"),
        (put("similarity", None), "row 3 .*'similarity': expected a finite number, found nothing"),
        (
            lambda f: pl.concat([f, f.head(2)]),
            "row 186 .*'doc_id': the document 'd[0-9]+' is duplicated .*1 more row",
        ),
        (lambda f: f.drop("doc_id"), "column 'doc_id' is missing; found query_id, rank"),
        (lambda f: f.with_columns(doc_id=1), "column 'doc_id': expected String, found Int32"),
        (lambda f: f.with_columns(rank=pl.lit("1")), "column 'rank': expected Int32, found String"),
    ],
)
def test_rows_that_cannot_be_trained_on(
    spoil: Callable[[pl.DataFrame], pl.DataFrame],
    message: str,
    *,
    shop: RankingDataset,
    mined: Mined,
    tmp_path: Path,
) -> None:
    path = tmp_path / "negatives.parquet"
    spoil(mined.negatives).write_parquet(path)
    with pytest.raises(DataError, match=rf"negatives\.parquet[,:] {message}"):
        load_negatives(path, shop, force=True)


def test_held_out_and_judged_pairs_are_refused(
    shop: RankingDataset, mined: Mined, tmp_path: Path
) -> None:
    path = tmp_path / "negatives.parquet"
    first = mined.negatives["query_id"][3]
    held_out = shop.documents.filter(~pl.col("seen"))["doc_id"][0]
    judged = shop.training_judgments().filter(pl.col("query_id") == first)["doc_id"][0]
    unseen = shop.queries.filter(~pl.col("seen"))["query_id"][0]
    for name, value, message in (
        ("doc_id", held_out, f"row 3 .* '{held_out}' is held out"),
        ("query_id", unseen, f"row 3 .* '{unseen}' is held out"),
        ("doc_id", judged, f"row 3 .* the document '{judged}' is judged for its query"),
    ):
        put(name, value)(mined.negatives).write_parquet(path)
        with pytest.raises(DataError, match=message):
            load_negatives(path, shop)


def test_a_file_that_unpacks_to_far_more_is_refused(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "negatives.parquet"
    rows = {"query_id": ["q"], "doc_id": ["d" * 2000], "rank": [1], "similarity": [0.5]}
    pl.concat([pl.DataFrame(rows)] * 2000).write_parquet(path)
    monkeypatch.setenv("RANKFIELD_EXPAND_GIB", "0.001")
    with pytest.raises(DataError, match=r"negatives\.parquet: its .* bytes hold more than"):
        load_negatives(path, shop)


def test_what_is_no_file_of_negatives(shop: RankingDataset, mined: Mined, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.parquet: there is no such file"):
        load_negatives(tmp_path / "none.parquet", shop)
    path = tmp_path / "negatives.parquet"
    path.write_text("text")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_negatives(path, shop)
    for text in ("{", "[]", "[" * 100_000):
        mined.negatives.write_parquet(path, metadata={"rankfield.negatives": text})
        with pytest.raises(DataError, match="damaged provenance"):
            load_negatives(path, shop)
    save_negatives(mined, path, overwrite=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_negatives(path, shop)


# ---- drawing -----------------------------------------------------------------------------------


def lists(table: NegativeTable) -> list[list[int]]:
    ends = zip(table.offsets[:-1], table.offsets[1:], strict=True)
    return [table.documents[start:end].tolist() for start, end in ends]


def test_the_table_is_the_file_by_rows(shop: RankingDataset, mined: Mined) -> None:
    table = NegativeTable.of(mined.negatives.sample(fraction=1, shuffle=True, seed=1), shop)
    expected: list[set[int]] = [set() for _ in range(shop.queries.height)]
    documents = shop.documents["doc_id"].to_list()
    for query, document in mined.negatives.select("query_id", "doc_id").iter_rows():
        row = shop.queries["query_id"].to_list().index(query)
        expected[row].add(documents.index(document))
    assert [set(one) for one in lists(table)] == expected
    scored = mined.negatives.head(4).with_columns(score=1.0)
    fewer = NegativeTable.of(mined.negatives, shop, judged=scored)
    assert len(fewer.documents) == mined.negatives.height - 4
    rows = [documents.index(document) for document in scored["doc_id"]]
    query = shop.queries["query_id"].to_list().index(scored["query_id"][0])
    assert scored["query_id"].n_unique() == 1
    assert set(lists(fewer)[query]) == expected[query] - set(rows)
    with pytest.raises(DataError, match="ids that the data lacks"):
        NegativeTable.of(put("doc_id", "none")(mined.negatives), shop)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_draws_are_of_the_query_without_replacement(count: int) -> None:
    lengths = [0, 1, 3, 7, 20]
    offsets = np.cumsum([0, *lengths])
    table = NegativeTable(offsets, np.arange(100, 100 + offsets[-1]))
    rng = np.random.default_rng(0)
    rows = np.array([4, 2, 4, 0, 3, 1, 4, 2])
    drawn = table.draw(rows, count, rng)
    assert drawn.shape == (len(rows), count)
    assert drawn.dtype == np.int64
    for query, own in enumerate(lists(table)):
        taken = drawn[rows == query].ravel()
        real = taken[taken >= 0]
        assert set(real) <= set(own)
        assert len(set(real)) == len(real) == min(len(own), count * int((rows == query).sum()))
    for row in drawn:
        assert (np.diff((row >= 0).astype(int)) <= 0).all(), "−1 stands at the end"


def test_draws_repeat_and_spread_evenly() -> None:
    table = NegativeTable(np.array([0, 4, 10]), np.arange(10))
    rows = np.array([0, 1])
    one, same = (table.draw(rows, 2, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    rng = np.random.default_rng(4)
    counts = np.zeros(10)
    for _ in range(3000):
        np.add.at(counts, table.draw(rows, 2, rng).ravel(), 1)
    np.testing.assert_allclose(counts[:4], 1500, rtol=0.1)
    np.testing.assert_allclose(counts[4:], 1000, rtol=0.1)


def test_nothing_to_draw() -> None:
    table = NegativeTable(np.array([0, 0, 0]), np.array([], dtype=np.int64))
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(table.draw(np.array([0, 1, 1]), 2, rng), np.full((3, 2), -1))
    assert table.draw(np.array([], dtype=np.int64), 2, rng).shape == (0, 2)


# ---- refreshing --------------------------------------------------------------------------------


def modes(model: RankingModel) -> list[bool]:
    return [module.training for module in model.modules()]


def test_a_refresh_mines_with_the_model_of_now_and_disturbs_nothing(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = {"text_width": 32, "dimension": 16, "text_layers": 1}
    model = build_model(parse_recipe({"encoder": encoder}), shop)
    model.train()
    model.encoder.text.eval()  # type: ignore[union-attr]
    before, state = modes(model), torch.get_rng_state()
    assert True in before
    assert False in before
    section = NegativesSection(
        per_query=12, refresh_every=400, relative_margin=-3.0, near_duplicate=2.0, last=15
    )
    embed = RankingModel.embed_documents

    def drawing(self: RankingModel, *arguments: Any) -> Any:
        assert not any(modes(self))
        torch.rand(3)  # as an encoder of another library might
        return embed(self, *arguments)

    monkeypatch.setattr(RankingModel, "embed_documents", drawing)
    path = refresh_negatives(model, shop, section, tmp_path, 400)
    assert path == tmp_path / "negatives" / "step-000400.parquet"
    assert modes(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    expected = mine(model.eval(), shop, MineSettings(per_query=12, last=15, **ANY))
    assert load_negatives(path, shop).equals(expected.negatives)
    assert negatives_provenance(path)["settings"]["per_query"] == 12
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    refresh_negatives(model, shop, section, tmp_path, 400)
    assert not load_negatives(path, shop).equals(expected.negatives)


def test_a_refresh_that_fails_leaves_all_as_it_was(
    shop: RankingDataset, model: RankingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = refresh_negatives(model, shop, NegativesSection(), tmp_path, 7)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    model.train()
    with monkeypatch.context() as patch:
        patch.setattr(pl.DataFrame, "write_parquet", full)
        with pytest.raises(OutputError, match="the disk is full"):
            refresh_negatives(model, shop, NegativesSection(), tmp_path, 7)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert all(modes(model))
    model.eval()


def test_the_latest_file_for_a_resumed_run(tmp_path: Path) -> None:
    assert latest_negatives(tmp_path, 10) is None
    folder = tmp_path / "negatives"
    folder.mkdir()
    for name in ("step-000400", "step-000800", "step-1200000", "step-000500.old", "step-9"):
        (folder / f"{name}.parquet").touch()
    (folder / ".step-000600.parquet.x1").touch()
    for step, expected in (
        (399, None),
        (400, "step-000400.parquet"),
        (799, "step-000400.parquet"),
        (10_000, "step-000800.parquet"),
        (2_000_000, "step-1200000.parquet"),
    ):
        found = latest_negatives(tmp_path, step)
        assert (found.name if found else None) == expected


def test_provenance_that_is_nested_absurdly(
    shop: RankingDataset, mined: Mined, tmp_path: Path
) -> None:
    path = tmp_path / "n.parquet"
    metadata = {"rankfield.negatives": "[" * 5000 + "]" * 5000}
    mined.negatives.write_parquet(path, metadata=metadata)
    with pytest.raises(DataError, match=r"n\.parquet: damaged provenance .nested deeper"):
        load_negatives(path, shop)


def test_a_panic_of_the_reader_is_an_error_of_the_file(
    shop: RankingDataset, mined: Mined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("assertion failed: offset + length <= self.length")

    save_negatives(mined, tmp_path / "n.parquet")
    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(DataError, match=r"n\.parquet: not a readable Parquet file .assertion"):
        load_negatives(tmp_path / "n.parquet", shop)
