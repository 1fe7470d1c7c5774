"""The results of one evaluation, and the three files that hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rankfield import __version__
from rankfield.errors import InputError
from rankfield.evaluation.check_tables import check_tables
from rankfield.files import new_file, read_json
from rankfield.formats.own_tables import rankings_metadata
from rankfield.io.parquet import read_parquet
from rankfield.metrics import Mean, canonical_name
from rankfield.nearby import nearby_place, nearby_text
from rankfield.outputs import OR_OVERWRITE, require_new

__all__ = ["DatasetIdentity", "Results", "SplitSize", "save_results"]


@dataclass(frozen=True)
class DatasetIdentity:
    """Which data was evaluated: `fingerprint` is that of its tables, `path` where it is.

    A file of results holds the path from its own folder (`nearby_text`), or none.
    """

    name: str
    fingerprint: str
    path: str = ""


@dataclass(frozen=True)
class SplitSize:
    """How large a split was, and for how many queries the model's scores had ties.

    `documents` is None where only a run is known, not what was searched.
    """

    queries: int
    documents: int | None
    judgments: int
    tied_queries: int


@dataclass(frozen=True)
class Results:
    """What `evaluate` found.

    splits: split → metric → mean over the queries for which it is defined, with its 95 %
        interval (`mean_interval`); files of earlier versions have none.
    queries: one row for each split and query: ``split``, ``query_id``, a float column for each
        metric, null where it is undefined.
    rankings: the best documents: ``split``, ``query_id``, ``rank`` from 1, ``doc_id``,
        ``similarity`` (float32), ``judged_score`` (float64, null where unjudged).
    subset: "dev", "test" or "all".
    label: a name under which `compare` averages several runs, or None.
    protocol: the name of the rules by which metrics were computed; only runs of one protocol
        compare.
    metadata: how the results were computed: depth of search, seed and level of the intervals, and
        what the caller knows of the model (path, fingerprint, device, …).
    robustness: field left out ("document.title") → split → metric → mean without that field;
        empty where it was not measured.
    """

    model: str
    dataset: DatasetIdentity
    subset: str
    splits: dict[str, dict[str, Mean]]
    queries: pl.DataFrame
    rankings: pl.DataFrame
    sizes: dict[str, SplitSize] = field(default_factory=dict)
    label: str | None = None
    rankfield: str = __version__
    protocol: str = "rankfield"
    metadata: dict[str, Any] = field(default_factory=dict)
    robustness: dict[str, dict[str, dict[str, Mean]]] = field(default_factory=dict)

    def to_json(self, file: str | Path | None = None) -> dict[str, Any]:
        """Return what stands in results.json: everything but the two tables.

        Args:
            file: where it is written; places are said from its folder, and not at all without it.
        """
        return {
            "splits": _plain(self.splits),
            "model": self.model,
            "label": self.label,
            "dataset": {**asdict(self.dataset), "path": _said(self.dataset.path, file)},
            "subset": self.subset,
            "sizes": {split: asdict(size) for split, size in self.sizes.items()},
            "rankfield": self.rankfield,
            "protocol": self.protocol,
            "made": self._metadata_for(file),
            "robustness": {name: _plain(splits) for name, splits in self.robustness.items()},
        }

    def _metadata_for(self, file: str | Path | None) -> dict[str, Any]:
        """Return `metadata` with the model's place said from the folder of a file, or left out."""
        if "model" not in self.metadata:
            return self.metadata
        place = _said(self.metadata["model"], file)
        rest = {k: place if k == "model" else v for k, v in self.metadata.items()}
        return rest if place else {k: v for k, v in rest.items() if k != "model"}

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write results.json and beside it `<stem>.queries.parquet`, `<stem>.rankings.parquet`.

        Raises:
            OutputError: one of them exists and `overwrite` is false, or it cannot be written.
        """
        save_results({Path(path): self}, overwrite=overwrite)

    @staticmethod
    def require_new(path: str | Path) -> None:
        """Make sure that nothing is where `save` would write: ask before a long evaluation.

        Raises:
            OutputError: one of the three files exists.
        """
        require_new(Path(path), *_tables(Path(path)), remedy=OR_OVERWRITE)

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read what `save` wrote; metrics get the names of today ("ndcg@10" is nDCG@10).

        `dataset.path` and `metadata["model"]` become whole again where the file names places from
        its own folder; absolute paths are not followed. Compare fingerprints before reading there.

        Raises:
            InputError: a file is missing or malformed, or the tables hold an unknown query, a NaN,
                or a query, rank or document twice; says which and where in it.
        """
        source = Path(path)
        value = read_json(source)
        try:
            stored = _Stored.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "top level"
            raise InputError(
                f"not results of an evaluation: {first['msg']}",
                where=f"{source}, {place}",
                remedy="Make it again with `rankfield evaluate`.",
            ) from error
        # The names of other protocols are theirs.
        current = canonical_name if stored.protocol == "rankfield" else str
        stored.splits = {
            split: {current(name): mean for name, mean in means.items()}
            for split, means in stored.splits.items()
        }
        queries, rankings = _tables(source)
        _find_places(stored, source)
        found = cls(
            queries=_read_table(queries, ("split", "query_id")).rename(current),
            rankings=_with_judged_score(
                _read_table(rankings, ("split", "query_id", "rank", "doc_id"))
            ),
            **dict(stored),
        )
        check_tables(
            {split: list(means) for split, means in found.splits.items()},
            found.queries,
            found.rankings,
            where=(str(queries), str(rankings)),
        )
        return found


