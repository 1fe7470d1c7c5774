"""The search page: what it shows, its address, and that nothing foreign runs or loads in it."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, quote

import polars as pl
import pytest
import torch
from PIL import Image, ImageChops, ImageStat
from starlette.testclient import TestClient

from rankfield.encoders import RankingModel
from rankfield.index import build_index
from rankfield.query import Query
from rankfield.serving.keys import Keys
from rankfield.serving.logs import JsonLog
from rankfield.serving.page.address import PageQuery
from rankfield.serving.page.columns import offered_columns
from rankfield.synthetic import sample_shop
from served_shop import client_of, image_uri, made_shop
from tiny_models import tiny_clip

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b{{ 7*7 }}'


class Parsed(HTMLParser):
    """Tags with their attributes, and the text between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, tag: str, name: str) -> list[str]:
        return [found[name] or "" for one, found in self.tags if one == tag and name in found]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    made_shop(root)
    return root


@pytest.fixture(scope="module")
def client(shop: Path) -> Iterator[TestClient]:
    with client_of(shop) as found:
        yield found


def titles(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_results_are_those_of_the_search_route(client: TestClient) -> None:
    page = client.get("/", params={"q": "red ball"})
    assert page.status_code == 200
    body = {"query": "red ball", "limit": 24}
    hits = client.post("/v1/search", json=body).json()["hits"]
    assert titles(page.text) == [hit["document"]["title"] for hit in hits]
    assert f"{hits[0]['score']:.4f}" in page.text


def test_an_address_holds_all_that_was_asked(client: TestClient, shop: Path) -> None:
    address = (
        "/?q=red+ball&kind=text&part=box&weight=-0.4&kind=like&part=d07&weight=0.5"
        "&min.price=3&max.price=30&filter=stock+%3E+4&offset=2"
    )
    page = client.get(address)
    assert page.status_code == 200
    body = {
        "query": [
            {"text": "red ball"},
            {"text": "box", "weight": -0.4},
            {"like": "d07", "weight": 0.5},
        ],
        "filter": "(stock > 4) and price >= 3 and price <= 30",
        "limit": 24,
        "offset": 2,
    }
    hits = client.post("/v1/search", json=body).json()["hits"]
    assert titles(page.text) == [hit["document"]["title"] for hit in hits]
    pairs = parse_qsl(address.partition("?")[2])
    query = PageQuery.of(pairs)
    assert PageQuery.of(query.pairs()) == query
    assert sorted(query.pairs()) == sorted(pairs)


def test_links_of_a_result_ask_for_more_and_less_like_it(client: TestClient) -> None:
    page = Parsed(client.get("/", params={"q": "red ball"}).text)
    links = [link for link in page.values("a", "href") if "kind=like" in link]
    assert len(links) == 48
    assert "weight=0.5" in links[0]
    assert "weight=-0.5" in links[1]
    assert client.get(links[0]).status_code == 200


def test_a_score_is_explained_where_that_is_asked(client: TestClient) -> None:
    plain = client.get("/", params={"q": "red ball"}).text
    found = client.get("/", params={"q": "red ball", "explain": "2"}).text
    assert "explanation" not in plain
    assert found.count('<div class="explanation">') == 1
    hit = client.post("/v1/search", json={"query": "red ball", "limit": 2, "explain": True})
    score = hit.json()["hits"][1]["explanation"]["score"]
    assert f"Score {score:.4f}" in found


def test_what_a_page_needs_is_made_before_the_first_request(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def counted(documents: pl.DataFrame, texts: Sequence[str]) -> object:
        made.append(documents)
        return offered_columns(documents, texts)

    monkeypatch.setattr("rankfield.serving.page.desk.offered_columns", counted)
    with client_of(shop) as client:
        assert len(made) == 1
        assert client.get("/", params={"q": "red ball"}).status_code == 200
        assert len(made) == 1
    out = io.StringIO()
    broken = "rankfield.serving.page.preparing.found_values"
    monkeypatch.setattr(broken, lambda *_: Query.of("red", limit=0))
    with client_of(shop, log=JsonLog(out)) as client:
        assert client.get("/", params={"q": "red ball"}).status_code == 200
    assert "not prepared" in out.getvalue()


def test_pages_follow_each_other_without_a_gap(client: TestClient) -> None:
    first = client.get("/", params={"q": "red ball"}).text
    (after,) = re.findall(r'href="([^"]*)" rel="next"', first)
    second = client.get(after.replace("&amp;", "&")).text
    whole = client.post("/v1/search", json={"query": "red ball", "limit": 40}).json()["hits"]
    assert titles(first) + titles(second) == [hit["document"]["title"] for hit in whole]
    assert 'rel="next"' not in second


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/?q=red&filter=price+%3C", 422, "filter"),
        ("/?q=red&nonsense=1", 422, "unknown key"),
        ("/?q=red&min.price=cheap", 422, "expected a number"),
        ("/?q=red&is.absent=1", 422, "absent"),
        ("/?q=red&offset=-1", 422, "whole number"),
        ("/?q=red&offset=999999999", 422, "offset"),
        ("/?q=red&offset=1000", 422, "window"),
        ("/?q=red&index=absent", 404, "absent"),
        ("/?kind=like&part=absent&weight=1", 422, "absent"),
        ("/?kind=image&part=absent&weight=1", 422, "does not have this image"),
        ("/?kind=text&part=red", 422, "as many"),
        ("/?q=red&kind=text&part=red&weight=nan", 422, "number"),
        ("/?q=red&kind=text&part=red&weight=-1", 422, "cancel"),
    ],
)
def test_what_cannot_be_answered_is_said_on_the_page(
    client: TestClient, address: str, status: int, said: str
) -> None:
    found = client.get(address)
    assert found.status_code == status
    (alert,) = re.findall(r'role="alert">(.*?)</p>', found.text)
    assert said in alert
    assert 'role="search"' in found.text


