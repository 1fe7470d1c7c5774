"""Batches read ahead of the training step, by processes that share memory with it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.data import DataLoader, Dataset

from rankfield.errors import RankfieldError, RecipeError
from rankfield.messages import first_line
from rankfield.training.batches import PairBatches, TrainingBatch
from rankfield.training.packed import Packed, pack, packed_size, unpack

__all__ = ["ReadAheadError", "batches_ahead", "require_shared_memory"]

_SHARED = Path("/dev/shm")
_AHEAD = 2
"""Batches that each process has ready."""
_SPARE = 1.25
"""Batches differ in size: later ones may hold more images than the first."""
_PAGE = 4096


def batches_ahead(
    batches: PairBatches, steps: range, *, workers: int, processes: int = 1, pinned: bool = False
) -> Iterator[TrainingBatch]:
    """Yield the batches of these steps, read by `workers` processes; by this one if 0.

    Args:
        batches: step → batch.
        steps: in their order.
        workers: how many processes read ahead.
        processes: how many on this machine do the same.
        pinned: whether what they read is put into pinned memory, beside the training.

    Raises:
        ReadAheadError: shared memory does not hold what is read ahead, or a reading process ended.
        DataError, ImageError: as `batches`.
    """
    if len(steps):
        require_shared_memory(batches, steps[0], workers=workers, processes=processes)
    loader = DataLoader(
        _Readable(batches),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        pin_memory=pinned and workers > 0,
    )
    try:
        with _tokenizers_may_fork():
            reading = iter(loader)
        for found in reading:
            if isinstance(found, RankfieldError):
                raise found
            yield unpack(found) if isinstance(found, Packed) else found
    except RankfieldError:
        raise
    except (RuntimeError, OSError) as error:
        if not workers or not _of_a_reader(error):
            raise
        raise _refused(
            f"a process that reads ahead ended ({first_line(error).rstrip('. ')})"
        ) from error


def require_shared_memory(
    batches: PairBatches, step: int, *, workers: int, processes: int = 1
) -> None:
    """Make sure that /dev/shm holds what is read ahead; measured by the batch of `step`.

    Each process keeps two batches ready, and the training step holds one.

    Raises:
        ReadAheadError: it does not.
    """
    if not workers or not _SHARED.is_dir():
        return
    state = os.statvfs(_SHARED)
    free = state.f_bavail * state.f_frsize
    size = math.ceil(packed_size(batches[step]) / _PAGE) * _PAGE + _PAGE
    needed = int(size * (_AHEAD * workers + 1) * processes * _SPARE)
    if needed > free:
        raise _refused(
            f"{_SHARED} has {_mib(free)} MiB free; batches of {_mib(size)} MiB that "
            f"{workers} process(es) read ahead need {_mib(needed)} MiB",
            size=f"{math.ceil(needed / 2**30)}g",
        )


class ReadAheadError(RecipeError):
    """Processes cannot read ahead: shared memory is too small, or one of them was ended."""


class _Readable(Dataset[TrainingBatch | Packed | RankfieldError]):
    """Batches in shared memory; what cannot be read is a value, which no traceback is put into."""

    def __init__(self, batches: PairBatches) -> None:
        self.batches = batches

    def __getitem__(self, step: int) -> TrainingBatch | Packed | RankfieldError:
        from torch.utils.data import get_worker_info

        try:
            batch = self.batches[step]
        except RankfieldError as error:
            return error
        if get_worker_info() is None:
            return batch
        try:
            # Here, not in the thread that sends it: where that one fails, nobody hears of it, and
            # the training waits for ever.
            return pack(batch)
        except (RuntimeError, OSError) as error:
            reason = first_line(error).rstrip(". ")
            return _refused(f"{_SHARED} is full ({reason})")


@contextmanager
def _tokenizers_may_fork() -> Iterator[None]:
    """Let processes start whose tokenizers use no threads: those of this one do not reach them."""
    name = "TOKENIZERS_PARALLELISM"
    usual = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if usual is None:
            del os.environ[name]
        else:
            os.environ[name] = usual


def _refused(problem: str, *, size: str = "1g") -> ReadAheadError:
    return ReadAheadError(
        problem,
        where="recipe, data.workers",
        remedy="Read the images without further processes (--set data.workers=0), or give the "
        f"container more shared memory (docker run --shm-size={size}).",
    )


def _of_a_reader(error: Exception) -> bool:
    """Return whether a process of the loader was killed, or it could not be started."""
    return isinstance(error, OSError) or "DataLoader worker" in str(error)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"
