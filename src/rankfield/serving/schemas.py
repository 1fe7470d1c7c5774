"""What OpenAPI says of bodies: the same models that read them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

__all__ = ["add_schemas", "body_schema"]

_PLACE = "#/components/schemas/{model}"
_SCHEMAS: dict[str, Any] = {}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def body_schema(model: type[BaseModel], **further: Any) -> dict[str, Any]:
    """Return what a route's `openapi_extra` says of its body.

    Args:
        model: reads it.
        further: properties beside those of the model.
    """
    schema = model.model_json_schema(by_alias=True, ref_template=_PLACE)
    _SCHEMAS.update(schema.pop("$defs", {}))
    schema["properties"] = {**schema["properties"], **further}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def add_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document with the tables that bodies refer to, and the form of errors."""
    components = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    components |= {**_SCHEMAS, "Error": _ERROR}
    error = {
        "description": "An error.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["4XX"] = error
    return document
