"""A ranking model in `mteb.evaluate`, and by mteb's protocol where mteb is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rankfield.encoders import RankingModel, small_encoder
from rankfield.errors import InputError
from rankfield.integrations.mteb import MtebEncoder
from rankfield.schema import Field

QUERIES = ["red ball", "blue mug", "lamp"]
TITLES = ["red ball", "mug", "grey lamp", "box"]
BODIES = ["a large ball", "blue", "", "cheap gift"]


def model_of(*fields: Field) -> RankingModel:
    torch.manual_seed(0)
    encoder = small_encoder(
        [*QUERIES, *TITLES, *BODIES],
        ["text", "image"],
        dimension=16,
        width=32,
        image_size=16,
        image_width=32,
    )
    return RankingModel(encoder, [Field("query", "text")], fields, name="tiny")


@pytest.fixture(scope="module")
def model() -> RankingModel:
    return model_of(Field("title", "text", 0.7), Field("description", "text", 0.3))


def batches(size: int = 3) -> list[dict[str, Any]]:
    texts = [f"{title} {body}" for title, body in zip(TITLES, BODIES, strict=True)]
    columns = {"id": list("abcd"), "text": texts, "title": TITLES, "body": BODIES}
    return [
        {name: column[start : start + size] for name, column in columns.items()}
        for start in range(0, len(TITLES), size)
    ]


def test_documents_of_several_fields(model: RankingModel) -> None:
    found = MtebEncoder(model).encode(batches(), prompt_type="document")
    records = [
        {"title": title, "description": body} for title, body in zip(TITLES, BODIES, strict=True)
    ]
    np.testing.assert_array_equal(found[:3], model.encode_documents(records[:3]))
    np.testing.assert_array_equal(found[3:], model.encode_documents(records[3:]))


def test_queries_and_symmetric_inputs_go_to_the_query_side(model: RankingModel) -> None:
    encoder, batch = MtebEncoder(model), [{"text": QUERIES, "query": QUERIES}]
    expected = model.encode_queries(QUERIES)
    for kind in ("query", None):
        np.testing.assert_array_equal(encoder.encode(batch, prompt_type=kind), expected)
    similar = encoder.similarity(expected, expected)
    torch.testing.assert_close(similar.diagonal(), torch.ones(3))
    pairwise = encoder.similarity_pairwise(expected, expected[::-1].copy())
    torch.testing.assert_close(pairwise, similar.flip(1).diagonal())


def test_a_single_text_field_gets_title_and_body(tmp_path: Path) -> None:
    model = model_of(Field("name", "text"))
    model.save(tmp_path / "model")
    found = MtebEncoder(tmp_path / "model").encode(batches(4), prompt_type="document")
    np.testing.assert_array_equal(found, model.encode_documents(batches(4)[0]["text"]))
    other = MtebEncoder(model, fields={"name": "title"})
    expected = model.encode_documents(TITLES)
    np.testing.assert_array_equal(other.encode(batches(4), prompt_type="document"), expected)


def test_images_and_records_without_any_field() -> None:
    model = model_of(Field("title", "text", 0.5), Field("photo", "image", 0.5))
    photo = Image.new("RGB", (24, 24), (200, 30, 30))
    batch = {
        "title": ["red ball", "", " "],
        "text": ["red ball", "", " "],
        "image": [None, photo, None],
    }
    found = MtebEncoder(model, fields={"title": "title"}).encode([batch], prompt_type="document")
    expected = model.encode_documents([{"title": "red ball"}, {"photo": photo}])
    np.testing.assert_array_equal(found[:2], expected)
    assert not found[2].any()


def test_what_is_refused(model: RankingModel) -> None:
    with pytest.raises(InputError, match="found 'colour': 'title'"):
        MtebEncoder(model, fields={"colour": "title"})
    with pytest.raises(InputError, match="found 'title': 'head'"):
        MtebEncoder(model, fields={"title": "head"})
    three = model_of(Field("a", "text"), Field("b", "text"))
    with pytest.raises(InputError, match="no key of mteb's for the field 'b'"):
        MtebEncoder(three)
    program = (
        "import sys; sys.modules['mteb'] = None\n"
        "from rankfield.integrations.mteb import MtebEncoder\n"
        "MtebEncoder.mteb_model_meta.fget(None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("mteb is not installed. pip install 'rankfield[mteb]'")


@pytest.mark.filterwarnings("ignore")  # of mteb and what it imports
def test_mteb_evaluates_the_model(model: RankingModel) -> None:
    mteb = pytest.importorskip("mteb")
    from mteb.mocks.mock_tasks import MockRetrievalTask
    from mteb.models import EncoderProtocol

    encoder = MtebEncoder(model)
    assert isinstance(encoder, EncoderProtocol)
    assert encoder.mteb_model_meta.name == "rankfield/tiny"
    found = mteb.evaluate(encoder, MockRetrievalTask(), cache=None, show_progress_bar=False)
    assert 0.0 <= found.task_results[0].get_score() <= 1.0
    assert found.model_name == "rankfield/tiny"
