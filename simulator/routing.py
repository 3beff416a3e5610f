"""Which handler answers which call."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.calls import Answer, Call

if TYPE_CHECKING:
    from simulator.world import World

type Handler = Callable[[World, Call], Answer]
type RouteTable = tuple[tuple[str, str, Handler], ...]

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourceGroups/{group}"


@dataclass(frozen=True, slots=True)
class Route:
    """One call the simulator knows; ``arm`` tells whether ARM's rules (token, api-version, limits) hold for it."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    arm: bool

    @property
    def action(self) -> str:
        """The name of the call in the request log."""
        return self.handler.__name__


class Router:
    """Finds the route of a call; of two that match, the one that was added first."""

    def __init__(self) -> None:
        self._routes: defaultdict[tuple[str, int], list[Route]] = defaultdict(list)

    def add(self, table: RouteTable, *, arm: bool) -> None:
        """Add the routes of a table of methods, path templates such as ``/a/{name}``, and handlers."""
        for method, template, handler in table:
            route = Route(method, _compile(template), handler, arm)
            self._routes[method, template.count("/")].append(route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a call and the names in its path; case and a last slash do not count."""
        plain = path.rstrip("/")
        for route in self._routes.get((method, plain.count("/")), ()):
            match = route.pattern.fullmatch(plain)
            if match:
                return route, match.groupdict()
        return None


def _compile(template: str) -> re.Pattern[str]:
    literal = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", literal), re.IGNORECASE)
