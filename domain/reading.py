"""Readers of a caller's JSON: each checks one value and notes every problem with its path; none stops at the first."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from domain.errors import ErrorDetail
from domain.resource_ids import ResourceId, ResourceKind
from domain.times import parse_duration, parse_request_time

MISSING_FIELD = "MissingField"
UNKNOWN_FIELD = "UnknownField"
INVALID_VALUE = "InvalidValue"
NOT_ALLOWED = "NotAllowed"

_MAX_TEXT = 2048
_MOST_GUESSES = 100


@dataclass(slots=True)
class Problems:
    """Collects what is wrong, so that a caller learns all of it at once."""

    found: list[ErrorDetail] = field(default_factory=list[ErrorDetail])

    def add(self, code: str, target: str | None, message: str) -> None:
        """Note one problem at the JSON path ``target``."""
        self.found.append(ErrorDetail(code=code, message=message, target=target))

    def concern(self, path: str) -> bool:
        """Tell whether something is wrong at this path or below it already, so that nothing is told twice."""
        places = [each.target for each in self.found if each.target is not None]
        return any(place == path or place.startswith((f"{path}.", f"{path}[")) for place in places)


type Reader = Callable[[Any, str, Problems], Any]
"""Takes a value, its JSON path and the collector; returns the value as it will be used (nonsense after a problem)."""


def _checked(kind: type | tuple[type, ...], wanted: str, check: Callable[[Any], str | None] | None = None) -> Reader:
    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            problems.add(INVALID_VALUE, path, f"must be {wanted}")
        elif check is not None and (complaint := check(value)) is not None:
            problems.add(INVALID_VALUE, path, complaint)
        return value

    return read


def _complaint(parse: Callable[[str], object]) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        try:
            parse(value)
        except ValueError as error:
            return str(error)
        return None

    return check


def _text_complaint(value: str) -> str | None:
    if not value.strip():
        return "must not be empty"
    if len(value) > _MAX_TEXT:
        return f"must not be longer than {_MAX_TEXT} characters"
    # Encoding catches lone surrogates, which JSON can carry but no URL, queue or log can.
    return None if value.isprintable() else "must hold printable characters only"


def _prose_complaint(value: str) -> str | None:
    # What people write may be empty, span lines and hold emoji; lone surrogates and controls fit into no log or queue.
    if len(value) > _MAX_TEXT:
        return f"must not be longer than {_MAX_TEXT} characters"
    bad = any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in value if letter not in "\n\r\t")
    return "must not hold control characters" if bad else None


boolean = _checked(bool, "true or false")
string = _checked(str, "a string", _text_complaint)
prose = _checked(str, "a string", _prose_complaint)
time = _checked(str, "a string", _complaint(parse_request_time))
duration = _checked(str, "a string", _complaint(parse_duration))


def whole_number(least: int, most: int) -> Reader:
    """Read an integer within bounds."""
    wanted = f"a whole number from {least} to {most}"
    return _checked(int, wanted, lambda value: None if least <= value <= most else f"must be {wanted}")


def pattern(expression: str, wanted: str) -> Reader:
    """Read a string that the expression matches whole."""
    compiled = re.compile(expression, re.ASCII)
    return _checked(str, wanted, lambda value: None if compiled.fullmatch(value) else f"must be {wanted}")


def one_of(*choices: str) -> Reader:
    """Read one of a few strings, spelled as Azure spells them."""
    wanted = f"one of {', '.join(choices)}"
    return _checked(str, wanted, lambda value: None if value in choices else f"must be {wanted}")


def resource_id(kind: ResourceKind) -> Reader:
    """Read an ARM id of one kind; returned without a trailing slash."""
    check = _checked(str, f"the resource id of a {kind.label}", _complaint(lambda text: ResourceId.parse(text, kind)))

    def read(value: Any, path: str, problems: Problems) -> Any:
        check(value, path, problems)
        return value.rstrip("/") if isinstance(value, str) else value

    return read


def array(entry: Reader, *, least: int = 0, most: int = 1000) -> Reader:
    """Read an array whose entries are all of one kind and appear once."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            problems.add(INVALID_VALUE, path, "must be an array")
            return value
        entries = cast("list[Any]", value)
        if not least <= len(entries) <= most:
            problems.add(INVALID_VALUE, path, f"must have {least} to {most} entries")
            return entries  # comparing a million entries with each other would take hours
        for index, each in enumerate(entries):
            entry(each, f"{path}[{index}]", problems)
            if each in entries[:index]:
                problems.add(INVALID_VALUE, f"{path}[{index}]", "stands twice")
        return entries

    return read


def an_object(members: Mapping[str, Reader], needed: Sequence[str] = ()) -> Reader:
    """Read an object of known members; ``null`` counts as left out, unknown members are refused by name."""

    def read(value: Any, path: str, problems: Problems) -> dict[str, Any]:
        if not isinstance(value, dict):
            problems.add(INVALID_VALUE, path or None, "must be a JSON object")  # type: ignore[arg-type]
            return {}
        result: dict[str, Any] = {}
        for name, each in cast("dict[str, Any]", value).items():
            target = f"{path}.{name}" if path else name
            reader = members.get(name)
            if reader is None:
                # Looking for likeness is slow; beyond the first hundred nobody reads it.
                similar = difflib.get_close_matches(name, members, n=1) if len(problems.found) < _MOST_GUESSES else []
                problems.add(UNKNOWN_FIELD, target, "is not a known field" + "".join(f"; is it {s}?" for s in similar))
            elif each is not None:
                result[name] = reader(each, target, problems)
        for name in needed:
            if name not in result:
                problems.add(MISSING_FIELD, f"{path}.{name}" if path else name, "is needed")
        return result

    return read
