"""The expressions of a deployment template, such as ``[concat(parameters('prefix'), '-nic')]``, evaluated here.

A template that the app did not write is sent to Azure without any expression: each is replaced by its value. So what
was checked is what runs, even if Azure read an expression in another way than this module. It knows a few functions
that need nothing but their arguments; none reads a resource, a key or a secret.

Source: "ARM template functions" and "Syntax and expressions in ARM templates" of Microsoft's documentation.
"""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

_TOKEN: Final = re.compile(
    r"\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<number>-?[0-9]{1,18})|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[()\[\],.]))"
)
_MAX_DEPTH: Final = 40  # of values, and of variables that name variables
_MAX_STEPS: Final = 10_000
_MAX_TEXT: Final = 4_000
_UNIQUE_LENGTH: Final = 13


class ExpressionError(ValueError):
    """A template has an expression that is not evaluated. The message says what is wrong with it."""


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """Evaluates the values of one template.

    ``group_id`` is the resource group of the deployment. ``parameters`` and ``variables`` are by their names in lower
    case: Azure compares them without case. ``location`` stands for ``resourceGroup().location``, which is not known.
    """

    group_id: str
    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    location: str
    _depth: int = field(default=0, init=False)
    _steps: int = field(default=0, init=False)

    def evaluate(self, value: Any) -> Any:
        """Return the value with all expressions in it evaluated; raises ``ExpressionError``."""
        with self.deeper():
            if isinstance(value, str):
                return self._evaluate_text(value)
            if isinstance(value, list):
                return [self.evaluate(entry) for entry in cast("list[Any]", value)]
            if isinstance(value, dict):
                return {name: self.evaluate(member) for name, member in cast("dict[str, Any]", value).items()}
            return value

    @contextmanager
    def deeper(self) -> Generator[None]:
        """Count one step, one level deeper; raises ``ExpressionError`` if there are too many of either."""
        self._steps += 1
        if self._depth >= _MAX_DEPTH:
            raise ExpressionError("is nested too deeply")
        if self._steps > _MAX_STEPS:
            raise ExpressionError("has too many expressions")
        self._depth += 1
        yield
        self._depth -= 1  # after an error nothing more is evaluated

    def _evaluate_text(self, text: str) -> Any:
        if not (text.startswith("[") and text.endswith("]")):
            return text
        return text[1:] if text.startswith("[[") else _Reading(text[1:-1], self).whole()

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Return the value of a function of templates; raises ``ExpressionError`` for one that is not known here."""
        functions: dict[str, Callable[[list[Any]], Any]] = {
            "parameters": lambda given: self._named(self.parameters, "parameter", given),
            "variables": lambda given: self._named(self.variables, "variable", given),
            "concat": _concat,
            "resourceid": self._resource_id,
            "resourcegroup": self._group,
            "subscription": self._subscription,
            "tolower": lambda given: _only_text("toLower", given).lower(),
            "toupper": lambda given: _only_text("toUpper", given).upper(),
            "uniquestring": _unique_string,
        }
        function = functions.get(name.lower())
        if function is None:
            raise ExpressionError(f"calls {name[:80]}(), which is not allowed")
        return function(arguments)

    def _named(self, values: Mapping[str, Any], kind: str, arguments: list[Any]) -> Any:
        name = _only_text(f"{kind}s", arguments)
        if name.lower() not in values:
            raise ExpressionError(f"uses the {kind} {name[:80]!r}, which has no value")
        value = values[name.lower()]
        # A parameter's value is never an expression to Azure; a variable is evaluated where it is used.
        return self.evaluate(value) if kind == "variable" else value

    def _group(self, arguments: list[Any]) -> dict[str, Any]:
        if arguments:
            _wrong("resourceGroup")
        return {"id": self.group_id, "name": self.group_id.rpartition("/")[2], "location": self.location}

    def _subscription(self, arguments: list[Any]) -> dict[str, Any]:
        if arguments:
            _wrong("subscription")
        subscription_id = self.group_id.split("/")[2]
        return {"id": f"/subscriptions/{subscription_id}", "subscriptionId": subscription_id}

    def _resource_id(self, arguments: list[Any]) -> str:
        """Return a resource's id: the first argument with a slash is its type; before it, subscription and group."""
        texts = [_as_text("resourceId", argument) for argument in arguments]
        at = next((index for index, text in enumerate(texts) if "/" in text), None)
        if at is None or at > 2:  # noqa: PLR2004 - a subscription and a group
            _wrong("resourceId")
        provider, *types = texts[at].rstrip("/").split("/")
        names = texts[at + 1 :]
        if not types or len(types) != len(names):
            _wrong("resourceId")
        _, _, subscription_id, _, group = self.group_id.split("/")
        if at:
            subscription_id, group = (subscription_id, texts[0]) if at == 1 else (texts[0], texts[1])
        path = "".join(f"/{kind}/{name}" for kind, name in zip(types, names, strict=True))
        return _bounded(f"/subscriptions/{subscription_id}/resourceGroups/{group}/providers/{provider}{path}")


