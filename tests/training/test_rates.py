"""A rate for random weights on a pretrained tower is said before training; others are not."""

from __future__ import annotations

from typing import Any

import pytest

from rankfield.training.rates import rate_warning
from rankfield.training.recipe import parse_recipe

TEXT = {"kind": "sentence-transformers", "model": "my-model"}
TWO = {"kind": "composed", "text_model": "my-text"}


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"encoder": TEXT}, "optimizer.learning_rate = 0.001 suits"),
        ({"encoder": {"kind": "transformers", "model": "clip", "freeze": ["text"]}}, "clip"),
        ({"encoder": TWO}, "the pretrained my-text would forget"),
        (
            {"encoder": TWO, "optimizer": {"text_learning_rate": 5e-4}},
            "optimizer.text_learning_rate = 0.0005",
        ),
        ({}, None),
        ({"encoder": TEXT, "optimizer": {"learning_rate": 2e-5}}, None),
        ({"encoder": TWO, "optimizer": {"text_learning_rate": 2e-5}}, None),
        ({"encoder": TWO | {"freeze": ["text"]}}, None),
        ({"encoder": TEXT, "lora": {"rank": 8}}, None),
    ],
)
def test_who_is_warned(sections: dict[str, Any], said: str | None) -> None:
    warning = rate_warning(parse_recipe(sections))
    assert warning is None if said is None else said in str(warning)
