"""Settings of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("rankfield", deadline=None)
settings.load_profile("rankfield")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in a line that tests in a browser were skipped, and why."""
    skipped = terminalreporter.getreports("skipped")
    reasons = [one.longrepr[2] for one in skipped if one.nodeid.startswith("tests/browser/")]
    if reasons:
        reason = reasons[0].removeprefix("Skipped: ")
        terminalreporter.write_line(f"{len(reasons)} tests skipped, {reason}")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKFIELD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
