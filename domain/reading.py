"""Readers of a caller's JSON: each checks one value and reports every problem with its path, not only the first."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

from domain.azure.resource_ids import ResourceId, ResourceKind, labels_of
from domain.errors import ErrorDetail
from domain.redaction import redacted
from domain.texts import hidden_character, trimmed
from domain.times import format_duration, parse_duration, parse_request_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from domain.errors import Json

MISSING_FIELD = "MissingField"
UNKNOWN_FIELD = "UnknownField"
INVALID_VALUE = "InvalidValue"
NOT_ALLOWED = "NotAllowed"

_MAX_TEXT_LENGTH = 2048
_MAX_SUGGESTIONS = 100
_MAX_TAG_LENGTH = 256


def strict_json(text: str) -> Any:
    """Parse JSON; raises ``ValueError`` also for ``NaN``, duplicate members and nesting that is too deep."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in members:
        if name in result:
            raise ValueError(f"the member {name[:80]!r} appears twice")
        result[name] = value
    return result


@dataclass(slots=True)
class Problems:
    """Collects the problems of a body, so that the caller gets all of them at once."""

    found: list[ErrorDetail] = field(default_factory=list[ErrorDetail])

    def add(self, code: str, target: str | None, message: str) -> None:
        """Add one problem at the JSON path ``target`` (``None`` for the body itself)."""
        self.found.append(ErrorDetail(code=code, message=message, target=target))

    def exist_at(self, path: str) -> bool:
        """Return whether a problem at this path or below it was added already."""
        targets = [problem.target for problem in self.found if problem.target is not None]
        return any(target == path or target.startswith((f"{path}.", f"{path}[")) for target in targets)


@dataclass(frozen=True, slots=True)
class Reader:
    """Checks one kind of value. ``read`` gets the value, its JSON path and the collector of problems.

    ``read`` returns the value in the form that the app uses; after a problem the returned value has no meaning.
    ``schema`` describes the value in JSON Schema (draft 2020-12), for editors and for the description of the API. It
    accepts all that the reader accepts, except ``null`` for an optional member, white space around an id, and rare
    spellings of times and durations. The reader is stricter where JSON Schema cannot express a check.
    """

    read: Callable[[Any, str, Problems], Any]
    schema: Json

    def __call__(self, value: Any, path: str, problems: Problems) -> Any:
        """Read one value."""
        return self.read(value, path, problems)

    def described(self, text: str) -> Reader:
        """Return the same reader with a description in its schema."""
        return replace(self, schema={**self.schema, "description": text})

    def also(self, check: Callable[[Any], str | None]) -> Reader:
        """Return a reader with a further check, which gets a valid value and returns what is wrong with it, if any."""

        def read(value: Any, path: str, problems: Problems) -> Any:
            result = self.read(value, path, problems)
            if not problems.exist_at(path) and (complaint := check(result)) is not None:
                problems.add(INVALID_VALUE, path, complaint)
            return result

        return replace(self, read=read)


def _checked(
    kind: type, wanted: str, schema: Json, check: Callable[[Any], str | None] | None = None, *, trim: bool = False
) -> Reader:
    """Return a reader of values of this type; ``check`` returns what is wrong with such a value, or ``None``.

    With ``trim`` white space around a text is dropped before it is checked. If a text is wrong and has a hidden
    character, the complaint names that, too, because the caller cannot see it.
    """

    def read(value: Any, path: str, problems: Problems) -> Any:
        value = trimmed(value) if trim and isinstance(value, str) else value
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            problems.add(INVALID_VALUE, path, f"must be {wanted}")
        elif check is not None and (complaint := check(value)) is not None:
            hidden = hidden_character(value) if isinstance(value, str) and "U+" not in complaint else None
            problems.add(INVALID_VALUE, path, f"{complaint}; it {hidden}" if hidden else complaint)
        return value

    return Reader(read, schema)


def _parse_check(parse: Callable[[str], object]) -> Callable[[str], str | None]:
    """Return a check that returns the message of the ``ValueError`` that ``parse`` raises, or ``None``."""

    def check(value: str) -> str | None:
        try:
            parse(value)
        except ValueError as error:
            return str(error)
        return None

    return check


def _text_complaint(value: str) -> str | None:
    if not value:
        return "must not be empty"
    if len(value) > _MAX_TEXT_LENGTH:
        return f"must not be longer than {_MAX_TEXT_LENGTH} characters"
    # A lone surrogate is hidden, too; JSON can carry it, but no URL, queue or log can.
    return hidden_character(value)


