"""Reports: one HTML page with tables, curves and pictures; the audit of a data set; figures."""

from __future__ import annotations

from rankfield.report.audit_page import write_audit_page
from rankfield.report.data_card import write_data_card
from rankfield.report.page import write_report
from rankfield.report.plots import weights_figure

__all__ = ["weights_figure", "write_audit_page", "write_data_card", "write_report"]