def test_foreign_text_is_only_text(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop / "index", tmp_path / "index")
    folders = {"shop": tmp_path / "index"}
    with client_of(shop, folders=folders, models={"shop": shop / "model"}) as client:
        document = {"doc_id": HOSTILE, "title": HOSTILE, "price": 1.0, "stock": 1}
        assert client.post("/v1/documents", json={"documents": [document]}).status_code == 200
        address = f"/?q={quote(HOSTILE)}&explain=1&kind=text&part={quote(HOSTILE)}&weight=0.5"
        page = Parsed(client.get(address).text)
    scripts = [found for tag, found in page.tags if tag == "script"]
    assert [set(found) for found in scripts] == [{"src", "defer"}]
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert "x" not in page.values("img", "src")
    assert "alert(1)" in page.text
    assert "\x1b" not in page.text
    assert "{{ 7*7 }}" in page.text


def test_nothing_comes_from_elsewhere_and_pages_are_light(client: TestClient) -> None:
    page = client.get("/", params={"q": "red ball", "explain": "1"})
    parsed, weight = Parsed(page.text), len(page.content)
    loaded = [*parsed.values("script", "src"), *parsed.values("link", "href")]
    for address in [*loaded, *parsed.values("img", "src"), *parsed.values("a", "href")]:
        assert re.match(r"[/#](?!/)", address)
    for address in loaded:
        file = client.get(address)
        assert file.status_code == 200
        text = file.text.replace('xmlns="http://www.w3.org/2000/svg"', "")  # names, loads nothing
        assert not re.search(r"https?://|@import|url\(", text)
        assert "immutable" in file.headers["cache-control"]
        weight += len(file.content)
    assert weight < 150_000
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not parsed.values("div", "style")
    assert page.headers["x-frame-options"] == "DENY"
    assert client.get("/v1/indexes").headers["content-security-policy"].startswith("default-src")
    assert client.get("/page/files/..%2fframe.html").status_code == 404
    assert client.get("/page/files/frame.html").status_code == 404


