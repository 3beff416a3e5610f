"""The conditions of ``$filter`` in lists of groups and resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.formats import read_filter
from simulator.providers.resources.errors import invalid_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.calls import Call

TAG_KEYS = frozenset({"tagname", "tagvalue"})


def read_conditions(call: Call, *keys: str) -> dict[str, str]:
    """Return the conditions, which are on a tag or on these keys; raise 400 for others, and for both at once.

    Azure's documentation says which keys go together; a tag goes with none.
    """
    text = call.query.get("$filter", "")
    try:
        conditions = read_filter(text) if text else {}
    except ValueError as error:
        raise invalid_filter(text) from error
    on_tag = "tagname" in conditions and conditions.keys() <= TAG_KEYS
    if not on_tag and not conditions.keys() <= {key.lower() for key in keys}:
        raise invalid_filter(text)
    return conditions


def has_tag(body: Mapping[str, Any], conditions: Mapping[str, str]) -> bool:
    """Return whether a resource has the tag that the conditions name, if any; only values are case-sensitive."""
    if "tagname" not in conditions:
        return True
    tags = {name.lower(): value for name, value in body.get("tags", {}).items()}
    name, wanted = conditions["tagname"].lower(), conditions.get("tagvalue")
    return name in tags and wanted in {None, tags[name]}
