"""Text that cannot be stored is refused, text that cannot be seen is absent, in every layout."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from every_layout import SOURCES
from rankfield.errors import DataError
from rankfield.formats.rankings import read_judged_pairs, read_ranked_pairs
from rankfield.validate import audit

TEXTS = (".csv", ".tsv", ".jsonl", ".json", ".txt", ".trec", ".xml")
UNREAD = {"shopping_queries_dataset_sources.csv"}


def text_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in TEXTS and p.name not in UNREAD)


@pytest.mark.parametrize("name", SOURCES)
def test_half_a_surrogate_pair_is_refused_with_its_file(tmp_path: Path, name: str) -> None:
    source = SOURCES[name]
    src = source.write(tmp_path / "src")
    files = [p for p in text_files(tmp_path / "src") if p.suffix in (".json", ".jsonl")]
    for path in files:
        text = path.read_text("utf-8")
        if "mug" not in text:
            continue
        path.write_text(text.replace("mug", "m\\ud83dug", 1), "utf-8")
        with pytest.raises(DataError, match=rf"{path.name}.*surrogate"):
            source.read(tmp_path / "src", src)
        path.write_text(text, "utf-8")


def test_half_a_surrogate_pair_in_ranked_lists(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"q1": {"a": 1}, "q2": {"b\\ud83d": 2}}')
    for read in (read_judged_pairs, read_ranked_pairs):
        with pytest.raises(DataError, match=r"run\.json: .*q2, the key 'b.*surrogate"):
            read(path)


@pytest.mark.parametrize("name", SOURCES)
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, name: str) -> None:
    source = SOURCES[name]
    plain, _ = source.read(tmp_path / "plain", source.write(tmp_path / "plain"), name="x")
    src = source.write(tmp_path / "marked")
    for path in text_files(tmp_path / "marked"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    marked, _ = source.read(tmp_path / "marked", src, name="x")
    assert marked.fingerprint() == plain.fingerprint()


INVISIBLE = "\u200b\u00a0\ufeff\u2060"


@pytest.mark.parametrize("name", SOURCES)
def test_a_text_that_cannot_be_seen_is_absent(tmp_path: Path, name: str) -> None:
    source = SOURCES[name]
    src = source.write(tmp_path / "src")
    files = text_files(tmp_path / "src")
    texts = {path: path.read_text("utf-8") for path in files}
    if not any("oak desk" in text for text in texts.values()):
        pytest.skip("its texts are in Parquet")
    for path, text in texts.items():
        path.write_text(text.replace("oak desk", INVISIBLE), "utf-8")
    try:
        data, _ = source.read(tmp_path / "src", src)
    except DataError as error:
        assert "found nothing" in str(error) or "expected a text" in str(error)  # noqa: PT017
        return
    kinds = {(p.table, p.kind, p.severity) for p in audit(data, images=False)}
    assert ("queries", "no field", "error") in kinds


def test_an_id_that_cannot_be_seen_is_none(tmp_path: Path) -> None:
    source = SOURCES["tables"]
    src = source.write(tmp_path / "src")
    path = tmp_path / "src" / "documents.csv"
    path.write_text(path.read_text("utf-8").replace("d2,", f"{INVISIBLE},"), "utf-8")
    with pytest.raises(DataError, match=r"documents\.csv, row 3, column 'doc_id': expected an id"):
        source.read(tmp_path / "src", src)
