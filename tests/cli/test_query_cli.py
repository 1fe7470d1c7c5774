"""`rankfield search` over an index: parts, options, tables and JSON."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from misbehaving_server import png
from rankfield.cli.main import main
from rankfield.encoders import RankingModel, small_encoder
from rankfield.index import build_index, index_model, open_index
from rankfield.query import Query, Searcher
from ranking_shop import ranking_shop

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index, its model and its data set, and an image."""
    root = tmp_path_factory.mktemp("made")
    data = ranking_shop(split=False)
    texts = data.documents["title"].str.split(" ")
    data = data.with_tables(
        documents=data.documents.with_columns(
            colour=texts.list[0], price=pl.int_range(pl.len()) * 1.5, sales=pl.int_range(pl.len())
        )
    ).save(root / "data")
    torch.manual_seed(0)
    encoder = small_encoder(
        data.documents["title"], ["text", "image"], dimension=16, width=32, layers=1,
        image_size=24, image_width=32,
    )  # fmt: skip
    RankingModel(encoder, data.query_fields, data.document_fields).save(root / "model")
    build_index(root / "model", data, root / "index")
    (root / "shoe.png").write_bytes(png(size=20))
    return root


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        words = ["rankfield", "search", "index", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as caught:
            main()
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "200")
    return call


@pytest.fixture(scope="module")
def searcher(place: Path) -> Searcher:
    index = open_index(place / "index")
    return Searcher(index, index_model(index))


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "milliseconds": None, "cursor": answer["cursor"] is not None}


def test_words_and_options_are_the_query_object(run: Run, searcher: Searcher, place: Path) -> None:
    status, shown, told = run(
        "red mug:1", "lamp:-0.5", "image:shoe.png:0.6", "like:d003:0.3", "field:text=blue",
        "--filter", "price < 90 and colour != 'white'", "--boost", "sales:log1p:0.01",
        "--boost", "price:reciprocal(10)", "--exclude", "vase:0.999", "--hybrid", "weighted",
        "--hybrid-field", "title^2", "--hybrid-text", "red lamp", "--text-weight", 0.5,
        "--window", 60, "--diversity", 0.2, "--candidates", 30, "--cutoff", -0.9,
        "--relative-cutoff", 0.1, "--collapse", "colour", "--facet", "colour", "-k", 2,
        "--explain", "--json",
    )  # fmt: skip
    assert status == 0, told
    query = Query.of(
        [
            {"text": "red mug", "weight": 1}, {"text": "lamp", "weight": -0.5},
            {"image": (place / "shoe.png").read_bytes(), "weight": 0.6},
            {"like": "d003", "weight": 0.3}, {"fields": {"text": "blue"}},
        ],
        filter="price < 90 and colour != 'white'",
        boost=[
            {"field": "sales", "scale": "log1p", "weight": 0.01},
            {"field": "price", "scale": "reciprocal", "pivot": 10},
        ],
        exclude=[{"text": "vase", "above": 0.999}],
        hybrid={
            "fusion": "weighted", "fields": ["title^2"], "text": "red lamp",
            "weights": {"text": 0.5}, "window": 60,
        },
        mmr={"diversity": 0.2, "candidates": 30},
        cutoff={"min_similarity": -0.9, "relative": 0.1},
        collapse="colour", facets=["colour"], limit=2, explain=True,
    )  # fmt: skip
    assert without_times(json.loads(shown)) == without_times(searcher.search(query).to_json())
    assert len(json.loads(shown)["hits"]) == 2