def _prose_complaint(value: str) -> str | None:
    # People may write nothing, several lines, or emoji. Logs and queues cannot take control characters and surrogates.
    if len(value) > _MAX_TEXT_LENGTH:
        return f"must not be longer than {_MAX_TEXT_LENGTH} characters"
    for position, char in enumerate(value, start=1):
        if char not in "\n\r\t" and unicodedata.category(char) in {"Cc", "Cs"}:
            return f"must not contain control characters: it has U+{ord(char):04X} at position {position}"
    return None


_NUMBER = r"[0-9]+(\.[0-9]+)?"
_DURATION = rf"^P(?!$)({_NUMBER}W)?({_NUMBER}D)?(T(?=[0-9])({_NUMBER}H)?({_NUMBER}M)?({_NUMBER}S)?)?$"

boolean = _checked(bool, "true or false", {"type": "boolean"})
string = _checked(
    str,
    "a string",
    {"type": "string", "pattern": r"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])[\s\S]*\S", "maxLength": _MAX_TEXT_LENGTH},
    _text_complaint,
    trim=True,
)
_raw_prose = _checked(
    str,
    "a string",
    {
        "type": "string",
        "pattern": r"^(?![\s\S]*[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f])",
        "maxLength": _MAX_TEXT_LENGTH,
    },
    _prose_complaint,
)


def _read_prose(value: Any, path: str, problems: Problems) -> Any:
    text = _raw_prose(value, path, problems)
    # People paste links with keys. From here the text goes to the task hub, logs, queues and the webhook.
    return redacted(text) if isinstance(text, str) else text


prose = replace(_raw_prose, read=_read_prose)
"""Reads a text that a person wrote, and removes secrets from it."""
time = _checked(str, "a string", {"type": "string", "format": "date-time"}, _parse_check(parse_request_time))
duration = _checked(str, "a string", {"type": "string", "pattern": _DURATION}, _parse_check(parse_duration))


def duration_up_to(maximum: timedelta, *, minimum: timedelta | None = None) -> Reader:
    """Read a duration from ``minimum`` to ``maximum``; with a longer one a time plus the duration could overflow."""

    def check(text: str) -> str | None:
        if minimum is not None and parse_duration(text) < minimum:
            return f"must not be shorter than {format_duration(minimum)}"
        return None if parse_duration(text) <= maximum else f"must not be longer than P{maximum.days}D"

    read = duration.also(check)
    return read if not minimum else replace(read, schema={**duration.schema, "pattern": f"^(?=.*[1-9]){_DURATION[1:]}"})


def whole_number(minimum: int, maximum: int) -> Reader:
    """Read an integer from ``minimum`` to ``maximum``; ``5.0`` counts as ``5``, because JSON has only numbers."""
    wanted = f"a whole number from {minimum} to {maximum}"
    schema: Json = {"type": "integer", "minimum": minimum, "maximum": maximum}
    check = _checked(int, wanted, schema, lambda value: None if minimum <= value <= maximum else f"must be {wanted}")

    def read(value: Any, path: str, problems: Problems) -> Any:
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        return check(whole, path, problems)

    return Reader(read, schema)


def pattern(expression: str, wanted: str, *, portable: str | None = None, trim: bool = False) -> Reader:
    """Read a string that the regular expression matches completely; ``wanted`` describes it in the error.

    ``portable`` is the expression for the schema, if ``expression`` is not valid in ECMA 262, which JSON Schema uses.
    With ``trim`` white space around the string is dropped first.
    """
    compiled = re.compile(expression, re.ASCII)
    schema: Json = {"type": "string", "pattern": f"^{portable or expression}$"}

    def check(value: str) -> str | None:
        is_fine = compiled.fullmatch(value) and hidden_character(value) is None
        return None if is_fine else f"must be {wanted}"

    return _checked(str, wanted, schema, check, trim=trim)


def one_of(*choices: str) -> Reader:
    """Read one of these strings; the case counts."""
    wanted = f"one of {', '.join(choices)}"
    schema: Json = {"type": "string", "enum": list(choices)}
    return _checked(str, wanted, schema, lambda value: None if value in choices else f"must be {wanted}")


def resource_id(*kinds: ResourceKind) -> Reader:
    """Read an ARM id of one of these kinds; return it without white space around it and without trailing slashes."""
    expression = "|".join(map(_id_pattern, kinds))
    schema: Json = {"type": "string", "pattern": expression, "examples": [kind.example for kind in kinds]}
    wanted = f"the resource id of a {labels_of(kinds)}"
    check = _checked(str, wanted, schema, _parse_check(lambda text: ResourceId.parse(text, *kinds)))

    def read(value: Any, path: str, problems: Problems) -> Any:
        before = len(problems.found)
        check(value, path, problems)
        return ResourceId.parse(value, *kinds).text if len(problems.found) == before else value

    return Reader(read, schema)


