"""The loop on a small shop: it rises round by round, refuses what is no better, and resumes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import rankfield
from rankfield.cli.main import main
from rankfield.encoders.fingerprint import model_fingerprint
from rankfield.errors import InputError, OutputError
from rankfield.evaluation.interleaving import Preference
from rankfield.formats.tables.query_texts import same_query
from rankfield.index import open_index
from rankfield.index.previous import previous_of
from rankfield.loop import Loop, LoopOptions, run_loop, write_page
from rankfield.loop import run as run_module
from rankfield.loop import traffic as traffic_module
from rankfield.loop.shop import Shop
from rankfield.training import parse_recipe, train
from trained import SEED, assert_above

OPTIONS = LoopOptions(
    rounds=2, visitors=500, lists=100, steps=40, learning_rate=3e-3, batch=48,
    bias=0.5, noise=0.0, seed=SEED,
)  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the loop reads of a demo: a shop of titles alone, and a model that hardly knows it."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    folder.mkdir()
    shop = rankfield.sample_shop(
        folder / "shop", documents=200, queries=400, per_query=60, images=False
    )
    data = rankfield.split(shop, queries=0.15).save(folder / "data")
    recipe = {
        "name": "CLIP",
        "seed": SEED,
        "trackers": [],
        "encoder": {"text_width": 64, "dimension": 64},
        "loss": {"target": "pair", "direction": "both", "weight": "constant"},
        "batch": {"size": 64, "documents_per_query": 1, "choice": "uniform", "more_queries": 0},
        "optimizer": {"steps": 15, "learning_rate": 2e-3},
        "dev": {"every": "off"},
    }
    train(parse_recipe(recipe), data, folder / "clip")
    return folder


@pytest.fixture(scope="module")
def loop(demo: Path) -> Loop:
    return run_loop(demo, demo / "loop", OPTIONS)


def served(loop: Loop) -> str:
    return open_index(loop.index).metadata.model_fingerprint


def test_each_round_is_better_on_queries_that_nobody_was_shown(loop: Loop) -> None:
    means = (loop.start, *(found.test for found in loop.rounds))
    values = [mean.value or 0.0 for mean in means]
    assert [found.swapped for found in loop.rounds] == [True, True]
    for before, after in pairwise(values):
        assert_above("nDCG@10 of a round", after - before, 0.0)
    assert [found.serves for found in loop.rounds] == [1, 2]
    assert served(loop) == model_fingerprint(loop.out / "round-02/run/model")
    former = open_index(previous_of(loop.index)).metadata.model_fingerprint
    assert former == model_fingerprint(loop.out / "round-01/run/model")
    for found in loop.rounds:
        assert found.preference is not None
        assert_above("share of the lists", found.preference.share, 0.5)


def test_visitors_never_see_held_out_queries_and_nothing_else_is_trained_on(loop: Loop) -> None:
    queries = loop.shop.data.queries
    held_out = set(queries.drop_nulls("subset")["query_id"])
    assert not held_out & set(loop.shop.visitors["query_id"])
    assert set(loop.shop.data.judgments["query_id"]) <= held_out
    judged = pl.read_parquet(loop.out / "round-02/judgments.parquet")
    assert not held_out & set(judged["query_id"])
    assert judged.height == loop.rounds[-1].pairs
    lines = (loop.feedback / "ubi/ubi_queries.ndjson").read_text().splitlines()
    asked = {json.loads(line)["user_query"] for line in lines}
    assert asked <= set(loop.shop.visitors["query"])
    assert len(lines) == 2 * (OPTIONS.visitors + OPTIONS.lists)
    recipe = (loop.out / "round-02/run/recipe.toml").read_text()
    assert "round-01/run/model" in recipe


def test_the_corrected_scores_are_nearer_to_the_truth_than_click_rates(loop: Loop) -> None:
    last = loop.rounds[-1]
    assert last.tau is not None
    assert last.naive_tau is not None
    assert_above("Kendall's tau of the labels", last.tau, 0.1)
    assert_above("propensity of place 10", 0.6, last.propensities[9])


def test_a_round_that_learns_nothing_is_not_swapped_in(demo: Path, loop: Loop) -> None:
    """Who clicks whatever the place alone makes them see says nothing of relevance."""
    said: list[str] = []
    options = LoopOptions(
        rounds=1, visitors=200, lists=10, steps=40, learning_rate=3e-3, batch=48, noise=1.0,
        seed=SEED,
    )  # fmt: skip
    random = run_loop(demo, demo / "random", options, say=said.append)
    (found,) = random.rounds
    assert not found.swapped
    assert found.preference is None
    assert found.serves == 0
    assert "not swapped in" in said[-1]
    assert served(random) == model_fingerprint(demo / "clip/model")
    assert not previous_of(random.index).exists()
    assert not (random.feedback / "interleaved.jsonl").read_text()
    page = write_page(random).read_text("utf-8")
    assert found.verdict in page
    assert "0 went into service" in page


class Killed(BaseException):
    """In place of a kill."""


def kill_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int) -> None:
    """Let a function of a module end the process at one of its calls."""
    original, calls = getattr(module, name), [0]

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise Killed
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, counted)


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as found:
        yield found


def test_a_killed_loop_ends_as_one_that_never_was(
    demo: Path, loop: Loop, patch: pytest.MonkeyPatch
) -> None:
    out = demo / "killed"
    one = LoopOptions(**{**vars(OPTIONS), "rounds": 1})
    places: list[tuple[Any, str, int]] = [
        (traffic_module, "_answers", 3),
        (run_module, "train_candidate", 1),
        (run_module, "build_index", 1),
        (traffic_module, "_interleaved", 2),
    ]
    for module, name, call in places:
        with pytest.MonkeyPatch.context() as here:
            kill_at(here, module, name, call)
            with pytest.raises(Killed):
                run_loop(demo, out, one)
    killed = run_loop(demo, out, one)
    assert killed.rounds == loop.rounds[:1]
    for name in ("ubi/ubi_events.ndjson", "ubi/ubi_queries.ndjson"):
        whole = (loop.feedback / name).read_bytes()
        assert whole.startswith((killed.feedback / name).read_bytes())

    # visitors who prefer the former model have it back
    (out / "round-01/result.json").unlink()
    against = Preference(80, 20, 0, 0.2, 0.13, 0.29, 1e-9)
    former_and_latter = {("round-00", "round-01"): against}
    patch.setattr(run_module, "index_preferences", lambda _: former_and_latter)
    (found,) = run_loop(demo, out, one).rounds
    assert (found.swapped, found.rolled_back, found.serves) == (True, True, 0)
    assert "rolled back" in found.verdict
    assert served(killed) == model_fingerprint(demo / "clip/model")


def test_more_rounds_go_on_other_settings_do_not(demo: Path, loop: Loop) -> None:
    shutil.copytree(demo / "loop", demo / "more")
    again = run_loop(demo, demo / "more", OPTIONS)
    assert again.rounds == loop.rounds
    with pytest.raises(OutputError, match="not a loop of these settings"):
        run_loop(demo, demo / "more", LoopOptions(seed=5))
    (demo / "more/round-02/result.json").write_text("{}")
    with pytest.raises(InputError, match="rankfield loop"):
        run_loop(demo, demo / "more", OPTIONS)


@pytest.mark.parametrize(
    "options",
    [{"rounds": 0}, {"noise": 1.5}, {"bias": -1.0}, {"exploration": float("nan")}, {"seed": -1}],
)
def test_values_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        LoopOptions(**options)


def test_the_command_and_what_it_needs(
    demo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", "loop", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), *capsys.readouterr()

    code, _, err = run(tmp_path)
    assert (code, "rankfield demo" in err) == (2, True)
    out = tmp_path / "out"
    small = ("--rounds", 1, "--visitors", 60, "--lists", 5, "--steps", 2, "--out", out)
    code, text, _ = run(demo, *small)
    assert code == 0
    assert "nDCG@10 against the hidden relevance" in text
    assert str(out / "report.html") in text
    assert "<h2>Curve</h2>" in (out / "report.html").read_text("utf-8")
    code, _, err = run(demo, *small, "--noise", 0.5)
    assert (code, "not a loop of these settings" in err) == (2, True)


def test_a_folder_without_the_models(demo: Path, tmp_path: Path) -> None:
    shutil.copytree(demo / "shop", tmp_path / "shop")
    with pytest.raises(InputError, match=r"data/dataset\.toml is missing"):
        Shop.open(tmp_path)


def test_what_nobody_asks_is_dev_and_has_no_text_that_somebody_asks(demo: Path) -> None:
    shop = Shop.open(demo, asked=20)
    assert shop.visitors.height == 20
    queries = shop.data.queries.with_columns(text=same_query(pl.col("query")))
    asked = queries.filter(pl.col("subset").is_null())
    assert set(shop.visitors["query_id"]) <= set(asked["query_id"])
    held_out = queries.drop_nulls("subset")
    assert not set(asked["text"]) & set(held_out["text"])
    split = rankfield.RankingDataset.load(demo / "data").queries
    unseen = split.filter(~pl.col("seen"))
    test = set(held_out.filter(subset="test")["query_id"])
    assert test == set(unseen.filter(subset="test")["query_id"])
    assert held_out.height + asked.height == split.height
