"""Whole judgings against an endpoint on loopback with bad manners."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image
from sklearn.metrics import cohen_kappa_score

from judged_shop import QUICK, endpoint, judged_shop, prompt_text, truth
from killing import killable_commands
from misbehaving_server import Handler, MisbehavingServer, Route, serving
from rankfield.cli.main import main
from rankfield.errors import InputError, OutputError, RemoteError
from rankfield.io.tables import read_table
from rankfield.judging import JudgeSettings, choose_pairs, judge, load_rubric
from rankfield.judging.cost import Prices
from rankfield.judging.rubric import RUBRIC_TEMPLATE
from rankfield.schema import RankingDataset, ScoreScale
from rankfield.training import add_judgments
from rankfield.training.sources import JudgmentSource
from rankfield.web import Limits
from rankfield.work_folder import WorkFolder


def _chat(handler: Handler, count: int) -> None:
    body: Any = handler.body
    text = prompt_text(body)
    query = text.split("query: ")[1].split("\n")[0]
    title = text.split("title: ")[1].split("\n")[0]
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    if count == 1 and digest[0] % 40 == 0:
        handler.answer(b"", status=429, headers={"Retry-After": "0"})
        return
    grade = truth(query, title)
    if digest[1] % 5 == 0:  # a vote that differs
        grade = max(0, grade - 1)
    words = json.dumps({"reason": "so it is", "grade": grade})
    if digest[2] % 6 == 0 and body["seed"] % 2 == 0:  # the first answer says nothing
        words = "Hard to say."
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    handler.json({"choices": [{"message": {"content": words}}], "usage": usage})


ROUTES: dict[str, Route] = {"/v1/chat/completions": _chat}


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with serving(ROUTES) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> RankingDataset:
    return judged_shop(tmp_path)


def test_votes_become_judgments(
    server: MisbehavingServer, shop: RankingDataset, tmp_path: Path
) -> None:
    out = tmp_path / "judged"
    human = shop.judgments.select("query_id", "doc_id", "score")
    record = judge(
        shop,
        choose_pairs(shop),
        load_rubric(tmp_path / "rubric.toml"),
        endpoint(server),
        out,
        settings=JudgeSettings(aggregate="median", prices=Prices(2.0, 10.0)),
        limits=QUICK,
        human=human,
    )
    found = pl.read_parquet(out / "judgments.parquet")
    votes = pl.read_parquet(out / "votes.parquet")
    assert found.columns == ["query_id", "doc_id", "score", "votes", "disagreement"]
    assert found.height == 48
    assert votes.height == 3 * 48
    again = votes.group_by("query_id", "doc_id").agg(
        pl.col("grade").median().alias("median"),
        pl.col("grade").std(ddof=0).alias("std"),
        pl.col("grade").count().alias("n"),
    )
    both = found.join(again, on=["query_id", "doc_id"])
    assert both["score"].to_list() == both["median"].to_list()
    assert both["disagreement"].to_list() == pytest.approx(both["std"].to_list())
    assert both["votes"].to_list() == both["n"].to_list()
    # asked again where the first answer said nothing, and counted either way
    answered = [s for s in server.seen if s["body"]]
    assert record["cost"]["requests"] > 144
    assert record["cost"]["prompt_tokens"] == 100 * record["cost"]["requests"]
    price = record["cost"]["requests"] * (100 * 2.0 + 10 * 10.0) / 1e6
    assert record["cost"]["price"] == pytest.approx(price)
    assert record["cost_estimated"]["requests"] == 144
    assert len({s["body"]["seed"] for s in answered}) > 3
    _agrees_with_people(record["agreement_with_human"], found, human)
    assert record == {
        k: v
        for k, v in json.loads((out / "judge.json").read_text()).items()
        if k not in ("made_by", "dataset")
    }
    assert not (tmp_path / "judged.partial").exists()


def _agrees_with_people(
    agreement: dict[str, Any], found: pl.DataFrame, human: pl.DataFrame
) -> None:
    both = found.join(human, on=["query_id", "doc_id"], suffix="_human")
    nearest = [min((abs(g - s), g) for g in (0, 1, 2, 3))[1] for s in both["score"]]
    given = both["score_human"].cast(pl.Int64).to_list()
    for name in ("quadratic", "linear"):
        expected = cohen_kappa_score(given, nearest, weights=name, labels=[0, 1, 2, 3])
        assert agreement[f"{name}_kappa"] == pytest.approx(expected)
    assert agreement["quadratic_kappa"] > 0.7
    assert sum(map(sum, agreement["confusion"])) == agreement["pairs"] == both.height


def test_photos_are_sent_small(
    server: MisbehavingServer, shop: RankingDataset, tmp_path: Path
) -> None:
    pairs = pl.DataFrame({"query_id": ["q0", "q0"], "doc_id": ["d2", "d3"]})
    rubric = load_rubric(tmp_path / "rubric.toml")
    settings = JudgeSettings(votes=1, image_side=16)
    judge(shop, pairs, rubric, endpoint(server), tmp_path / "a", settings=settings, limits=QUICK)
    contents = [s["body"]["messages"][1]["content"] for s in server.seen]
    assert all("exact" in s["body"]["messages"][0]["content"] for s in server.seen)
    photos = [p for c in contents if not isinstance(c, str) for p in c if "image_url" in p]
    assert photos
    head, _, data = photos[0]["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (16, 16)
    server.seen.clear()
    settings = JudgeSettings(votes=1, image_side=0)
    judge(shop, pairs, rubric, endpoint(server), tmp_path / "b", settings=settings, limits=QUICK)
    assert all(isinstance(s["body"]["messages"][1]["content"], str) for s in server.seen)


def test_killed_twenty_times_it_is_the_same(shop: RankingDataset, tmp_path: Path) -> None:
    chance = random.Random(3)
    rubric = tmp_path / "rubric.toml"

    def words(out: str) -> list[str]:
        options = ["--rubric", str(rubric), "--endpoint", f"{running.url}/v1", "--model", "tiny"]
        more = ["--requests-per-second", "1000", "--concurrency", "2", "--human", "dataset"]
        return ["judge", str(shop.root), str(tmp_path / out), *options, *more]

    with (
        serving(ROUTES) as running,
        killable_commands(
            "rankfield.judging", "rankfield.validate", "rankfield.web.client"
        ) as start,
    ):
        assert start(*words("whole")).wait() == 0
        tries = len(running.seen)
        running.seen.clear()
        running.counts.clear()
        for _ in range(20):
            run = start(*words("killed"))
            goal = len(running.seen) + chance.randint(1, 6)
            while len(running.seen) < goal and run.is_running():
                time.sleep(0.001)
            time.sleep(chance.random() * 0.01)
            assert run.kill() == -9
            assert not (tmp_path / "killed").exists()
        assert start(*words("killed")).wait() == 0
        assert len(running.seen) <= tries + 20 * 2
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for name in ("judgments.parquet", "votes.parquet", "judge.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
    assert sorted(p.name for p in tmp_path.iterdir() if "killed" in p.name) == ["killed"]


def test_money_is_not_spent_unasked(
    server: MisbehavingServer, shop: RankingDataset, tmp_path: Path
) -> None:
    rubric, pairs = load_rubric(tmp_path / "rubric.toml"), choose_pairs(shop)
    dear = JudgeSettings(prices=Prices(1000.0, 1000.0), max_cost=1.0)
    with pytest.raises(InputError, match=r"the estimate, .* is above 1"):
        judge(shop, pairs, rubric, endpoint(server), tmp_path / "a", settings=dear, limits=QUICK)
    assert server.seen == []
    # photo tokens and texts are estimated too low here: the bound holds while it runs
    wrong = JudgeSettings(prices=Prices(0.0, 1000.0), max_cost=9.0)
    cheap = Limits(**QUICK.model_dump() | {"concurrency": 1})

    def talkative(handler: Handler, count: int) -> None:
        usage = {"prompt_tokens": 1, "completion_tokens": 600}
        message = {"message": {"content": '{"grade": 1}'}}
        handler.json({"choices": [message], "usage": usage})

    with serving({"/v1/chat/completions": talkative}) as other:
        with pytest.raises(RemoteError, match=r"9\.00 is spent") as raised:
            judge(
                shop, pairs, rubric, endpoint(other), tmp_path / "b", settings=wrong, limits=cheap
            )
        assert len(other.seen) == 15
        assert "Nothing is lost" in raised.value.remedy
        more = JudgeSettings(prices=Prices(0.0, 1000.0), max_cost=1000.0)
        judge(shop, pairs, rubric, endpoint(other), tmp_path / "b", settings=more, limits=cheap)
        assert len(other.seen) == 144


def test_refusals_and_failures(shop: RankingDataset, tmp_path: Path) -> None:
    rubric, pairs = load_rubric(tmp_path / "rubric.toml"), choose_pairs(shop, per_query=1)
    limits = Limits(**QUICK.model_dump() | {"retries": 1, "give_up_after": 50})
    once = JudgeSettings(votes=1)

    def picky(handler: Handler, count: int) -> None:
        if "query: product c" in json.dumps(handler.body):
            handler.json({"error": "content filter"}, status=400)
        elif "query: product d" in json.dumps(handler.body) and ok.is_set() is False:
            handler.json({"odd": True})
        else:
            handler.json({"choices": [{"message": {"content": "2"}}]})

    ok = threading.Event()
    with serving({"/v1/chat/completions": picky}) as server:
        place: Any = (shop, pairs, rubric, endpoint(server), tmp_path / "out")
        with pytest.raises(RemoteError, match=r"1 of 6 votes failed.*choices\[0\]"):
            judge(*place, settings=once, limits=limits)
        ok.set()
        record = judge(*place, settings=once, limits=limits)
    assert (record["judged"], record["missing_votes"]) == (5, 1)
    assert record["cost"]["answers_without_usage"] == 5
    votes = pl.read_parquet(tmp_path / "out" / "votes.parquet")
    assert "content filter" in votes.filter(pl.col("grade").is_null())["answer"][0]
    with (
        serving({"/v1/": lambda h, _: h.json({}, status=401)}) as closed,
        pytest.raises(RemoteError, match="401") as raised,
    ):
        judge(shop, pairs, rubric, endpoint(closed), tmp_path / "x", settings=once, limits=limits)
    assert "--key-env" in raised.value.remedy


def test_an_endpoint_that_refuses_a_setting(shop: RankingDataset, tmp_path: Path) -> None:
    rubric, pairs = load_rubric(tmp_path / "rubric.toml"), choose_pairs(shop, per_query=1)

    def strict(handler: Handler, count: int) -> None:
        body: Any = handler.body
        if "seed" in body or body.get("top_k") != 1:
            handler.json({"error": "unknown key"}, status=422)
        else:
            handler.json({"choices": [{"message": {"content": "2"}}]})

    with serving({"/v1/chat/completions": strict}) as server:
        place: Any = (shop, pairs.head(2), rubric)
        asked = endpoint(server)
        for out in (tmp_path / "out", tmp_path / "out"):  # nothing is noted as refused for good
            with pytest.raises(RemoteError, match="every vote is refused") as raised:
                judge(*[*place, asked, out], settings=JudgeSettings(votes=1), limits=QUICK)
        assert "--no-seed" in raised.value.remedy
        assert len(server.seen) == 4
        asked = endpoint(server, send_seed=False, extra={"top_k": 1})
        record = judge(*[*place, asked, tmp_path / "out"], limits=QUICK)
    assert (record["judged"], record["missing_votes"]) == (2, 0)


def test_keys_stay_in_the_environment(
    server: MisbehavingServer, shop: RankingDataset, tmp_path: Path, monkeypatch: Any
) -> None:
    rubric, pairs = load_rubric(tmp_path / "rubric.toml"), choose_pairs(shop, per_query=1)
    shop.score_scale = ScoreScale(1, 3, 2)
    said: list[str] = []
    keyed = endpoint(server, key_env="JUDGE_KEY")
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(InputError, match="JUDGE_KEY should hold the key"):
        judge(shop, pairs, rubric, keyed, tmp_path / "out", limits=QUICK)
    monkeypatch.setenv("JUDGE_KEY", "s3cr3t")
    judge(shop, pairs, rubric, keyed, tmp_path / "out", limits=QUICK, report=said.append)
    assert any("leave the data set's scale, 1 to 3" in text for text in said)
    assert server.seen[0]["headers"]["authorization"] == "Bearer s3cr3t"
    kept = b"".join(p.read_bytes() for p in (tmp_path / "out").iterdir())
    assert b"s3cr3t" not in kept


def test_the_judgments_are_used_by_a_recipe(
    server: MisbehavingServer, shop: RankingDataset, tmp_path: Path
) -> None:
    rubric = load_rubric(tmp_path / "rubric.toml")
    judge(shop, choose_pairs(shop), rubric, endpoint(server), tmp_path / "out", limits=QUICK)
    source = JudgmentSource(path=str(tmp_path / "out" / "judgments.parquet"), map="none")
    both = add_judgments(shop.judgments, [source], shop)
    assert both.height == 48
    assert read_table(Path(source.path)).frame["score"].is_between(0, 3).all()


def test_the_command_line(
    server: MisbehavingServer,
    shop: RankingDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    code, out, _ = run("judge", "--example-rubric")
    assert (code, out) == (0, RUBRIC_TEMPLATE)
    asked = ["--rubric", tmp_path / "rubric.toml", "--endpoint", server.url + "/v1"]
    asked += ["--model", "tiny", "--requests-per-second", 1000, "--price-in", 1]
    code, out, _ = run("judge", shop.root, tmp_path / "o", *asked, "--dry-run")
    assert code == 0
    assert "<query>\nquery: product a\n</query>" in out
    assert "48 pairs; estimate: 144 requests" in out
    assert server.seen == []
    code, out, _ = run("judge", shop.root, tmp_path / "o", *asked, "--human", "dataset")
    assert code == 0
    assert "48 of 48 pairs judged" in out
    assert "agreement with people: pairs 48, kendall tau 0." in out
    for words, message in (
        ([shop.root, tmp_path / "o", *asked], "already exists"),
        ([shop.root], "expected a data set and an output folder"),
        ([shop.root, tmp_path / "p"], "expected --rubric"),
        ([shop.root, tmp_path / "p", *asked, "--cross-encoder", "x"], "and --rubric"),
        ([shop.root, tmp_path / "p", "--cross-encoder", "x", "--dry-run"], "and --dry-run"),
        ([shop.root, tmp_path / "p", *asked, "--human", tmp_path / "no.csv"], "no such file"),
    ):
        code, _, err = run("judge", *words)
        assert code == 2
        assert message in err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("step", ["write_json", "clear"])
def test_killed_while_writing_it_is_the_same(
    server: MisbehavingServer,
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    step: str,
) -> None:
    from rankfield.judging import record

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    rubric, pairs = load_rubric(tmp_path / "rubric.toml"), choose_pairs(shop, per_query=1)
    whole = judge(shop, pairs, rubric, endpoint(server), tmp_path / "whole", limits=QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(record if step == "write_json" else WorkFolder, step, kill)
        with pytest.raises(Killed):
            judge(shop, pairs, rubric, endpoint(server), tmp_path / "out", limits=QUICK)
    assert (tmp_path / "out").exists() == (step == "clear")
    before = len(server.seen)
    assert judge(shop, pairs, rubric, endpoint(server), tmp_path / "out", limits=QUICK) == whole
    assert len(server.seen) == before
    assert not (tmp_path / "out.partial").exists()
    for name in ("judgments.parquet", "votes.parquet", "judge.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        judge(shop, pairs, rubric, endpoint(server), tmp_path / "out", limits=QUICK)


def test_what_exists_is_left_alone(
    server: MisbehavingServer, shop: RankingDataset, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        judge(
            shop,
            choose_pairs(shop),
            load_rubric(tmp_path / "rubric.toml"),
            endpoint(server),
            tmp_path / "out",
        )
    assert server.seen == []


def test_a_rubric_of_other_fields(
    server: MisbehavingServer, shop: RankingDataset, tmp_path: Path
) -> None:
    path = tmp_path / "rubric.toml"
    path.write_text(RUBRIC_TEMPLATE.replace("# document_fields", "document_fields"))
    load_rubric(path)
    path.write_text('document_fields = ["titel"]\n' + RUBRIC_TEMPLATE)
    with pytest.raises(InputError, match="names the field 'titel', which the documents lack"):
        judge(shop, choose_pairs(shop), load_rubric(path), endpoint(server), tmp_path / "out")
