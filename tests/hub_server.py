"""A hub on loopback that speaks the protocol of Hugging Face's, and may fail on purpose."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from loopback import LoopbackHandler, LoopbackServer

__all__ = ["TOKEN", "HubServer", "hub"]

TOKEN = "hf_" + "k3yOfTheTestsThatNobodyMayEverSee"
_LARGE = (".safetensors", ".onnx", ".bin")


@dataclass
class Repository:
    """Branches, each of path → contents, or the SHA-256 of a large file."""

    private: bool
    branches: dict[str, dict[str, bytes | str]] = field(default_factory=lambda: {"main": {}})
    commits: int = 0


class HubServer(LoopbackServer):
    """`refused`: paths' beginnings that are answered with a status, once for each entry."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.xorbs: dict[str, int] = {}
        self.requests: list[tuple[str, str]] = []
        self.refused: list[tuple[str, int, str]] = []

    @property
    def stored(self) -> int:
        """How often a large file was sent."""
        return sum(method == "PUT" for method, _ in self.requests)


class _Handler(LoopbackHandler):
    server: HubServer

    def respond(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        with self.server.guard:
            self.server.requests.append((self.command, path))
            for entry in self.server.refused:
                if path.startswith(entry[0]):
                    self.server.refused.remove(entry)
                    return self.json({"error": entry[2]}, status=entry[1])
            if path.startswith(("/lfs/", "/v1/", "/v2/")):
                return self._store(path, body)
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                said = f"bad token {self.headers.get('authorization')}"
                return self.json({"error": said}, status=401)
            return self._api(path, body)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _store(self, path: str, body: bytes) -> None:
        """Answer for the stores of large files: Git LFS and Xet."""
        kind, _, key = path.rpartition("/")
        if kind == "/lfs":
            if hashlib.sha256(body).hexdigest() != key:
                return self.json({"error": "damaged"}, status=400)
            self.server.objects[key] = body
            return self.json({})
        if kind.startswith("/v1/xorbs"):
            self.server.xorbs[key] = len(body)
            return self.json({"was_inserted": True})
        if path == "/v1/shards":
            return self.json({"result": 1})
        return self.json({"error": "not here"}, status=404)

    def _api(self, path: str, body: bytes) -> None:
        if path == "/api/validate-yaml":
            self.json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        else:
            self._repository(path, body)

    def _repository(self, path: str, body: bytes) -> None:
        server = self.server
        user, name, *rest = path.removeprefix("/api/models/").split("/", 3)
        repository = server.repositories[f"{user}/{name}"]
        verb, revision = (*rest, "", "")[:2]
        if verb == "branch":
            known = revision in repository.branches
            repository.branches.setdefault(revision, dict(repository.branches["main"]))
            self.json({}, status=409 if known else 201)
        elif verb == "xet-write-token":
            until = int(time.time()) + 3600
            self.json({"casUrl": server.url, "accessToken": "other", "exp": until})
        elif verb == "preupload":
            self.json({"files": [self._mode(file) for file in json.loads(body)["files"]]})
        elif verb == "commit":
            self._commit(f"{user}/{name}", revision, body)
        else:
            about = {"id": f"{user}/{name}", "private": repository.private, "siblings": []}
            self.json(about)

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        known = name in self.server.repositories
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.server.repositories.setdefault(name, Repository(private))
        self.json({"url": f"{self.server.url}/{name}"}, status=409 if known else 200)

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = []
        for one in asked["objects"]:
            actions = {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}"}}
            known = one["oid"] in self.server.objects
            objects.append(one if known else {**one, "actions": actions})
        self.json({"transfer": "basic", "objects": objects})

    @staticmethod
    def _mode(file: dict[str, Any]) -> dict[str, Any]:
        mode = "lfs" if file["path"].endswith(_LARGE) else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}

    def _commit(self, name: str, revision: str, body: bytes) -> None:
        repository = self.server.repositories[name]
        branch = repository.branches[revision]
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                branch[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                branch[value["path"]] = value["oid"]
        repository.commits += 1
        url = f"{self.server.url}/{name}/commit/{repository.commits:040x}"
        self.json({"commitUrl": url, "commitOid": f"{repository.commits:040x}"})


@contextmanager
def hub() -> Iterator[HubServer]:
    """Run such a server while the block lasts."""
    server = HubServer()
    with server.running():
        yield server
