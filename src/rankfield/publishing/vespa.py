"""Vespa: an application package whose embedder is the model, as its hugging-face-embedder reads it.

https://docs.vespa.ai/en/reference/rag/embedding.html
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import ModelError
from rankfield.publishing.client import Client
from rankfield.publishing.engine_client import EngineClient, EngineSettings
from rankfield.publishing.engine_graph import POOLED, STATES, refuses_engine, write_engine
from rankfield.publishing.fields_file import prefix
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.options import PublishOptions

__all__ = ["LAYOUT", "vespa_schema"]

_ID = "rankfield"
_SERVICES, _SCHEMA = "services.xml", "schemas/item.sd"
_GRAPH, _TOKENIZER = "models/model.onnx", "models/tokenizer.json"
_DOCUMENTED = {
    *("transformer-model", "tokenizer-model", "max-tokens", "transformer-input-ids"),
    *("transformer-attention-mask", "transformer-token-type-ids", "transformer-output"),
    *("pooling-strategy", "normalize", "prepend"),
}
"""Elements of the embedder's component that are used here, as its reference names them."""
_VECTOR = """field embedding type tensor<float>(x[DIMENSION]) {
        indexing: MADEattribute | index
        attribute {
            distance-metric: prenormalized-angular
        }
    }"""
"""Of the schema; MADE is how Vespa makes it, if it does."""


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:  # noqa: ARG001
    (folder / "models").mkdir()
    (folder / "schemas").mkdir()
    graph = write_engine(model, folder / _GRAPH, folder / _TOKENIZER)
    services = ET.Element("services", version="1.0")
    container = ET.SubElement(services, "container", id="default", version="1.0")
    component = ET.SubElement(container, "component", id=_ID, type="hugging-face-embedder")
    ET.SubElement(component, "transformer-model", path=_GRAPH)
    ET.SubElement(component, "tokenizer-model", path=_TOKENIZER)
    values = {"max-tokens": str(graph.max_tokens)}
    values |= {f"transformer-{name.replace('_', '-')}": name for name in graph.inputs}
    values["transformer-output"] = POOLED if graph.pooling == "none" else STATES
    values |= {"pooling-strategy": graph.pooling, "normalize": "true"}
    for name, value in values.items():
        ET.SubElement(component, name).text = value
    prefixes = {side: prefix(model, side) for side in ("query", "document")}
    if any(prefixes.values()):
        prepend = ET.SubElement(component, "prepend")
        for name, text in prefixes.items():
            if text:
                # Vespa puts a blank between this and the text
                ET.SubElement(prepend, name).text = text.removesuffix(" ")
    ET.SubElement(container, "search")
    ET.SubElement(container, "document-api")
    ET.SubElement(ET.SubElement(container, "nodes"), "node", hostalias="node1")
    _add_content(services)
    ET.indent(services)
    text = ET.tostring(services, encoding="unicode")
    (folder / _SERVICES).write_text(f'<?xml version="1.0" encoding="utf-8" ?>\n{text}\n', "utf-8")
    (folder / _SCHEMA).write_text(vespa_schema(model, graph.dimension), "utf-8")


def _add_content(services: ET.Element) -> None:
    content = ET.SubElement(services, "content", id="items", version="1.0")
    ET.SubElement(content, "min-redundancy").text = "1"
    documents = ET.SubElement(content, "documents")
    ET.SubElement(documents, "document", type="item", mode="index")
    nodes = ET.SubElement(content, "nodes")
    ET.SubElement(nodes, "node", {"distribution-key": "0", "hostalias": "node1"})


def vespa_schema(model: RankingModel, dimension: int) -> str:
    """Return a schema; the vector of a single text field is made by Vespa, others are fed."""
    names = [_identifier(field.name) for field in model.fields("document")]
    fields = [
        f"""        field {name} type string {{
            indexing: summary | index
            index: enable-bm25
        }}"""
        for name in names
    ]
    vector = _VECTOR.replace("DIMENSION", str(dimension))
    if len(names) == 1:
        made = f"\n    {vector.replace('MADE', f'input {names[0]} | embed {_ID} | ')}"
    else:  # fused by who feeds, as fields.json says
        made = ""
        inner = vector.replace("MADE", "").replace("\n", "\n    ")
        fields.append(f"        {inner}")
    inner = "\n".join(fields)
    return f"""schema item {{
    document item {{
        field doc_id type string {{
            indexing: summary | attribute
        }}
{inner}
    }}{made}
    rank-profile semantic {{
        inputs {{
            query(q) tensor<float>(x[{dimension}])
        }}
        first-phase {{
            expression: closeness(field, embedding)
        }}
    }}
}}
"""


