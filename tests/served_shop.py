"""A small shop with an index and a model that takes texts and images, and a service over it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import torch
from PIL import Image
from starlette.testclient import TestClient

from rankfield.encoders import RankingModel
from rankfield.index import Index, build_index
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.serving import Limits, Service, create_app
from rankfield.serving.logs import JsonLog
from tiny_models import tiny_clip

__all__ = [
    "N",
    "both_indexes",
    "client_of",
    "image_uri",
    "index_twice",
    "made_shop",
    "quiet",
    "shop_data",
]

N = 40
_WORDS = ("red", "green", "blue", "grey", "ball", "box", "nice", "number", "cheap")


def image_uri(colour: tuple[int, int, int], size: tuple[int, int] = (16, 16)) -> str:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def shop_data(count: int = N) -> RankingDataset:
    """Return documents with titles, prices and no photos, and two queries."""
    documents = pl.DataFrame(
        {
            "doc_id": [f"d{i:02d}" for i in range(count)],
            "title": [f"{_WORDS[i % 4]} {_WORDS[4 + i % 5]} {_WORDS[i % 7]}" for i in range(count)],
            "price": [float(i) for i in range(count)],
            "stock": list(range(count)),
        }
    )
    queries = pl.DataFrame({"query_id": ["q1", "q2"], "query": ["red ball", "blue box"]})
    judgments = pl.DataFrame({"query_id": ["q1"], "doc_id": ["d00"], "score": [1.0]})
    return RankingDataset(
        name="shop",
        queries=queries,
        documents=documents.with_columns(photo=pl.lit(None, dtype=pl.Binary)),
        judgments=judgments,
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text", 0.7), Field("photo", "image", 0.3)),
        score_scale=ScoreScale(minimum=0, maximum=1, relevant=1),
    )


def made_shop(root: Path) -> Index:
    """Write `model` and `index` in a folder."""
    data = shop_data()
    torch.manual_seed(0)
    clip = RankingModel.from_pretrained(tiny_clip(root / "clip"), dataset=data, device="cpu")
    clip.save(root / "model")
    return build_index(root / "model", data, root / "index")


def index_twice(root: Path, data: RankingDataset) -> None:
    """Write `model0`, `index0`, `model1` and `index1`: a data set with two models that differ."""
    for number in (0, 1):
        place = tiny_clip(root / f"clip{number}", width=32 + 16 * number)
        model = RankingModel.from_pretrained(place, dataset=data, device="cpu")
        model.save(root / f"model{number}")
        build_index(root / f"model{number}", data, root / f"index{number}")


def both_indexes(root: Path) -> dict[str, Path]:
    """Return the names in a service and the folders of what `index_twice` wrote."""
    return {"one": root / "index0", "two": root / "index1"}


def quiet() -> JsonLog:
    return JsonLog(io.StringIO())


@contextmanager
def client_of(
    root: Path, *, token: str = "", limits: Limits | None = None, **options: Any
) -> Iterator[TestClient]:
    """Open a service over the shop of a folder, and a client of it."""
    folders: dict[str, str | Path] = options.pop("folders", {"shop": root / "index"})
    hosts: Sequence[str] = ("localhost",)
    log = options.pop("log", None) or quiet()
    service = Service(folders, limits=limits, log=log, **options)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    app = create_app(service, hosts)
    with TestClient(app, base_url="http://localhost", headers=headers) as client:
        client.app_state["service"] = service
        yield client
