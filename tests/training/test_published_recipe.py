"""A recipe that others read has its own keys and no path of this machine."""

from __future__ import annotations

from rankfield.training.published_recipe import published_recipe
from rankfield.training.recipe import Recipe

VALUES = {
    "seed": 3,
    "bucket": "s3://private",
    "data": {"dataset": "/home/me/acme/shop", "password": "x", "query_weights": {"text": 1.0}},
    "encoder": {"model": "C:\\models\\clip", "text_model": "org/name", "vision_model": "./near"},
    "judgments": [{"path": "../teacher.parquet", "trust": 0.5, "key": "k"}, "no table"],
    "negatives": {"file": "/tmp/negatives.parquet"},
    "loss": "no table",
}


def test_own_keys_stay_in_their_order_and_paths_become_names() -> None:
    found = published_recipe(VALUES)
    assert found == {
        "seed": 3,
        "data": {"dataset": "shop", "query_weights": {"text": 1.0}},
        "encoder": {"model": "./clip", "text_model": "org/name", "vision_model": "./near"},
        "judgments": [{"path": "teacher.parquet", "trust": 0.5}],
        "negatives": {"file": "negatives.parquet"},
    }
    assert list(found) == ["seed", "data", "encoder", "judgments", "negatives"]
    assert VALUES["data"]["dataset"] == "/home/me/acme/shop"  # type: ignore[index]


def test_a_recipe_without_paths_stays_as_it_is() -> None:
    values = Recipe().model_dump(mode="json")
    assert published_recipe(values) == values
    assert list(published_recipe(values)) == list(values)


def test_former_words_are_published_as_present_ones() -> None:
    found = published_recipe({"loss": {"normaliser": "count", "direction": "rows"}})
    assert found == {"loss": {"reduction": "batchmean", "direction": "query_to_document"}}
