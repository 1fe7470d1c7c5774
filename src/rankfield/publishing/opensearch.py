"""OpenSearch: the zip and the register request of a custom model for ml-commons, in ONNX.

https://docs.opensearch.org/latest/ml-commons-plugin/custom-local-models/
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import ModelError
from rankfield.files import file_sha256, read_json_object, write_json
from rankfield.publishing.client import Client
from rankfield.publishing.engine_client import EngineClient, EngineSettings
from rankfield.publishing.engine_graph import POOLED, STATES, refuses_engine, write_engine
from rankfield.publishing.fields_file import prefix
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.options import PublishOptions

__all__ = ["LAYOUT"]

_ZIP, _REGISTER, _INDEX = "model.zip", "register.json", "index.json"
_GRAPH, _TOKENIZER = "model.onnx", "tokenizer.json"
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of the files in the zip: the same model gives the same hash."""
_REQUIRED = {
    *("name", "version", "model_format", "function_name", "model_content_hash_value"),
    *("model_config", "url"),
}
_CONFIG = {
    *("model_type", "embedding_dimension", "framework_type", "pooling_mode"),
    *("normalize_result", "all_config"),
}
_PREFIXES: dict[Side, str] = {"query": "query_prefix", "document": "passage_prefix"}


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:  # noqa: ARG001
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        graph = write_engine(model, place / _GRAPH, place / _TOKENIZER)
        with zipfile.ZipFile(folder / _ZIP, "w") as archive:
            for name in (_GRAPH, _TOKENIZER):
                entry = zipfile.ZipInfo(name, _DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as target:
                    target.write((place / name).read_bytes())
    # ml-commons gives token_type_ids to models of the type bert or albert, and to no others
    config: dict[str, Any] = {
        "model_type": graph.model_type,
        "embedding_dimension": graph.dimension,
        "framework_type": "sentence_transformers",
        "pooling_mode": graph.pooling,
        "normalize_result": True,
        "all_config": json.dumps({"model_type": graph.model_type}),
    }
    config |= {_PREFIXES[s]: prefix(model, s) for s in _PREFIXES if prefix(model, s)}
    register = {
        "name": model.name,
        "version": "1.0.0",
        "description": "Embeds for nearest-neighbour search; made with rankfield.",
        "model_format": "ONNX",
        "function_name": "TEXT_EMBEDDING",
        "model_content_size_in_bytes": (folder / _ZIP).stat().st_size,
        "model_content_hash_value": file_sha256(folder / _ZIP),
        "model_config": config,
        "url": f"https://HOST/{_ZIP}",
    }
    write_json(folder / _REGISTER, register)
    write_json(folder / _INDEX, _index(graph.dimension))


def _index(dimension: int) -> dict[str, Any]:
    """Return the body of an index whose field `embedding` holds the vectors."""
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    vector = {"type": "knn_vector", "dimension": dimension, "method": method}
    return {"settings": {"index.knn": True}, "mappings": {"properties": {"embedding": vector}}}


def _open(folder: Path, options: PublishOptions) -> Client:  # noqa: ARG001
    config = read_json_object(folder / _REGISTER)["model_config"]
    pooling = config["pooling_mode"].lower()
    prefixes: dict[Side, str] = {side: config.get(key, "") for side, key in _PREFIXES.items()}
    settings = EngineSettings(
        # without pooling ml-commons takes the second output
        output=POOLED if pooling == "none" else STATES,
        pooling=pooling,
        normalise=bool(config["normalize_result"]),
        prefixes=prefixes,
        dimension=config["embedding_dimension"],
    )
    with zipfile.ZipFile(folder / _ZIP) as archive:
        return EngineClient(archive.read(_GRAPH), archive.read(_TOKENIZER).decode(), settings)


def _check(folder: Path) -> None:
    """Hold the request and the zip to the documented fields.

    Raises:
        ModelError: a field is missing, the hash is not that of the zip, or the index differs.
    """
    register = read_json_object(folder / _REGISTER)
    config = register.get("model_config", {})
    vector = read_json_object(folder / _INDEX)["mappings"]["properties"]["embedding"]
    with zipfile.ZipFile(folder / _ZIP) as archive:
        names = sorted(archive.namelist())
    missing = (_REQUIRED - register.keys()) | (_CONFIG - config.keys())
    problem = ""
    if missing:
        problem = f"lacks {', '.join(sorted(missing))}"
    elif names != sorted([_GRAPH, _TOKENIZER]):
        problem = f"has a zip with {', '.join(names)}"
    elif register["model_content_hash_value"] != file_sha256(folder / _ZIP):
        problem = "has the hash of another zip"
    elif register["model_content_size_in_bytes"] != (folder / _ZIP).stat().st_size:
        problem = "has the size of another zip"
    elif vector["dimension"] != config["embedding_dimension"]:
        problem = "has an index of another dimension"
    if problem:
        raise ModelError(problem, where=f"--as opensearch, {_REGISTER}")


LAYOUT = ModelLayout(
    name="opensearch",
    title="OpenSearch",
    write=_write,
    open=_open,
    check=_check,
    refuses=refuses_engine,
    package="onnxruntime",
    extra="onnx",
    imports="onnxruntime",
    usage="""Put `model.zip` where the cluster can fetch it, write its address into `url` of
`register.json`, and register it:

```bash
curl -XPOST "$OPENSEARCH/_plugins/_ml/models/_register?deploy=true" \\
  -H 'Content-Type: application/json' -d @register.json
curl -XPUT "$OPENSEARCH/items" -H 'Content-Type: application/json' -d @index.json
```

A `text_embedding` processor of an ingest pipeline, and `neural` queries, then name the model's id.
Pooling `none` needs OpenSearch 3.6. Of several text fields the vector is fed, added up as the
section on fields says. OpenSearch itself was not started: the graph was run by ONNX Runtime with
the pooling, normalisation and prefixes of `register.json`.
""",
)
