"""A model goes to the hub whole, goes on after an interruption, and nothing private goes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from hub_server import TOKEN, HubServer, hub
from rankfield import push
from rankfield.cli.main import app
from rankfield.errors import InputError, ModelError, RankfieldError, RemoteError
from rankfield.publishing.pushing import push_plan

# what the hub's library does with its own HTTP client
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")

LARGE = 1_100_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with hub() as running:
        yield running


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of the form that `save` writes; what is in the weights makes no difference."""
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    recipe = {"seed": 3, "data": {"dataset": "shop"}, "encoder": {"model": "./clip"}}
    header = {"format": 1, "name": "gcl", "made": {"recipe": recipe, "step": 7}}
    (folder / "rankfield.json").write_text(json.dumps(header), "utf-8")
    (folder / "config.json").write_text(
        json.dumps({"_name_or_path": "/somewhere/base", "layers": [{"name_or_path": "C:\\b\\c"}]})
    )
    (folder / "model.safetensors").write_bytes(b"a" * LARGE)
    (folder / "text").mkdir()
    (folder / "text" / "model.safetensors").write_bytes(b"b" * LARGE)
    return folder


def test_a_model_goes_whole_in_one_commit(server: HubServer, model: Path) -> None:
    (model / ".cache").mkdir()
    (model / ".cache" / "notes.json").write_text("{}")
    (model / "titles.parquet").write_bytes(b"rows")
    (model / "shot.png").write_bytes(b"image")
    card = model.parent / "card.md"
    card.write_text("---\n{}\n---\n# gcl\n", "utf-8")
    done = push(model, "me/shop", card=card, private=True, endpoint=server.url)
    repository = server.repositories["me/shop"]
    assert repository.private
    assert repository.commits == 1
    assert done.url.startswith(f"{server.url}/me/shop/commit/")
    there = repository.branches["main"]
    assert sorted(there) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "rankfield.json",
        "recipe.toml",
        "text/model.safetensors",
    ]
    assert sorted(done.left_out) == [".cache/notes.json", "shot.png", "titles.parquet"]
    assert server.objects[str(there["model.safetensors"])] == b"a" * LARGE
    config = json.loads(there["config.json"])
    assert config == {"_name_or_path": "./base", "layers": [{"name_or_path": "./c"}]}
    assert b"seed = 3" in bytes(there["recipe.toml"])  # type: ignore[arg-type]
    assert there["README.md"] == card.read_bytes()


def test_a_saved_model_gets_a_card(model: Path) -> None:
    header = json.loads((model / "rankfield.json").read_text("utf-8"))
    header["document_fields"] = [{"name": "title", "modality": "text", "weight": 0.1}]
    (model / "rankfield.json").write_text(json.dumps(header), "utf-8")
    found = {file.name: file for file in push_plan(model, "me/shop").files}
    card = found["README.md"].read().decode()
    assert 'snapshot_download("me/shop")' in card
    assert "# gcl" in card
    assert "seed = 3" in card
    assert "| title | text | 0.1 |" in card
    (model / "README.md").write_text("own", "utf-8")
    found = {file.name: file for file in push_plan(model, "me/shop").files}
    assert found["README.md"].read() == b"own"


def test_an_interrupted_push_goes_on(server: HubServer, model: Path) -> None:
    server.refused = [("/lfs/", 403, "no"), ("/api/models/me/shop/commit", 400, "not now")]
    with pytest.raises(RemoteError, match=r"Error while uploading 'model\.safetensors'"):
        push(model, "me/shop", endpoint=server.url)
    assert server.repositories["me/shop"].branches["main"] == {}
    with pytest.raises(RemoteError, match="Run the same again"):
        push(model, "me/shop", endpoint=server.url)
    assert server.repositories["me/shop"].branches["main"] == {}
    assert server.stored == 3  # refused once, then both
    push(model, "me/shop", endpoint=server.url)
    assert server.stored == 3
    assert "model.safetensors" in server.repositories["me/shop"].branches["main"]


