"""The optional package open_clip, imported when it is first needed."""

from __future__ import annotations

import os
from types import ModuleType

from rankfield.encoders.torchvision_import import usable_torchvision
from rankfield.errors import MissingExtraError

__all__ = ["import_open_clip"]

_VARIABLE = "TOKENIZERS_PARALLELISM"


def import_open_clip() -> ModuleType:
    """Return the module `open_clip`, with its submodules `factory`, `model` and `tokenizer`.

    Raises:
        MissingExtraError: it is not installed.
    """
    usable_torchvision()
    before = os.environ.get(_VARIABLE)
    try:
        import open_clip
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{error.name or 'open_clip'} is not installed",
            remedy="pip install 'rankfield[open-clip]'",
        ) from error
    finally:
        # open_clip turns off the threads of every tokenizer of this process.
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before
    module: ModuleType = open_clip
    return module