class _Reading:
    """Reads one expression from left to right."""

    def __init__(self, text: str, evaluation: Evaluation) -> None:
        self._text, self._at = text, 0
        self._evaluation = evaluation

    def whole(self) -> Any:
        """Return the value of the whole expression."""
        value = self._value()
        if self._text[self._at :].strip():
            raise self._error()
        return value

    def _value(self) -> Any:
        token = self._next()
        if token["text"] is not None:
            return token["text"].replace("''", "'")
        if token["number"] is not None:
            return int(token["number"])
        if token["name"] is None:
            raise self._error()
        with self._evaluation.deeper():
            self._expect("(")
            value = self._evaluation.call(token["name"], self._arguments())
        while self._peek() in {".", "["}:
            value = self._member_of(value)
        return value

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        while self._peek() != ")":
            if arguments:
                self._expect(",")
            arguments.append(self._value())
        self._expect(")")
        return arguments

    def _member_of(self, value: Any) -> Any:
        if self._next()["mark"] == ".":
            key: Any = self._next()["name"]
        else:
            key = self._value()
            self._expect("]")
        members = cast("dict[Any, Any]", value) if isinstance(value, dict) else {}
        if not isinstance(key, str) or key not in members:
            raise ExpressionError(f"reads the member {str(key)[:80]!r}, which is not there or not allowed")
        return members[key]

    def _next(self) -> re.Match[str]:
        token = _TOKEN.match(self._text, self._at)
        if token is None:
            raise self._error()
        self._at = token.end()
        return token

    def _peek(self) -> str | None:
        token = _TOKEN.match(self._text, self._at)
        return None if token is None else token["mark"]

    def _expect(self, mark: str) -> None:
        if self._next()["mark"] != mark:
            raise self._error()

    def _error(self) -> ExpressionError:
        return ExpressionError(f"has an expression that cannot be read: [{self._text[:200]}]")


def _wrong(function: str) -> NoReturn:
    raise ExpressionError(f"calls {function}() with arguments that it does not take")


def _as_text(function: str, argument: object) -> str:
    if isinstance(argument, bool) or not isinstance(argument, str | int):
        _wrong(function)
    return _bounded(str(argument))


def _only_text(function: str, arguments: list[Any]) -> str:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        _wrong(function)
    return _bounded(arguments[0])


def _bounded(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise ExpressionError("has a text that is too long")
    return text


def _concat(arguments: list[Any]) -> str:
    return _bounded("".join(_as_text("concat", argument) for argument in arguments))


def _unique_string(arguments: list[Any]) -> str:
    """Return 13 letters and digits that depend on the arguments alone. Azure would return others, as unique."""
    texts = [_as_text("uniqueString", argument) for argument in arguments]
    if not texts:
        _wrong("uniqueString")
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).digest()
    return base64.b32encode(digest).decode().lower()[:_UNIQUE_LENGTH]
