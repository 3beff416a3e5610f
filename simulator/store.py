"""The ARM resources that calls can create, change and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RESOURCE_GROUPS = "Microsoft.Resources/resourceGroups"


class ResourceStore:
    """Holds each resource as the body that GET answers, by its id whatever its casing, in order of creation."""

    def __init__(self) -> None:
        self._bodies: dict[str, dict[str, Any]] = {}
        self.watch: Callable[[str, dict[str, Any] | None], object] = lambda _key, _body: None
        """Is called with a key and its resource before that may be changed."""

    def get(self, resource_id: str) -> dict[str, Any] | None:
        """Return the resource of an id, or None. A caller may change it in place, before the next call is answered."""
        key = _key(resource_id)
        self.watch(key, self._bodies.get(key))
        return self._bodies.get(key)

    def put(self, body: dict[str, Any]) -> None:
        """Create the resource, or replace the one of the same ``id``."""
        key = _key(body["id"])
        self.watch(key, self._bodies.get(key))
        self._bodies[key] = body

    def remove(self, resource_id: str) -> None:
        """Delete a resource and what lies below its id, if it is there."""
        key = _key(resource_id)
        for found in [each for each in self._bodies if each == key or each.startswith(f"{key}/")]:
            self.watch(found, self._bodies[found])
            del self._bodies[found]

    def peek(self, key: str) -> dict[str, Any] | None:
        """Return the resource of a key, which must not be changed, or None."""
        return self._bodies.get(key)

    def items(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """Return all keys with their resources, which must not be changed."""
        return self._bodies.items()

    def of_type(self, resource_type: str, below: str = "") -> list[dict[str, Any]]:
        """Return the resources of a type whose ids lie below a scope; the empty scope is everything.

        They must not be changed: ``get`` gives those that may.
        """
        wanted = resource_type.lower()
        return [body for body in self.below(below) if body["type"].lower() == wanted]

    def below(self, scope: str) -> Iterator[dict[str, Any]]:
        """Give the resources whose ids lie below a scope."""
        start = f"{_key(scope)}/"
        return (body for key, body in self._bodies.items() if key.startswith(start))


def _key(resource_id: str) -> str:
    return resource_id.lower().rstrip("/")
