"""The search page in the browser of this machine, where that is asked for."""

from __future__ import annotations

import threading
import webbrowser

from rankfield.terminal import echo

__all__ = ["page_address", "show"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def page_address(host: str, port: int) -> str:
    """Return the address of what listens at a host and port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def show(host: str, port: int) -> None:
    """Open the page of a service that listens in the browser, beside what runs.

    Where there is no browser, the address is said again.
    """
    address = page_address(_EVERYWHERE.get(host, host), port)

    def work() -> None:
        if not webbrowser.open(address):
            echo(f"There is no browser here; open {address} yourself.")

    # a browser of the terminal runs until it is closed
    threading.Thread(target=work, daemon=True).start()
