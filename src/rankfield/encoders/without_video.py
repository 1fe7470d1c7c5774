"""Processors of text and images without their third part, for videos, where torchvision is missing.

transformers makes the processor of Qwen-VL and its like whole or not at all, and its video
processors need torchvision.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

__all__ = ["without_video"]

_GUARD = threading.RLock()
_VIDEO = "video"


@contextmanager
def without_video() -> Iterator[None]:
    """Let transformers load, call and save a processor without its video processor.

    Where torchvision is installed nothing is changed.
    """
    if find_spec("torchvision") is not None:
        yield
        return
    from transformers.processing_utils import ProcessorMixin

    mixin: Any = ProcessorMixin
    with _GUARD:
        make, attributes = mixin.__init__, mixin.__dict__["get_attributes"]

        def named(cls: Any) -> list[str]:
            return [name for name in attributes.__func__(cls) if _VIDEO not in name]

        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            given = dict(zip(attributes.__func__(type(self)), args, strict=False)) | kwargs
            make(self, **{name: part for name, part in given.items() if _VIDEO not in name})

        mixin.get_attributes, mixin.__init__ = classmethod(named), init
        try:
            yield
        finally:
            mixin.get_attributes, mixin.__init__ = attributes, make
