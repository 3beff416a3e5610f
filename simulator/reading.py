"""Reads JSON and remembers every problem with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast


class InvalidDocument(ValueError):  # noqa: N818 - it is the document that is named
    """A document that cannot be used; ``problems`` names each place that is wrong."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def object_or_empty(value: Any) -> Mapping[str, Any]:
    """Return a value that is a JSON object, an empty one for any other value."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


class Node:
    """One JSON object on the way to its model.

    Every getter records a problem and returns a default, so that one reading finds all problems; ``close`` then reports
    the members that were not read.
    """

    def __init__(self, value: Any, path: str = "$", problems: list[str] | None = None) -> None:
        self.path = path
        self.problems: list[str] = [] if problems is None else problems
        self._read: set[str] = set()
        self.is_object = isinstance(value, Mapping)
        self.members = cast("Mapping[str, Any]", value) if self.is_object else {}
        if not self.is_object:
            self.complain("", "expected an object")

    def complain(self, name: str, problem: str) -> None:
        """Record a problem with a member, or with the object itself where the name is empty."""
        self.problems.append(f"{self.path}.{name}: {problem}" if name else f"{self.path}: {problem}")

    def has(self, name: str) -> bool:
        """Return whether the member is there and not null."""
        self._read.add(name)
        return self.members.get(name) is not None

    def raw(self, name: str) -> Any:
        """Return the member as it stands, None where it is missing."""
        self._read.add(name)
        return self.members.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string that is not empty; needed where no default is given."""
        if not self.has(name):
            return self._missing(name, default, "")
        value = self.members[name]
        if isinstance(value, str) and value.strip():
            return value
        self.complain(name, "expected a string that is not empty")
        return ""

    def choice(self, name: str, choices: Iterable[str], default: str | None = None) -> str:
        """Return one of the given words."""
        value, known = self.text(name, default), tuple(choices)
        if value and value not in known:
            self.complain(name, f"expected one of {', '.join(known)}")
        return value

    def number(self, name: str, default: float | None = None, *, above: float | None = None) -> float:
        """Return a number, at least zero, or above the given bound."""
        if not self.has(name):
            return self._missing(name, default, 0.0)
        value = self.members[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.complain(name, "expected a number")
        elif above is not None and value <= above:
            self.complain(name, f"expected a number above {above:g}")
        elif value < 0:
            self.complain(name, "expected a number, zero or more")
        else:
            return float(value)
        return 0.0

    def whole(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """Return a whole number, at least one or as given."""
        if not self.has(name):
            return self._missing(name, default, least)
        value = self.members[name]
        if isinstance(value, int) and not isinstance(value, bool) and value >= least:
            return value
        self.complain(name, f"expected a whole number, {'one' if least else 'zero'} or more")
        return least

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return true or false."""
        if not self.has(name):
            return default
        value = self.members[name]
        if isinstance(value, bool):
            return value
        self.complain(name, "expected true or false")
        return default

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings, empty where it is missing."""
        items = self._items(name)
        if all(isinstance(item, str) and item for item in items):
            return tuple(items)
        self.complain(name, "expected a list of strings")
        return ()

    def texts_by_name(self, name: str) -> dict[str, str]:
        """Return an object whose values are strings, empty where it is missing."""
        members = self.node_or_empty(name).members
        if all(isinstance(value, str) for value in members.values()):
            return dict(members)
        self.complain(name, "expected an object of strings")
        return {}

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers, empty where it is missing."""
        items = self._items(name)
        if all(type(item) is int for item in items):
            return tuple(items)
        self.complain(name, "expected a list of whole numbers")
        return ()

    def node(self, name: str) -> Node:
        """Return an object; a missing one is a problem."""
        return Node(self.raw(name), f"{self.path}.{name}", self.problems)

    def node_or_empty(self, name: str) -> Node:
        """Return an object, an empty one where it is missing."""
        return Node(self.raw(name) if self.has(name) else {}, f"{self.path}.{name}", self.problems)

    def nodes(self, name: str) -> list[Node]:
        """Return a list of objects, empty where it is missing."""
        return [Node(item, f"{self.path}.{name}[{i}]", self.problems) for i, item in enumerate(self._items(name))]

    def one_or_more(self, name: str) -> list[Node]:
        """Return a list of objects, also where there is one object instead of a list."""
        return [self.node(name)] if isinstance(self.raw(name), Mapping) else self.nodes(name)

    def close(self) -> None:
        """Record a problem for each member that was not read."""
        for name in self.members:
            if name not in self._read:
                self.complain(name, "unknown member")

    def _items(self, name: str) -> list[Any]:
        if not self.has(name):
            return []
        value = self.members[name]
        if isinstance(value, list):
            return cast("list[Any]", value)
        self.complain(name, "expected a list")
        return []

    def _missing[T](self, name: str, default: T | None, stand_in: T) -> T:
        if default is not None:
            return default
        if self.is_object:
            self.complain(name, "is missing")
        return stand_in
