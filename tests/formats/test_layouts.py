"""Every layout: what it becomes, how it comes back, what is guessed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import rankfield
from format_miniatures import BEIR, MINIATURES, OPENSEARCH, RANK_EVAL, TREC, WANDS, write_files
from miniatures_of_layouts import esci
from rankfield.cli.main import app
from rankfield.curation import split
from rankfield.errors import DataError, InputError, OutputError
from rankfield.formats import (
    guess_layout,
    read_beir,
    read_elasticsearch,
    read_trec,
    read_wands,
    write_beir,
    write_trec,
)
from rankfield.formats.options import parse_options
from rankfield.formats.registry import LAYOUTS
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.synthetic import sample_shop
from rankfield.validate import audit
from scratch_package import apply_difference

OWN = ["tables", "trec", "beir", "wands", "elasticsearch"]


def read(miniature: str, folder: Path, **options: Any) -> tuple[RankingDataset, list[str]]:
    layout, write, files = MINIATURES[miniature]
    src = write(folder)
    options |= {option: folder / file for option, file in files.items()}
    return LAYOUTS[layout].read(src, **options)


def judgments(data: RankingDataset) -> dict[tuple[str, str], float]:
    return {(q, d): s for q, d, s in data.judgments.select("query_id", "doc_id", "score").rows()}


def without_type(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.select(pl.all().cast(pl.String)).to_dicts()


@pytest.mark.parametrize("name", MINIATURES)
def test_a_miniature_is_valid_and_survives_saving(tmp_path: Path, name: str) -> None:
    data, notes = read(name, tmp_path / "src", licence="CC0", name="mini")
    assert not [p for p in audit(data) if p.severity == "error"]
    saved = data.save(tmp_path / "out")
    assert saved.fingerprint() == data.fingerprint()
    assert saved.provenance.licence == "CC0"
    assert saved.provenance.made_by == f"rankfield import {MINIATURES[name][0]}"
    assert saved.name == "mini"
    assert data.documents.height == 3
    assert any("score scale" in note for note in notes)


def test_xml_topics(tmp_path: Path) -> None:
    data, _ = read("trec-xml", tmp_path / "src")
    assert data.queries.to_dicts() == [
        {
            "query_id": "1",
            "query": "red mug",
            "question": "which mugs are red & of clay?",
            "narrative": "A red cup & saucer counts.",
        },
        {"query_id": "2", "query": "oak <solid> desk", "question": None, "narrative": None},
    ]
    assert data.judgments["score"].to_list() == [2.0, 0.0, 1.0]
    topics = tmp_path / "src" / "topics-rnd5.xml"
    topics.write_text("<topic><num>7</num><title>mug</title></topic>\n" * 2)
    with pytest.raises(DataError, match=r"topics-rnd5\.xml, row 2.*'7'"):
        read_trec(tmp_path / "src")
    for text, message in (
        ('<topic number="3"><query/></topic>', "row 1: expected a text in the topic '3'"),
        ('<topic number="3"><gene>x</gene></topic>', "a text named query, title.*found query_id"),
    ):
        topics.write_text(text)
        with pytest.raises(DataError, match=message):
            read_trec(tmp_path / "src")


def test_tagged_trec(tmp_path: Path) -> None:
    data, notes = read("trec", tmp_path / "src")
    assert data.queries.to_dicts() == [
        {
            "query_id": "q1",
            "query": "red mug",
            "desc": "Mugs that are red, whatever their size.",
            "narr": "A red cup & saucer counts.",
        },
        {"query_id": "q2", "query": "oak desk", "desc": None, "narr": None},
    ]
    assert data.documents.to_dicts() == [
        {"doc_id": "d1", "title": "Red mug", "text": "Clay, red. 300 ml"},
        {"doc_id": "d2", "title": None, "text": "A blue mug"},
        {"doc_id": "d3", "title": "Oak desk", "text": "Wood"},
    ]
    expected = {("q1", "d1"): 3, ("q1", "d2"): 1, ("q2", "d3"): 2, ("q2", "d1"): -2}
    assert judgments(data) == expected
    assert data.score_scale == ScoreScale(-2, 3, 1, gain_floor=0)
    assert "queries: 'title' is the query" in notes


def test_trec_lines_keep_quotes_and_name_the_long_columns(tmp_path: Path) -> None:
    data, _ = read("trec-tsv", tmp_path / "src")
    assert data.queries["query"].to_list() == ['red "mug"', "oak desk"]
    assert data.documents["text"][0] == 'Red mug of "clay'
    wide = "d1\thttps://x.org\tRed mug\tClay\nd2\t\tBlue mug\t\nd3\tu\tOak desk\twood\n"
    (tmp_path / "src" / "collection.tsv").write_text(wide)
    data, _ = read_trec(tmp_path / "src")
    assert data.documents.columns == ["doc_id", "url", "title", "text"]
    assert data.documents["text"].to_list() == ["Clay", None, "wood"]
    assert data.document_fields == (Field("title", "text", 0.5), Field("text", "text", 0.5))
    (tmp_path / "src" / "queries.tsv").write_text("qid\ttext\nq1\tmug\nq2\tdesk\n")
    assert read_trec(tmp_path / "src")[0].queries["query"].to_list() == ["mug", "desk"]


def test_a_pair_of_qrels_judged_twice(tmp_path: Path) -> None:
    src = write_files(tmp_path / "src", TREC)
    (src / "qrels.txt").write_text("q1 0 d1 1\nq1 0 d1 3\nq2 0 d3 2\nq2 0 d3 0\n")
    with pytest.raises(DataError, match=r"row 2.*occurs twice.*`--duplicates highest`"):
        read_trec(src)
    for keep, scores in (("first", (1, 2)), ("highest", (3, 2))):
        data, notes = read_trec(src, duplicates=keep)  # type: ignore[arg-type]
        assert tuple(data.judgments["score"]) == scores
        assert f"judgments: left out 2 of pairs judged before ({keep})" in notes
    command = ["import", "trec", str(src), str(tmp_path / "out"), "--duplicates", "highest"]
    assert CliRunner().invoke(app, command).exit_code == 0


def test_a_run_serves_as_judgments(tmp_path: Path) -> None:
    src = write_files(tmp_path / "src", TREC)
    run = "".join(f"q1 Q0 d{i} {i} {9 - i} bm25\n" for i in (2, 1, 3)) + "q2 Q0 d3 1 7.5 bm25\n"
    (src / "run.txt").write_text(run)
    data, notes = read_trec(src, run=src / "run.txt")
    expected = {("q1", "d1"): 3, ("q1", "d2"): 2, ("q1", "d3"): 1, ("q2", "d3"): 3}
    assert judgments(data) == expected
    assert data.judgments.columns == ["query_id", "doc_id", "score", "rank", "run_score", "run"]
    data, notes = read_trec(src, run=src / "run.txt", depth=2)
    assert judgments(data) == {("q1", "d1"): 2, ("q1", "d2"): 1, ("q2", "d3"): 2}
    assert "judgments: left out 1 below rank 2" in notes
    (src / "run.txt").write_text("q1 Q0 d1 0 3 x\nq1 Q0 d2 1 2 x\n")
    assert judgments(read_trec(src, run=src / "run.txt")[0]) == {("q1", "d1"): 2, ("q1", "d2"): 1}
    with pytest.raises(DataError, match="found both"):
        read_trec(src, run=src / "run.txt", qrels=src / "qrels.txt")


def test_beir_keeps_its_subsets(tmp_path: Path) -> None:
    data, notes = read("beir", tmp_path / "src")
    assert data.queries.to_dicts() == [
        {"query_id": "q1", "query": "red mug", "subset": "test"},
        {"query_id": "q2", "query": "oak desk", "subset": "dev"},
        {"query_id": "q3", "query": "mug", "subset": None},
        {"query_id": "q4", "query": "never judged", "subset": None},
    ]
    assert data.judgments["source_subset"].to_list() == ["train", "train", "dev", "test", "test"]
    assert data.document_fields == (Field("title", "text", 0.5), Field("text", "text", 0.5))
    assert data.view("all", "test").judgments["score"].to_list() == [2, 0.5]
    assert not data.is_split
    assert any("train 2, test 2, dev 1" in note or "source_subset" in note for note in notes)
    only, _ = read_beir(tmp_path / "src", subsets=["test"])
    assert judgments(only) == {("q1", "d1"): 2, ("q1", "d2"): 0.5}


def test_a_split_goes_out_to_beirs_files(tmp_path: Path) -> None:
    shop = split(sample_shop(tmp_path / "shop", documents=200, queries=50, images=False))
    write_beir(shop, tmp_path / "out")
    subsets = shop.queries.select("query_id", "subset")
    rows = shop.judgments.join(subsets, on="query_id")
    held_out = rows.filter(pl.col("split") != "in_domain")
    expected = {
        "train": rows.filter(pl.col("split") == "in_domain").height,
        "dev": held_out.filter(pl.col("subset") == "dev").height,
        "test": held_out.filter(pl.col("subset") == "test").height,
    }
    assert all(expected.values())
    back, _ = read_beir(tmp_path / "out")
    found = dict(back.judgments["source_subset"].value_counts().rows())
    assert found == expected
    assert judgments(back) == judgments(shop)


def test_beir_without_titles_or_with_queries_in_two_subsets(tmp_path: Path) -> None:
    src = write_files(tmp_path / "src", BEIR)
    corpus = BEIR["corpus.jsonl"].replace('"Red mug"', '""').replace('"Oak desk"', '""')
    (src / "corpus.jsonl").write_text(corpus)
    (src / "qrels" / "dev.tsv").write_text("q1\td3\t1\n")
    data, notes = read_beir(src)
    assert data.document_fields == (Field("text", "text", 1.0),)
    assert "subset" not in data.queries.columns
    assert any("several subsets" in note for note in notes)
    assert judgments(data)["q1", "d3"] == 1  # a file without a header


def test_wands_labels_become_scores(tmp_path: Path) -> None:
    data, _ = read("wands", tmp_path / "src")
    assert judgments(data) == {("0", "0"): 2, ("0", "1"): 1, ("1", "2"): 2, ("1", "0"): 0}
    assert data.documents["product_description"][0] == 'a "big" mug, red'
    assert [f.name for f in data.document_fields] == ["product_name", "product_description"]
    repository = tmp_path / "WANDS"
    repository.mkdir()
    (tmp_path / "src").rename(repository / "dataset")
    data, _ = read_wands(repository, grades={"Exact": 1, "Partial": 0.5, "Irrelevant": -1})
    assert data.score_scale == ScoreScale(-1, 1, 0.5, gain_floor=0)
    assert data.name == "WANDS"
    # copies delimited by commas
    for file in (repository / "dataset").iterdir():
        pl.read_csv(file, separator="\t").write_csv(file)
    assert read_wands(repository)[0].documents["product_description"][0] == 'a "big" mug, red'


def test_rank_eval_requests(tmp_path: Path) -> None:
    data, _ = read("rank-eval", tmp_path / "src")
    assert dict(data.queries.rows()) == {"mugs": "red mug", "desks": "oak desk"}
    expected = {("mugs", "d1"): 3, ("mugs", "d2"): 1, ("desks", "d3"): 2}
    assert judgments(data) == expected
    assert data.documents.columns == ["doc_id", "title", "price", "tags"]
    assert data.document_fields == (Field("title", "text", 1.0),)


def test_documents_of_a_bulk_request(tmp_path: Path) -> None:
    src = write_files(tmp_path / "src", RANK_EVAL)
    lines = [
        '{"index": {"_index": "shop", "_id": "d1"}}',
        '{"title": "Red mug"}',
        '{"create": {"_id": "d2"}}',
        '{"title": "Blue mug"}',
        '{"index": {"_id": "d3"}}',
        '{"title": "Oak desk", "price": 7}',
    ]
    bulk = src / "bulk.ndjson"
    bulk.write_text("\n".join(lines) + "\n")
    data, _ = read_elasticsearch(src / "rank_eval.json", documents=bulk)
    assert data.documents.rows() == [
        ("d1", "Red mug", None),
        ("d2", "Blue mug", None),
        ("d3", "Oak desk", "7"),
    ]
    bulk.write_text("\n".join([*lines[:3], *lines[4:]]) + "\n")
    with pytest.raises(DataError, match=r"bulk\.ndjson, row 4: expected a line .*in turns.*Export"):
        read_elasticsearch(src / "rank_eval.json", documents=bulk)


@pytest.mark.parametrize(
    ("request_body", "text"),
    [
        ('{"query": {"match": {"title": {"query": "oak", "operator": "and"}}}}', "oak"),
        ('{"query": {"multi_match": {"query": "oak", "fields": ["title^3", "text"]}}}', "oak"),
        ('{"query": {"query_string": {"query": "oak"}}}', "oak"),
        (
            '{"query": {"bool": {"should": [{"match": {"a": "oak"}}, {"match": {"b": "oak"}}],'
            ' "filter": {"range": {"price": {"lt": 3}}}}}}',
            "oak",
        ),
        ('{"query": {"bool": {"should": [{"match": {"a": "x"}}, {"match": {"b": "y"}}]}}}', "mugs"),
        ('{"query": {"match_all": {}}}', "mugs"),
        ('{"query": {"neural": {"v": {"query_text": "oak", "model_id": "m", "k": 9}}}}', "oak"),
    ],
)
def test_the_text_of_a_request(tmp_path: Path, request_body: str, text: str) -> None:
    src = write_files(tmp_path / "src", RANK_EVAL)
    body = RANK_EVAL["rank_eval.json"]
    body = body.replace('{"query": {"match": {"title": "red mug"}}}', request_body)
    (src / "rank_eval.json").write_text(body)
    data, notes = read_elasticsearch(src / "rank_eval.json", documents=src / "products.jsonl")
    assert data.queries["query"][0] == text
    assert any("their id is the query" in note for note in notes) == (text == "mugs")


def test_opensearch_lists(tmp_path: Path) -> None:
    data, _ = read("opensearch", tmp_path / "src")
    assert dict(data.queries.rows()) == {"q1": "red mug", "q2": "oak desk"}
    assert judgments(data) == {("q1", "d1"): 3, ("q1", "d2"): 0.25, ("q2", "d3"): 2}
    # the answer to a GET, and the bare list
    body = OPENSEARCH["judgments.json"]
    inner = body[body.index("[") : body.rindex("]") + 1]
    src = tmp_path / "src"
    for text in (f'{{"took": 1, "hits": {{"hits": [{{"_source": {body}}}]}}}}', inner):
        (src / "judgments.json").write_text(text)
        again, _ = read_elasticsearch(src / "judgments.json", documents=src / "products.jsonl")
        assert judgments(again) == judgments(data)


def test_learning_to_rank_lists(tmp_path: Path) -> None:
    data, notes = read("ltr", tmp_path / "src")
    assert dict(data.queries.rows()) == {"1": "red mug", "2": "oak desk"}
    assert judgments(data) == {("1", "d1"): 4, ("1", "d2"): 1, ("2", "d3"): 3.5}
    assert data.documents.rows() == [("d1", "Red mug"), ("d2", "Blue mug"), ("d3", "Oak desk")]
    assert any("titles of the judgment list" in note for note in notes)


@pytest.mark.parametrize("name", ["trec", "trec-tsv", "beir", "wands", "tables"])
def test_a_layout_comes_back_from_its_own_export(tmp_path: Path, name: str) -> None:
    data, _ = read(name, tmp_path / "src")
    layout = LAYOUTS[MINIATURES[name][0]]
    layout.write(data, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "rankfield.json").read_text())
    assert record["fingerprint"] == data.fingerprint()
    assert record["made_by"].endswith(f"export {layout.name}")
    again, _ = layout.read(tmp_path / "out")
    assert judgments(again) == judgments(data)
    assert again.document_fields == data.document_fields
    assert again.query_fields == data.query_fields
    texts = ["doc_id", *(f.name for f in data.document_fields)]
    assert without_type(again.documents.select(texts)) == without_type(data.documents.select(texts))
    assert again.queries.select("query_id", "query").equals(
        data.queries.select("query_id", "query")
    )
    if name == "beir":
        assert again.queries.equals(data.queries)
        assert again.judgments.equals(data.judgments)
    if name in ("wands", "tables"):
        assert without_type(again.documents) == without_type(data.documents)


@pytest.mark.parametrize(
    ("name", "kind", "ids"),
    [
        ("rank-eval", "rank-eval", True),
        ("opensearch", "opensearch", True),
        ("ltr", "ltr", True),
        ("rank-eval", "opensearch", False),
        ("rank-eval", "ltr", False),
        ("tables", "ltr", False),
        ("tables", "opensearch", True),
    ],
)
def test_judgment_lists_come_back(tmp_path: Path, name: str, kind: str, ids: bool) -> None:
    data, _ = read(name, tmp_path / "src")
    out = tmp_path / ("list.txt" if kind == "ltr" else "list.json")
    LAYOUTS["elasticsearch"].write(data, out, kind=kind)
    data.documents.select("doc_id", "title").write_csv(tmp_path / "products.csv")
    again, _ = read_elasticsearch(out, documents=tmp_path / "products.csv")
    if ids:
        assert judgments(again) == judgments(data)
    texts = dict(data.queries.select("query_id", "query").rows())
    texts_again = dict(again.queries.select("query_id", "query").rows())
    assert {(texts_again[q], d): s for (q, d), s in judgments(again).items()} == {
        (texts[q], d): s for (q, d), s in judgments(data).items()
    }
    assert LAYOUTS["elasticsearch"].looks_like(out)
    with pytest.raises(OutputError, match="already exists"):
        LAYOUTS["elasticsearch"].write(data, out, kind=kind)


def test_what_an_export_cannot_hold(tmp_path: Path) -> None:
    data, _ = read("tables", tmp_path / "src")
    with pytest.raises(
        DataError, match=r"whole ratings of 0 or more, found 0\.5.*row 1|row 1.*0\.5"
    ):
        LAYOUTS["elasticsearch"].write(data, tmp_path / "x.json", kind="rank-eval")
    with pytest.raises(DataError, match=r"score 3 has no label.*--option grades="):
        LAYOUTS["wands"].write(data, tmp_path / "x")
    twice = data.with_tables(queries=data.queries.with_columns(query=pl.lit("mug")))
    with pytest.raises(DataError, match="two queries have the text 'mug'"):
        LAYOUTS["elasticsearch"].write(twice, tmp_path / "x.json", kind="opensearch")
    unjudged = pl.DataFrame({"query_id": ["q\t3"], "query": ["mug"]})
    tabbed = data.with_tables(queries=pl.concat([data.queries, unjudged]))
    with pytest.raises(DataError, match=r"row 2 .*'q\\t3' cannot stand"):
        LAYOUTS["trec"].write(tabbed, tmp_path / "x")
    spaced = data.with_tables(
        documents=data.documents.with_columns(doc_id=pl.col("doc_id") + " a"),
        judgments=data.judgments.with_columns(doc_id=pl.col("doc_id") + " a"),
    )
    for layout, options in (("trec", {}), ("elasticsearch", {"kind": "ltr"})):
        with pytest.raises(DataError, match=r"'d1 a' .*white space|'d1 a' cannot stand"):
            LAYOUTS[layout].write(spaced, tmp_path / "x", **options)
    empty = data.with_tables(queries=data.queries.with_columns(query=pl.lit(" ").replace(" ", "")))
    for layout in ("trec", "beir", "wands", "elasticsearch"):
        with pytest.raises(DataError, match=r"row 0.*the query has no text"):
            LAYOUTS[layout].write(empty, tmp_path / "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["src"]


def test_lines_and_tabs_in_queries_become_blanks(tmp_path: Path) -> None:
    data, _ = read("tables", tmp_path / "src")
    data = data.with_tables(
        queries=data.queries.with_columns(query=pl.col("query").str.replace(" ", "\n\t"))
    )
    for layout in ("trec", "beir"):
        notes = LAYOUTS[layout].write(data, tmp_path / layout)
        assert "queries: tabs and line breaks became blanks in 2" in notes
        again, _ = LAYOUTS[layout].read(tmp_path / layout)
        assert again.queries["query"].to_list() == ["red mug", "oak desk"]


def test_a_query_that_ends_like_a_weight(tmp_path: Path) -> None:
    data, _ = read("ltr", tmp_path / "src")
    texts = data.queries.with_columns(query=pl.Series(["scale 2*4", "a # qid:1: *"]))
    LAYOUTS["elasticsearch"].write(data.with_tables(queries=texts), tmp_path / "x.txt", kind="ltr")
    assert (tmp_path / "x.txt").read_text().startswith("# made by rankfield ")
    again, _ = read_elasticsearch(tmp_path / "x.txt")
    assert again.queries["query"].to_list() == ["scale 2*4", "a # qid:1: *"]


def test_unknown_records_and_duplicates(tmp_path: Path) -> None:
    src = write_files(tmp_path / "src", TREC)
    with (src / "qrels.txt").open("a") as file:
        file.write("q9 0 d1 1\nq1 0 d9 1\n")
    with pytest.raises(
        DataError, match=r"qrels\.txt, row 5, column 'query_id': 'q9'.*--unknown drop"
    ):
        read_trec(src)
    data, notes = read_trec(src, unknown="drop")
    assert data.judgments.height == 4
    assert "judgments: left out 2 of unknown queries or documents" in notes
    src = write_files(tmp_path / "wands", WANDS)
    with (src / "label.csv").open("a") as file:
        file.write("4\t0\t1\tExact\n")
    with pytest.raises(DataError, match=r"label\.csv, row 6.*'1' is judged.*--duplicates highest"):
        read_wands(src)
    assert judgments(read_wands(src, duplicates="highest")[0])["0", "1"] == 2
    assert judgments(read_wands(src, duplicates="first")[0])["0", "1"] == 1


@pytest.mark.parametrize("name", MINIATURES)
def test_a_layout_is_guessed(tmp_path: Path, name: str) -> None:
    layout, write, _ = MINIATURES[name]
    found, reason = guess_layout(write(tmp_path / "src"))
    assert found.name == layout
    assert reason


def test_a_data_set_is_no_source(tmp_path: Path) -> None:
    read("beir", tmp_path / "src")[0].save(tmp_path / "data")
    with pytest.raises(DataError, match=r"data: is a ranking data set already.*rankfield check"):
        guess_layout(tmp_path / "data")


def test_a_folder_around_the_source_and_an_archive_of_it(tmp_path: Path) -> None:
    write_files(tmp_path / "datasets" / "mugs", BEIR)
    (tmp_path / "datasets" / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"mugs in it like beir.*import beir .*datasets/mugs OUT"):
        guess_layout(tmp_path / "datasets")
    (tmp_path / "mugs.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"mugs\.zip: is an archive\. Unpack it first"):
        guess_layout(tmp_path / "mugs.zip")
    esci(tmp_path / "esci-data" / "shopping_queries_dataset")
    layout, reason = guess_layout(tmp_path / "esci-data")
    assert layout.name == "esci"
    assert "shopping_queries_dataset/" in reason
    assert layout.read(tmp_path / "esci-data")[0].is_split


def test_fields_of_other_names_come_back_from_trec(tmp_path: Path) -> None:
    shop = sample_shop(tmp_path / "shop", documents=200, queries=50, image_size=16, workers=1)
    notes = write_trec(shop, tmp_path / "out")
    images = [f.name for f in shop.document_fields if f.modality == "image"]
    assert f"documents: left behind the images of {', '.join(images)}" in notes
    data, _ = read_trec(tmp_path / "out", document_fields=["title"])
    assert data.documents["title"].equals(shop.documents["title"])
    assert judgments(data) == judgments(shop)
    tables, _ = read("tables", tmp_path / "src")
    write_trec(tables, tmp_path / "trec")
    assert read_trec(tmp_path / "trec")[0].document_fields == tables.document_fields


def test_a_general_layout_yields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beir = LAYOUTS["beir"]
    general = replace(beir, name="any", general=True)
    monkeypatch.setattr("rankfield.formats.guess.LAYOUTS", {"any": general, "beir": beir})
    src = write_files(tmp_path / "src", BEIR)
    assert guess_layout(src)[0] is beir
    monkeypatch.setattr("rankfield.formats.guess.LAYOUTS", {"any": general})
    assert guess_layout(src)[0] is general


def test_no_guess(tmp_path: Path) -> None:
    write_files(tmp_path / "odd", {"a.csv": "x,y\n1,2\n"})
    with pytest.raises(DataError, match=r"it holds a\.csv.*Looked for .*tables: .*beir: .*wands: "):
        guess_layout(tmp_path / "odd")
    write_files(tmp_path / "both", BEIR)
    write_files(tmp_path / "both", WANDS)
    with pytest.raises(DataError, match=r"several layouts: beir \(.*; wands \(.*Say which"):
        guess_layout(tmp_path / "both")
    with pytest.raises(DataError, match="no such file or folder"):
        guess_layout(tmp_path / "nothing")


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "400", "TERM": "dumb"})
    return done.exit_code, done.output


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # beir's open files
def test_beir_itself_reads_what_is_written(tmp_path: Path) -> None:
    loader = pytest.importorskip("beir.datasets.data_loader").GenericDataLoader
    data = split(sample_shop(tmp_path / "shop", documents=60, queries=30, images=False))
    write_beir(data, tmp_path / "out")
    texts = dict(data.queries.select("query_id", "query").iter_rows())
    found = {}
    for subset in ("train", "dev", "test"):
        corpus, queries, qrels = loader(str(tmp_path / "out")).load(subset)
        assert corpus.keys() == set(data.documents["doc_id"])
        assert queries == {query: texts[query] for query in qrels}
        found[subset] = {(q, d): grade for q, of_q in qrels.items() for d, grade in of_q.items()}
    in_domain = pl.col("split") == "in_domain"
    rows = data.judgments.join(data.queries.select("query_id", "subset"), on="query_id")
    rows = rows.with_columns(file=pl.when(in_domain).then(pl.lit("train")).otherwise("subset"))
    assert found == {
        subset: {(q, d): s for q, d, s in part.select("query_id", "doc_id", "score").rows()}
        for (subset,), part in rows.group_by("file")
    }


def test_import_guesses_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path / "mugs", BEIR)
    code, output = run("import", "mugs", "data", "--licence", "CC BY 4.0")
    assert code == 0, output
    assert "mugs looks like beir: it holds corpus.jsonl, queries.jsonl and qrels/" in output
    assert "the same as: rankfield import beir mugs data --licence 'CC BY 4.0'" in output
    assert "4 queries, 3 documents, 5 judgments" in output
    assert RankingDataset.load("data").provenance.licence == "CC BY 4.0"
    code, output = run("import", "beer", "mugs", "data2")
    assert code == 2
    assert "Did you mean 'beir'" in output
    code, output = run("export", "trec", "data", "mugs-trec")
    assert code == 0, output
    assert "no place for subset" in output
    code, output = run("import", "mugs-trec", "data3")
    assert code == 0, output
    assert "looks like trec" in output


@pytest.mark.parametrize("name", MINIATURES)
def test_every_command_imports(tmp_path: Path, name: str) -> None:
    layout, write, files = MINIATURES[name]
    src = write(tmp_path / "src")
    options = [w for o, f in files.items() for w in (f"--{o}", str(tmp_path / "src" / f))]
    code, output = run("import", layout, str(src), str(tmp_path / "out"), *options)
    assert code == 0, output
    assert "next: rankfield check" in output
    assert RankingDataset.load(tmp_path / "out").documents.height == 3


def test_help_shows_every_layout_with_an_example_that_parses() -> None:
    code, output = run("import", "--help")
    assert code == 0
    shown = " ".join(output.split())
    group: Any = __import__("typer").main.get_command(app)
    importer = group.commands["import"]
    for layout in LAYOUTS.values():
        assert f"{layout.name}: {layout.description}" in shown
        assert layout.example in shown
        words = shlex.split(layout.example)
        assert words[:3] == ["rankfield", "import", layout.name]
        importer.commands[layout.name].make_context("x", words[3:])
    assert "guess" not in importer.list_commands(None) or importer.commands["guess"].hidden


@pytest.mark.parametrize("name", OWN)
def test_every_layout_is_complete(name: str) -> None:
    layout = LAYOUTS[name]
    for function in (layout.read, layout.write, layout.looks_like):
        assert function.__doc__
    assert layout.signs


def test_options_of_an_export() -> None:
    def write(
        dataset: object,
        out: str,
        *,
        ending: str = "csv",
        depth: int | None = None,
        grades: dict[str, float] | None = None,
        whole: bool = False,
    ) -> list[str]:
        return []

    texts = ["ending=tsv", "depth=3", "grades=Exact=2,Partial=0.5", "whole=true"]
    write.__annotations__ = {
        "ending": str,
        "depth": int | None,
        "grades": dict[str, float] | None,
        "whole": bool,
    }
    assert parse_options(write, texts, "x") == {
        "ending": "tsv",
        "depth": 3,
        "grades": {"Exact": 2.0, "Partial": 0.5},
        "whole": True,
    }
    for text, message in (
        ("endin=tsv", "Did you mean 'ending'"),
        ("ending", "KEY=VALUE"),
        ("depth=x", "expected a number, found 'x'"),
        ("whole=yes", "true or false"),
    ):
        with pytest.raises(InputError, match=message):
            parse_options(write, [text], "x")
    with pytest.raises(InputError, match="given twice"):
        parse_options(write, ["depth=1", "depth=2"], "x")
    with pytest.raises(InputError, match=r"one of rank-eval, opensearch, ltr, found 'xml'"):
        parse_options(LAYOUTS["elasticsearch"].write, ["kind=xml"], "elasticsearch")
    with pytest.raises(InputError, match="the layout trec has no options"):
        parse_options(LAYOUTS["trec"].write, ["a=1"], "trec")
    assert re.search("docs/formats.md", run("export", "--help")[1])


def test_a_layout_is_one_module_and_its_place_in_the_registry(tmp_path: Path) -> None:
    """The example of docs/formats.md, in a copy of the package: imported, guessed and exported."""
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    section = page.split("## Add a layout")[1]
    (module,) = re.findall(r"```python\n(.*?)```", section, re.S)
    (difference,) = re.findall(r"```diff\n(.*?)```", section, re.S)
    package = tmp_path / "rankfield"
    shutil.copytree(Path(rankfield.__file__).parent, package)
    (package / "formats" / "bars.py").write_text(module, "utf-8")
    assert apply_difference(package / "formats" / "registry.py", difference) == 1
    (tmp_path / "pairs.bars").write_text("red mug|d1|2\nred mug|d2|0.5\nblue|d1|1\n")

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "rankfield", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert "What grades are multiplied by." in call("import", "bars", "--help")
    assert "2 queries, 2 documents, 3 judgments" in call(
        "import", "bars", "pairs.bars", "data", "--factor", "2", "--score-max", "4"
    )
    data = RankingDataset.load(tmp_path / "data")
    assert data.judgments.select("query_id", "doc_id", "score").rows() == [
        ("red mug", "d1", 4.0),
        ("red mug", "d2", 1.0),
        ("blue", "d1", 2.0),
    ]
    assert "looks like bars: it ends in .bars" in call("import", "pairs.bars", "guessed")
    assert "3 judgments as bars" in call("export", "bars", "data", "again.bars")
    assert (tmp_path / "again.bars").read_text() == "red mug|d1|4.0\nred mug|d2|1.0\nblue|d1|2.0\n"
    (tmp_path / "bad.bars").write_text("a|d1|2\n\nb|d1|x\n")
    said = call("import", "bars", "bad.bars", "never")
    assert "bad.bars, row 3, column 'score': expected a finite number, found 'x'" in said


def test_the_registry_knows_its_names() -> None:
    assert all(layout.name == name for name, layout in LAYOUTS.items())
    with pytest.raises(KeyError):
        LAYOUTS["nonsense"]
