"""Every layout that models are published in, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rankfield.module_table import ModuleTable

if TYPE_CHECKING:
    from rankfield.publishing.layout import ModelLayout

__all__ = ["LAYOUTS"]

_MODULES = {
    "sentence-transformers": "sentence_transformers",
    "transformers": "transformers",
    "open-clip": "open_clip",
    "onnx": "onnx_towers",
    "onnx-int8": "onnx_int8",
    "onnx-document": "onnx_document",
    "openvino": "openvino_towers",
    "openvino-int8": "openvino_int8",
    "vespa": "vespa",
    "opensearch": "opensearch",
    "elasticsearch": "elasticsearch",
    "vectors": "vectors",
}
"""Name → module of this package, whose `LAYOUT` it is."""

LAYOUTS: Mapping[str, ModelLayout] = ModuleTable("rankfield.publishing", _MODULES)
"""Name → layout, in the order of help."""