def _id_pattern(kind: ResourceKind) -> str:
    """Return the pattern of ``ResourceId`` for a schema. ECMA 262 has no case-insensitive groups, hence ``[Aa]``."""

    def any_case(text: str) -> str:
        return "".join(f"[{char.upper()}{char.lower()}]" if char.isalpha() else re.escape(char) for char in text)

    name = r"[-\w.() \u00aa-\uffff]+"
    path = "".join(f"/{any_case(kind_type)}/{name}" for kind_type in kind.types)
    provider = f"/{any_case('providers')}/{any_case(kind.provider)}{path}" if kind.provider else ""
    group = "" if kind.is_subscription else f"/{any_case('resourceGroups')}/{name}"
    return f"^/{any_case('subscriptions')}/[-0-9A-Za-z]+{group}{provider}/*$"


def array(entry: Reader, *, minimum: int = 0, maximum: int = 1000) -> Reader:
    """Read an array of ``minimum`` to ``maximum`` different entries of one kind."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            problems.add(INVALID_VALUE, path, "must be an array")
            return value
        entries = cast("list[Any]", value)
        if not minimum <= len(entries) <= maximum:
            problems.add(INVALID_VALUE, path, f"must have {minimum} to {maximum} entries")
            return entries  # comparing a million entries with each other would take hours
        result: list[Any] = []
        for index, item in enumerate(entries):
            result.append(entry(item, f"{path}[{index}]", problems))
            if result[index] in result[:index]:
                problems.add(INVALID_VALUE, f"{path}[{index}]", "appears twice")
        return result

    bounds = {"minItems": minimum, "maxItems": maximum} if minimum else {"maxItems": maximum}
    return Reader(read, {"type": "array", "items": entry.schema, **bounds, "uniqueItems": True})


def tags(*, maximum: int) -> Reader:
    """Read tags of an Azure resource: an object of at most ``maximum`` names and texts, as Azure bounds them."""
    expression = r"[^<>%&\\?/\x00-\x1f\x7f]{1,512}"
    compiled = re.compile(expression)

    def read(value: Any, path: str, problems: Problems) -> Any:
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if not isinstance(value, dict) or len(given) > maximum:
            problems.add(INVALID_VALUE, path, f"must be an object of at most {maximum} tags")
            return {}
        if len({name.lower() for name in given}) < len(given):
            problems.add(INVALID_VALUE, path, "has two names that differ only in case")
        for name, text in given.items():
            if not compiled.fullmatch(name) or not isinstance(text, str) or len(text) > _MAX_TAG_LENGTH:
                problems.add(INVALID_VALUE, f"{path}.{name[:80]}", "is not a tag that Azure takes")
        return given

    return Reader(
        read,
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{expression}$"},
            "additionalProperties": {"type": "string", "maxLength": _MAX_TAG_LENGTH},
            "maxProperties": maximum,
        },
    )


def an_object(members: Mapping[str, Reader], needed: Sequence[str] = ()) -> Reader:
    """Read an object with these members; ``null`` counts as left out, unknown members are refused by name."""

    def read(value: Any, path: str, problems: Problems) -> dict[str, Any]:
        if not isinstance(value, dict):
            problems.add(INVALID_VALUE, path or None, "must be a JSON object")  # type: ignore[arg-type]
            return {}
        result: dict[str, Any] = {}
        for name, member in cast("dict[str, Any]", value).items():
            target = f"{path}.{name}" if path else name
            reader = members.get(name)
            if reader is None:
                # The search for a similar name is slow, so it ends after the first hundred problems.
                hint = _suggestion(name, members) if len(problems.found) < _MAX_SUGGESTIONS else ""
                problems.add(UNKNOWN_FIELD, target, f"is not a known field{hint}")
            elif member is not None:
                result[name] = reader(member, target, problems)
        for name in needed:
            if name not in result:
                problems.add(MISSING_FIELD, f"{path}.{name}" if path else name, "is needed")
        return result

    properties = {name: reader.schema for name, reader in members.items()}
    required = {"required": list(needed)} if needed else {}
    return Reader(read, {"type": "object", "properties": properties, **required, "additionalProperties": False})


def _suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question with the most similar known name, or an empty text if no name is similar."""
    return "".join(f"; is it {similar}?" for similar in difflib.get_close_matches(name, known, n=1))
