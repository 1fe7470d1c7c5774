"""Embedding in bfloat16: near float32, weights unchanged; for "auto" where products are faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rankfield.encoders import RankingModel, small_encoder
from rankfield.encoders import precision as module
from rankfield.encoders.precision import bfloat16_is_faster, chosen_precision, computing_in
from rankfield.errors import InputError
from rankfield.schema import Field

CPU = torch.device("cpu")
TITLES = [f"red mug number {i} of a set" for i in range(40)]


@pytest.fixture(autouse=True)
def untried() -> None:
    module._faster.cache_clear()


def model() -> RankingModel:
    torch.manual_seed(0)
    encoder = small_encoder(TITLES, ["text"], dimension=64, width=64)
    return RankingModel(encoder, [Field("query", "text")], [Field("title", "text")])


def timed(monkeypatch: pytest.MonkeyPatch, exact: float, half: float) -> list[tuple[int, int]]:
    tried = []

    def times(device: torch.device, outputs: int, inputs: int) -> tuple[float, float]:
        tried.append((outputs, inputs))
        return exact, half

    monkeypatch.setattr(module, "_times", times)
    return tried


def layers() -> nn.Module:
    sizes = [(64, 128), (64, 128), (128, 256), (64, 64), (8, 512)]
    return nn.ModuleList([nn.Embedding(5000, 128), *(nn.Linear(b, a) for a, b in sizes)])


@pytest.mark.parametrize(
    ("exact", "half", "expected"),
    [(2.0, 1.0, "bfloat16"), (1.0, 1.0, "float32"), (1, 5, "float32")],
)
def test_auto_is_what_is_faster(
    monkeypatch: pytest.MonkeyPatch, exact: float, half: float, expected: str
) -> None:
    tried = timed(monkeypatch, exact, half)
    assert chosen_precision("auto", layers(), CPU) == expected
    assert chosen_precision("auto", layers(), CPU) == expected
    # once for a process; neither the table of words nor what is narrow
    assert tried == [(128, 256), (64, 128), (64, 64)]


def test_nothing_is_tried_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = timed(monkeypatch, 2.0, 1.0)
    assert chosen_precision("float32", layers(), CPU) == "float32"
    assert chosen_precision("bfloat16", layers(), CPU) == "bfloat16"
    assert not bfloat16_is_faster(nn.Linear(32, 512), CPU)
    assert tried == []


def test_a_device_without_such_products_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("not implemented for 'BFloat16'")

    monkeypatch.setattr(module, "_times", refuse)
    assert chosen_precision("auto", layers(), CPU) == "float32"


def test_trying_leaves_the_random_state() -> None:
    encoder = layers()
    before = torch.get_rng_state()
    assert bfloat16_is_faster(encoder, CPU) in (True, False)
    assert torch.equal(before, torch.get_rng_state())
    assert all(seconds > 0 for seconds in module._times(CPU, 64, 64))


def test_bfloat16_is_near_and_leaves_the_weights() -> None:
    ranker = model()
    before = {name: value.clone() for name, value in ranker.state_dict().items()}
    exact = ranker.encode_documents(TITLES)
    found = ranker.encode_documents(TITLES, precision="bfloat16")
    assert found.dtype == np.float32
    assert not np.array_equal(exact, found)
    assert (exact * found).sum(1).min() > 0.999
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6
    assert np.array_equal(exact, ranker.encode_documents(TITLES))
    assert all(torch.equal(before[name], value) for name, value in ranker.state_dict().items())


def test_the_model_says_in_what_it_embeds(monkeypatch: pytest.MonkeyPatch) -> None:
    ranker = model()
    assert (ranker.precision, ranker.computes_in) == ("float32", "float32")
    found = ranker.encode_documents(TITLES, precision="bfloat16")
    queries = ranker.encode_queries(TITLES)
    ranker.precision = "auto"
    timed(monkeypatch, 2.0, 1.0)
    assert ranker.computes_in == "bfloat16"
    assert np.array_equal(found, ranker.encode_documents(TITLES))
    assert np.array_equal(queries, ranker.encode_queries(TITLES))  # they stay in float32


def test_another_precision_is_refused() -> None:
    with pytest.raises(InputError, match="expected a precision of auto, float32, bfloat16, found"):
        model().encode_documents(TITLES, precision="int8")  # type: ignore[arg-type]


def test_float32_leaves_the_callers_own_context() -> None:
    with torch.autocast("cpu", torch.bfloat16), computing_in("float32", CPU):
        assert torch.is_autocast_enabled("cpu")
