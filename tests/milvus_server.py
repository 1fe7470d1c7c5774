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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (folder.parent / "milvus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None, (folder.parent / "milvus.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
