"""Processes that read ahead: no hang, no traceback, no step lost."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.errors import ImageError, OutputError, RecipeError
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, build_model, parse_recipe, train
from rankfield.training.batches import PairBatches
from rankfield.training.packed import pack, tensors, unpack
from rankfield.training.read_ahead import batches_ahead, require_shared_memory
from training_data import tiny_shop
from training_runs import log_of

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm here")


def recipe(workers: int = 2, **sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "log_every": 2,
        "trackers": [],
        "data": {"workers": workers, "image_cache_mib": 0, "image_disk_cache_mib": 0},
        "batch": {"size": 8},
        "encoder": {"dimension": 16, "text_width": 32, "image_size": 24, "image_width": 32},
        "optimizer": {"steps": 6},
        "dev": {"every": 3},
    }
    return parse_recipe(values | sections)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    """The tiny shop with its images in files."""
    folder = tmp_path_factory.mktemp("data")
    data = tiny_shop(folder / "bytes", copies=12)
    files = folder / "files"
    files.mkdir()
    names: list[str | None] = []
    for row, image in enumerate(data.documents["image"]):
        names.append(None if image is None else f"{row}.png")
        if image is not None:
            (files / f"{row}.png").write_bytes(image)
    documents = data.documents.with_columns(image=pl.Series(names, dtype=pl.String))
    return RankingDataset(
        "tiny", data.query_fields, data.document_fields, data.score_scale,
        data.queries, documents, data.judgments, root=files,
    )  # fmt: skip


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let /dev/shm have so many bytes free."""

    def free(count: int) -> None:
        state = SimpleNamespace(f_bavail=count, f_frsize=1)
        monkeypatch.setattr("rankfield.training.read_ahead.os.statvfs", lambda _: state)

    return free


def test_it_reads_the_same_batches(shop: RankingDataset) -> None:
    batches = PairBatches(recipe(), shop, build_model(recipe(), shop))
    alone, ahead = (list(batches_ahead(batches, range(1, 4), workers=n)) for n in (0, 2))
    assert len(alone) == len(ahead) == 3
    for one, other in zip(alone, ahead, strict=True):
        pairs = list(zip(tensors(one), tensors(other), strict=True))
        # of the sampled and the judged pairs, of three fields, and the random state
        assert len(pairs) == 4 + 4 + 4 + 4 + 3 + 1
        assert all(torch.equal(*pair) for pair in pairs)
        assert all(a.dtype == b.dtype for a, b in pairs)
        assert one.seed == other.seed
        assert (one.query_rows == other.query_rows).all()


def test_too_little_shared_memory_is_refused_before_training(
    shop: RankingDataset, tmp_path: Path, shared: Any
) -> None:
    shared(64 * 1024)
    message = r"/dev/shm has 0\.1 MiB free; .*--set data\.workers=0.*--shm-size="
    with pytest.raises(RecipeError, match=message):
        train(recipe(), shop, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(recipe(workers=0), shop, tmp_path / "run")  # the remedy


def test_what_is_read_ahead_must_fit_and_not_more(shop: RankingDataset, shared: Any) -> None:
    batches = PairBatches(recipe(), shop, build_model(recipe(), shop))
    size = sum(tensor.nbytes for tensor in tensors(batches[0]))
    least = size * (2 * 3 + 1)
    shared(least)
    with pytest.raises(RecipeError):
        require_shared_memory(batches, 0, workers=3)
    shared(2 * least + 9 * 2 * 4096 * 7 * 2)
    require_shared_memory(batches, 0, workers=3)
    with pytest.raises(RecipeError):
        require_shared_memory(batches, 0, workers=3, processes=8)


def test_memory_that_fills_up_later_is_said_by_the_reader(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = os.getpid()
    share: Any = torch.Tensor.share_memory_

    def full(self: torch.Tensor) -> Any:
        if os.getpid() != parent and full_from < self.nbytes:
            raise RuntimeError("unable to write to file </torch_1>: No space left on device (28)")
        return share(self)

    full_from = 10_000
    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(RecipeError, match=r"/dev/shm is full \(unable to write") as caught:
        train(recipe(), shop, tmp_path / "run")
    assert not isinstance(caught.value, OutputError)
    assert "Traceback" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_reader_that_is_killed_ends_the_run(
    shop: RankingDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = os.getpid()
    batches = PairBatches(recipe(), shop, build_model(recipe(), shop))
    read = PairBatches.__getitem__

    def killed(self: PairBatches, step: int) -> Any:
        if os.getpid() != parent:
            os.kill(os.getpid(), 7)  # SIGBUS, as full shared memory does
        return read(self, step)

    monkeypatch.setattr(PairBatches, "__getitem__", killed)
    with pytest.raises(RecipeError, match=r"a process that reads ahead ended .*workers=0"):
        list(batches_ahead(batches, range(4), workers=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_keeps_the_steps_before_it(
    shop: RankingDataset, tmp_path: Path, workers: int
) -> None:
    wanted = recipe(workers, dev={"every": "off"})
    train(wanted, shop, tmp_path / "whole")
    step, broken = later_image(shop, wanted)
    content = broken.read_bytes()
    try:
        broken.write_bytes(b"junk")
        with pytest.raises(ImageError) as caught:
            train(wanted, shop, tmp_path / "run")
    finally:
        broken.write_bytes(content)
    message = str(caught.value)
    assert str(broken) in message
    assert message.endswith(f"{step} steps are kept: go on with --resume.")
    assert "Traceback" not in message
    # The number of processes changes nothing, and may change.
    train(recipe(1 - workers, dev={"every": "off"}), shop, tmp_path / "run", resume=True)
    assert log_of(tmp_path / "run") == log_of(tmp_path / "whole")
    first, second = (RankingModel.load(tmp_path / n / "model") for n in ("whole", "run"))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def later_image(shop: RankingDataset, wanted: Recipe) -> tuple[int, Path]:
    """The first step after the first one that needs a new image, and its file."""
    batches = PairBatches(wanted, shop, build_model(wanted, shop))
    known = batches[0].document_rows
    for step in range(1, 6):
        new = np.setdiff1d(batches[step].document_rows, known)
        images = shop.documents["image"][new.tolist()].drop_nulls()
        if len(images):
            assert shop.root is not None
            return step, shop.root / images[0]
        known = np.union1d(known, new)
    raise AssertionError("all images are in the first batch")


def test_packing_keeps_types_shapes_and_values() -> None:
    value = {
        "empty": torch.empty(0, 3, dtype=torch.int64),
        "scalar": torch.tensor(3.5),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "strided": torch.arange(12.0).view(3, 4).T,
        "flags": torch.tensor([True, False]),
        "other": ("text", 3),
    }
    packed = pack(value)
    assert packed.block.is_shared()  # type: ignore[no-untyped-call]
    assert not tensors(packed.value)
    found = unpack(packed)
    assert found["other"] == value["other"]
    for one, other in zip(tensors(value), tensors(found), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_no_word_of_tokenizers_about_forks(
    shop: RankingDataset, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would deadlock in the processes, whose threads are not there, or say so."""
    for setting in (None, "true"):
        monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
        if setting:
            monkeypatch.setenv("TOKENIZERS_PARALLELISM", setting)
        model = build_model(recipe(), shop)
        model.encoder.tokenize(["red ball"] * 500, "query")  # by several threads
        batches = PairBatches(recipe(), shop, model)
        assert len(list(batches_ahead(batches, range(3), workers=2))) == 3
        assert "tokenizers" not in capfd.readouterr().err
        assert os.environ.get("TOKENIZERS_PARALLELISM") == setting
