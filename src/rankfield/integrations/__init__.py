"""rankfield's losses, evaluation and log for those who keep their own trainer."""

from __future__ import annotations

__all__: list[str] = []
