"""A tiny shop for tests of encoders and training: four colours, two shapes, some gaps."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageDraw

from rankfield.curation import split
from rankfield.schema import Field, RankingDataset, ScoreScale

__all__ = ["tiny_shop", "with_image_files"]

COLOURS = {"red": (210, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 210), "grey": (90,) * 3}
SHAPES = ("ball", "box")


def tiny_shop(folder: Path, *, photos: bool = True, copies: int = 6) -> RankingDataset:
    """Write and return a split data set whose colours only photos show, and shapes only titles."""
    rng = np.random.default_rng(0)
    documents, queries, judgments = [], [], []
    for number, (colour, shape, _) in enumerate(itertools.product(COLOURS, SHAPES, range(copies))):
        photo = None if number % 17 == 0 else _photo(COLOURS[colour], shape, rng)
        title = None if number % 19 == 5 and photo else f"nice {shape} number {number}"
        row = {"doc_id": f"d{number:03}", "title": title, "colour": colour, "shape": shape}
        documents.append(row | ({"image": photo} if photos else {"title": f"{colour} {shape}"}))
    for number, (colour, shape, extra) in enumerate(
        itertools.product(COLOURS, SHAPES, ("", " please", " gift", " cheap"))
    ):
        queries.append({"query_id": f"q{number:03}", "query": f"{colour} {shape}{extra}"})
        for document in documents:
            score = 1.0 + 1.5 * (document["colour"] == colour) + (document["shape"] == shape)
            if score > 1:
                judgments.append((f"q{number:03}", document["doc_id"], score))
    image = (Field("image", "image", 0.5),) if photos else ()
    data = RankingDataset(
        name="tiny",
        query_fields=(Field("query", "text"),),
        document_fields=(*image, Field("title", "text", 0.5)),
        score_scale=ScoreScale(0, 3.5, 2),
        queries=pl.DataFrame(queries),
        documents=pl.DataFrame(documents),
        judgments=pl.DataFrame(judgments, ["query_id", "doc_id", "score"], orient="row"),
    )
    return split(data, queries=0.7).save(folder)


def _photo(colour: tuple[int, ...], shape: str, rng: np.random.Generator) -> bytes:
    image = Image.new("RGB", (24, 24), "white")
    x, y = (int(v) for v in rng.integers(2, 7, 2))
    draw = ImageDraw.Draw(image)
    box = (x, y, x + 14, y + 14)
    (draw.ellipse if shape == "ball" else draw.rectangle)(box, fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def with_image_files(dataset: RankingDataset, folder: Path) -> RankingDataset:
    """Return a data set of `tiny_shop` whose photos are files below a new folder."""
    (folder / "images").mkdir(parents=True)
    paths = []
    for number, photo in enumerate(dataset.documents["image"]):
        paths.append(None if photo is None else f"images/{number}.png")
        if photo is not None:
            (folder / "images" / f"{number}.png").write_bytes(photo)
    dataset.root = folder
    images = pl.Series(paths, dtype=pl.String)
    return dataset.with_tables(documents=dataset.documents.with_columns(image=images))
