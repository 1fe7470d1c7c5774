"""Arrow streams and Parquet by pyarrow: names as the file has them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankfield.io.arrow import arrow_batches


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_a_column_without_a_name(suffix: str, tmp_path: Path) -> None:
    table = pa.table([pa.array([1, 2]), pa.array(["x", "y"])], names=["", "column_0"])
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    (frame,) = arrow_batches(path)
    assert frame.to_dict(as_series=False) == {"": [1, 2], "column_0": ["x", "y"]}
    (frame,) = arrow_batches(path, ["column_0"])
    assert frame.to_dict(as_series=False) == {"column_0": ["x", "y"]}
