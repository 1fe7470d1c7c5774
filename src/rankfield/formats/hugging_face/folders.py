"""The files of a data set of the library `datasets`, by split and by table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError, InputError
from rankfield.files import read_json
from rankfield.foreign_files import own_paths
from rankfield.formats.published_splits import part_name
from rankfield.io.table import Table, stack
from rankfield.io.tables import ENDINGS, read_files
from rankfield.paths import inside, is_file

__all__ = ["TABLE_NAMES", "find_parts", "find_tables", "read_parts"]

_SHARD = re.compile(r"^(?P<name>.+?)-(?P<number>\d{5})-of-(?P<count>\d{5})(-[0-9a-f]+)?$")
_NUMBERED = re.compile(r"^(?P<name>.*?)[-_.]?\d*$")
_PLAIN_FOLDERS = ("", "data", "default")


def find_parts(src: Path) -> dict[str, list[Path]]:
    """Return split → files in order, for a file or folder of the library `datasets`.

    A saved `Dataset` (state.json, Arrow streams) has one split, its name or "train"; a saved
    `DatasetDict` those of dataset_dict.json; a folder of saved data sets one by the name of each.
    Elsewhere the files' names give the split, as on the Hub: `data/test-00000-of-00002.parquet`,
    `test.csv`, `novel-query/novel-query-5.parquet`, `default/test/0000.parquet`. Names are those
    of `published_splits.part_name`: "validation" is "dev".

    Raises:
        DataError: no such place, no file there, or one that the place itself lists is missing.
    """
    if src.is_file():
        return {_split_of(src, src.parent): [src]}
    if not src.is_dir():
        raise DataError(
            "there is no such file or folder",
            where=str(src),
            remedy="Look at the spelling of its name.",
        )
    if (src / "dataset_dict.json").is_file():
        names = _json(src / "dataset_dict.json").get("splits")
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise DataError(
                "expected a list of names under 'splits'",
                where=str(src / "dataset_dict.json"),
                remedy="Save the data set again with save_to_disk.",
            )
        for name in names:
            if inside(src, name) is None:
                raise DataError(
                    f"it lists the split {name!r}, which leads out of the folder",
                    where=str(src / "dataset_dict.json"),
                    remedy="Save the data set again with save_to_disk.",
                )
        return {part_name(name): _saved(src / name) for name in names}
    if (src / "state.json").is_file():
        return {part_name(str(_json(src / "state.json").get("_split") or "train")): _saved(src)}
    saved = [path.parent for path in own_paths(src.glob("*/state.json"), src)]
    if saved:
        return {part_name(folder.name): _saved(folder) for folder in saved}
    return _by_names(src)


def read_parts(parts: Mapping[str, list[Path]], column: str) -> Table:
    """Return the rows of all splits, one below the other, with the split's name in a column.

    Raises:
        DataError: a file is missing, broken or without rows, or columns of two files don't fit.
    """
    tables = [
        read_files(paths).with_columns(pl.lit(part).alias(column)) for part, paths in parts.items()
    ]
    return stack(tables)


def _saved(folder: Path) -> list[Path]:
    """Return the Arrow streams that state.json lists."""
    state = folder / "state.json"
    if not state.is_file():
        raise DataError(
            "there is no such file",
            where=str(state),
            remedy="Copy the whole folder that save_to_disk wrote.",
        )
    try:
        names = [str(entry["filename"]) for entry in _json(state)["_data_files"]]
    except (KeyError, TypeError):
        names = []
    for name in names or [""]:
        if not name or inside(folder, name) is None or not is_file(folder / name):
            raise DataError(
                f"it lists {name!r}, which is not there" if name else "it lists no file",
                where=str(state),
                remedy="Copy the whole folder that save_to_disk wrote.",
            )
    return [folder / name for name in names]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except InputError as error:
        raise DataError(
            error.problem, where=error.where, remedy="Save the data set again with save_to_disk."
        ) from error
    if not isinstance(value, dict):
        raise DataError(
            "expected a JSON object",
            where=str(path),
            remedy="Save the data set again with save_to_disk.",
        )
    return value


def _by_names(src: Path) -> dict[str, list[Path]]:
    found = (path for pattern in ("*", "*/*", "*/*/*") for path in src.glob(pattern))
    files = [
        path for path in own_paths(found, src) if path.is_file() and path.suffix.lower() in ENDINGS
    ]
    if not files:
        raise DataError(
            f"no file there ends in {', '.join(ENDINGS)}",
            where=str(src),
            remedy="Name the folder that save_to_disk wrote, or that holds the files.",
        )
    parts: dict[str, list[Path]] = {}
    for path in sorted(files, key=lambda p: (p.parent, _order(p))):
        parts.setdefault(_split_of(path, src), []).append(path)
    for paths in parts.values():
        _require_all(paths)
    return parts


def _order(path: Path) -> tuple[int, str]:
    number = re.search(r"(\d+)$", path.stem)
    return (int(number[1]) if number and not _SHARD.match(path.stem) else 0, path.name)


def _split_of(path: Path, src: Path) -> str:
    if match := _SHARD.match(path.stem):
        return part_name(match["name"])
    match = _NUMBERED.match(path.stem)
    name = match["name"] if match else path.stem
    folder = path.parent.name if path.parent != src else ""
    return part_name(name or (folder if folder not in _PLAIN_FOLDERS else "train"))


def _require_all(paths: list[Path]) -> None:
    """Raise unless the shards that number themselves "of N" are N."""
    shards = [match for path in paths if (match := _SHARD.match(path.stem))]
    if not shards:
        return
    count = int(shards[0]["count"])
    have = {int(match["number"]) for match in shards}
    missing = [i for i in range(min(count, 100_000)) if i not in have]
    if missing:
        raise DataError(
            f"part {missing[0]:05d} of {count:05d} is missing ({len(missing)} in all)",
            where=str(paths[0].parent),
            remedy="Fetch the missing files.",
        )


TABLE_NAMES = {
    "queries": ("queries",),
    "documents": ("documents", "corpus"),
    "judgments": ("judgments", "qrels"),
}
"""Table → what its split or folder is called, the likeliest first."""
_REST = ("default", "data")


def find_tables(src: Path) -> dict[str, dict[str, list[Path]]]:
    """Return table → split → files, of the tables that are there.

    A table is a folder of its name, with splits of its own in it as on the Hub
    (`qrels/test-00000-of-00001.parquet`), or saved there; or a split of its name. Where queries and
    documents are such, judgments may stand in the folder `default` or `data`, as of MTEB.

    Raises:
        DataError: a file that a folder itself lists is missing.
    """
    if not src.is_dir():
        return {}
    names = {name: table for table, known in TABLE_NAMES.items() for name in known}
    folders = {
        name: path
        for place in (src, src / "data")
        if place.is_dir()
        for path in own_paths(place.iterdir(), src)
        if path.is_dir() and (name := part_name(path.name)) in names
    }
    tables: dict[str, dict[str, list[Path]]] = {}
    for name, table in names.items():
        if name in folders:
            tables.setdefault(table, find_parts(folders[name]))
    if len(tables) < len(TABLE_NAMES) and not folders:
        for name, files in find_parts(src).items():
            if name in names:
                tables.setdefault(names[name], {name: files})
    elif set(tables) == {"queries", "documents"}:
        rest = next((src / name for name in _REST if (src / name).is_dir()), None)
        if rest is not None:
            tables["judgments"] = find_parts(rest)
    return tables
