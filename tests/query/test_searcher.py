"""Answers against plain loops: the same documents, order and scores; pages; explanations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milvus_server import milvus_server
from queried_index import DOCUMENTS, TEXTS, VECTORS, D, N, embed, model, queried_index
from rankfield.encoders import RankingModel
from rankfield.errors import DataError, InputError, ModelError
from rankfield.index import Index, candidates
from rankfield.index.stores import STORES
from rankfield.query import Answer, Query, Searcher, Term
from rankfield.query.parts import Content
from reference_query import answered, bm25_of

NOW = datetime(2026, 2, 15, 12, tzinfo=UTC)
ROWS = DOCUMENTS.rows(named=True)
IDS = DOCUMENTS["doc_id"].to_list()


@pytest.fixture(scope="module")
def tiny() -> RankingModel:
    return model()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_server(tmp_path_factory.mktemp("milvus") / "data") as address:
        yield address


@pytest.fixture(scope="module", params=list(STORES))
def index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    store: str = request.param
    if store == "lancedb":
        pytest.importorskip("lancedb")
    place = request.getfixturevalue("server") if store == "milvus" else ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_EXACT", 0)  # what the stores propose is looked at
        yield queried_index(store, tmp_path_factory.mktemp("index") / "index", place)


@pytest.fixture(scope="module")
def searcher(index: Index, tiny: RankingModel) -> Searcher:
    return Searcher(index, tiny, embed=embed)


def made_up(content: Content) -> Any:
    if content.like is not None:
        return VECTORS[IDS.index(content.like)]
    return embed([dict(content.fields) if content.fields else {"query": content.text}])[0]


def expected(query: Query) -> list[tuple[str, float]]:
    return answered(query, ROWS, VECTORS, made_up, schema=DOCUMENTS.schema, now=NOW)


def all_pages(searcher: Searcher, query: Query, limit: int) -> list[Any]:
    hits: list[Any] = []
    cursor = None
    while True:
        answer = searcher.search(query.model_copy(update={"limit": limit, "cursor": cursor}))
        hits += answer.hits
        cursor = answer.cursor
        if cursor is None:
            return hits
        assert len(answer.hits) == limit


_TEXT = st.sampled_from(TEXTS).map(lambda text: {"text": text})
_LIKE = st.sampled_from([one for one in IDS if one != "d33"]).map(lambda one: {"like": one})
_FIELDS = st.just({"fields": {"query": "blue", "more": "bowl"}})
_CONTENT = st.one_of(_TEXT, _LIKE, _FIELDS)
_WEIGHTS = st.floats(-2, 2, allow_nan=False).map(lambda weight: round(weight, 3))
_PARTS = st.lists(
    st.builds(lambda part, weight: {**part, "weight": weight}, _CONTENT, _WEIGHTS),
    min_size=1,
    max_size=4,
)
_BOOSTS = st.one_of(
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(["price", "sales", "sale"]),
            "scale": st.sampled_from(["linear", "log1p", "sqrt", "reciprocal"]),
            "weight": _WEIGHTS,
        }
    ),
    st.fixed_dictionaries(
        {"field": st.just("added"), "scale": st.just("reciprocal_age"), "weight": _WEIGHTS},
        optional={"pivot": st.sampled_from([1.0, 7.0])},
    ),
)
_HYBRIDS = st.fixed_dictionaries(
    {"fusion": st.sampled_from(["rrf", "weighted"]), "window": st.sampled_from([12, 25, 200])},
    optional={
        "text": st.sampled_from(["red mug", "large blue", "nothing here", "Dots dots"]),
        "fields": st.sampled_from([["title^2", "body"], ["body"]]),
        "weights": st.fixed_dictionaries(
            {"vector": st.sampled_from([0.0, 0.5]), "text": st.just(2.0)}
        ),
        "k": st.sampled_from([1, 60]),
    },
)
_EXCLUDED = st.lists(
    st.builds(lambda part, above: {**part, "above": above}, _CONTENT, st.sampled_from([0.3, 0.6])),
    max_size=2,
)
_FILTERS = st.sampled_from(
    ["price < 20", "brand in ('brand 1', 'brand 2') or sale", "added > '2025-06-01'", "not sale"]
)
QUERIES = st.fixed_dictionaries(
    {"query": _PARTS, "now": st.just(NOW.isoformat())},
    optional={
        "filter": _FILTERS,
        "hybrid": _HYBRIDS,
        "boost": st.lists(_BOOSTS, max_size=2),
        "exclude": _EXCLUDED,
        "mmr": st.fixed_dictionaries(
            {"diversity": st.sampled_from([0.0, 0.3, 1.0]), "candidates": st.sampled_from([11, 40])}
        ),
        "cutoff": st.fixed_dictionaries(
            {}, optional={"min_similarity": st.sampled_from([-0.1, 0.2]), "relative": st.just(0.5)}
        ),
        "collapse": st.sampled_from(["brand", "sale", "price"]),
        "keep_liked": st.booleans(),
    },
)


def _query(values: Mapping[str, Any]) -> Query | None:
    """Return a query whose parts do not cancel."""
    query = Query.of(values)
    units = [np.array(made_up(part), dtype=np.float64) for part in query.parts]
    total = sum(part.weight * unit for part, unit in zip(query.parts, units, strict=True))
    weights = sum(abs(part.weight) for part in query.parts)
    return query if float(np.linalg.norm(total)) > 0.01 * weights else None


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(QUERIES, st.sampled_from([4, 10]))
def test_answers_are_those_of_plain_loops(
    searcher: Searcher, values: dict[str, Any], limit: int
) -> None:
    query = _query(values)
    if query is None:
        return
    hits = all_pages(searcher, query, limit)
    wanted = expected(query)
    assert [hit.doc_id for hit in hits] == [doc_id for doc_id, _ in wanted]
    scores = [score for _, score in wanted]
    np.testing.assert_allclose([hit.score for hit in hits], scores, rtol=1e-6, atol=2e-7)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert all(a.score >= b.score for a, b in pairwise(hits))


def _require_sums(terms: tuple[Term, ...], value: float) -> None:
    total = sum(term.adds for term in terms)
    assert abs(total - value) <= 1e-6 * max(1.0, abs(value))
    for term in terms:
        if term.terms:
            _require_sums(term.terms, term.value)
        if term.kind != "arm":
            assert term.value == term.adds


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(QUERIES)
def test_explanations_add_up_to_scores(searcher: Searcher, values: dict[str, Any]) -> None:
    query = _query({**values, "explain": True})
    if query is None:
        return
    plain = searcher.search(Query.of(query, explain=False))
    answer = searcher.search(query)
    assert [replace(hit, explanation=None) for hit in answer.hits] == list(plain.hits)
    assert answer.cursor == plain.cursor
    for hit in answer.hits:
        assert hit.explanation is not None
        assert hit.explanation.score == hit.score
        _require_sums(hit.explanation.terms, hit.score)
        vector = hit.explanation.terms[0]
        assert (vector.name, vector.value) == ("vector", hit.similarity)
        assert [term.name for term in vector.terms] == [part.name for part in query.parts]
        kinds = [term.kind for term in hit.explanation.terms]
        diversity = query.mmr is not None and query.mmr.diversity > 0
        arms = 1 if query.hybrid is None else 2
        assert kinds == ["arm"] * arms + ["boost"] * len(query.boost) + ["penalty"] * diversity


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(QUERIES)
def test_what_matches_is_counted(searcher: Searcher, values: dict[str, Any]) -> None:
    values = {key: value for key, value in values.items() if key not in ("mmr", "hybrid")}
    query = _query({**values, "facets": ["brand", "sale"], "facet_values": 3})
    if query is None:
        return
    answer = searcher.search(query)
    found = [doc_id for doc_id, _ in expected(query.model_copy(update={"collapse": None}))]
    assert answer.matching == len(found)
    rows = [row for row in ROWS if row["doc_id"] in found]
    for name, facet in answer.facets.items():
        counts: dict[Any, int] = {}
        for row in rows:
            counts[row[name]] = counts.get(row[name], 0) + 1
        ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0] is None, one[0]))
        assert facet.values == tuple(ordered[:3])
        assert facet.others == sum(count for _, count in ordered[3:])
    if query.collapse is not None:
        for hit in answer.hits:
            value = hit.document[query.collapse]
            group = [row for row in rows if row[query.collapse] == value]
            assert hit.others == (0 if value is None else len(group) - 1)


def test_a_plain_query_is_the_search_of_the_index(searcher: Searcher, index: Index) -> None:
    answer = searcher.search(Query.of("red mug", limit=N))
    wanted = index.search(embed([{"query": "red mug"}]), N)
    assert [hit.doc_id for hit in answer.hits] == wanted["doc_id"].to_list()
    assert [hit.similarity for hit in answer.hits] == wanted["similarity"].to_list()
    assert [hit.score for hit in answer.hits] == wanted["similarity"].to_list()
    assert (answer.cursor, answer.matching, answer.facets) == (None, None, {})
    frame = answer.frame()
    assert frame.columns == ["rank", "score", "similarity", *DOCUMENTS.columns]
    assert frame.select(DOCUMENTS.columns).equals(index.documents(wanted["doc_id"]))


def test_bm25_is_that_of_its_formula(searcher: Searcher) -> None:
    query = Query.of(
        "red", hybrid={"text": "red red mug", "fields": ["title^2"]}, limit=50, explain=True
    )
    wanted = dict(
        zip(IDS, bm25_of(["red", "red", "mug"], DOCUMENTS["title"].to_list()), strict=True)
    )
    hits = searcher.search(query).hits
    assert len(hits) == 50
    for hit in hits:
        assert hit.explanation is not None
        assert hit.explanation.terms[1].value == pytest.approx(2 * wanted[hit.doc_id], rel=1e-6)


def test_the_order_does_not_depend_on_the_page(searcher: Searcher) -> None:
    settings = {"boost": [{"field": "sales", "scale": "log1p", "weight": 0.1}], "now": NOW}
    long = searcher.search(Query.of("mug", limit=40, **settings))
    for offset in (0, 7, 39):
        part = searcher.search(Query.of("mug", limit=5, offset=offset, **settings))
        assert part.hits == long.hits[offset : offset + 5] or offset + 5 > 40
        assert part.hits[0] == long.hits[offset]


def test_cursors_of_other_queries_and_states_are_refused(
    tmp_path: Path, tiny: RankingModel
) -> None:
    index = queried_index("exact", tmp_path / "index")
    searcher = Searcher(index, tiny, embed=embed)
    query = Query.of("red mug", limit=3)
    cursor = searcher.search(query).cursor
    assert cursor is not None
    changed = ["blue", {"query": "red mug", "filter": "sale"}, {"query": {"red mug": 2}}]
    for other in changed:
        with pytest.raises(InputError, match="the cursor is of another query"):
            searcher.search(Query.of(other, cursor=cursor))
    middle = len(cursor) // 2
    broken = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    for bad in (broken, cursor[:-4], "nonsense", "💥", "=" * 8, cursor * 2):
        with pytest.raises(InputError, match="no cursor that a page gave"):
            searcher.search(Query.of(query, cursor=bad))
    following = searcher.search(Query.of(query, cursor=cursor, limit=5, facets=["brand"])).hits
    assert [hit.rank for hit in following] == [4, 5, 6, 7, 8]
    index.upsert(DOCUMENTS.head(1), VECTORS[:1])
    with pytest.raises(InputError, match="the index was written to since that page"):
        searcher.search(Query.of(query, cursor=cursor))
    assert searcher.search(query).hits[0].rank == 1


def test_ages_are_those_of_the_first_page(searcher: Searcher) -> None:
    boost = [{"field": "added", "scale": "reciprocal_age", "pivot": 0.001}]
    query = Query.of("mug", boost=boost, limit=20)
    first = searcher.search(query)
    second = searcher.search(Query.of(query, cursor=first.cursor))
    whole = searcher.search(Query.of(query, limit=40, now=datetime.now(UTC)))
    assert [h.doc_id for h in (*first.hits, *second.hits)] == [h.doc_id for h in whole.hits]
    assert second.cursor is not None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"red": 1, "red ": -1}, "the parts cancel"),
        ({"red": 0}, "the parts cancel"),
        ([{"like": "nope"}], "no document 'nope'"),
        ([{"like": "d33"}], "'like:d33' has no vector"),
        ([{"fields": {"quary": "x"}}], "have no field 'quary'. They have: query, more"),
        ([{"image": b"x"}], "the model takes no images"),
        ([{"fields": {"query": b"x"}}], "expected a text for the field 'query', found an image"),
        ({"query": "x", "filter": "prise < 3"}, "Did you mean 'price'?"),
        ({"query": "x", "boost": [{"field": "brand"}]}, "boost.0.field: expected a column of numb"),
        ({"query": "x", "boost": [{"field": "price", "scale": "reciprocal_age"}]}, "date or time"),
        ({"query": "x", "hybrid": {"fields": ["price"]}}, "expected a column of text"),
        ({"query": "x", "facets": ["colour"]}, "query, facets: the index stores no column"),
        ({"query": "x", "collapse": "colour"}, "query, collapse: the index stores no column"),
    ],
)  # fmt: skip
def test_queries_that_cannot_be_answered(searcher: Searcher, value: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        searcher.search(value)
    assert problem in str(caught.value)


def test_another_model_is_refused(index: Index) -> None:
    other = model().truncate_to(D - 1)
    with pytest.raises(ModelError, match=f"expected a model of {D} dimensions"):
        Searcher(index, other)
    with pytest.raises(DataError, match="no document 'x'"):
        Searcher(index, model(), embed=embed).search([{"like": "x"}])


def test_searches_beside_writes_see_one_state(tmp_path: Path, tiny: RankingModel) -> None:
    index = queried_index("exact", tmp_path / "index")

    def embed_and_delete(records: Any) -> Any:
        if len(index) > 2:
            index.delete(index.documents()["doc_id"][:10])
        return embed(records)

    searcher = Searcher(index, tiny, embed=embed_and_delete)
    counts = [len(searcher.search(Query.of("red", limit=N, explain=True)).hits) for _ in range(4)]
    assert counts == [N - 1, N - 11, N - 21, N - 31]


def test_an_empty_index(tmp_path: Path, tiny: RankingModel) -> None:
    index = queried_index("exact", tmp_path / "index")
    index.delete(IDS)
    settings: dict[str, Any] = {
        "facets": ["brand"], "collapse": "sale", "explain": True, "boost": [{"field": "price"}],
        "exclude": [{"text": "x", "above": 0}], "cutoff": {"relative": 0.5},
    }  # fmt: skip
    further: list[dict[str, Any]] = [{}, {"hybrid": {}}, {"mmr": {"diversity": 0.5}}]
    for more in further:
        answer = Searcher(index, tiny, embed=embed).search(Query.of("red", **settings, **more))
        assert (answer.hits, answer.cursor, answer.matching) == ((), None, 0)


def test_values_of_any_kind_as_json(tmp_path: Path, tiny: RankingModel) -> None:
    index = queried_index("exact", tmp_path / "index")
    odd = DOCUMENTS.head(1).with_columns(doc_id=pl.lit("odd"), price=pl.lit(float("nan")))
    index.upsert(odd, embed([{"query": "red"}]))
    answer: Answer = Searcher(index, tiny, embed=embed).search(
        Query.of("red", facets=["price", "added"], boost=[{"field": "price"}], explain=True)
    )
    shown = answer.to_json()
    assert shown["hits"][0]["doc_id"] == answer.hits[0].doc_id
    assert {one["value"] for one in shown["facets"]["added"]["values"]} <= {
        None, *(str(day) for day in DOCUMENTS["added"].drop_nulls())
    }  # fmt: skip
    assert "odd" in {hit.doc_id for hit in Searcher(index, tiny, embed=embed).search("red").hits}
