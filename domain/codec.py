"""Dataclasses as JSON, derived from their types: what crosses a durable boundary is written and read by nothing else.

Members are in camelCase; those that have their default value are left out, so that a new member with a default can be
read from an older history. A time is RFC 3339 in UTC, a ``timedelta`` a number of seconds. In a union of dataclasses
each has a ``kind`` that is written along (``docs/decisions/0007-codecs-are-derived.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeAliasType, cast, get_args, get_origin, get_type_hints

from domain.times import format_time, parse_request_time

_VERSION = {"v": 1}


def pack(value: object) -> dict[str, Any]:
    """Return a dataclass as JSON with the version of the format."""
    return _VERSION | _write(value)


def unpack(kind: Any, data: Mapping[str, Any]) -> Any:
    """Read what ``pack`` wrote; raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
    return _reader(kind)(data)


def _write(value: Any) -> Any:
    if is_dataclass(value):
        return _write_members(value)
    if isinstance(value, tuple | list):
        return [_write(entry) for entry in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _write(member) for name, member in cast("dict[str, Any]", value).items()}
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, StrEnum) else value


def _write_members(value: Any) -> dict[str, Any]:
    members = [(name, getattr(value, name), default) for name, default in _defaults(value.__class__).items()]
    kind: str | None = getattr(value, "kind", None)
    tag: dict[str, Any] = {} if kind is None else {"kind": kind}
    return tag | {_camel(name): _write(member) for name, member, default in members if member != default}


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, TypeAliasType | UnionType):
        readers = {getattr(option, "kind", None): _reader(option) for option in _options(kind)}
        only = next(iter(readers.values())) if len(readers) == 1 else None
        return lambda data: None if data is None else (only or readers[data["kind"]])(data)
    if origin is tuple:
        read = _reader(arguments[0])
        return lambda data: tuple(map(read, data))
    if origin is dict and arguments[1] is not Any:
        read = _reader(arguments[1])
        return lambda data: {name: read(member) for name, member in data.items()}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        members = [(name, _camel(name), _reader(hints[name])) for name in _defaults(kind)]
        make = cast("Callable[..., Any]", kind)
        return lambda data: make(**{name: read(data[key]) for name, key, read in members if key in data})
    known: dict[Any, Callable[[Any], Any]] = {
        datetime: parse_request_time,
        timedelta: lambda data: timedelta(seconds=data),
    }
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind
    return known.get(kind, lambda data: data)


def _options(kind: Any) -> Iterator[Any]:
    """Yield what a union or an alias stands for, ``None`` left out."""
    if isinstance(kind, TypeAliasType):
        yield from _options(kind.__value__)
    elif isinstance(kind, UnionType):
        for option in get_args(kind):
            yield from _options(option)
    elif kind is not NoneType:
        yield kind


@cache
def _defaults(kind: Any) -> dict[str, object]:
    made = {field.name: field.default_factory() for field in fields(kind) if field.default_factory is not MISSING}
    return {field.name: made.get(field.name, field.default) for field in fields(kind)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
