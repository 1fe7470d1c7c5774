"""Milvus Lite as a server on loopback: it speaks the protocol of a cluster."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["milvus_server"]


@contextmanager
def milvus_server(folder: Path) -> Iterator[str]:
    """Yield the address of a server that keeps its data in a folder."""
    for package in ("pymilvus", "milvus_lite"):
        pytest.importorskip(package)
    log = folder.parent / "milvus.log"
    for _ in range(3):  # another process may have taken the port meanwhile
        port = _free_port()
        command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder)]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        with log.open("w") as target:
            process = subprocess.Popen(command, stdout=target, stderr=target)
        try:
            if _answers(f"http://127.0.0.1:{port}", process):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            process.kill()
            process.wait()
    pytest.fail(f"Milvus Lite does not start: {log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a server answers its client; false if it ends or does not."""
    from pymilvus import MilvusClient
    from pymilvus.exceptions import MilvusException

    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            MilvusClient(uri=address, timeout=10).list_collections()
        except MilvusException:
            time.sleep(0.2)
        else:
            return True
    return False
