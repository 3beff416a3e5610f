"""The ARM resources that calls can create, change and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

RESOURCE_GROUPS = "Microsoft.Resources/resourceGroups"


class ResourceStore:
    """Holds each resource as the body that GET answers, by its id whatever its casing, in order of creation.

    A body is never changed in place, also not in its depths: who changes a resource puts another body.
    """

    def __init__(self) -> None:
        self._bodies: dict[str, Mapping[str, Any]] = {}
        self.changing: Callable[[str, Mapping[str, Any] | None], object] = lambda _key, _former: None
        """Is called before each change, with the key of the resource and its body until now, None for a new one."""

    def get(self, resource_id: str) -> Mapping[str, Any] | None:
        """Return the resource of an id, or None."""
        return self._bodies.get(_key(resource_id))

    def put(self, body: Mapping[str, Any]) -> None:
        """Create the resource, or replace the one of the same ``id``."""
        key = _key(body["id"])
        self.changing(key, self._bodies.get(key))
        self._bodies[key] = body

    def remove(self, resource_id: str) -> None:
        """Delete a resource and what lies below its id, if it is there."""
        key = _key(resource_id)
        for found in [stored for stored in self._bodies if stored == key or stored.startswith(f"{key}/")]:
            self.changing(found, self._bodies[found])
            del self._bodies[found]

    def items(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Return all keys with their resources."""
        return self._bodies.items()

    def of_type(self, resource_type: str, below: str = "") -> list[Mapping[str, Any]]:
        """Return the resources of a type whose ids lie below a scope; the empty scope is everything."""
        wanted = resource_type.lower()
        return [body for body in self.below(below) if body["type"].lower() == wanted]

    def below(self, scope: str) -> Iterator[Mapping[str, Any]]:
        """Yield the resources whose ids lie below a scope."""
        start = f"{_key(scope)}/"
        return (body for key, body in self._bodies.items() if key.startswith(start))


def _key(resource_id: str) -> str:
    return resource_id.lower().rstrip("/")
