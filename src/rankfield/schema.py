"""The ranking dataset: queries, documents with fields, and a float score for each judged pair."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from rankfield.errors import DataError, ImageError, InputError, SplitError
from rankfield.field_values import content_bytes, flat_values
from rankfield.files import link_or_copy, new_folder, stays_inside

__all__ = [
    "SPLITS",
    "SUBSETS",
    "Field",
    "Modality",
    "Provenance",
    "RankingDataset",
    "ScoreScale",
    "SplitName",
    "SplitView",
]

Modality = Literal["text", "image"]
SplitName = Literal["in_domain", "novel_query", "novel_document", "zero_shot"]

SPLITS: tuple[SplitName, ...] = ("in_domain", "novel_query", "novel_document", "zero_shot")
SUBSETS = ("dev", "test")

_FORMAT = 1
_IMAGE_TYPES = (pl.String, pl.Binary, pl.List(pl.String), pl.List(pl.Binary))
_TABLES = {"queries": ("query_id",), "documents": ("doc_id",), "judgments": ("query_id", "doc_id")}


@dataclass(frozen=True)
class Field:
    """A named part of a query or document.

    `weight` > 0 is its share in the fused embedding, renormalised over the fields present:
    e = normalise(Σ_f ω_f · normalise(enc_f(x_f))).
    """

    name: str
    modality: Modality
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.modality not in ("text", "image"):
            raise InputError(
                f"expected the modality 'text' or 'image', found {self.modality!r}",
                where=f"field {self.name!r}",
            )
        if not 0 < self.weight < float("inf"):
            raise InputError(
                f"expected a weight above 0, found {self.weight}", where=f"field {self.name!r}"
            )


@dataclass(frozen=True)
class ScoreScale:
    """What the scores mean: any finite floats, larger is better.

    `minimum` and `maximum` bound them; a score ≥ `relevant` counts as relevant in binary metrics.
    """

    minimum: float
    maximum: float
    relevant: float
    meaning: str = ""

    def __post_init__(self) -> None:
        if not self.minimum <= self.maximum:
            raise InputError(
                f"expected minimum ≤ maximum, found {self.minimum} and {self.maximum}",
                where="score scale",
            )
        numbers = (self.minimum, self.maximum, self.relevant)
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(f"expected finite numbers, found {numbers}", where="score scale")


@dataclass(frozen=True)
class Provenance:
    """Where a data set came from and how it was made."""

    source: str = ""
    licence: str = ""
    made_by: str = ""
    seed: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitView:
    """One split, as evaluation needs it: its queries, its whole corpus, its judgments."""

    name: str
    queries: pl.DataFrame
    documents: pl.DataFrame
    judgments: pl.DataFrame


@dataclass
class RankingDataset:
    """Queries, documents and judgments, with what their fields and scores mean.

    queries: ``query_id`` (str), one column per query field, any further columns; after
        `curation.splits` also ``seen`` (bool) and ``subset`` ("dev" or "test").
    documents: ``doc_id`` (str), one column per document field, any further columns; after
        splitting also ``seen`` (bool).
    judgments: ``query_id``, ``doc_id``, ``score`` (float64), any further columns; after splitting
        also ``split`` (one of `SPLITS`).

    A text field is a string column. An image field is a string column of paths relative to
    `root`, a binary column of encoded images, or a list column of either: then a record's field
    vector is v_f = normalise(mean of normalise(enc_f(x)) over its images x). Null or "" means that
    the field is absent, a list with nothing else likewise.
    """

    name: str
    query_fields: tuple[Field, ...]
    document_fields: tuple[Field, ...]
    score_scale: ScoreScale
    queries: pl.DataFrame
    documents: pl.DataFrame
    judgments: pl.DataFrame
    provenance: Provenance = field(default_factory=Provenance)
    root: Path | None = None

    def __post_init__(self) -> None:
        where = str(self.root) if self.root else self.name
        for table, keys in _TABLES.items():
            frame: pl.DataFrame = getattr(self, table)
            needed = [*keys, *(["score"] if table == "judgments" else [])]
            needed += [f.name for f in self.fields(table)]
            for column in needed:
                if column not in frame.columns:
                    raise DataError(
                        f"column {column!r} is missing; found {', '.join(frame.columns) or 'none'}",
                        where=f"{where}, {table}",
                    )
            self._check_types(where, table, frame, keys)

    def _check_types(
        self, where: str, table: str, frame: pl.DataFrame, keys: Iterable[str]
    ) -> None:
        expected: dict[str, tuple[str, tuple[Any, ...]]] = dict.fromkeys(
            keys, ("text", (pl.String,))
        )
        if table == "judgments":
            expected["score"] = ("a float", (pl.Float64, pl.Float32))
        for f in self.fields(table):
            image = f.modality == "image"
            expected[f.name] = (
                ("a path, bytes, or a list of them", _IMAGE_TYPES)
                if image
                else ("text", (pl.String,))
            )
        for column, (name, types) in expected.items():
            if frame.schema[column] not in types:
                raise DataError(
                    f"expected {name}, found {frame.schema[column]}",
                    where=f"{where}, {table}, column {column!r}",
                )

    def fields(self, table: str) -> tuple[Field, ...]:
        """Return the fields of "queries" or "documents"; judgments have none."""
        return {"queries": self.query_fields, "documents": self.document_fields}.get(table, ())

    @property
    def is_split(self) -> bool:
        """Whether the judgments carry a split."""
        return "split" in self.judgments.columns

    def training_judgments(self) -> pl.DataFrame:
        """Return the in-domain judgments of a split data set, or all of one never split."""
        if not self.is_split:
            return self.judgments
        return self.judgments.filter(pl.col("split") == "in_domain")

    def view(self, split: str, subset: str | None = None) -> SplitView:
        """Return a split's judged queries, the whole corpus on its document side, its judgments.

        Args:
            split: one of `SPLITS`, or "all": every judgment over every document.
            subset: "dev", "test", or None for both.

        Raises:
            SplitError: an unknown name, a data set never split, or no query in the split.
        """
        queries, documents, judgments = self.queries, self.documents, self.judgments
        if split != "all":
            if split not in SPLITS:
                raise SplitError(f"unknown split {split!r}; expected all, {', '.join(SPLITS)}")
            if not self.is_split:
                raise SplitError(
                    "the data set has no splits",
                    where=self.name,
                    remedy="Run `rankfield split` first.",
                )
            judgments = judgments.filter(pl.col("split") == split)
            documents = documents.filter(pl.col("seen") == (split in ("in_domain", "novel_query")))
        if subset is not None:
            if subset not in SUBSETS:
                raise SplitError(f"unknown subset {subset!r}; expected dev or test")
            if "subset" not in queries.columns:
                raise SplitError(
                    "the queries have no dev and test subsets",
                    where=self.name,
                    remedy="Run `rankfield split` first.",
                )
            queries = queries.filter(pl.col("subset") == subset)
        queries = queries.join(judgments.select("query_id").unique(), on="query_id", how="semi")
        judgments = judgments.join(queries.select("query_id"), on="query_id", how="semi")
        if queries.is_empty():
            raise SplitError(f"no judged query in split {split!r}, subset {subset or 'all'}")
        return SplitView(split, queries, documents, judgments)

    def with_tables(
        self,
        *,
        queries: pl.DataFrame | None = None,
        documents: pl.DataFrame | None = None,
        judgments: pl.DataFrame | None = None,
        note: str = "",
    ) -> RankingDataset:
        """Return the same data set with some tables replaced and a line added to its provenance."""
        notes = (*self.provenance.notes, note) if note else self.provenance.notes
        return replace(
            self,
            queries=self.queries if queries is None else queries,
            documents=self.documents if documents is None else documents,
            judgments=self.judgments if judgments is None else judgments,
            provenance=replace(self.provenance, notes=notes),
        )

    def image_source(self, value: str | bytes) -> Path | bytes:
        """Turn a value of an image field into what `images.open_image` takes."""
        if isinstance(value, bytes):
            return value
        return (self.root or Path()) / value

    def fingerprint(self) -> str:
        """Return sha256 of the tables' contents and fields, as 16 hexadecimal digits.

        Pictures count by path, not by content.
        """
        digest = hashlib.sha256(repr((self.query_fields, self.document_fields)).encode())
        for table in _TABLES:
            frame: pl.DataFrame = getattr(self, table)
            for column in sorted(frame.columns):
                for part in content_bytes(frame[column]):
                    digest.update(part)
        return digest.hexdigest()[:16]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> RankingDataset:
        """Write the folder (`dataset.toml`, three Parquet tables, pictures) and return it loaded.

        Pictures are hard-linked where the file system allows, else copied.

        Raises:
            OutputError: the folder exists and `overwrite` is false, or it cannot be written.
            ImageError: a picture that a row names does not exist.
        """
        with new_folder(folder, overwrite=overwrite) as temporary:
            for table in _TABLES:
                getattr(self, table).write_parquet(temporary / f"{table}.parquet")
            self.write_header(temporary)
            self.copy_images(temporary)
        return RankingDataset.load(folder)

    def write_header(self, folder: Path) -> None:
        """Write `dataset.toml` alone, for a writer that streams the tables itself."""
        import tomli_w

        (folder / "dataset.toml").write_text(tomli_w.dumps(self._header()), "utf-8")

    def _header(self) -> dict[str, Any]:
        provenance = {k: v for k, v in asdict(self.provenance).items() if v not in (None, "", ())}
        return {
            "format": _FORMAT,
            "name": self.name,
            "score": asdict(self.score_scale),
            "provenance": provenance,
            "query_fields": [asdict(f) for f in self.query_fields],
            "document_fields": [asdict(f) for f in self.document_fields],
        }

    def copy_images(self, target: Path) -> None:
        """Put every picture that a row names into the folder `target`, by a hard link or a copy.

        Raises:
            ImageError: a picture does not exist.
            DataError: a path leads out of the data set's folder.
        """
        for table in ("queries", "documents"):
            frame: pl.DataFrame = getattr(self, table)
            for f in self.fields(table):
                if f.modality != "image":
                    continue
                _, values = flat_values(frame[f.name])
                if values.dtype == pl.String:
                    for path in values.unique(maintain_order=True):
                        self._save_image(path, target)

    def _save_image(self, path: str, target: Path) -> None:
        source = (self.root or Path()) / path
        if not stays_inside(path):
            raise DataError(
                f"the picture path {path!r} leads out of the data set's folder", where=self.name
            )
        if (target / path).exists():
            return
        if not source.is_file():
            raise ImageError(
                "no such picture",
                where=str(source),
                remedy="Run `rankfield check --fix`, or clear the field of that row.",
            )
        link_or_copy(source, target / path)

    @classmethod
    def load(cls, folder: str | Path) -> RankingDataset:
        """Read a data set folder.

        Raises:
            DataError: the folder, a table or a column is missing or malformed.
        """
        root = Path(folder)
        _read_header(root)
        tables: dict[str, pl.DataFrame] = {}
        for table in _TABLES:
            path = root / f"{table}.parquet"
            if not path.is_file():
                raise DataError(
                    "there is no such table", where=str(path), remedy="Import the data set again."
                )
            try:
                tables[table] = pl.read_parquet(path, glob=False)
            except (pl.exceptions.PolarsError, OSError) as error:
                raise DataError(
                    f"not a readable Parquet file ({error})", where=str(path)
                ) from error
        return cls.of_header(root, tables)

    @classmethod
    def of_header(cls, root: Path, tables: Mapping[str, pl.DataFrame]) -> RankingDataset:
        """Make a data set of the `dataset.toml` in `root` and the three tables.

        Raises:
            DataError: the header or a column is missing or malformed.
        """
        header = _read_header(root)
        try:
            provenance = dict(header.get("provenance", {}))
            provenance["notes"] = tuple(provenance.get("notes", ()))
            return cls(
                name=header["name"],
                query_fields=tuple(Field(**f) for f in header["query_fields"]),
                document_fields=tuple(Field(**f) for f in header["document_fields"]),
                score_scale=ScoreScale(**header["score"]),
                provenance=Provenance(**provenance),
                root=root,
                **tables,
            )
        except DataError:
            raise
        except InputError as error:  # of a field or the score scale
            raise DataError(
                error.problem, where=f"{root / 'dataset.toml'}, {error.where}"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"malformed header ({problem})", where=str(root / "dataset.toml")
            ) from error


def _read_header(root: Path) -> dict[str, Any]:
    path = root / "dataset.toml"
    if not path.is_file():
        found = "expected a folder, found a file" if root.exists() else "there is no such folder"
        raise DataError(
            "not a ranking data set: it has no dataset.toml" if root.is_dir() else found,
            where=str(root),
            remedy="Make one with `rankfield import` or `rankfield sample`.",
        )
    try:
        header = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not valid TOML ({error})", where=str(path)) from error
    if header.get("format") != _FORMAT:
        raise DataError(
            f"expected format {_FORMAT}, found {header.get('format')!r}",
            where=str(path),
            remedy="Use the rankfield version that wrote it.",
        )
    return header
