"""The device of a command's `--device`."""

from __future__ import annotations

from rankfield.errors import InputError

__all__ = ["chosen_device"]


def chosen_device(name: str | None) -> str:
    """Return a device as torch names it; without a name a GPU if there is one.

    Raises:
        InputError: this machine has no such device.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"no such device {name!r} ({reason})", where="--device") from error
    return name
