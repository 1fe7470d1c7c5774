from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from rankfield.encoders import RankingModel, pipeline, small_encoder
from rankfield.encoders.rows import FrameRows
from rankfield.errors import ImageError
from rankfield.schema import Field, RankingDataset, ScoreScale


def data_of(folder: Path, images: list[Any]) -> RankingDataset:
    ids = [f"d{row}" for row in range(len(images))]
    return RankingDataset(
        "photos",
        (Field("query", "text"),),
        (Field("image", "image"),),
        ScoreScale(0, 1, 1),
        pl.DataFrame({"query_id": ["q"], "query": ["red"]}),
        pl.DataFrame({"doc_id": ids, "image": images}),
        pl.DataFrame({"query_id": ["q"], "doc_id": ["d0"], "score": [1.0]}),
        root=folder,
    )


@pytest.mark.parametrize("lists", [False, True])
def test_the_row_is_that_of_the_table_not_of_what_was_filtered(tmp_path: Path, lists: bool) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    images: list[Any] = ["a.png", None, "", "a.png", "b.png", "b.png", "c.png"]
    if lists:
        images = [[image, "a.png"] if image else None for image in images]
    data = data_of(tmp_path, images)
    fields = data.document_fields
    FrameRows.of(data, data.documents.head(4), "document", fields).require_images(0)
    message = r"documents, row 4 \(counted from 0\), field 'image': no such image: .*b.png \(and "
    with pytest.raises(ImageError, match=message + r"1 more\)"):
        FrameRows.of(data, data.documents.tail(4), "document", fields).require_images(0)


def test_nothing_is_embedded_before_a_missing_image_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    data = data_of(tmp_path, ["a.png"] * 5 + ["none.png"])
    encoder = small_encoder(
        ["a"], ["text", "image"], dimension=8, width=32, image_size=16, image_width=32
    )
    model = RankingModel(encoder, data.query_fields, data.document_fields).eval()
    embedded: list[Any] = []
    monkeypatch.setattr("rankfield.encoders.pipeline.CHUNK", 2)
    monkeypatch.setattr(pipeline, "_vectors", lambda *given: embedded.append(given))
    with pytest.raises(ImageError, match="row 5 "):
        model.embed_documents(data)
    assert not embedded


def test_images_in_the_table_are_no_files(tmp_path: Path) -> None:
    data = data_of(tmp_path, [b"anything", None])
    FrameRows.of(data, data.documents, "document", data.document_fields).require_images(0)