def test_the_chunked_protocol_of_the_hub_works_too(
    server: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    push(model, "me/shop", endpoint=server.url, revision="second")
    branches = server.repositories["me/shop"].branches
    assert branches["main"] == {}
    assert "text/model.safetensors" in branches["second"]
    assert server.xorbs
    assert not server.objects


def test_a_dry_run_asks_nobody(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    done = CliRunner().invoke(app, ["push", str(model), "me/shop", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert f"{LARGE:,}  text/model.safetensors" in done.stdout
    assert "would go to https://huggingface.co/me/shop, branch main" in done.stdout
    assert "There is no proof" in done.stderr
    assert TOKEN not in done.output


def test_the_command_pushes(server: HubServer, model: Path) -> None:
    done = CliRunner().invoke(app, ["push", str(model), "me/shop", "--endpoint", server.url])
    assert done.exit_code == 0, done.output
    assert f"{server.url}/me/shop/commit/" in done.stdout
    assert server.repositories["me/shop"].commits == 1


def test_the_token_is_in_no_message(
    server: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN + "x")  # the server repeats what it got
    with caplog.at_level("DEBUG"), pytest.raises(RemoteError) as refused:
        push(model, "me/shop", endpoint=server.url)
    assert TOKEN not in str(refused.value)
    assert "hf auth login" in str(refused.value)
    assert TOKEN not in caplog.text


def test_there_must_be_a_token(
    server: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(InputError, match="HF_TOKEN"):
        push(model, "me/shop", endpoint=server.url)
    assert not server.requests


def test_a_public_repository_is_not_taken_for_a_private_one(server: HubServer, model: Path) -> None:
    push(model, "me/shop", private=False, endpoint=server.url)
    with pytest.raises(InputError, match="exists and is public"):
        push(model, "me/shop", private=True, endpoint=server.url)
    assert server.repositories["me/shop"].commits == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see {folder}/log.jsonl", "names a place"),
        ("trained in /home/somebody/shop", "names a place"),
        ('{{"path": "C:\\\\Users\\\\me\\\\shop"}}', "names a place"),
        ("token {key}", "holds a key"),
        ("key of the shop: {other}", "holds a key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "holds a key"),
    ],
)
def test_places_and_keys_are_refused(
    server: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "opensesame-123456")
    filled = text.format(folder=model, key=TOKEN, other="opensesame-123456")
    (model / "README.md").write_text(filled, "utf-8")
    with pytest.raises(InputError, match=said) as refused:
        push(model, "me/shop", endpoint=server.url)
    assert "README.md" in str(refused.value)
    assert TOKEN not in str(refused.value)
    assert "opensesame" not in str(refused.value)
    assert not server.requests


def test_harmless_texts_are_not_refused(model: Path) -> None:
    text = "weights in text/model.safetensors, https://example.org/home/page, /model"
    (model / "README.md").write_text(text, "utf-8")
    assert "README.md" in {file.name for file in push_plan(model, "me/shop").files}


@pytest.mark.parametrize(
    ("arguments", "options", "kind"),
    [
        (("run", "me/shop"), {}, ModelError),  # its folder `model` is meant
        (("nowhere", "me/shop"), {}, ModelError),
        (("run/model", "shop"), {}, InputError),
        (("run/model", "me/../shop"), {}, InputError),
        (("run/model", "me/shop"), {"endpoint": "http://hub.example.org"}, InputError),
        (("run/model", "me/shop"), {"endpoint": "ftp://hub.example.org"}, InputError),
        (("run/model", "me/shop"), {"endpoint": "https://me:secret@hub.example.org"}, InputError),
    ],
)
def test_what_cannot_be_pushed_is_said_first(
    model: Path,
    tmp_path: Path,
    arguments: tuple[str, str],
    options: dict[str, Any],
    kind: type[RankfieldError],
) -> None:
    folder, repository = arguments
    with pytest.raises(kind) as refused:
        push_plan(tmp_path / folder, repository, **options)
    assert "secret" not in str(refused.value)


def test_a_link_out_of_the_folder_stays(model: Path, tmp_path: Path) -> None:
    (tmp_path / "private.json").write_text("{}")
    (model / "extra.json").symlink_to(tmp_path / "private.json")
    plan = push_plan(model, "me/shop")
    assert plan.left_out == ("extra.json",)
