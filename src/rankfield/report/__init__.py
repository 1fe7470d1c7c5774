"""Reports: a page, Markdown, JSON and a model card from results; a data set's audit; figures.

The names below are loaded when they are first used: an audit or a figure of labels needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.report.audit_page import write_audit_page
    from rankfield.report.content import Content, gather
    from rankfield.report.data_card import write_data_card
    from rankfield.report.markdown import render_markdown
    from rankfield.report.model_card import render_model_card
    from rankfield.report.page import render_page, write_report
    from rankfield.report.plots import weights_figure

_HOMES = {
    "Content": "content",
    "gather": "content",
    "render_markdown": "markdown",
    "render_model_card": "model_card",
    "render_page": "page",
    "weights_figure": "plots",
    "write_audit_page": "audit_page",
    "write_data_card": "data_card",
    "write_report": "page",
}

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

__getattr__ = lazy_names(__name__, _HOMES)