def test_the_table(run: Run) -> None:
    status, shown, told = run(
        "red mug", "--hybrid", "rrf", "--collapse", "colour", "--facet", "colour", "--explain",
        "-k", 2,
    )  # fmt: skip
    assert status == 0
    heading, first, second, facets, *lines = shown.splitlines()
    assert heading.split() == ["rank", "score", "similarity", "doc_id", "title", "others"]
    assert first.split()[-1].isdigit()
    assert second.split()[0] == "2"
    assert facets.startswith("colour: ")
    doc_id = first.split()[3]
    assert lines[0] == f"1 {doc_id}: {float(lines[0].split(': ')[1]):.6f}"
    arms = [line for line in lines if re.match(r"  [+-]", line)]
    assert [line.split()[1:3] for line in arms[:2]] == [["arm", "vector"], ["arm", "text"]]
    total = sum(float(line.split()[0]) for line in arms[:2])
    assert total == pytest.approx(float(lines[0].split(": ")[1]), abs=2e-6)
    assert any(line.startswith("      +") and " field title" in line for line in lines)
    assert re.fullmatch(r"next page: --cursor \S+\n", told)


def test_pages(run: Run) -> None:
    whole = run("red mug", "-k", 12, "--offset", 0)[1].splitlines()
    first, cursor = run("red mug", "-k", 5, "--filter", "price >= 0")[1:]
    found = first.splitlines()[1:]
    while cursor:
        word = cursor.split()[-1]
        _, shown, cursor = run("red mug", "-k", 5, "--filter", "price >= 0", "--cursor", word)
        found += shown.splitlines()[1:]
    assert [line.split() for line in found[:12]] == [line.split() for line in whole[1:]]
    assert len(found) == 80
    status, _, told = run("blue mug", "-k", 5, "--filter", "price >= 0", "--cursor", word)
    assert (status, "the cursor is of another query" in told) == (2, True)
    assert run("red mug", "-k", 5000)[0] == 0
    assert [line.split()[0] for line in run("red mug", "--offset", 3, "-k", 2)[1].splitlines()] == [
        "rank", "4", "5",
    ]  # fmt: skip


def test_an_image_beside_a_text(run: Run, searcher: Searcher, place: Path) -> None:
    image = (place / "shoe.png").read_bytes()
    for words, part in (
        (["red mug"], {"text": "red mug", "image": image}), ([], {"image": image}),
    ):  # fmt: skip
        status, shown, _ = run(*words, "--image", "shoe.png", "--json")
        assert status == 0
        wanted = searcher.search(Query.of([part])).to_json()
        assert without_times(json.loads(shown)) == without_times(wanted)


def test_a_query_object(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"query": {"red mug": 1, "lamp": -0.5}, "limit": 4, "hybrid": {"k": 10}}'
    (place / "query.json").write_text(text)
    wanted = run("red mug", "lamp:-0.5", "-k", 4, "--hybrid", "rrf")[1]
    shown = run("--query", "query.json")[1]
    assert [line.split()[3:] for line in shown.splitlines()] == [
        line.split()[3:] for line in wanted.splitlines()
    ]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run("--query", "-")[1] == shown
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"query": "caf\xe9"}')))
    status, shown_of_bad, told = run("--query", "-")
    assert (status, shown_of_bad, "not valid JSON" in told) == (2, "", True), told
    assert len(run("--query", "query.json", "-k", 2)[1].splitlines()) == 3


def test_options_change_a_query_object_key_by_key(
    run: Run, searcher: Searcher, place: Path
) -> None:
    for given, options, wanted in (
        ({"mmr": {"diversity": 0.5, "candidates": 20}}, ["--diversity", 0.2],
         {"mmr": {"diversity": 0.2, "candidates": 20}}),
        ({"mmr": {"diversity": 0.5}}, ["--candidates", 20],
         {"mmr": {"diversity": 0.5, "candidates": 20}}),
        ({"cutoff": {"min_similarity": 0.1}}, ["--relative-cutoff", 0.8],
         {"cutoff": {"min_similarity": 0.1, "relative": 0.8}}),
        ({"hybrid": {"weights": {"vector": 0.2}}}, ["--text-weight", 3],
         {"hybrid": {"weights": {"vector": 0.2, "text": 3}}}),
        ({"hybrid": {}}, ["--hybrid-text", "lamp", "--window", 5, "-k", 3],
         {"hybrid": {"text": "lamp", "window": 5}, "limit": 3}),
    ):  # fmt: skip
        (place / "changed.json").write_text(json.dumps({"query": "red mug", **given}))
        status, shown, told = run("--query", "changed.json", *options, "--json")
        assert status == 0, told
        answer = searcher.search({"query": "red mug", **wanted}).to_json()
        assert without_times(json.loads(shown)) == without_times(answer)


