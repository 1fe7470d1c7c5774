"""Encoding records: strings, images, dictionaries and frames."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image

from rankfield.encoders import RankingModel, pipeline, small_encoder
from rankfield.errors import DataError, ImageError, InputError, ModelError
from rankfield.schema import Field, RankingDataset, ScoreScale

QUERY = (Field("query", "text"),)
DOCUMENT = (
    Field("image", "image", 0.7),
    Field("title", "text", 0.2),
    Field("details", "text", 0.1),
)
ROWS: list[dict[str, Any]] = [
    {"title": "red ball", "details": "round"},
    {"title": "blue box", "details": None},
    {"title": "", "details": "made of wood"},
    {"title": "red ball", "details": "round", "price": 3},
]


def random_image(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def model_of(*fields: Field, queries: tuple[Field, ...] = QUERY) -> RankingModel:
    torch.manual_seed(0)
    encoder = small_encoder(
        ["red ball", "blue box", "made of wood", "round"],
        ["text", "image"],
        dimension=16,
        width=32,
        image_size=16,
        image_width=32,
    )
    return RankingModel(encoder, queries, fields or DOCUMENT).eval()


@pytest.fixture(scope="module")
def model() -> RankingModel:
    return model_of()


def of_dataset(model: RankingModel, documents: pl.DataFrame, root: Path | None) -> Any:
    """What the rows of a data set with these documents are embedded as."""
    data = RankingDataset(
        "records",
        model.query_fields,
        model.document_fields,
        ScoreScale(0, 1, 1),
        pl.DataFrame({"query_id": ["q"], "query": ["red"]}),
        documents.with_row_index("doc_id").with_columns(pl.col("doc_id").cast(pl.String)),
        pl.DataFrame({"query_id": ["q"], "doc_id": ["0"], "score": [1.0]}),
        root=root,
    )
    return model.embed_documents(data)


def test_strings_are_the_single_text_field() -> None:
    model = model_of(Field("title", "text"), Field("image", "image"))
    texts = ["red ball", "blue box", "red ball"]
    found = model.encode_documents(texts)
    assert found.dtype == np.float32
    assert found.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found, model.encode_documents([{"title": t} for t in texts]))
    with torch.inference_mode():
        raw = model.encoder.encode_text(model.encoder.tokenize(texts, "document"))
    expected = torch.nn.functional.normalize(raw, dim=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert (found[0] == found[2]).all()
    np.testing.assert_allclose(model.encode_queries("red ball"), found[:1], atol=1e-6)
    np.testing.assert_array_equal(model.encode_queries(iter(texts)), found)


def test_a_string_that_could_be_any_of_two_fields(model: RankingModel) -> None:
    with pytest.raises(InputError, match=r"could be any of title, details\. Give dict.*'title'"):
        model.encode_documents(["red ball"])
    named = model.encode_documents(["red ball"], field="details")
    np.testing.assert_array_equal(named, model.encode_documents([{"details": "red ball"}]))
    with pytest.raises(InputError, match=r"takes a string, one of title, details; found 'image'"):
        model.encode_documents(["red ball"], field="image")
    by_image = model_of(queries=(Field("photo", "image"),))
    with pytest.raises(InputError, match=r"query fields \(photo\) take no text, found a string"):
        by_image.encode_queries(["red ball"])


def test_images_in_every_form_are_the_same(model: RankingModel, tmp_path: Path) -> None:
    image = random_image(0)
    path = tmp_path / "a.png"
    image.save(path)
    expected = of_dataset(
        model, pl.DataFrame(ROWS[:1]).with_columns(image=pl.lit(png(image))), None
    )
    forms: list[Any] = [image, png(image), path, str(path), [image], (path,), image.convert("RGBA")]
    for form in forms:
        found = model.encode_documents([ROWS[0] | {"image": form}])
        np.testing.assert_array_equal(found, expected)
    alone = model.encode_documents([image, path, png(image)])
    assert (alone == alone[0]).all()
    inside = model.encode_documents({"image": "a.png"}, root=tmp_path)
    np.testing.assert_allclose(inside, alone[:1], atol=1e-6)
    assert image.size == (30, 20)


def test_an_opened_image_is_turned_upright_and_stays_as_it_is(
    model: RankingModel, tmp_path: Path
) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    random_image(1).save(path, exif=exif)
    with Image.open(path) as lazily:
        found = model.encode_documents([lazily])
        assert lazily.size == (30, 20)
    np.testing.assert_array_equal(found, model.encode_documents([path]))


def test_lists_of_images_and_mixed_forms(model: RankingModel, tmp_path: Path) -> None:
    images = [random_image(seed) for seed in range(3)]
    images[0].save(tmp_path / "0.png")
    content = [[png(images[0]), png(images[1])], [png(images[2])], []]
    documents = pl.DataFrame({"title": ["red ball", "", "round"], "details": ["", "", ""]})
    expected = of_dataset(
        model, documents.with_columns(image=pl.Series(content, dtype=pl.List(pl.Binary))), None
    )
    found = model.encode_documents(
        [
            {"title": "red ball", "image": [tmp_path / "0.png", None, images[1]]},
            {"image": [png(images[2]), ""]},
            {"title": "round", "image": []},
        ]
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_missing_fields_are_fused_over_what_is_present(model: RankingModel) -> None:
    found = model.encode_documents(ROWS)
    expected = of_dataset(
        model, pl.DataFrame(ROWS).with_columns(image=pl.lit(None, dtype=pl.Binary)), None
    )
    np.testing.assert_array_equal(found, expected)
    parts = [model.encode_documents([t], field="title")[0] for t in ("red ball", "round")]
    fused = 0.2 * parts[0] + 0.1 * parts[1]
    np.testing.assert_allclose(found[0], fused / np.linalg.norm(fused), atol=1e-6)


def test_frames_of_polars_pandas_and_pyarrow(model: RankingModel) -> None:
    frame = pl.DataFrame(ROWS).with_columns(title=pl.col("title").cast(pl.Categorical), image=None)
    expected = model.encode_documents(ROWS)
    for form in (frame, frame.lazy(), frame.to_arrow(), frame.to_arrow().to_batches()[0]):
        np.testing.assert_array_equal(model.encode_documents(form), expected)
    without = frame.drop("image", "details", "price").filter(pl.col("title") != "")
    np.testing.assert_array_equal(model.encode_documents(without), expected_of(model, without))
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(model.encode_documents(pandas.DataFrame(ROWS)), expected)
    content = pandas.DataFrame({"image": [png(random_image(0)), None], "title": ["", "round"]})
    np.testing.assert_array_equal(
        model.encode_documents(content), model.encode_documents(content.to_dict("records"))
    )


def expected_of(model: RankingModel, frame: pl.DataFrame) -> Any:
    return model.encode_documents(frame.with_columns(pl.all().cast(pl.String)).to_dicts())


def test_a_record_with_nothing_present_is_named(model: RankingModel) -> None:
    empty: list[Any] = [{"title": " ", "image": [], "details": None}, {"price": 3}, {}]
    for record in empty:
        with pytest.raises(DataError, match=r"records, row 4 .*document fields image, title, det"):
            model.encode_documents([*ROWS, record])
    with pytest.raises(DataError, match=r"its keys are price"):
        model.encode_documents([{"price": 3}])
    with pytest.raises(DataError, match=r"records, row 1 .*query fields query"):
        model.encode_queries(["red", "\u200b"])
    frame = pl.DataFrame({"title": ["a", "b", "", None], "image": ["x.png", "", None, ""]})
    with pytest.raises(DataError, match="records, row 2 "):
        model.encode_documents(frame)
    with pytest.raises(DataError, match=r"records, row 0 .*the columns are price"):
        model.encode_documents(pl.DataFrame({"price": [1]}))
    with pytest.raises(DataError, match=r"records, row 0 .*the columns are price"):
        model.encode_documents(pa.table({"price": [1]}))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (["red", 3], r"row 1 .*expected a string, an image or a dictionary of fields, found a int"),
        ([{"query": 3}], r"row 0 .*field 'query': expected a string, found a int"),
        (["red", "\ud83d"], r"row 1 .*field 'query': .*found half of a surrogate pair"),
        ([{"query": ["red"]}], r"field 'query': expected a string, found a list"),
        ([{"image": [3]}], r"field 'image': expected an image \(path, bytes, PIL image\) or a"),
        (pl.DataFrame({"query": [3]}), r"column 'query': expected text, found a column of Int64"),
    ],
)
def test_what_is_no_record(model: RankingModel, records: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        model.encode_queries(records)


def test_images_that_cannot_be_read(model: RankingModel, tmp_path: Path) -> None:
    def refused(match: str, record: Any, **options: Any) -> None:
        with pytest.raises(DataError, match=match):
            model.encode_documents([ROWS[0], record], **options)

    refused(r"row 1 .*field 'image': no such .*none\.png", {"image": tmp_path / "none.png"})
    refused(r"row 1 .*field 'image': no such .*none\.png", {"image": "none.png"}, root=tmp_path)
    refused("leads out of", {"image": "../a.png"}, root=tmp_path)
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    refused("not an image", {"image": "bad.png"}, root=tmp_path)
    with pytest.raises(ImageError, match="at most"):
        model.encode_documents([Image.new("1", (10_000, 7_000))])


def test_nothing_is_embedded_before_a_missing_image_is_said(
    model: RankingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[Any] = []
    monkeypatch.setattr(pipeline, "CHUNK", 2)
    monkeypatch.setattr(pipeline, "_vectors", lambda *given: embedded.append(given))
    with pytest.raises(ImageError, match="row 5 "):
        model.encode_documents([{"title": "red"}] * 5 + [{"image": tmp_path / "none.png"}])
    assert not embedded


def test_a_query_image_counts_as_much_as_the_text() -> None:
    queries = (Field("query", "text", 0.3),)
    model = model_of(queries=queries)
    own = model_of(queries=(*queries, Field("image", "image", 0.3)))
    record: dict[str, Any] = {"query": "red ball", "image": random_image(0)}
    np.testing.assert_array_equal(model.encode_queries([record]), own.encode_queries([record]))
    np.testing.assert_array_equal(
        model.encode_queries([random_image(0), "red"]), own.encode_queries([random_image(0), "red"])
    )
    titles = model_of(Field("title", "text"))
    with pytest.raises(InputError, match=r"document fields \(title\) take no image"):
        titles.encode_documents([random_image(0)])
    frame = pl.DataFrame({"query": ["red ball"], "image": [png(random_image(0))]})
    np.testing.assert_array_equal(model.encode_queries(frame), model.encode_queries("red ball"))


def test_options(model: RankingModel) -> None:
    whole = model.encode_documents(ROWS)
    for size in (1, 3):
        np.testing.assert_allclose(model.encode_documents(ROWS, batch_size=size), whole, atol=1e-6)
    cut = model.encode_documents(ROWS, truncate_dim=5, device="cpu", show_progress_bar=True)
    assert cut.shape == (4, 5)
    np.testing.assert_allclose(
        cut, whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True), atol=1e-6
    )
    assert model.dimension == 16
    for dimension in (0, 17):
        with pytest.raises(ModelError, match="from 1 to 16"):
            model.encode_documents(ROWS, truncate_dim=dimension)
    with pytest.raises(InputError, match="batch_size"):
        model.encode_documents(ROWS, batch_size=0)
    assert model.encode_documents([]).shape == (0, 16)
    assert model.encode_documents(pl.DataFrame({"title": []})).shape == (0, 16)


def test_learnt_weights_count(model: RankingModel) -> None:
    learning = RankingModel(model.encoder, QUERY, DOCUMENT, learn_field_weights=True).eval()
    with torch.no_grad():
        learnt = learning.field_weights["document"]
        learnt.logarithms.add_(torch.tensor([0.0, 1.0, -1.0]))  # type: ignore[operator]
    weighed = RankingModel(model.encoder, QUERY, learning.current_fields("document")).eval()
    np.testing.assert_array_equal(learning.encode_documents(ROWS), weighed.encode_documents(ROWS))
    assert not np.array_equal(learning.encode_documents(ROWS), model.encode_documents(ROWS))
