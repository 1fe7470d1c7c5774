"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("rankfield", deadline=None)
settings.load_profile("rankfield")
