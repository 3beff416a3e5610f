"""Queries that Resource Graph refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

INVALID: dict[str, Any] = {
    "code": "InvalidQuery",
    "message": (
        "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error "
        "before retrying."
    ),
}


class InvalidQuery(Exception):  # noqa: N818 - the name of Resource Graph's code
    """A query that Resource Graph refuses, with the details of its answer."""

    def __init__(self, details: Sequence[dict[str, Any]]) -> None:
        super().__init__(details[-1]["message"])
        self.details = list(details)


def invalid_query(message: str, code: str = "InvalidQuery", **more: Any) -> InvalidQuery:
    """Return the error for a query that is wrong in this one point."""
    return InvalidQuery([INVALID, {"code": code, "message": message, **more}])
