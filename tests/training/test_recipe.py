from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest
import tomli_w

from rankfield.errors import InputError, RecipeError
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.training import Recipe, load_recipe, parse_recipe
from rankfield.training.objective import LossSection
from rankfield.training.sources import JudgmentSource
from rankfield.training.template import recipe_text
from training_data import tiny_shop


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "my.toml"
    path.write_text('name = "mine"\n[optimizer]\nsteps = 7\n[data]\ndataset = "shop"\n')
    return path


@pytest.mark.parametrize(
    ("values", "place", "remedy"),
    [
        ({"sed": 1}, "recipe, sed", "Did you mean 'seed'?"),
        ({"optimiser": {}}, "recipe, optimiser", "Did you mean 'optimizer'?"),
        (
            {"optimizer": {"learning_rat": 1.0}},
            "recipe, optimizer.learning_rat",
            "Did you mean 'learning_rate'?",
        ),
        ({"data": {"min_score": 1.0}}, "recipe, data.min_score", "Did you mean 'minimum_score'?"),
        ({"encoder": {"text_modle": "x"}}, "encoder.text_modle", "Did you mean 'text_model'?"),
        ({"loss": {"wieght": "log"}}, "recipe, loss.wieght", "Did you mean 'weight'?"),
        (
            {"batch": {"bananas": 1}},
            "recipe, batch.bananas",
            "Known keys: size, documents_per_query, choice, more_queries, similar_queries, "
            "micro_tokens, micro_images, gradient_cache, gradient_checkpointing.",
        ),
        ({"dev": {"evry": 1}}, "recipe, dev.evry", "Did you mean 'every'?"),
        (
            {"negatives": {"refresh": 1}},
            "recipe, negatives.refresh",
            "Did you mean 'refresh_every'?",
        ),
        (
            {"judgments": [{"path": "a"}, {"path": "b", "truts": 1.0}]},
            "recipe, judgments.1.truts",
            "Did you mean 'trust'?",
        ),
    ],
)
def test_a_misspelt_key_suggests_the_right_one(
    values: dict[str, Any], place: str, remedy: str
) -> None:
    with pytest.raises(RecipeError, match="unknown key") as caught:
        parse_recipe(values)
    assert place in caught.value.where
    assert caught.value.remedy == remedy


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": {"steps": 0}}, "optimizer.steps: input should be greater than or equal to"),
        ({"optimizer": {"learning_rate": 0.0}}, "greater than 0, found 0.0"),
        ({"optimizer": {"learning_rate": float("nan")}}, "finite number, found nan"),
        ({"optimizer": {"learning_rate": float("inf")}}, "finite number, found inf"),
        ({"optimizer": {"warmup": 1.5}}, "less than or equal to 1, found 1.5"),
        ({"optimizer": {"beta2": 1.0}}, "less than 1"),
        ({"optimizer": {"steps": 1.5}}, "valid integer, found 1.5"),
        ({"optimizer": {"steps": "100"}}, "valid integer, found '100'"),
        ({"optimizer": {"steps": True}}, "valid integer, found True"),
        ({"optimizer": 3}, "recipe, optimizer: input should be a valid dictionary"),
        ({"seed": -1}, "recipe, seed"),
        ({"seed": None}, "recipe, seed"),
        ({"seed": 2**31}, "recipe, seed"),
        (
            {"encoder": {"model": "org/clip"}},
            "recipe, encoder: model has no effect here: it needs encoder.kind = transformers, "
            "sentence-transformers, open-clip or rankfield, and this is of kind small; "
            "leave it out$",
        ),
        (
            {"encoder": {"kind": "open-clip", "model": "a", "pooling": "cls"}},
            "pooling has no effect .* transformers, sentence-transformers or composed, and",
        ),
        (
            {"encoder": {"kind": "transformers", "model": "a", "checkpoint": "a.pt"}},
            "checkpoint has no effect here: it needs encoder.kind = open-clip, and",
        ),
        (
            {"encoder": {"kind": "transformers", "model": "a", "max_tokens": 77}},
            "max_tokens has no effect here: it needs encoder.kind = small or composed, and",
        ),
        (
            {"encoder": {"kind": "composed", "text_model": "a", "text_layers": 2}},
            "text_layers has no effect here: it needs a small text tower, and there is a text_m",
        ),
        (
            {"encoder": {"kind": "composed", "vision_model": "a", "image_size": 32}},
            "image_size has no effect here: it needs a small vision tower",
        ),
        (
            {"encoder": {"kind": "composed", "text_revision": "v1"}},
            "text_revision has no effect here: it needs a text_model",
        ),
        (
            {"loss": {"margin": 0.1, "target": "soft"}},
            "recipe, loss: a margin needs the target mask or ranked, found 'soft'$",
        ),
        (
            {"loss": {"margin": 0.1, "name": "sigmoid"}},
            "recipe, loss: a margin needs another loss.name: .*judged_contrastive.*; "
            "sigmoid has none$",
        ),
        (
            {"loss": {"target": "mask", "name": "listnet"}},
            "recipe, loss: a target other than 'ranked' needs another loss.name: "
            ".*judged_contrastive, sigmoid.*; listnet has none$",
        ),
        (
            {"loss": {"target": "soft", "name": "contrastive"}},
            "a target other than 'ranked' .*; contrastive has none$",
        ),
        (
            {"loss": {"direction": "both", "name": "lambda"}},
            "a direction other than 'query_to_document' needs another loss.name: "
            ".*contrastive, judged_contrastive, sigmoid.*; lambda has none$",
        ),
        (
            {"loss": {"logit_bias": -3.0}},
            "a logit_bias other than -10.0 needs another loss.name: .*sigmoid.*; "
            "judged_contrastive has none$",
        ),
        (
            {"loss": {"name": "sigmod"}},
            "recipe, loss.name: unknown loss 'sigmod'; known losses: .*contrastive.*'sigmoid'",
        ),
        (
            {"loss": {"listwise": "sigmoid"}},
            "loss.listwise: the loss 'sigmoid' is no listwise term; known: none, .*listnet.*$",
        ),
        (
            {"loss": {"listwise_temperature": 0.5}},
            r"recipe, loss: listwise_temperature has no effect here: it needs a listwise term "
            r"\(.*listnet.*\); leave it out$",
        ),
        ({"loss": {"listwise_weight": 0.5}}, "loss: listwise_weight has no effect here"),
        ({"lora": {"alpha": 8.0}}, "lora: alpha has no effect here: it needs a rank above 0"),
        ({"negatives": {"per_query": 2}}, "per_query has no effect here: it needs a file, or"),
        (
            {"negatives": {"file": "n.parquet", "last": 50}},
            "last has no effect here: it needs refresh_every above 0",
        ),
        ({"loss": {"listwise": "lamda"}}, "loss.listwise: unknown loss 'lamda'.*'lambda'"),
        (
            {"loss": {"name": "lambda", "parameters": {"schem": 1}}},
            "recipe, loss: the loss 'lambda' has no parameter 'schem'; it has scheme$",
        ),
        (
            {"loss": {"name": "lambda", "parameters": {"scheme": "x"}}},
            "recipe, loss: expected the scheme lambdarank, ndcg2 or",
        ),
        (
            {"loss": {"name": "listnet", "reduction": "batchmean"}},
            "recipe, loss: expected the reduction mean, sum or none, found 'batchmean'$",
        ),
        ({"loss": {"reduction": "none"}}, "loss.reduction: input should be 'mean', 'batchmean'"),
        ({"loss": {"normaliser": "total"}}, "loss.reduction: input should be .* found 'total'"),
        (
            {"loss": {"target": "pair"}, "negatives": {"refresh_every": 5}},
            "recipe: hard negatives need a loss.name and target that know the judgments$",
        ),
        (
            {"loss": {"name": "contrastive"}, "negatives": {"refresh_every": 5}},
            "recipe: hard negatives need a loss.name and target that know the judgments$",
        ),
        ({"name": 3}, "valid string, found 3"),
        ({"precision": "fp8"}, "'fp32', 'bf16', 'fp16' or 'auto', found 'fp8'"),
        ({"batch": {"size": 1}}, "recipe, batch.size"),
        ({"data": {"augment": "yes"}}, "valid boolean, found 'yes'"),
        ({"data": {"query_weights": {"query": "big"}}}, "data.query_weights.query: input should"),
        ({"data": {"workers": -1}}, "data.workers"),
        ({"encoder": {"text_width": 33}}, "multiple of 32"),
        ({"encoder": {"freeze": ["txt"]}}, "encoder.freeze.0: input should be 'text' or 'vision'"),
        ({"encoder": {"freeze": "text"}}, "valid list, found 'text'"),
        ({"optimizer": {"layer_decay": 0.0}}, "optimizer.layer_decay: .*greater than 0"),
        ({"optimizer": {"unfreeze_over": 1.1}}, "optimizer.unfreeze_over"),
        ({"lora": {"targets": []}}, "lora.targets: list should have at least 1 item"),
        ({"lora": {"towers": ["audio"]}}, "lora.towers.0: input should be 'text' or 'vision'"),
        ({"average": {"ema": 1.0}}, "average.ema: input should be less than 1"),
        ({"average": {"wise": [0.5, 1.5]}}, "average.wise.1: .*less than or equal to 1"),
        ({"loss": {"matryoshka": [0]}}, "loss.matryoshka.0: .*greater than or equal to 1"),
        ({"negatives": {"per_query": 0}}, "negatives.per_query"),
        ({"negatives": {"relative_margin": 1.5}}, "negatives.relative_margin"),
        ({"judgments": [{}]}, "judgments.0.path: this key is missing"),
        ({"judgments": [{"path": ""}]}, "judgments.0.path: string should have at least 1"),
        ({"judgments": [{"path": "a", "trust": 0.0}]}, "judgments.0.trust: .* greater than 0"),
        ({"judgments": [{"path": "a", "trust": 1.5}]}, "judgments.0.trust: .* less than or equal"),
        ({"judgments": [{"path": "a", "map": "log"}]}, "judgments.0.map"),
        ({"judgments": {"path": "a"}}, "judgments: input should be a valid list"),
        ({"dev": {"splits": []}}, "dev.splits: list should have at least 1 item"),
        ({"dev": {"splits": ["train"]}}, "dev.splits.0"),
        ({"seed": -1, "name": 3}, r"\(1 more\)"),
    ],
)
def test_values_out_of_range_and_of_the_wrong_type(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(values)


def test_whole_numbers_serve_as_floats() -> None:
    assert parse_recipe({"optimizer": {"learning_rate": 1}}).optimizer.learning_rate == 1.0


def test_a_recipe_survives_json() -> None:
    recipe = parse_recipe({"seed": 3, "data": {"query_weights": {"query": 0.3}}})
    assert parse_recipe(json.loads(json.dumps(recipe.model_dump(mode="json")))) == recipe
    assert parse_recipe({}) == Recipe()


@pytest.mark.parametrize(
    ("override", "section", "key", "expected"),
    [
        ("optimizer.steps=12", "optimizer", "steps", 12),
        ("optimizer.learning_rate=3e-4", "optimizer", "learning_rate", 3e-4),
        ("optimizer.learning_rate = 1", "optimizer", "learning_rate", 1.0),
        ("loss.weight=log", "loss", "weight", "log"),
        ('loss.weight="log"', "loss", "weight", "log"),
        ("loss.weight=my.module:function", "loss", "weight", "my.module:function"),
        ("encoder.query_prefix=query: ", "encoder", "query_prefix", "query: "),
        ("encoder={kind = 'transformers', model = 'a=b'}", "encoder", "model", "a=b"),
        ("encoder.document_prefix=a=b", "encoder", "document_prefix", "a=b"),
        ("encoder.model=", "encoder", "model", ""),
        ("data.augment=true", "data", "augment", True),
        ('dev.splits=["zero_shot"]', "dev", "splits", ["zero_shot"]),
        ("encoder.freeze=['text', 'vision']", "encoder", "freeze", ["text", "vision"]),
        ("data.query_weights.query=0.5", "data", "query_weights", {"query": 0.5}),
        ('data.query_weights."a b.c"=0.5', "data", "query_weights", {"a b.c": 0.5}),
        ("data.query_weights={a = 1, b = 2.5}", "data", "query_weights", {"a": 1, "b": 2.5}),
        (
            "loss.weight_parameters.points=[[0, 1]]",
            "loss",
            "weight_parameters",
            {"points": [[0, 1]]},
        ),
    ],
)
def test_overrides(written: Path, override: str, section: str, key: str, expected: object) -> None:
    recipe = load_recipe(written, [override], allow_code=":function" in override)
    assert getattr(getattr(recipe, section), key) == expected
    assert recipe.name == "mine"
    assert recipe.optimizer.steps == (12 if "steps" in override else 7)


def test_overrides_apply_in_order_and_may_be_any_iterable(written: Path) -> None:
    overrides: Iterable[str] = iter(["seed=1", "name=x", "seed=2"])
    assert load_recipe(written, overrides).seed == 2


FORMER = """
[loss]
direction = "columns"
form = "sigmoid"
normaliser = "count"
"""


def test_recipes_of_earlier_versions_are_read(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with written.open("a") as file:
        file.write(FORMER)
    loss = load_recipe(written).loss
    assert loss == LossSection(name="sigmoid", direction="document_to_query", reduction="batchmean")
    assert capsys.readouterr().err == (
        f"note: {written}: loss.direction = 'columns' is now 'document_to_query'; "
        "loss.form = 'sigmoid' is now loss.name = 'sigmoid'; "
        "loss.normaliser = 'count' is now loss.reduction = 'batchmean'\n"
    )
    assert load_recipe(written, ["loss.direction=both"]).loss.direction == "both"


def test_former_words_of_overrides_come_before_what_the_recipe_says(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with written.open("a") as file:
        file.write('[loss]\nreduction = "sum"\nname = "sigmoid"\n')
    overrides = ["loss.normaliser=weights", "loss.direction=rows", "loss.form=softmax"]
    assert load_recipe(written, overrides).loss == LossSection()
    assert capsys.readouterr().err.splitlines() == [
        "note: --set loss.normaliser=weights: loss.normaliser = 'weights' is now "
        "loss.reduction = 'mean'",
        "note: --set loss.direction=rows: loss.direction = 'rows' is now 'query_to_document'",
        "note: --set loss.form=softmax: loss.form = 'softmax' is now "
        "loss.name = 'judged_contrastive'",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", r"expected section\.key=value, found 'steps'"),
        ("=3", "expected section.key=value"),
        ("a..b=3", "is not a TOML key"),
        ("a b=3", "is not a TOML key"),
        ("optimizer.stps=3", r"Did you mean 'steps'\?"),
        ("optimizer.steps=many", "valid integer, found 'many'"),
        ("name.first=3", "'name' is a value, not a section"),
        ("optimizer=3", "valid dictionary"),
    ],
)
def test_broken_overrides(written: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(written, [override])


def test_where_the_data_set_lies(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_recipe(written).data.dataset == str(tmp_path / "shop")
    for override in ("data.dataset=other", "data.dataset = 'other'", "data={dataset='other'}"):
        found = load_recipe(written, iter([override])).data.dataset
        assert found == str(elsewhere / "other"), override
    assert load_recipe(written, ["data.dataset="]).data.dataset == ""
    written.write_text('[data]\ndataset = "/whole/path"\n')
    assert load_recipe(written).data.dataset == "/whole/path"
    written.write_text("data = 3")
    with pytest.raises(RecipeError, match="valid dictionary"):
        load_recipe(written)


def test_where_other_files_lie(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with written.open("a") as file:
        file.write('[negatives]\nfile = "n.parquet"\n[[judgments]]\npath = "a.csv"\n')
        file.write('[[judgments]]\npath = "/whole/b.csv"\ntrust = 1\nmap = "none"\n')
    recipe = load_recipe(written)
    assert recipe.negatives.file == str(tmp_path / "n.parquet")
    assert [one.path for one in recipe.judgments] == [str(tmp_path / "a.csv"), "/whole/b.csv"]
    other = load_recipe(written, ["negatives.file=m.parquet", "judgments=[{path = 'c.csv'}]"])
    assert other.negatives.file == str(elsewhere / "m.parquet")
    assert [(one.path, one.trust, one.map) for one in other.judgments] == [
        (str(elsewhere / "c.csv"), 0.5, "ranks")
    ]
    # The run's own recipe, as training writes it, says the same from anywhere.
    own = tmp_path / "run.toml"
    own.write_text(tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)))
    assert load_recipe(own) == recipe


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: there is no such file.*rankfield recipe"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path)
    broken = tmp_path / "broken.toml"
    for content in (b"seed = ", b"seed = 1\nseed = 2"):
        broken.write_bytes(content)
        with pytest.raises(RecipeError, match=r"broken\.toml: not valid TOML"):
            load_recipe(broken)
    broken.write_bytes(b"\xff\xfes\x00")
    with pytest.raises(RecipeError, match=r"broken\.toml, row 1: not valid TOML \(.*UTF-16"):
        load_recipe(broken)
    broken.write_bytes(b"seed = 1\nname = '\xe9'\n")
    with pytest.raises(RecipeError, match=r"row 2: not valid TOML \(not UTF-8: byte 0xe9 at posi"):
        load_recipe(broken)


# ---- the printed recipe ------------------------------------------------------------------------


def renamed(data: RankingDataset, folder: Path, name: str, field: str) -> RankingDataset:
    """The same data under another name and with another name of its title."""
    title = next(f for f in data.document_fields if f.name == "title")
    others = [f for f in data.document_fields if f is not title]
    return RankingDataset(
        name=name,
        query_fields=data.query_fields,
        document_fields=(*others, Field(field, "text", 0.25)),
        score_scale=ScoreScale(0, 3.5, 2, meaning="how\nwell\tit fits # 'really'"),
        queries=data.queries,
        documents=data.documents.rename({"title": field}),
        judgments=data.judgments,
    ).save(folder)


@pytest.mark.parametrize("photos", [True, False])
@pytest.mark.parametrize(
    "field", ["title", "product name", 'a "quoted" one', "dotted.name", "größe", "x = 1 # no"]
)
@pytest.mark.parametrize("folder", ["plain", "with 'quotes\" and spaces # [x]"])
def test_the_printed_recipe_parses_back(
    tmp_path: Path, photos: bool, field: str, folder: str
) -> None:
    source = tiny_shop(tmp_path / "source", photos=photos, copies=2)
    data = renamed(source, tmp_path / folder, "my\nshop \x07 # 1", field)
    path = tmp_path / "printed.toml"
    path.write_text(recipe_text(data), "utf-8")
    recipe = load_recipe(path)
    assert recipe.data.dataset == str(tmp_path / folder)
    assert recipe.data.query_weights == {"query": 1.0}
    expected = ({"image": 0.5} if photos else {}) | {field: 0.25}
    assert recipe.data.document_weights == expected
    fitted = {"data", "batch", "optimizer", "dev"}
    short = LossSection(direction="both", logit_scale=30, margin_mse=30)
    defaults = Recipe(name="ranked", loss=short).model_dump(exclude=fitted)
    assert recipe.model_dump(exclude=fitted) == defaults
    assert recipe.batch.documents_per_query == 1
    assert 2 <= recipe.batch.size <= len(data.training_judgments()) / 4


@pytest.mark.parametrize("poor", [0.0, -1.0])
@pytest.mark.parametrize(("listed", "together"), [(19, 1), (20, 4)])
def test_short_lists_are_trained_on_pair_by_pair(
    tmp_path: Path, listed: int, together: int, poor: float
) -> None:
    grades = [1.0] * listed + [0.0] + [poor] * (29 - listed)
    rows = [(f"q{q}", f"d{d}", grades[d]) for q in range(4) for d in range(30)]
    data = RankingDataset(
        name="lists",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(poor, 1, 1, gain_floor=0),
        queries=pl.DataFrame({"query_id": [f"q{q}" for q in range(4)], "query": ["a"] * 4}),
        documents=pl.DataFrame({"doc_id": [f"d{d}" for d in range(30)], "title": ["b"] * 30}),
        judgments=pl.DataFrame(rows, ["query_id", "doc_id", "score"], orient="row"),
    ).save(tmp_path / "lists")
    for method in ("ranked", "gcl", "clip"):
        recipe = parse_recipe(tomllib.loads(recipe_text(data, method=method)))
        plain = method != "ranked"
        assert recipe.name == method
        assert recipe.batch.documents_per_query == (1 if plain else together)
        assert recipe.loss.direction == ("both" if plain or together == 1 else "query_to_document")
        assert recipe.loss.target == ("pair" if plain else "ranked")


def test_every_key_is_printed_and_explained(tmp_path: Path) -> None:
    data = tiny_shop(tmp_path / "shop", copies=2)
    text = recipe_text(data, method="clip")
    # The keys without a value stand there as comments, and so does a table of a list.
    for key in ("minimum_score", "text_learning_rate", "margin"):
        assert f"# {key} =" in text
        text = text.replace(f"# {key} =", f"{key} = 1.0")
    for key in ("query_prefix", "document_prefix"):
        assert f"# {key} =" in text
        text = text.replace(f"# {key} =", f"{key} = 'a: '")
    for line in ("[[judgments]]", "path =", "trust =", "map ="):
        assert f"\n# {line}" in text
        text = text.replace(f"\n# {line}", f"\n{line}")
    values = tomllib.loads(text)
    # The margin needs negatives, which the method has not.
    found = parse_recipe({**values, "negatives": {}})
    assert found.judgments == [JudgmentSource(path="…")]
    assert (values["name"], values["loss"]["weight"]) == ("clip", "constant")
    for name, info in Recipe.model_fields.items():
        section: Any = info.annotation
        section = next(iter(get_args(section)), section)
        keys = getattr(section, "model_fields", None)
        assert name in values
        stated = values[name][0] if name == "judgments" else values[name]
        assert keys is None or set(stated) == set(keys)


def test_recipes_that_cannot_be_printed(tmp_path: Path) -> None:
    data = tiny_shop(tmp_path / "shop", copies=2)
    with pytest.raises(RecipeError, match=r"Did you mean 'inverse'\?"):
        recipe_text(data, weight="invers")
    with pytest.raises(RecipeError, match=r"method 'ranke': unknown.*Did you mean 'ranked'\?"):
        recipe_text(data, method="ranke")
    data.root = None
    with pytest.raises(InputError, match="has no folder"):
        recipe_text(data)


def test_the_printed_batch_fits_the_pairs_that_weigh_anything(tmp_path: Path) -> None:
    data = tiny_shop(tmp_path / "shop", copies=2)
    wrong = pl.when(pl.int_range(pl.len()).over("query_id") > 0).then(0.0).otherwise("score")
    few = data.with_tables(judgments=data.judgments.with_columns(score=wrong))
    few.root = data.root
    queries = few.training_judgments().filter(pl.col("score") > 0).height
    assert few.training_judgments().height // 4 > queries // 4
    assert parse_recipe(tomllib.loads(recipe_text(few))).batch.size == max(2, queries // 4)
