"""Parquet and Arrow files with the metadata of the library `datasets`, written by pyarrow alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.closing import Closing

__all__ = ["ParquetRows", "hub_card", "write_saved_dataset"]


class ParquetRows(Closing):
    """A Parquet file that grows by tables of the same columns; binary columns are images."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: Any = None

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows as one row group."""
        from pyarrow import parquet

        if self.writer is None:
            self.writer = parquet.ParquetWriter(self.path, _schema(frame), compression="zstd")
        self.writer.write_table(_table(frame, self.writer.schema))

    def close(self) -> None:
        """End the file; without a row there is none."""
        if self.writer is not None:
            self.writer.close()


def write_saved_dataset(folder: Path, frames: Iterable[pl.DataFrame], fingerprint: str) -> None:
    """Write rows as `Dataset.save_to_disk` does, so that `load_from_disk` reads them.

    Args:
        folder: to make.
        frames: at least one, all with the same columns; binary columns are images.
        fingerprint: what the library is to know the contents by.
    """
    import pyarrow as pa

    folder.mkdir()
    name = "data-00000-of-00001.arrow"
    writer: Any = None
    with pa.OSFile(str(folder / name), "wb") as sink:
        for frame in frames:
            if writer is None:
                schema = _schema(frame)
                writer = pa.ipc.new_stream(sink, schema)
            writer.write_table(_table(frame, schema))
        writer.close()
    info = {"citation": "", "description": "", "features": _features(schema), "homepage": ""}
    state: dict[str, Any] = {
        "_data_files": [{"filename": name}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    for file, content in (("dataset_info", {**info, "license": ""}), ("state", state)):
        (folder / f"{file}.json").write_text(json.dumps(content, indent=2), "utf-8")


def hub_card(splits: Sequence[str]) -> str:
    """Return a README.md by which `load_dataset` finds the splits' files in data/."""
    lines = [f"  - split: {name}\n    path: data/{name}-*" for name in splits]
    head = "configs:\n- config_name: default\n  data_files:\n" + "\n".join(lines)
    return f"---\n{head}\n---\n\nWritten by rankfield.\n"


def _schema(frame: pl.DataFrame) -> Any:
    import pyarrow as pa

    fields = [pa.field(name, _arrow_type(dtype)) for name, dtype in frame.schema.items()]
    schema = pa.schema(fields)
    info = json.dumps({"info": {"features": _features(schema)}})
    return schema.with_metadata({"huggingface": info})


def _arrow_type(dtype: pl.DataType) -> Any:
    import pyarrow as pa

    if isinstance(dtype, pl.List):
        return pa.list_(_arrow_type(dtype.inner))  # type: ignore[arg-type]
    if dtype == pl.Binary:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return pa.string()
    return pl.Series([], dtype=dtype).to_arrow().type


def _table(frame: pl.DataFrame, schema: Any) -> Any:
    import pyarrow as pa

    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    columns = []
    for series in frame:
        column = series
        if column.dtype == pl.Binary:
            column = _as_images(column, struct)
        elif column.dtype == pl.List(pl.Binary):
            column = _as_image_lists(column, struct)
        elif column.dtype in (pl.Categorical, pl.Enum, pl.Null):
            column = column.cast(pl.String)
        array = column.to_arrow(compat_level=pl.CompatLevel.oldest())
        columns.append(array.cast(schema.field(series.name).type))
    return pa.table(columns, schema=schema)


def _as_images(column: pl.Series, struct: pl.Struct) -> pl.Series:
    values = [None if data is None else {"bytes": data, "path": None} for data in column]
    return pl.Series(column.name, values, dtype=struct)


def _as_image_lists(column: pl.Series, struct: pl.Struct) -> pl.Series:
    values = [
        None if items is None else [i if i is None else {"bytes": i, "path": None} for i in items]
        for items in column
    ]
    return pl.Series(column.name, values, dtype=pl.List(struct))


def _features(schema: Any) -> dict[str, Any]:
    return {field.name: _feature(field.type) for field in schema}


def _feature(kind: Any) -> dict[str, Any]:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        if [field.name for field in kind] == ["bytes", "path"]:
            return {"_type": "Image"}
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    names = {"double": "float64", "float": "float32", "date32[day]": "date32"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}
