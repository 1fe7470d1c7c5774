"""An index that is served: opened again when another process wrote it, one write at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from rankfield.encoders import RankingModel
from rankfield.errors import InputError, RankfieldError
from rankfield.index import Index, index_model, open_index
from rankfield.index.base import Vectors
from rankfield.index.metadata import HEADER, header_version, read_header
from rankfield.query import Searcher
from rankfield.serving.batch_thread import BatchThread
from rankfield.serving.embedder import Embedder
from rankfield.serving.gathered_index import gathered
from rankfield.serving.vector_cache import VectorCache

__all__ = ["Opened", "ServedIndex", "named_folders"]

Sign = tuple[int, int, int] | None


@dataclass(frozen=True)
class Opened:
    """One opened state of an index folder, with the model that it is of."""

    index: Index
    embedder: Embedder
    searcher: Searcher

    @property
    def model(self) -> RankingModel:
        """The model that embeds for it."""
        return self.embedder.model


class ServedIndex:
    """An index with its model, by a name that requests use.

    Before each request the file that names what counts is looked at (one `stat`). If another
    process wrote the index, or replaced its folder, it is opened again by one of the requests;
    those meanwhile are answered by what was open. Where it cannot be opened, as in the moment of a
    replacement, the former state goes on to serve.

    Args:
        name: how requests call it.
        folder: of the index.
        model: folder of the model; by default where it was when the index was built.
        device: where to embed.
        thread, cache: of the service.
        log: takes an event and its values.
    """

    def __init__(
        self,
        name: str,
        folder: str | Path,
        *,
        model: str | Path | None,
        device: str,
        thread: BatchThread,
        cache: VectorCache,
        log: Callable[..., None],
    ) -> None:
        """Open the index and load its model.

        Raises:
            InputError, ModelError: as `open_index` and `index_model`.
        """
        self.name, self.folder = name, Path(folder)
        self._place, self._device = model, device
        self._thread, self._cache, self._log = thread, cache, log
        self._opening, self._writing = threading.Lock(), threading.Lock()
        self._sign = self._look()
        self._opened = self._open(None)
        self.reloads = 0

    def current(self) -> Opened:
        """Return the newest state that can be opened."""
        if self._look() != self._sign and self._opening.acquire(blocking=False):
            try:
                self._renew()
            finally:
                self._opening.release()
        return self._opened

    def upsert(
        self,
        documents: pl.DataFrame,
        embed: Callable[[Embedder], Vectors],
        thumbnails: Sequence[bytes | None] | None = None,
    ) -> str:
        """Write documents, durably, and return the version of the index after that.

        Args:
            documents: `doc_id` and the stored columns.
            embed: makes their vectors.
            thumbnails: small images of them, as `Index.upsert` takes them.

        Raises:
            DataError, OutputError: as `Index.upsert`.
        """
        while True:
            opened = self.current()
            vectors = embed(opened.embedder)
            with self._writing:
                if self._look() != self._sign:  # perhaps of another model by now
                    self._wait_renewed()
                if self._opened.embedder.fingerprint != opened.embedder.fingerprint:
                    continue
                self._opened.index.upsert(documents, vectors, thumbnails)
                return self._opened.index.version

    def delete(self, ids: Iterable[str]) -> tuple[int, str]:
        """Delete documents, durably; return how many there were, and the version after that.

        Raises:
            OutputError: as `Index.delete`.
        """
        with self._writing:
            if self._look() != self._sign:
                self._wait_renewed()
            index = self._opened.index
            return index.delete(ids), index.version

    def _wait_renewed(self) -> None:
        with self._opening:
            self._renew()

    def _look(self) -> Sign:
        try:
            found = (self.folder / HEADER).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _renew(self) -> None:
        """Open what is there now, unless it is what is open; the former state stays if it fails."""
        sign = self._look()
        if sign is None:
            return
        try:
            if header_version(read_header(self.folder)) != self._opened.index.version:
                self._opened = self._open(self._opened)
                self.reloads += 1
                self._log("index opened again", index=self.name, version=self._opened.index.version)
        except (RankfieldError, OSError) as error:
            self._log("index not opened", index=self.name, error=str(error))
            if self._look() == sign:  # it stays so: do not try again before it changes
                self._sign = sign
            return
        self._sign = sign

    def _open(self, before: Opened | None) -> Opened:
        index = open_index(self.folder)
        fingerprint = index.metadata.model_fingerprint
        known = before.embedder if before is not None else None
        if (
            known is None
            or known.fingerprint != fingerprint
            or known.model.dimension != index.metadata.dimension
        ):
            model = index_model(index, self._place, device=self._device).eval()
            known = Embedder(model, fingerprint, self._thread, self._cache)
        shared = gathered(index, self._thread)
        return Opened(index, known, Searcher(shared, known.model, embed=known.queries))


def named_folders(words: Sequence[str]) -> dict[str, Path]:
    """Return name → folder of `FOLDER` or `NAME=FOLDER`; the name is else that of the folder.

    Raises:
        InputError: two of one name.
    """
    found: dict[str, Path] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not equals or Path(word).exists():
            name, place = Path(word).resolve().name, word
        if name in found:
            raise InputError(
                f"two indexes are called {name!r}",
                where=word,
                remedy=f"Name one: OTHER={place}.",
            )
        found[name] = Path(place)
    return found
