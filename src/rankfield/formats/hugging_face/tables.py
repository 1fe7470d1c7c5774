"""The three tables of a folder of the library `datasets`: which files hold which, by split."""

from __future__ import annotations

from pathlib import Path

from rankfield.foreign_files import own_paths
from rankfield.formats.hugging_face.folders import find_parts
from rankfield.formats.published_splits import part_name

__all__ = ["TABLE_NAMES", "find_tables"]

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
