"""Every layout that models are published in, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

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


class _Layouts(Mapping[str, "ModelLayout"]):
    """The layouts, each loaded when it is asked for: the names alone need no library."""

    def __getitem__(self, name: str) -> ModelLayout:
        layout: ModelLayout = import_module(f"rankfield.publishing.{_MODULES[name]}").LAYOUT
        return layout

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


LAYOUTS: Mapping[str, ModelLayout] = _Layouts()
"""Name → layout, in the order of help."""
