"""Every engine gives the same results in the same order, and the same files to the byte."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from rankfield.curation import dedupe, leak_report, split
from rankfield.engines import Engine, LocalEngine, RayEngine
from rankfield.errors import DataError
from rankfield.formats.tables.reading import import_folder
from rankfield.schema import DatasetFolder
from rankfield.validate import audit


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield RayEngine(window=3)
    ray.shutdown()


def refuse(number: int) -> int:
    """Fail at 5, as a broken part does."""
    if number == 5:
        raise DataError("is five", where="the numbers", remedy="Leave it out.")
    return number


def test_local_threads_keep_the_order_and_need_no_list() -> None:
    taken = 0

    def numbers() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    results = LocalEngine(3).map(partial(operator.mul, 2), numbers())
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert taken < 20
    assert list(results)[-1] == 1998
    with pytest.raises(DataError, match="the numbers: is five"):
        list(LocalEngine(2).map(refuse, range(10)))


def export(folder: Path) -> Path:
    """Tables with twins, leaks and pictures, one of them broken in a harmless way."""
    (folder / "p").mkdir(parents=True)
    for i in range(4):
        mode = "RGBA" if i == 3 else "RGB"
        Image.new(mode, (8, 8), (60 * i, 0, 0)).save(folder / "p" / f"{i}.png")
    documents = "".join(f'd{i},"Mug, {i % 30}",p/{i % 4}.png\n' for i in range(40))
    (folder / "documents.csv").write_text("doc_id,title,photo\n" + documents)
    queries = "".join(f"q{i},red cup {i}\n" for i in range(20))
    (folder / "queries.csv").write_text("query_id,query\n" + queries)
    judged = "".join(f"q{q},d{d},{(q + d) % 7}\n" for q in range(20) for d in range(40))
    (folder / "judgments.csv").write_text("query_id,doc_id,score\n" + judged)
    return folder


def test_ray_does_the_same(tmp_path: Path, ray_engine: Engine) -> None:
    assert list(ray_engine.map(partial(operator.mul, 2), iter(range(7)))) == list(range(0, 14, 2))
    with pytest.raises(DataError, match=r"the numbers: is five\. Leave it out\.") as found:
        list(ray_engine.map(refuse, range(10)))
    assert found.value.where == "the numbers"
    source = export(tmp_path / "export")
    reports = []
    for name, engine in (("local", LocalEngine()), ("ray", ray_engine)):
        out = tmp_path / name
        import_folder(source, out / "in", engine=engine)
        data = DatasetFolder.load(out / "in")
        unique, counts = dedupe(data, images=True, engine=engine)
        unique = unique.save(out / "unique")
        done = split(unique)
        done.save(out / "split")
        leaks = leak_report(done, engine=engine)
        reports.append((audit(data, engine=engine), counts, leaks.as_dict()))
    assert reports[0] == reports[1]
    assert {p.kind for p in reports[0][0]} == {"converted image"}
    files = sorted(p.relative_to(tmp_path / "local") for p in (tmp_path / "local").rglob("*.*"))
    assert len(files) == 24
    for file in files:
        assert (tmp_path / "local" / file).read_bytes() == (tmp_path / "ray" / file).read_bytes()
