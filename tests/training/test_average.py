from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rankfield.training.average import WeightAverage


def network() -> nn.Sequential:
    torch.manual_seed(0)
    frozen = nn.Linear(3, 3).requires_grad_(False)
    return nn.Sequential(nn.Linear(4, 3), frozen, nn.BatchNorm1d(3), nn.Linear(3, 2)).double()


def train_a_step(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(8, 4, generator=generator, dtype=torch.float64)
    model.zero_grad()
    model(inputs).square().sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.05 * parameter.grad)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_equals_the_sum_written_out(decay: float) -> None:
    model = network()
    average = WeightAverage(model, decay)
    expected = {k: v.clone() for k, v in model.state_dict().items()}
    for step in range(6):
        train_a_step(model, step)
        average.update(step)
        rate = min(decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                expected[name] = rate * expected[name] + (1 - rate) * value
            else:
                expected[name] = value
    with average.applied():
        found = {k: v.clone() for k, v in model.state_dict().items()}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-12)
    assert not torch.equal(found["2.running_mean"], torch.zeros(3)), "statistics are averaged too"


def test_the_model_gets_its_own_tensors_back() -> None:
    model = network()
    average = WeightAverage(model, 0.9)
    train_a_step(model, 0)
    average.update(0)
    before = copy.deepcopy(model.state_dict())
    places = [t.data_ptr() for t in model.state_dict().values()]
    with average.applied():
        assert not torch.equal(model.state_dict()["0.weight"], before["0.weight"])
    with pytest.raises(RuntimeError, match="stop"), average.applied():
        raise RuntimeError("stop")
    assert [t.data_ptr() for t in model.state_dict().values()] == places
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_goes_on_from_its_state_to_the_bit() -> None:
    whole, cut = network(), network()
    one, other = WeightAverage(whole, 0.9), WeightAverage(cut, 0.9)
    for step in range(8):
        train_a_step(whole, step)
        one.update(step)
        if step == 4:
            state = {k: v.clone() for k, v in other.state().items()}
            other = WeightAverage(cut, 0.9)
            other.load(state)
        train_a_step(cut, step)
        other.update(step)
    for name, value in one.state().items():
        assert torch.equal(value, other.state()[name])


def test_what_is_refused() -> None:
    model = network()
    for decay in (-0.1, 1.0):
        with pytest.raises(ValueError, match="expected a decay"):
            WeightAverage(model, decay)
    average = WeightAverage(model, 0.5)
    assert not any(name.startswith("1.") for name in average.state()), "frozen weights stay"
    state = average.state()
    state.pop("0.weight")
    with pytest.raises(ValueError, match=r"of another model: 0\.weight"):
        average.load(state)
