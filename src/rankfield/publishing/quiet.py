"""Exporters and quantisers without what they say of their own parts."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

__all__ = ["quiet_export"]


@contextmanager
def quiet_export() -> Iterator[None]:
    """Silence warnings, log records below ERROR and standard output, where nncf draws its bars.

    They advise passes over the graph that are done already, and packages that are not needed.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
