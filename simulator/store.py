"""The ARM resources that calls can create, change and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOURCE_GROUPS = "Microsoft.Resources/resourceGroups"


class ResourceStore:
    """Holds each resource as the body that GET answers, by its id whatever its casing, in order of creation."""

    def __init__(self) -> None:
        self._bodies: dict[str, dict[str, Any]] = {}

    def get(self, resource_id: str) -> dict[str, Any] | None:
        """Return the resource of an id, which a caller may change in place, or None."""
        return self._bodies.get(_key(resource_id))

    def put(self, body: dict[str, Any]) -> None:
        """Create the resource, or replace the one of the same ``id``."""
        self._bodies[_key(body["id"])] = body

    def remove(self, resource_id: str) -> None:
        """Delete a resource and what lies below its id, if it is there."""
        key = _key(resource_id)
        for found in [each for each in self._bodies if each == key or each.startswith(f"{key}/")]:
            del self._bodies[found]

    def of_type(self, resource_type: str, below: str = "") -> list[dict[str, Any]]:
        """Return the resources of a type whose ids lie below a scope; the empty scope is everything."""
        wanted = resource_type.lower()
        return [body for body in self.below(below) if body["type"].lower() == wanted]

    def below(self, scope: str) -> Iterator[dict[str, Any]]:
        """Give the resources whose ids lie below a scope."""
        start = f"{_key(scope)}/"
        return (body for key, body in self._bodies.items() if key.startswith(start))


def _key(resource_id: str) -> str:
    return resource_id.lower().rstrip("/")
