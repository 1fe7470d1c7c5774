"""Good files, changed at random, for every reader and decoder.

A mutant ends well, or in an error that rankfield raises on purpose; it takes less than 10 seconds
and the process less than 1 GiB more than reading the good files left it with. Each is made from
the seed and its own number alone.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from fuzz_targets import Target, targets
from rankfield.errors import RankfieldError

__all__ = ["Mutant", "mutants", "mutated", "target_names"]

SECONDS = 10
MEMORY = 1 << 10  # MiB
_LATE = 60
HOSTILE = (
    *(b"9" * 5000, b"1e999", b"-1e999", b"NaN", b"1" * 400, b"1e-999999999", b"0x" + b"f" * 99),
    *(b"[" * 5000, b"{" * 3000, b'{"a":' * 2000, b"<a>" * 3000, b"<topic " * 3000, b"." * 3000),
    *(b"\0", b"\xff\xfe", b"\\ud800", b"\xed\xa0\x80", b'"', b"'", b"\t", b"\n", b"\r", b","),
    *(b"../../x", b"/etc/passwd", b"*", b"[1]", b"null", b"true", b"{}", b"[]", b"\x1b[2J"),
)
NUMBERS = (b"0", b"-1", b"0.5", b"1e308", b"2147483647", b"99999999", b"18446744073709551616")
_DIGITS = re.compile(rb"\d+")
_HEAD = 1 << 12


@dataclass(frozen=True)
class Mutant:
    """What became of a mutant.

    end: "read", "refused" or "wrong"; problem: what is wrong, "" if nothing is.
    seconds: the lower of wall clock and processor time, which other processes lengthen and threads.
    memory: MiB that the process took at most beyond what the good files left it with.
    """

    number: int
    target: str
    end: str
    problem: str
    seconds: float
    memory: int


def target_names(only: str = "", weight: int = 1) -> list[str]:
    """Return the target of the first mutant, of the second and so on, to be repeated.

    only: what is in their names; weight: theirs at least, so that slow ones are left out.
    """
    known = {n: t for n, t in targets().items() if only in n and t.weight >= weight}
    rounds = max(t.weight for t in known.values())
    return [n for turn in range(rounds) for n in sorted(known) if turn < known[n].weight]


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Return the bytes with one to four changes, half of them in the first 4 KiB."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        length = len(data) if draw.random() < 0.5 else min(len(data), _HEAD)
        at = draw.randrange(length + 1)
        size = draw.choice((1, 1, 2, 4, 16, 200))
        match draw.randrange(7):
            case 0:
                data = data[:at] + draw.randbytes(size) + data[at + size :]
            case 1:
                data = data[:at] + data[at + size :]
            case 2:
                data = data[:at]
            case 3:
                data = data[:at] + draw.choice(HOSTILE) + data[at:]
            case 4:
                data = data[:at] + data[at : at + size] * draw.choice((2, 50)) + data[at:]
            case 5:
                if found := _DIGITS.search(data, at, at + 1000):
                    number = draw.choice(NUMBERS)
                    data = data[: found.start()] + number + data[found.end() :]
            case _:
                end = draw.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
                data = data[:at] + end + data[at + 4 :]
    return data


def mutants(
    count: int, seed: int, start: int = 0, only: str = "", weight: int = 1
) -> Iterator[Mutant]:
    """Read so many mutants and yield what becomes of each; `only` and `weight` choose targets."""
    known, names = targets(), target_names(only, weight)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        base = _memory("VmRSS")
        signal.signal(signal.SIGALRM, _late)
        for number in range(start, start + count):
            name = names[number % len(names)]
            good = root / "good" / name
            if not good.exists():
                _prepare(known[name], good, root / "mutant")
                base = _memory("VmRSS")
            found = _one(known[name], good, root / "mutant", random.Random(f"{seed} {number}"))
            end, problem, seconds = found
            memory = _memory("VmHWM") - base
            if memory > MEMORY:
                end, problem, base = "wrong", problem or f"{memory:,} MiB", _memory("VmRSS")
            yield Mutant(number, name, end, problem, seconds, memory)


def _prepare(target: Target, good: Path, place: Path) -> None:
    """Write the good files and read them once: they are read, and what reads them is imported."""
    good.mkdir(parents=True)
    target.make(good)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(good, place)
    target.read(place)


def _one(target: Target, good: Path, place: Path, draw: random.Random) -> tuple[str, str, float]:
    """Return how a mutant ends, what is wrong, and the seconds it takes."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(good, place)
    chosen = draw.choice(sorted(p for p in place.rglob("*") if p.is_file()))
    data = mutated(chosen.read_bytes(), draw)
    chosen.unlink()
    chosen.write_bytes(data)
    _forget_peak()
    begun, used = time.monotonic(), time.process_time()
    end, problem = "read", ""
    signal.alarm(_LATE)
    try:
        target.read(place)
    except (RankfieldError, click.UsageError):
        end = "refused"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        last = traceback.extract_tb(error.__traceback__)[-1]
        place_of = f"{Path(last.filename).name}:{last.lineno}"
        end = "wrong"
        problem = f"{type(error).__name__}: {str(error)[:200]} ({chosen.name}, {place_of})"
    finally:
        signal.alarm(0)
    seconds = min(time.monotonic() - begun, time.process_time() - used)
    if seconds > SECONDS and not problem:
        end, problem = "wrong", f"{seconds:.1f} s"
    return end, problem, seconds


def _late(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"not done after {_LATE} s")


def _forget_peak() -> None:
    """Let the system measure the peak of the process's memory from here on."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(what: str) -> int:
    """Return VmRSS, what the process takes now, or VmHWM, its peak, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) >> 10
    return 0
