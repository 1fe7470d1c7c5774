"""Documents that an engine embeds: the same index as by this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel, pipeline, small_encoder
from rankfield.engines import Engine, LocalEngine, make_engine
from rankfield.errors import InputError
from rankfield.index import build_index, cluster_chunks, open_index
from rankfield.schema import RankingDataset
from ranking_shop import ranking_shop


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, RankingDataset]:
    data = ranking_shop()
    data.save(tmp_path / "data")
    torch.manual_seed(0)
    encoder = small_encoder(data.documents["title"], ["text"], dimension=16, width=32)
    model = RankingModel(encoder, data.query_fields, data.document_fields, name="tiny")
    model.save(tmp_path / "model")
    return tmp_path, RankingDataset.load(tmp_path / "data")


def test_an_engine_gives_the_index_of_this_process(
    made: tuple[Path, RankingDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, dataset = made
    for module in (pipeline, cluster_chunks):
        monkeypatch.setattr(module, "CHUNK", 32)  # 80 documents: the last chunk is shorter
    own = build_index(folder / "model", dataset, folder / "own")
    found = build_index(folder / "model", dataset, folder / "found", engine=LocalEngine(2))
    ids = dataset.documents["doc_id"]
    np.testing.assert_array_equal(found.vectors(ids), own.vectors(ids))
    assert found.documents().equals(own.documents())
    assert found.metadata.origin() == own.metadata.origin()


def test_it_goes_on_where_it_stopped(
    made: tuple[Path, RankingDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, dataset = made
    for module in (pipeline, cluster_chunks):
        monkeypatch.setattr(module, "CHUNK", 32)
    asked: list[int] = []

    class Stopping(LocalEngine):
        def map(self, function, items):  # type: ignore[no-untyped-def]
            for item in items:
                asked.append(item)
                if item == 64 and len(asked) == 3:
                    raise KeyboardInterrupt
                yield function(item)

    for stops in (True, False):
        if stops:
            with pytest.raises(KeyboardInterrupt):
                build_index(folder / "model", dataset, folder / "index", engine=Stopping())
        else:
            build_index(folder / "model", dataset, folder / "index", engine=Stopping())
    assert asked == [0, 32, 64, 64]
    own = build_index(folder / "model", dataset, folder / "own")
    ids = dataset.documents["doc_id"]
    index = open_index(folder / "index")
    np.testing.assert_array_equal(index.vectors(ids), own.vectors(ids))


def test_a_data_set_in_memory_is_refused(made: tuple[Path, RankingDataset]) -> None:
    folder, _ = made
    with pytest.raises(InputError, match="a data set in a folder"):
        build_index(folder / "model", ranking_shop(), folder / "index", engine=LocalEngine())
    assert not (folder / "index").exists()


@pytest.fixture
def ray_engine() -> Iterator[Engine]:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield make_engine("ray")
    ray.shutdown()


def test_ray_embeds_the_same(made: tuple[Path, RankingDataset], ray_engine: Engine) -> None:
    folder, dataset = made
    own = build_index(folder / "model", dataset, folder / "own")
    found = build_index(folder / "model", dataset, folder / "found", engine=ray_engine)
    ids = pl.Series(dataset.documents["doc_id"])
    np.testing.assert_allclose(found.vectors(ids), own.vectors(ids), atol=1e-6)
