"""Search over HTTP: queries, documents, embeddings, judgments and events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.serving.app import create_app
    from rankfield.serving.judgments import latest_judgments
    from rankfield.serving.keys import Keys
    from rankfield.serving.limits import Limits
    from rankfield.serving.preferences import index_preferences
    from rankfield.serving.server import check_host, serve
    from rankfield.serving.service import Service

_HOMES = {
    "Keys": "keys",
    "Limits": "limits",
    "Service": "service",
    "check_host": "server",
    "create_app": "app",
    "latest_judgments": "judgments",
    "index_preferences": "preferences",
    "serve": "server",
}

__all__ = [
    "Keys",
    "Limits",
    "Service",
    "check_host",
    "create_app",
    "index_preferences",
    "latest_judgments",
    "serve",
]

__getattr__ = lazy_names(__name__, _HOMES)
