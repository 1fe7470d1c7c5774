"""The benchmark that compares losses fairly: equal trials, and a dev half that test never meets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from rankfield import sample_shop, split
from rankfield.training import load_recipe

ROOT = Path(__file__).parents[1]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.usefixtures("benchmarks")
def test_every_arm_has_the_same_trials_and_recipes_take_them() -> None:
    import fair_sets
    from worker import toml_value

    shared = ("batch.choice", "batch.documents_per_query", "loss.logit_scale")
    rate = "optimizer.learning_rate"
    for name, wanted in fair_sets.SETS.items():
        tried = []
        for arm in fair_sets.arms_of(wanted):
            trials = fair_sets.trials(arm, wanted)
            assert len(trials) == 8, name
            tried.append([[trial[key] for key in (*shared, rate)] for trial in trials])
            for trial in trials:
                overrides = [f"{key}={toml_value(value)}" for key, value in trial.items()]
                load_recipe(ROOT / "recipes" / f"{wanted.recipe}.toml", overrides, allow_code=True)
        assert all(one == tried[0] for one in tried)


@pytest.mark.usefixtures("benchmarks")
def test_the_halves_share_no_unseen_document_and_cut_no_group(tmp_path: Path) -> None:
    from worker import halved

    shop = split(sample_shop(tmp_path / "shop", documents=200, queries=60, images=False))
    for group in ("doc_id", "brand"):
        halves: dict[str, Any] = {name: halved(shop, name, group) for name in ("dev", "test")}
        unseen = {n: half.documents.filter(~pl.col("seen")) for n, half in halves.items()}
        assert not set(unseen["dev"][group]) & set(unseen["test"][group])
        together = pl.concat(unseen.values())["doc_id"]
        assert set(together) == set(shop.documents.filter(~pl.col("seen"))["doc_id"])
        assert all(len(part) > 20 for part in unseen.values())
        for half in halves.values():
            assert set(half.documents.filter("seen")["doc_id"]) == set(
                shop.documents.filter("seen")["doc_id"]
            )
            assert set(half.judgments["doc_id"]) <= set(half.documents["doc_id"])


@pytest.mark.usefixtures("benchmarks")
def test_cranfield_is_read_with_grades_turned_round(tmp_path: Path) -> None:
    from cranfield import cranfield_tables

    source = tmp_path / "source"
    source.mkdir()
    record = ".I {}\n.T\ntitle\n.W\n{} .\nsecond line"
    texts = {"cran.all.1400": [record.format(1, "wing"), record.format(2, "heat")]}
    texts["cran.all.1400"].append(".I 3\n.T\nempty\n.W\n")
    texts["cran.qry"] = [record.format("004", "what wing"), record.format("010", "what heat")]
    texts["cranqrel"] = ["1 0 1 1", "1 0 2 4", "2 0 2 -1", "2 0 3 2", "2 0 1 5"]
    for name, lines in texts.items():
        (source / name).write_text("\n".join(lines) + "\n", "utf-8")
    cranfield_tables(source, tmp_path / "out")
    read = {p.stem: pl.read_csv(p).rows() for p in (tmp_path / "out").iterdir()}
    assert read["documents"] == [(1, "wing . second line"), (2, "heat . second line")]
    assert read["queries"] == [(1, "what wing . second line"), (2, "what heat . second line")]
    assert read["judgments"] == [(1, 1, 4), (1, 2, 1), (2, 2, 0), (2, 1, 0)]


@pytest.mark.usefixtures("benchmarks")
def test_figures_of_a_set_stay_beside_those_of_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import by_set

    (tmp_path / "results").mkdir()
    written: list[str] = []
    monkeypatch.setattr(by_set, "HERE", tmp_path)
    monkeypatch.setattr(by_set, "write_page", lambda: written.append("page"))
    assert by_set.read_figures("some") == {}
    by_set.figures_by_set("some", ["one", "two"], lambda name: {"of": name})
    by_set.figures_by_set("some", ["two"], lambda _: {"of": "again"})
    assert by_set.read_figures("some") == {"one": {"of": "one"}, "two": {"of": "again"}}
    assert written == ["page", "page"]
    given = by_set.set_options("What it does.\n\nMore.", ("one", "two"))
    assert list(given.parse_args([]).sets) == ["one", "two"]
    assert given.parse_args(["two", "--workers", "3"]).sets == ["two"]