def save_results(results: Mapping[Path, Results], *, overwrite: bool = False) -> None:
    """Write each of several results as `Results.save` does; where one cannot be written, none is.

    Raises:
        OutputError: a file exists and `overwrite` is false, or it cannot be written.
    """
    if not overwrite:
        for path in results:
            Results.require_new(path)
    with ExitStack() as files:
        for path, one in results.items():
            # The renames happen in reverse, so that the JSON file appears after its tables.
            places = [files.enter_context(new_file(place)) for place in (path, *_tables(path))]
            text = json.dumps(one.to_json(path), indent=2, ensure_ascii=False, allow_nan=False)
            places[0].write_text(text + "\n", "utf-8")
            one.queries.write_parquet(places[1])
            depth = rankings_metadata(one.metadata.get("keep"))
            one.rankings.write_parquet(places[2], metadata=depth)


class _Stored(BaseModel):
    """The form of results.json."""

    model_config = ConfigDict(allow_inf_nan=False)

    splits: dict[str, dict[str, Mean]] = Field(min_length=1)
    model: str
    dataset: DatasetIdentity
    subset: str
    rankfield: str
    sizes: dict[str, SplitSize] = Field(default_factory=dict)
    label: str | None = None
    protocol: str = "rankfield"
    metadata: dict[str, Any] = Field(default_factory=dict, alias="made")
    robustness: dict[str, dict[str, dict[str, Mean]]] = Field(default_factory=dict)


def _said(place: object, file: str | Path | None) -> str:
    return "" if file is None or not isinstance(place, str) else nearby_text(place, file)


def _find_places(stored: _Stored, source: Path) -> None:
    data = nearby_place(stored.dataset.path, source)
    stored.dataset = replace(stored.dataset, path="" if data is None else str(data))
    model = nearby_place(stored.metadata.get("model"), source)
    if model is not None:
        stored.metadata["model"] = str(model)
    else:
        stored.metadata.pop("model", None)


def _plain(splits: dict[str, dict[str, Mean]]) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        split: {name: asdict(mean) for name, mean in means.items()}
        for split, means in splits.items()
    }


def _tables(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".queries.parquet"), path.with_suffix(".rankings.parquet")


def _with_judged_score(rankings: pl.DataFrame) -> pl.DataFrame:
    """Return the table with the names of today: earlier versions wrote `score`."""
    old = "score" in rankings.columns and "judged_score" not in rankings.columns
    return rankings.rename({"score": "judged_score"}) if old else rankings


def _read_table(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    if not path.is_file():
        raise InputError(
            "there is no such file",
            where=str(path),
            remedy="It belongs beside the results; copy all three files together.",
        )
    frame = read_parquet(path)
    for column in columns:
        if column not in frame.columns:
            raise InputError(f"column {column!r} is missing", where=str(path))
    return frame
