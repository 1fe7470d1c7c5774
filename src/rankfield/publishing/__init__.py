"""Models for others: in the layouts of other systems, each proved in its real client; on a hub.

The names below are loaded when they are first used: the names of the layouts need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.publishing.client import Client, RecordClient
    from rankfield.publishing.exported_model import ExportedModel
    from rankfield.publishing.exported_records import ExportedRecords
    from rankfield.publishing.layout import ModelLayout
    from rankfield.publishing.options import PublishOptions
    from rankfield.publishing.proof import Proof, prove
    from rankfield.publishing.publication import publish
    from rankfield.publishing.pushing import Push, push, push_plan
    from rankfield.publishing.table import LAYOUTS

_HOMES = {
    "LAYOUTS": "table",
    "Client": "client",
    "ExportedModel": "exported_model",
    "ExportedRecords": "exported_records",
    "ModelLayout": "layout",
    "Proof": "proof",
    "PublishOptions": "options",
    "Push": "pushing",
    "RecordClient": "client",
    "prove": "proof",
    "publish": "publication",
    "push": "pushing",
    "push_plan": "pushing",
}

__all__ = [
    "LAYOUTS",
    "Client",
    "ExportedModel",
    "ExportedRecords",
    "ModelLayout",
    "Proof",
    "PublishOptions",
    "Push",
    "RecordClient",
    "prove",
    "publish",
    "push",
    "push_plan",
]

__getattr__ = lazy_names(__name__, _HOMES)
