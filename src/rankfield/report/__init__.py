"""Reports: a page, Markdown, JSON and a model card from results; a data set's audit; figures."""

from __future__ import annotations

from rankfield.report.audit_page import write_audit_page
from rankfield.report.content import Content, gather
from rankfield.report.data_card import write_data_card
from rankfield.report.markdown import render_markdown
from rankfield.report.model_card import render_model_card
from rankfield.report.page import render_page, write_report
from rankfield.report.plots import weights_figure

__all__ = [
    "Content",
    "gather",
    "render_markdown",
    "render_model_card",
    "render_page",
    "weights_figure",
    "write_audit_page",
    "write_data_card",
    "write_report",
]
