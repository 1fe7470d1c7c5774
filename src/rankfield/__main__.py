"""`python -m rankfield`: the command `rankfield`."""

from __future__ import annotations

from rankfield.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
