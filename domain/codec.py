"""Dataclasses as JSON, derived from their types: for histories and messages, and for callers.

Members are in camelCase; a member that has its default value is left out. A time is RFC 3339 in UTC.

In histories (``pack``, ``unpack``) a new member with a default can therefore be read from an older history. A
``timedelta`` is a number of seconds there, and each dataclass of a union has a ``kind``, which is written as well
(``docs/decisions/0007-codecs-are-derived.md``). For callers (``as_json``) a ``timedelta`` is an ISO 8601 duration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeAliasType, cast, get_args, get_origin, get_type_hints

from domain.times import format_duration, format_time, parse_request_time

type JsonOf[T] = dict[str, Any]
"""JSON that ``as_json`` made from a ``T``: it is written unchanged, and described with the schema of ``T``."""

type _WriteDuration = Callable[[timedelta], object]

_VERSION = {"v": 1}
_JSON_ITSELF = frozenset({str, int, float, bool, NoneType})


def pack(value: object) -> dict[str, Any]:
    """Return a dataclass as JSON with the version of the format."""
    return _VERSION | _write(value, timedelta.total_seconds)


def as_json(value: object) -> dict[str, Any]:
    """Return a dataclass as JSON for callers; ``triggers.schemas`` describes it.

    A member without a default is always written, the others only if they differ from their default.
    """
    return _write(value, format_duration)


def unpack(kind: Any, data: Mapping[str, Any]) -> Any:
    """Read what ``pack`` wrote; raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
    return _reader(kind)(data)


def _write(value: object, write_duration: _WriteDuration) -> Any:
    kind = type(value)
    return value if kind in _JSON_ITSELF else _writer(kind)(value, write_duration)


@cache
def _writer(kind: type[Any]) -> Callable[[Any, _WriteDuration], Any]:
    if issubclass(kind, str):
        return lambda value, _: str(value)  # the text of an enum
    if issubclass(kind, datetime):
        return lambda value, _: format_time(value)
    if issubclass(kind, timedelta):
        return lambda value, write_duration: write_duration(value)
    if issubclass(kind, tuple | list):
        return lambda value, write_duration: [_write(entry, write_duration) for entry in value]
    if issubclass(kind, dict):
        return lambda value, write_duration: {name: _write(member, write_duration) for name, member in value.items()}
    return _members_writer(kind) if is_dataclass(kind) else lambda value, _: value


def _members_writer(kind: type[Any]) -> Callable[[Any, _WriteDuration], dict[str, Any]]:
    members = [(name, camel_case(name), default) for name, default in defaults_of(kind).items()]
    word = getattr(kind, "kind", None)

    def write(value: object, write_duration: _WriteDuration) -> dict[str, Any]:
        written: dict[str, Any] = {} if word is None else {"kind": word}
        for name, key, default in members:
            member = getattr(value, name)
            if member is not default and member != default:
                written[key] = member if type(member) in _JSON_ITSELF else _write(member, write_duration)
        return written

    return write


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
        members = [(name, camel_case(name), _reader(hints[name])) for name in defaults_of(kind)]
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
    """Yield the types that a union or an alias stands for, without ``None``."""
    if isinstance(kind, TypeAliasType):
        yield from _options(kind.__value__)
    elif isinstance(kind, UnionType):
        for option in get_args(kind):
            yield from _options(option)
    elif kind is not NoneType:
        yield kind


@cache
def defaults_of(kind: Any) -> dict[str, object]:
    """Return the members of a dataclass with their defaults, ``MISSING`` where there is none."""
    made = {field.name: field.default_factory() for field in fields(kind) if field.default_factory is not MISSING}
    return {field.name: made.get(field.name, field.default) for field in fields(kind)}


@cache
def camel_case(name: str) -> str:
    """Return the name of a member as JSON has it."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
