"""What runs leave behind, to be changed at random: models, checkpoints, caches, journals, lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import polars as pl

from rankfield.collect.generated import generation_request, prompt_text
from rankfield.collect.images import Images
from rankfield.collect.job import ImagesSection, QueriesSection, example_job, load_job
from rankfield.collect.queries import job_queries
from rankfield.collect.search import Search
from rankfield.judging.rubric import RUBRIC_TEMPLATE, load_rubric
from rankfield.judging.votes import checked_answer, read_vote
from rankfield.training.sources import JudgmentSource
from rankfield.web import Journal, Request
from rankfield.web.chat import ChatEndpoint
from ranking_shop import ranking_shop

if TYPE_CHECKING:
    import torch

    from rankfield.encoders import RankingModel
    from rankfield.schema import RankingDataset

__all__ = ["run_targets"]

Part = tuple[Callable[[Path], object], Callable[[Path], object], int]


def run_targets() -> dict[str, Part]:
    """Return name → what writes the good files, what reads them, and the weight."""
    return {
        "model-composed": (_save_composed, _read_model, 3),
        "model-dual": (_save_dual, _read_model, 3),
        "checkpoint": (_save_checkpoint, _read_checkpoint, 6),
        "manifest": (_save_manifest, _read_manifest, 6),
        "cache": (_save_cache, _read_cache, 3),
        "log": (_save_log, _cut_log, 12),
        "negatives": (_save_negatives, _read_negatives, 6),
        "judgments-csv": (_save_judgments, _read_judgments, 6),
        "journal-votes": (_save_votes, _read_votes, 12),
        "journal-photos": (_save_photos, _read_photos, 12),
        "journal-search": (_save_search, _read_search, 12),
        "journal-queries": (_save_queries, _read_queries, 12),
    }


# ---- models ------------------------------------------------------------------------------------


def _composed(shop: RankingDataset) -> RankingModel:
    import torch

    from rankfield.encoders import RankingModel
    from rankfield.encoders.small import small_encoder
    from rankfield.schema import Field

    torch.manual_seed(0)
    sizes = {"dimension": 8, "width": 16, "layers": 1, "image_size": 16, "image_width": 16}
    encoder = small_encoder(shop.documents["title"], ["text", "image"], **sizes)
    fields = (*shop.document_fields, Field("image", "image"))
    return RankingModel(encoder, shop.query_fields, fields, name="tiny").eval()


def _save_composed(folder: Path) -> None:
    _composed(ranking_shop()).save(folder / "model")


def _save_dual(folder: Path) -> None:
    from rankfield.encoders import RankingModel
    from rankfield.encoders.dual import DualEncoder
    from tiny_models import tiny_clip

    shop = ranking_shop()
    encoder = DualEncoder.from_pretrained(tiny_clip(folder / "clip"))
    model = RankingModel(encoder, shop.query_fields, shop.document_fields, name="clip")
    model.eval().save(folder / "model")
    for path in (folder / "clip").iterdir():
        path.unlink()
    (folder / "clip").rmdir()


def _read_model(folder: Path) -> None:
    from rankfield.encoders import RankingModel

    model, shop = RankingModel.load(folder / "model"), ranking_shop()
    model.embed_queries(shop, shop.queries.head(3))


# ---- training ----------------------------------------------------------------------------------


def _training() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return model, optimizer


def _save_checkpoint(folder: Path) -> None:
    from rankfield.training.checkpoint import Progress, Snapshot

    (folder / "checkpoint").mkdir()
    progress = Progress({"a": {"b": 1}}, "f", {}, step=3)
    Snapshot.of(*_training(), progress).write(folder / "checkpoint")


def _read_checkpoint(folder: Path) -> None:
    from rankfield.training.checkpoint import Progress, load_checkpoint

    model, optimizer = _training()
    expected = Progress({"a": {"b": 1}}, "f", {})
    load_checkpoint(folder / "checkpoint", model, optimizer, expected)
    optimizer.step()


def _save_manifest(folder: Path) -> None:
    from rankfield.training.manifest import write_manifest

    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "weights").write_bytes(bytes(range(256)))
    write_manifest(folder / "checkpoint")


def _read_manifest(folder: Path) -> None:
    from rankfield.training.manifest import damage

    damage(folder / "checkpoint")


def _save_log(folder: Path) -> None:
    lines = [{"event": "train", "step": n, "loss": 0.5} for n in range(5)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _cut_log(folder: Path) -> None:
    from accelerate import Accelerator

    from rankfield.training.run_log import RunLog

    RunLog(folder / "log.jsonl", Accelerator(cpu=True)).cut(3)


def _save_negatives(folder: Path) -> None:
    shop = ranking_shop()
    pairs = shop.queries.select("query_id").join(shop.documents.select("doc_id"), how="cross")
    pairs = pairs.join(shop.training_queries(), on="query_id", how="semi")
    pairs = pairs.join(shop.training_documents(), on="doc_id", how="semi")
    pairs = pairs.join(shop.judgments, on=["query_id", "doc_id"], how="anti").head(20)
    pairs.with_columns(
        rank=pl.int_range(1, 1 + pl.len(), dtype=pl.Int32), similarity=pl.lit(0.5, pl.Float32)
    ).write_parquet(
        folder / "a.parquet",
        metadata={"rankfield.negatives": json.dumps({"data": {"fingerprint": shop.fingerprint()}})},
    )


def _read_negatives(folder: Path) -> None:
    from rankfield.training import load_negatives

    load_negatives(folder / "a.parquet", ranking_shop(), force=True)


def _save_judgments(folder: Path) -> None:
    found = ranking_shop().judgments.select("query_id", "doc_id", "score").head(40)
    found.write_csv(folder / "a.csv")
    found.write_ndjson(folder / "a.jsonl")
    found.write_parquet(folder / "a.parquet")


def _read_judgments(folder: Path) -> None:
    from rankfield.training.sources import add_judgments

    shop = ranking_shop()
    sources = [JudgmentSource(path=str(p), map="ranks") for p in sorted(folder.iterdir())]
    add_judgments(shop.judgments, sources, shop)


# ---- embeddings --------------------------------------------------------------------------------


def _save_cache(folder: Path) -> None:
    from rankfield.encoders import RankingModel

    shop = ranking_shop()
    model = _composed(shop)
    RankingModel(model.encoder, shop.query_fields, shop.document_fields).save(folder / "model")
    _read_cache(folder)


def _read_cache(folder: Path) -> None:
    from rankfield.encoders import RankingModel
    from rankfield.index import CachedEmbedder

    shop = ranking_shop()
    cached = CachedEmbedder(RankingModel.load(folder / "model"), "abc", folder / "cache")
    cached.embed_queries(shop, shop.queries)


# ---- journals ----------------------------------------------------------------------------------


def _save_votes(folder: Path) -> None:
    answer = {"text": '{"grade": 2}', "usage": [3, 4], "finish": "stop"}
    with Journal(folder / "journal.jsonl") as journal:
        for number in range(3):
            journal.put(f"k{number}", answer)
        journal.put("k3", {"refused": "no"})


def _read_votes(folder: Path) -> None:
    (folder / "rubric.toml").write_text(RUBRIC_TEMPLATE, "utf-8")
    rubric = load_rubric(folder / "rubric.toml")
    with Journal(folder / "journal.jsonl") as journal:
        for number in range(4):
            answers = (journal.read(key, checked_answer) for key in (f"k{number}", "k9"))
            read_vote(answers, rubric, max_tokens=9)


def _photos(folder: Path, journal: Journal) -> Images:
    return Images(ImagesSection(), folder, journal, "https://shop.example/")


def _save_photos(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "images/a.png").write_bytes(b"")
    with Journal(folder / "journal.jsonl") as journal:
        photos = _photos(folder, journal)
        for name, path, refused in (("a", "images/a.png", None), ("b", None, "too small")):
            journal.put(photos._key(name), {"path": path, "refused": refused})


def _read_photos(folder: Path) -> None:
    with Journal(folder / "journal.jsonl") as journal:
        photos = _photos(folder, journal)
        for name in "abc":
            photos.is_done(name), photos.path(name), photos.reason(name)


def _search(folder: Path) -> Search:
    (folder / "job.toml").write_text(example_job("elasticsearch"), "utf-8")
    section = load_job(folder / "job.toml").search
    return Search(section.model_copy(update={"key_env": ""}))


def _save_search(folder: Path) -> None:
    search = _search(folder)
    hits = [{"_id": f"d{i}", "_source": {"title": "red mug"}} for i in range(3)]
    with Journal(folder / "journal.jsonl") as journal:
        journal.put(search.request("mug").key, {"hits": {"hits": hits}})


def _read_search(folder: Path) -> None:
    search = _search(folder)
    with Journal(folder / "journal.jsonl") as journal:
        list(search.results("mug", journal))


def _asked(folder: Path) -> tuple[QueriesSection, Request]:
    (folder / "categories.txt").write_text("Mugs\n")
    endpoint = ChatEndpoint(url="https://llm.example/v1", model="m")
    section = QueriesSection(
        source="generate", file=str(folder / "categories.txt"), endpoint=endpoint
    )
    return section, generation_request(endpoint, prompt_text(""), ("Mugs",), section.per_category)


def _save_queries(folder: Path) -> None:
    _, request = _asked(folder)
    with Journal(folder / "journal.jsonl") as journal:
        journal.put(request.key, ["red mug", "blue mug"])
    (folder / "categories.txt").unlink()


def _read_queries(folder: Path) -> None:
    section, request = _asked(folder)
    with Journal(folder / "journal.jsonl") as journal:
        if request.key in journal:
            job_queries(section, journal, _no_fetcher, lambda _: None)


def _no_fetcher() -> NoReturn:
    raise AssertionError("asked for what the journal holds")
