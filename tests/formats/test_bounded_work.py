"""Small files that hold much, and texts that are made to take long, are refused or quick."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankfield.errors import DataError, InputError
from rankfield.formats.tables.reading import import_folder
from rankfield.formats.trec import markup
from rankfield.formats.trec.tagged import read_tagged_documents, read_tagged_topics
from rankfield.formats.trec.xml import read_xml_topics
from rankfield.io import arrow_sizes
from rankfield.io.arrow import arrow_batches
from rankfield.io.delimited import exact_csv_batches
from rankfield.io.json_lines import json_batches
from rankfield.io.lines import read_lines
from rankfield.io.parquet import decoded_bytes
from rankfield.io.tables import read_table, stage_table
from rankfield.schema import DatasetFolder, RankingDataset
from training_data import tiny_shop


@contextmanager
def quick() -> Iterator[None]:
    """Fail if the block takes half a minute of this process; linear work takes a second or two."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < 30


def repeated(path: Path, rows: int, text: str) -> None:
    """Write a text that is stored once and repeated."""
    write(path, {"doc_id": pa.array([f"d{i}" for i in range(rows)]), "title": same(rows, text)})


def same(rows: int, text: str) -> pa.Array:
    """Return a column that says the same in each row, in little memory."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


def write(path: Path, columns: dict[str, pa.Array]) -> None:
    options = {"dictionary_pagesize_limit": 1 << 28, "store_schema": False}
    table = pa.table(columns)
    pq.write_table(table, path, compression="zstd", write_statistics=False, **options)


def test_parquet_that_holds_far_more_than_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "documents.parquet"
    repeated(path, 5000, "a" * 300_000)
    assert path.stat().st_size < 100_000
    assert 1_500_000_000 < decoded_bytes(path) < 1_510_000_000
    for read in (
        read_table,
        lambda p: stage_table(p, tmp_path),
        lambda p: list(arrow_batches(p)),
    ):
        with pytest.raises(DataError, match=r"documents\.parquet: its .* bytes hold more than"):
            read(path)
    monkeypatch.setenv("RANKFIELD_EXPAND_GIB", "2")
    assert stage_table(path, tmp_path).columns == ["doc_id", "title"]
    monkeypatch.setenv("RANKFIELD_EXPAND_GIB", "much")
    with pytest.raises(InputError, match="RANKFIELD_EXPAND_GIB: expected a number of GiB"):
        stage_table(path, tmp_path)


def test_lists_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    offsets = pa.array(range(0, 6001, 2), pa.int32())
    write(path, {"a": pa.ListArray.from_arrays(offsets, same(6000, "b" * 200_000))})
    assert decoded_bytes(path) > 1_200_000_000


def test_a_data_set_folder_is_looked_at_before_it_is_read(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    data = tiny_shop(root, photos=False)
    columns = data.documents.to_arrow(compat_level=pl.CompatLevel.oldest()).to_pydict()
    rows = {name: pa.array(values) for name, values in columns.items()}
    write(root / "documents.parquet", rows | {"title": same(len(rows["title"]), "c" * 30_000_000)})
    assert len(rows["title"]) * 30_000_000 > 2**30
    for load in (RankingDataset.load, DatasetFolder.load):
        with pytest.raises(DataError, match=r"documents\.parquet: its .* bytes hold more than"):
            load(root)


def test_a_table_of_a_data_set_is_no_link_out_of_it(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    tiny_shop(root, photos=False)
    for name in ("documents.parquet", "dataset.toml"):
        (root / name).rename(tmp_path / name)
        (root / name).symlink_to(tmp_path / name)
        for load in (RankingDataset.load, DatasetFolder.load):
            with pytest.raises(DataError, match=f"{name}: the link leads out"):
                load(root)
        (root / name).unlink()
        (tmp_path / name).rename(root / name)


def test_gzip_that_holds_far_more_than_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKFIELD_EXPAND_GIB", "0.001")
    for name, text in (
        ("a.csv.gz", "a,b\n" + "1,2\n" * 600_000),
        ("a.jsonl.gz", '{"a": 1}\n' * 260_000),
        ("a.txt.gz", "q1 0 d1 1\n" * 230_000),
    ):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode(), 9))
        read = read_lines if "txt" in name else read_table
        with pytest.raises(DataError, match=f"{name}: its .* bytes hold more than 1,073,741"):
            read(path)
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"1" * 100)
    with pytest.raises(DataError, match="compressed, but not with gzip"):
        read_lines(path)


def test_long_lines_and_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("text", "delimited", "json_lines"):
        monkeypatch.setattr(f"rankfield.io.{module}.LONGEST", 1000)
    monkeypatch.setattr("rankfield.io.delimited._BLOCK", 500)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3," + "x" * 2000 + "\n")
    with pytest.raises(DataError, match=r"a\.csv, row 3: the line has 1,000 characters or more"):
        read_table(path)
    path.write_text('a,b\n1,2\n3,"' + "x" * 500 + "\n" + "x" * 500 + "\n" + "x" * 500)
    with pytest.raises(DataError, match=r"a\.csv, row 3: a quote is opened and never closed"):
        read_table(path)


@pytest.mark.parametrize("head", [None, 2])
def test_a_sparse_file_is_no_line(head: int | None, tmp_path: Path) -> None:
    """As large as no memory, and not a byte of it on the disk."""
    path = tmp_path / "qrels.txt"
    path.write_bytes(b"q1 0 d1 1\n")
    with path.open("r+b") as file:
        file.truncate(1 << 42)
    with pytest.raises(DataError, match=r"qrels\.txt, row 2: the line has 67,108,864 characters"):
        read_lines(path, head=head)
    short = tmp_path / "short.txt"
    short.write_bytes(b"a\n" * 9)
    assert read_lines(short, head=head).frame.height == (head or 9)


def test_batches_are_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("delimited", "json_lines"):
        monkeypatch.setattr(f"rankfield.io.{module}._CHUNK_SIZE", 10_000)
    rows = [{"id": str(i), "text": "x" * 1000} for i in range(100)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.csv").write_text("id,text\n" + "".join(f"{r['id']},{r['text']}\n" for r in rows))
    for read, name in ((json_batches, "a.jsonl"), (exact_csv_batches, "a.csv")):
        batches = list(read(tmp_path / name))
        assert max(batch.height for batch in batches) <= 10
        assert pl.concat(batches).select("id", "text").to_dicts() == rows


def test_many_columns(tmp_path: Path) -> None:
    wide = ",".join(f"c{i}" for i in range(1000))
    src = tmp_path / "t"
    src.mkdir()
    (src / "queries.csv").write_text("query_id,query\nq1,red mug\n")
    (src / "judgments.csv").write_text("query_id,doc_id,score\nq1,d1,3\nq1,d2,1\n")
    lines = "".join(f"d{k},red mug {k}," + ",".join("1" * 1000) + "\n" for k in (1, 2))
    (src / "documents.csv").write_text(f"doc_id,title,{wide}\n{lines}")
    with quick():
        data, _ = import_folder(src, tmp_path / "out")
    assert data.schema("documents")["c999"] == pl.Int64
    assert [f.name for f in data.document_fields] == ["title"]
    for name, text in (
        ("a.csv", ",".join(f"c{i}" for i in range(10_001)) + "\n"),
        ("a.jsonl", json.dumps({f"c{i}": 1 for i in range(10_001)}) + "\n"),
        ("b.jsonl", "".join(f'{{"c{i}": 1}}\n' for i in range(10_001))),
    ):
        (tmp_path / name).write_text(text)
        with quick(), pytest.raises(DataError, match="10,001 columns; at most 10,000"):
            stage_table(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '<topic number="1"><query>x</query></topic>\n' + "<topic " * 100_000,
        '<topic number="1"><query>x</query></topic>\n' + "<!--" * 100_000,
        '<topic number="1"><query>x</query>' + "<a>" * 100_000 + "</topic>\n",
        '<topic number="1"><query>x</query>' + "<a " * 100_000 + "></topic>\n",
        '<topic number="1"><query>x' + "<" * 100_000 + "</query></topic>\n",
        '<topic number="1"><query>x' + "<![CDATA[" * 100_000 + "</query></topic>\n",
        '<topic number="1" ' + "a" * 100_000 + "><query>x</query></topic>\n",
        '<topic number="1" ' + '="' * 100_000 + "><query>x</query></topic>\n",
        '<topic number="1" ' + "a = " * 100_000 + "><query>x</query></topic>\n",
    ],
)
def test_topics_in_xml_take_linear_time(text: str, tmp_path: Path) -> None:
    path = tmp_path / "topics.xml"
    path.write_text(text)
    with quick():
        assert read_xml_topics(read_lines(path)).frame["query_id"].to_list() == ["1"]


def test_tagged_texts_take_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for more in ("<a>" * 100_000, "<" * 100_000, "</a" * 100_000, "<a" * 100_000):
        path.write_text(f"<DOC>\n<DOCNO>1</DOCNO>\n<TEXT>x</TEXT>\n{more}\n</DOC>\n")
        with quick():
            assert read_tagged_documents(read_lines(path)).frame["text"].to_list() == ["x"]
        path.write_text(f"<top>\n<num>1\n<title>x{more}\n</top>\n")
        with quick():
            assert read_tagged_topics(read_lines(path)).frame["query_id"].to_list() == ["1"]


@pytest.mark.parametrize("plain", [False, True])
def test_scanning_finds_what_the_expressions_found(plain: bool) -> None:
    import random

    tokens = ["<a>", "</a>", "<b x='1'>", "</b >", "<b/>", "<b />", "<a", ">", "<", "/", " ", "x"]
    tokens += ["<!--", "-->", "<![CDATA[", "]]>", 'y="1"', "=", '"', "'", "\n", "</b>", "<b>"]
    element = r"<(\w+)>(.*?)</\1>" if plain else r"<(\w+)(?:\s[^>]*)?(?<!/)>(.*?)</\1\s*>"
    draw = random.Random(0)
    for _ in range(3000):
        text = "".join(draw.choices(tokens, k=draw.randrange(30)))
        assert list(markup.elements(text, plain=plain)) == re.findall(element, text, re.DOTALL)
        assert markup.without_tags(text) == re.sub(r"<[^>]*>", " ", text)
        blanks = re.sub(r"<!--.*?-->", lambda m: " " * len(m[0]), text, flags=re.DOTALL)
        assert markup.without_comments(text) == blanks
        assert markup.cdata_parts(text) == re.split(r"<!\[CDATA\[(.*?)\]\]>", text, flags=re.DOTALL)
        pairs = re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", text)
        assert list(markup.attributes(text)) == pairs


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_null_character_in_the_name_of_a_column(name: str, tmp_path: Path) -> None:
    texts = {
        "a.csv": "doc_id,ti\0tle\nd1,red\n",
        "a.jsonl": '{"doc_id": "d1", "ti\\u0000tle": "x"}\n',
    }
    (tmp_path / name).write_text(texts[name])
    for read in (read_table, lambda path: stage_table(path, tmp_path)):
        with pytest.raises(DataError, match="has a null character in its name"):
            read(tmp_path / name)


def test_a_column_that_is_broken_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pl.DataFrame({"a": ["x", "y"]}).write_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr("rankfield.io.arrow._valid", lambda _: True)

    class Broken:
        def __init__(self, column: pa.Array) -> None:
            self.column = column

        def validate(self, *, full: bool) -> None:
            raise pa.ArrowInvalid("broken")

        def __len__(self) -> int:
            return len(self.column)

        def slice(self, start: int, size: int) -> pa.Array:
            return self.column.slice(start, size)

    from rankfield.io import arrow

    batch = pa.table({"a": ["x", "y"]}).to_batches()[0]

    class Batch:
        schema = batch.schema
        columns = (Broken(batch.column(0)),)

    with pytest.raises(
        DataError, match=r"a\.parquet, row 0 .*, column 'a': not UTF-8 or malformed"
    ):
        arrow._require_utf8(tmp_path / "a.parquet", Batch(), 0)


def packed_stream(path: Path, table: pa.Table, compression: str | None) -> Path:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(str(path), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=1000)
    return path


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_compressed_buffers_of_an_arrow_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, dictionary: bool
) -> None:
    column = pa.array([f"{i % 7} " + "x" * 4000 for i in range(4000)])
    table = pa.table({"title": column.dictionary_encode() if dictionary else column})
    path = packed_stream(tmp_path / "a.arrow", table, compression)
    held = sum(batch.nbytes for batch in table.to_batches())
    for most, fits in ((held * 1.1, True), (held * 0.9, False)):
        monkeypatch.setattr(arrow_sizes, "require_expansion", bound(int(most)))
        if fits:
            frames = list(arrow_batches(path))
            assert pl.concat(frames)["title"].to_list() == column.to_pylist()
        else:
            with pytest.raises(DataError, match=r"a\.arrow: too much"):
                list(arrow_batches(path))


def test_an_arrow_stream_that_is_not_compressed_is_as_large_as_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"title": ["a", None, "b"] * 500})
    path = packed_stream(tmp_path / "a.arrow", table, None)
    monkeypatch.setattr(arrow_sizes, "require_expansion", bound(path.stat().st_size))
    assert pl.concat(arrow_batches(path))["title"].to_list() == ["a", None, "b"] * 500


def bound(most: int) -> Callable[[Path, int, int], None]:
    def require(path: Path, found: int, _: int) -> None:
        if found > most:
            raise DataError("too much", where=path.name)

    return require


def test_a_small_arrow_stream_that_holds_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKFIELD_EXPAND_GIB", "0.001")
    table = pa.table({"title": ["x" * 4000] * 4000})
    path = packed_stream(tmp_path / "a.arrow", table, "zstd")
    with pytest.raises(DataError, match=r"a\.arrow: its .* bytes hold more than .*unpacked"):
        list(arrow_batches(path))


@pytest.mark.parametrize("error", [pl.exceptions.ComputeError, pl.exceptions.PanicException])
def test_a_parquet_file_that_breaks_while_it_is_measured_is_an_error_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def broken(*_: object) -> None:
        raise error("Invalid thrift: protocol error")

    pl.DataFrame({"a": ["x"]}).write_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr("rankfield.io.parquet._stated", broken)
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read.*Invalid thrift"):
        list(arrow_batches(tmp_path / "a.parquet"))
