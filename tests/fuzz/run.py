"""Mutants of good files through every reader and decoder, as many as there is time for.

`python tests/fuzz/run.py --mutants 100000`; one that fails comes again with `--start NUMBER
--mutants 1` and the same seed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Return 1 if a mutant fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--only", default="", help="targets whose names have this in them")
    given = parser.parse_args()
    sys.path[:0] = [str(Path(__file__).parents[1])]
    from fuzz_mutants import run

    return 1 if run(given.mutants, given.seed, given.start, given.only) else 0


if __name__ == "__main__":
    sys.exit(main())