def _identifier(name: str) -> str:
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain[:1].isalpha() and plain not in ("doc_id", "embedding") else f"f_{plain}"


def _open(folder: Path, options: PublishOptions) -> Client:  # noqa: ARG001
    return EngineClient(
        (folder / _GRAPH).read_bytes(), (folder / _TOKENIZER).read_text("utf-8"), _settings(folder)
    )


def _settings(folder: Path) -> EngineSettings:
    """Return what `services.xml` and the schema say."""
    component = _component(folder)
    texts = {element.tag: (element.text or "").strip() for element in component}
    prepend = {element.tag: element.text or "" for element in component.iterfind("prepend/*")}
    document = f"{prepend['document']} " if prepend.get("document") else ""
    # without a query's own prefix Vespa takes the document's
    query = f"{prepend['query']} " if prepend.get("query") else document
    size = re.search(r"embedding type tensor<float>\(x\[(\d+)\]\)", _schema_text(folder))
    assert size is not None
    prefixes: dict[Side, str] = {"query": query, "document": document}
    return EngineSettings(
        output=texts.get("transformer-output", STATES),
        pooling=texts.get("pooling-strategy", "mean"),
        normalise=texts.get("normalize", "false") == "true",
        prefixes=prefixes,
        dimension=int(size[1]),
    )


def _component(folder: Path) -> ET.Element:
    found = ET.parse(folder / _SERVICES).find(f"container/component[@id='{_ID}']")
    if found is None:
        raise ModelError(f"has no component {_ID!r}", where=_SERVICES)
    return found


def _schema_text(folder: Path) -> str:
    return (folder / _SCHEMA).read_text("utf-8")


def _check(folder: Path) -> None:
    """Hold the package to the documented elements and values.

    Raises:
        ModelError: an element or value that Vespa's reference does not have.
    """
    component = _component(folder)
    unknown = {element.tag for element in component} - _DOCUMENTED
    pooling = component.findtext("pooling-strategy")
    text = _schema_text(folder)
    sizes = set(re.findall(r"tensor<float>\(x\[(\d+)\]\)", text))
    problem = ""
    if unknown:
        problem = f"has the elements {', '.join(sorted(unknown))}, which the embedder has not"
    elif component.get("type") != "hugging-face-embedder" or pooling not in ("mean", "cls", "none"):
        problem = f"is no hugging-face-embedder with a known pooling, found {pooling!r}"
    elif not (folder / str(component.find("transformer-model").get("path"))).is_file():  # type: ignore[union-attr]
        problem = "names a model that is not there"
    elif len(sizes) != 1 or text.count("{") != text.count("}"):
        problem = "has a schema with tensors of several sizes"
    if problem:
        raise ModelError(problem, where=f"--as vespa, {_SERVICES}")


def _refuses(model: RankingModel) -> str | None:
    query, document = prefix(model, "query"), prefix(model, "document")
    if document and not query:
        return (
            "Vespa would put the document's prefix before queries too; give the model a prefix for "
            "queries, or choose --as vectors"
        )
    for text in (query, document):
        if text and text != text.strip() + " ":
            return (
                f"Vespa puts a blank after a prefix and {text!r} does not end with one; choose "
                "--as vectors"
            )
    return refuses_engine(model)


LAYOUT = ModelLayout(
    name="vespa",
    title="Vespa",
    write=_write,
    open=_open,
    check=_check,
    refuses=_refuses,
    package="onnxruntime",
    extra="onnx",
    imports="onnxruntime",
    usage="""The folder is a Vespa application package:

```bash
vespa deploy FOLDER
vespa query 'yql=select * from item where {targetHits: 10}nearestNeighbor(embedding, q)' \\
  'input.query(q)=embed(rankfield, "red mug")' ranking=semantic
```

A document with one text field is embedded by Vespa when it is fed. Of several text fields the
vector `embedding` is fed, added up as the section on fields says. Vespa itself was not started: the
graph was run by ONNX Runtime with the pooling, normalisation and prefixes of `services.xml`.
""",
)
