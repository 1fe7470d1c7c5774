"""Models for others: in the layouts of other systems, each proved in its real client; on a hub.

The names below are loaded when they are first used: the names of the layouts need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankfield.publishing.client import Client, DocumentClient
    from rankfield.publishing.layout import ModelLayout
    from rankfield.publishing.options import PublishOptions
    from rankfield.publishing.proof import Proof, prove
    from rankfield.publishing.publication import publish
    from rankfield.publishing.pushing import Push, push, push_plan
    from rankfield.publishing.table import LAYOUTS

_HOMES = {
    "LAYOUTS": "table",
    "Client": "client",
    "DocumentClient": "client",
    "ModelLayout": "layout",
    "Proof": "proof",
    "PublishOptions": "options",
    "Push": "pushing",
    "prove": "proof",
    "publish": "publication",
    "push": "pushing",
    "push_plan": "pushing",
}

__all__ = [
    "LAYOUTS",
    "Client",
    "DocumentClient",
    "ModelLayout",
    "Proof",
    "PublishOptions",
    "Push",
    "prove",
    "publish",
    "push",
    "push_plan",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"rankfield.publishing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rankfield.publishing' has no attribute {name!r}")