def test_an_image_is_kept_and_searched_with(client: TestClient) -> None:
    uri = image_uri((200, 10, 10))
    key = client.post("/page/image", json={"image": uri}).json()["image"]
    page = client.get("/", params={"kind": "image", "part": key, "weight": "1"})
    hits = client.post("/v1/search", json={"query": [{"image": uri}], "limit": 24}).json()["hits"]
    assert titles(page.text) == [hit["document"]["title"] for hit in hits]
    small = client.get("/page/sent", params={"id": key})
    assert Image.open(io.BytesIO(small.content)).size == (16, 16)
    for wrong in ({}, {"image": 3}, {"image": "https://example.com/a.png"}, [1]):
        assert client.post("/page/image", json=wrong).status_code == 422
    none = "data:image/png;base64," + base64.b64encode(b"<svg onload=alert(1)>").decode()
    assert client.post("/page/image", json={"image": none}).status_code == 422


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shop of images, its `model`, and `index` and `without` thumbnails."""
    root = tmp_path_factory.mktemp("pictured")
    data = sample_shop(root / "data", documents=30, queries=5, workers=1)
    clip = RankingModel.from_pretrained(tiny_clip(root / "clip"), dataset=data, device="cpu")
    clip.save(root / "model")
    build_index(root / "model", data, root / "index")
    build_index(root / "model", data, root / "without", thumbnails=False)
    return root


def shown_images(client: TestClient) -> list[str]:
    return Parsed(client.get("/", params={"q": "red mug"}).text).values("img", "src")


@pytest.mark.parametrize("kept", [True, False])
def test_images_of_documents_come_from_the_index_or_else_the_data_set(
    pictured: Path, tmp_path: Path, kept: bool
) -> None:
    shutil.copytree(pictured, tmp_path, dirs_exist_ok=True)
    documents = pl.read_parquet(tmp_path / "data" / "documents.parquet")
    folders = {"shop": tmp_path / ("index" if kept else "without")}
    with client_of(tmp_path, folders=folders) as client:
        addresses = shown_images(client)
        assert len(addresses) == 24
        doc_id = re.findall(r"id=(\w+)", addresses[0])[0]
        small = client.get(addresses[0])
        assert small.headers["content-type"] == "image/webp"
        row = documents.row(by_predicate=pl.col("doc_id") == doc_id, named=True)
        with (
            Image.open(tmp_path / "data" / row["image"]) as large,
            Image.open(io.BytesIO(small.content)) as made,
        ):
            assert made.size == large.size
            difference = ImageChops.difference(made.convert("RGB"), large.convert("RGB"))
            assert max(ImageStat.Stat(difference).mean) < 8
        assert client.get("/page/image?id=absent").status_code == 404
        shutil.rmtree(tmp_path / "data" / "images")
        assert client.get(addresses[1]).status_code == (200 if kept else 404)
    shutil.rmtree(tmp_path / "data")
    with client_of(tmp_path, folders=folders) as client:
        assert len(shown_images(client)) == (24 if kept else 0)


def test_a_document_that_is_written_again_shows_its_new_image(
    pictured: Path, tmp_path: Path
) -> None:
    shutil.copytree(pictured, tmp_path, dirs_exist_ok=True)
    with client_of(tmp_path) as client:
        doc_id = re.findall(r"id=(\w+)", shown_images(client)[0])[0]
        stored = client.get(f"/v1/documents/{doc_id}").json()["document"]
        document = {**stored, "doc_id": doc_id, "image": image_uri((250, 0, 0), (400, 200))}
        for image, size in ((document["image"], (160, 80)), (None, None)):
            body = {"documents": [{**document, "image": image}]}
            assert client.post("/v1/documents", json=body).status_code == 200
            found = client.get(f"/page/image?id={doc_id}")
            assert found.status_code == (404 if size is None else 200)
            if size is not None:
                with Image.open(io.BytesIO(found.content)) as made:
                    assert made.size == size
                    red, green, _ = ImageStat.Stat(made.convert("RGB")).mean
                    assert (red > 200, green < 50) == (True, True)
        body = {"documents": [{**document, "image": "data:image/png;base64,aGVsbG8="}]}
        assert client.post("/v1/documents", json=body).status_code == 422


def test_columns_are_offered_and_filter(tmp_path: Path) -> None:
    data = sample_shop(tmp_path / "data", documents=150, queries=5, images=False)
    torch.manual_seed(0)
    clip = RankingModel.from_pretrained(tiny_clip(tmp_path / "clip"), dataset=data, device="cpu")
    clip.save(tmp_path / "model")
    build_index(tmp_path / "model", data, tmp_path / "index")
    with client_of(tmp_path) as client:
        page = Parsed(client.get("/", params={"q": "mug"}).text)
        named = {
            name: page.values("input", "name").count(name) for name in ("is.brand", "min.price")
        }
        assert named["min.price"] == 1
        assert named["is.brand"] > 1
        assert "is.title" not in page.values("input", "name")
        brands = data.documents["brand"].unique().sort()[:2].to_list()
        address = PageQuery(words="mug", values={"brand": tuple(brands)}).address()
        found = client.get(address).text
        count = data.documents.filter(pl.col("brand").is_in(brands)).height
        assert f"of {count} matching" in found
        assert found.count('" checked>') == 2


def test_with_keys_a_browser_is_asked_for_one(shop: Path) -> None:
    key = "k" * 20
    with client_of(shop, keys=Keys.of({"read": [key]}, "test")) as client:
        for address in ("/?q=red", "/page/image?id=d00", "/page/sent?id=0"):
            asked = client.get(address)
            assert asked.status_code == 401
            assert asked.headers["www-authenticate"].startswith("Basic")
            assert client.get(address, auth=("anna", "wrong")).status_code == 401
            assert client.get(address, auth=("anna", key)).status_code in (200, 404)
        assert client.get("/?q=red", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/?q=red", headers={"authorization": "Basic !"}).status_code == 401
        # only pages take the password
        assert client.get("/v1/indexes", auth=("anna", key)).status_code == 401


def test_other_sites_may_link_to_a_page_and_to_nothing_else(client: TestClient) -> None:
    link = {
        "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document",
    }  # fmt: skip
    assert client.get("/?q=red", headers=link).status_code == 200
    assert client.get("/v1/indexes", headers=link).status_code == 403
    assert client.get("/?q=red", headers=link | {"sec-fetch-dest": "iframe"}).status_code == 403
    assert client.get("/?q=red", headers=link | {"sec-fetch-mode": "no-cors"}).status_code == 403
    assert client.post("/page/image", json={}, headers=link).status_code == 403