def test_the_window_reaches_the_page(run: Run, place: Path) -> None:
    assert run("red mug", "--offset", 1500)[0] == 0
    (place / "far.json").write_text('{"query": "red mug", "offset": 900}')
    assert run("--query", "far.json", "-k", 500)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give a query text, an image, or both"),
        (["red", "--filter", "price <"], "filter, character 8, its end: expected a value"),
        (["red", "--filter", "prise < 3"], "the index stores no column 'prise'. Did you mean"),
        (["red", "--boost", "title"], "expected a column of number or boolean"),
        (["red", "--boost", ""], "expected FIELD[:SCALE[(PIVOT)]][:WEIGHT]"),
        (["red", "--boost", "sales:cube"], "query, boost.0.scale: "),
        (["red", "--exclude", "dots"], "expected a similarity after the last colon"),
        (["red", "--text-weight", "2"], "--text-weight: needs --hybrid"),
        (["red", "--hybrid-field", "title"], "--hybrid-field: needs --hybrid"),
        (["red", "--candidates", "50"], "query, mmr.diversity: this key is missing"),
        (["red", "--diversity", "0.5", "-k", "200"], "expected more mmr.candidates"),
        (["red", "--cursor", "abc"], "no cursor that a page gave"),
        (["red", "--cursor", "abc", "--offset", "2"], "expected a cursor or an offset"),
        (["red", "red:-1"], "the parts cancel"),
        (["like:nope"], "no document 'nope'"),
        (["image:none.png"], "none.png: no such image"),
        (["image:index"], "cannot be read"),
        (["image:https://x/a.png"], "no such image"),
        (["red", "--image", "shoe.png", "--query", "query.json"], "expected one of them"),
        (["red", "blue", "--image", "shoe.png"], "--image: goes with one text"),
        (["--query", "none.json"], "none.json: cannot be read"),
        (["data", "red mug"], "expected an index and a query, found 'data' and 'red mug'"),
    ],
)
def test_bad_input(run: Run, arguments: list[str], problem: str) -> None:
    status, shown, told = run(*arguments)
    assert (status, shown) == (2, "")
    assert problem in told, told


def test_what_is_for_an_index(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, problem in (
        (["--filter", "price < 3"], "--filter: is for an index, found a model"),
        (["more:2"], "WORDS: several parts are for an index, found a model"),
        (["--json"], "--json: is for an index"),
    ):
        monkeypatch.setattr(sys, "argv", ["rankfield", "search", "model", "data", "red", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        assert (caught.value.code, problem in capsys.readouterr().err) == (2, True), problem


def test_hostile_values_are_shown_as_they_are(
    run: Run, place: Path, searcher: Searcher, tmp_path: Path
) -> None:
    index = open_index(place / "index")
    evil = (
        index.documents()
        .head(1)
        .with_columns(
            doc_id=pl.lit("evil"), title=pl.lit("\x1b]0;x\x07[red]mug[/red]"), colour=pl.lit("a\nb")
        )
    )
    index.upsert(evil, index.vectors(["d000"]))
    try:
        for more in (["--json"], ["--explain", "--facet", "colour"]):
            status, shown, _ = run("like:evil", "--keep-liked", *more)
            assert status == 0
            assert "\x1b" not in shown
            assert "[red]mug[/red]" in shown
    finally:
        index.delete(["evil"])
