"""Evaluates the expressions of a template, with the few functions that the template of a restored VM has.

``parameters``, ``variables``, ``concat``, ``resourceId``, ``resourceGroup().location``. Anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

_TOKEN = re.compile(r"\s*(?:'(?P<string>(?:[^']|'')*)'|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[()\[\],.]))")
_MAX_VARIABLES = 50


class ExpressionError(ValueError):
    """An expression that cannot be evaluated."""


@dataclass(slots=True, kw_only=True)
class Scope:
    """The resource group, parameters and variables of one template; names are in lower case."""

    group: Mapping[str, Any]
    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    depth: int = field(default=0, init=False)

    def evaluate(self, value: Any) -> Any:
        """Return a value of a template with all expressions in it evaluated; raise ``ExpressionError``."""
        if isinstance(value, str):
            return self._evaluate_text(value)
        if isinstance(value, list):
            return [self.evaluate(item) for item in cast("list[Any]", value)]
        if isinstance(value, Mapping):
            return {self.evaluate(name): self.evaluate(item) for name, item in cast("Mapping[str, Any]", value).items()}
        return value

    def _evaluate_text(self, text: str) -> Any:
        if not (text.startswith("[") and text.endswith("]")):
            return text
        return text[1:] if text.startswith("[[") else _Reader(text[1:-1], self).whole()

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Return the value of a template function; raise ``ExpressionError`` for an unknown one."""
        functions: dict[str, Callable[[list[Any]], Any]] = {
            "parameters": self._parameter,
            "variables": self._variable,
            "concat": _concat,
            "resourceid": self._resource_id,
            "resourcegroup": lambda _arguments: self.group,
        }
        if name.lower() not in functions:
            raise _unknown("function", name, "is not valid", "functions")
        return functions[name.lower()](arguments)

    def _parameter(self, arguments: list[Any]) -> Any:
        name = _only_text("parameters", arguments)
        if name.lower() not in self.parameters:
            raise _unknown("parameter", name, "is not found", "syntax-parameters")
        return self.parameters[name.lower()]

    def _variable(self, arguments: list[Any]) -> Any:
        name = _only_text("variables", arguments)
        if name.lower() not in self.variables or self.depth > _MAX_VARIABLES:
            raise _unknown("variable", name, "is not found", "syntax-variables")
        self.depth += 1
        try:
            return self.evaluate(self.variables[name.lower()])
        finally:
            self.depth -= 1

    def _resource_id(self, arguments: list[Any]) -> str:
        """Return the id of a resource: its type and names, behind a group or a subscription and a group if given."""
        texts = [str(argument) for argument in arguments]
        at = next((index for index, text in enumerate(texts) if "/" in text), len(texts))
        types, names = texts[at].split("/") if at < len(texts) else [], texts[at + 1 :]
        if at > 2 or len(types) - 1 != len(names):  # noqa: PLR2004 - a subscription and a group
            raise ExpressionError("Unable to evaluate template language function 'resourceId'")
        subscription, group = self.group["id"].split("/")[2], self.group["name"]
        if at:
            subscription, group = (texts[0], texts[1]) if at == 2 else (subscription, texts[0])  # noqa: PLR2004
        parts = "/".join(f"{kind}/{name}" for kind, name in zip(types[1:], names, strict=True))
        return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{types[0]}/{parts}"


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text, self._at, self._scope = text, 0, scope

    def whole(self) -> Any:
        value = self._value()
        if self._text[self._at :].strip():
            raise self._error()
        return value

    def _value(self) -> Any:
        token = self._next()
        if token["string"] is not None:
            return token["string"].replace("''", "'")
        if token["number"]:
            return int(token["number"])
        if not token["name"]:
            raise self._error()
        self._expect("(")
        value = self._scope.call(token["name"], self._arguments())
        while self._peek(".") or self._peek("["):
            value = self._member_of(value)
        return value

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        while not self._peek(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._value())
        self._expect(")")
        return arguments

    def _member_of(self, value: Any) -> Any:
        if self._next()["mark"] == ".":
            key = self._next()["name"]
        else:
            key = self._value()
            self._expect("]")
        try:
            return value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise ExpressionError(
                f"The language expression property '{key}' doesn't exist. Please see https://aka.ms/arm-functions for "
                "usage details."
            ) from error

    def _next(self) -> re.Match[str]:
        token = _TOKEN.match(self._text, self._at)
        if token is None:
            raise self._error()
        self._at = token.end()
        return token

    def _peek(self, mark: str) -> bool:
        token = _TOKEN.match(self._text, self._at)
        return token is not None and token["mark"] == mark

    def _expect(self, mark: str) -> None:
        if self._next()["mark"] != mark:
            raise self._error()

    def _error(self) -> ExpressionError:
        return ExpressionError(f"Unable to parse language expression '{self._text}'")


def _unknown(what: str, name: str, problem: str, page: str) -> ExpressionError:
    return ExpressionError(
        f"The template {what} '{name}' {problem}. Please see https://aka.ms/arm-{page} for usage details."
    )


def _concat(arguments: list[Any]) -> Any:
    if arguments and all(isinstance(argument, list) for argument in arguments):
        return [item for argument in arguments for item in argument]
    if any(isinstance(argument, list | Mapping) for argument in arguments):
        raise ExpressionError("Unable to evaluate template language function 'concat'")
    return "".join(str(argument) for argument in arguments)


def _only_text(function: str, arguments: list[Any]) -> str:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise ExpressionError(f"Unable to evaluate template language function '{function}': it has one name")
    return arguments[0]
