"""JSON Schemas of what ``domain.codec.as_json`` writes, made from the annotations of dataclasses."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from enum import EnumType
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, cast, get_args, get_origin, get_type_hints

from domain.api_types import MemberCounts, Uri
from domain.codec import JsonOf, camel_case, defaults_of
from domain.errors import Json
from domain.reading import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

_PLAIN: Final[Mapping[Any, Json]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
    timedelta: duration.schema,
    Uri: {"type": "string", "format": "uri"},
    Json: {"type": "object"},
    MemberCounts: {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
    NoneType: {"type": "null"},
}


def schemas_of(kinds: Iterable[type]) -> Json:
    """Return the schemas of these dataclasses, and of all dataclasses in them, by class name."""
    schemas: Json = {}
    for kind in kinds:
        _schema(kind, schemas)
    return schemas


def _schema(kind: Any, schemas: Json) -> Json:
    """Return the schema of a type; those of the dataclasses in it are added to ``schemas``."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is JsonOf:
        return _schema(arguments[0], schemas)
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], schemas)}
    if origin is UnionType:
        return {"anyOf": [_schema(option, schemas) for option in arguments]}
    if isinstance(kind, EnumType):
        return {"type": "string", "enum": [str(value) for value in cast("type[StrEnum]", kind)]}
    if not is_dataclass(kind):
        return _PLAIN[kind]
    name = cast("type", kind).__name__
    if name not in schemas:
        schemas[name] = _object(kind, schemas)
    return {"$ref": f"#/components/schemas/{name}"}


def _object(kind: Any, schemas: Json) -> Json:
    """Return the schema of a dataclass: a member is required unless it has a default. Other members are allowed."""
    hints, metadata = get_type_hints(kind), {member.name: member.metadata for member in fields(kind)}
    properties: Json = {}
    required: list[str] = []
    for name, default in defaults_of(kind).items():
        schema = _schema(hints[name], schemas)
        if default is MISSING:
            required.append(camel_case(name))
        elif default is None:  # as_json leaves it out if it is None
            schema = _without_null(schema)
        properties[camel_case(name)] = {**schema, **metadata[name]}
    return {"type": "object", "description": inspect.getdoc(kind), "properties": properties, "required": required}


def _without_null(schema: Json) -> Json:
    options = [option for option in schema["anyOf"] if option != _PLAIN[NoneType]]
    return options[0] if len(options) == 1 else {"anyOf": options}
