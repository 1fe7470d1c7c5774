"""A client of the service in this process: the application of `rankfield serve`, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from rankfield.closing import Closing
from rankfield.errors import RemoteError
from rankfield.serving import Service, create_app
from rankfield.serving.logs import JsonLog

__all__ = ["ShopClient"]


class ShopClient(Closing):
    """Opens a service over some indexes, and asks it as a shop's page would.

    Args:
        indexes: name → folder.
        feedback: where the service keeps what is reported.
        log: file to which the service's log is appended.

    Raises:
        InputError, ModelError, OutputError: the service cannot be opened.
    """

    def __init__(self, indexes: Mapping[str, Path], *, feedback: Path, log: Path) -> None:
        self._log = log.open("a", encoding="utf-8")
        try:
            self._service = Service(indexes, data=feedback, log=JsonLog(self._log))
        except BaseException:
            self._log.close()
            raise
        self._app: Any = create_app(self._service)

    def post(self, route: str, body: object) -> Any:
        """Return the answer to a request.

        Raises:
            RemoteError: the service refused it.
        """
        answer = asyncio.run(self._post(route, body))
        if answer.status_code != 200:
            raise RemoteError(f"{answer.status_code}: {answer.text:.500}", where=route)
        return answer.json()

    async def _post(self, route: str, body: object) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self._app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post(route, json=body)

    def close(self) -> None:
        """Stop the service."""
        self._service.close()
        self._log.close()
