"""Reports: one HTML page with tables, curves and pictures; figures of weights."""

from __future__ import annotations

from rankfield.report.page import write_report
from rankfield.report.plots import weights_figure

__all__ = ["weights_figure", "write_report"]
