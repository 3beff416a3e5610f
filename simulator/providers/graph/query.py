"""``POST /providers/Microsoft.ResourceGraph/resources``: the scope, the options and the pages of a query."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call
from simulator.errors import ArmError
from simulator.formats import iso_time
from simulator.providers.graph.errors import InvalidQuery
from simulator.providers.graph.tables import Tables
from simulator.tenant import TENANT_ID

if TYPE_CHECKING:
    from simulator.providers.graph.kql import Result
    from simulator.world import World

_MOST_ROWS = 1000
_MOST_BYTES = 16 * 1024 * 1024
_FORMATS = ("objectArray", "table")
_OPTIONS = {"$top", "$skip", "$skipToken", "resultFormat", "allowPartialScopes", "authorizationScopeFilter"}
_DENIED = {
    "code": "AccessDenied",
    "message": "Access is denied to the requested resource. The user might not have enough permission.",
}
_THROTTLED = {
    "code": "RateLimiting",
    "message": (
        "Client application has been throttled and should not attempt to repeat the request until an amount of time "
        "has elapsed. Please see https://aka.ms/resourcegraph-throttling for help."
    ),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Which rows of the result are asked for, and in which format."""

    top: int
    skip: int
    as_table: bool


def query_resources(world: World, call: Call) -> Answer:
    """Answer one page of a query's result."""
    now = world.timeline.real.now()
    quota = world.graph.quota
    is_allowed = quota.take(now)
    headers = quota.headers(now)
    try:
        if not is_allowed:
            raise _error(world, 429, "RateLimiting", [_THROTTLED])
        body = _answer(world, _members(world, call.body))
    except ArmError as error:
        error.headers |= headers
        if not is_allowed:
            error.headers["Retry-After"] = str(quota.wait_s(now))
        raise
    return Answer(body=body, headers=headers)


def _answer(world: World, request: Mapping[str, Any]) -> dict[str, Any]:
    from simulator.providers.graph.kql import run  # noqa: PLC0415 - imports DuckDB

    query = request.get("query")
    if not isinstance(query, str):
        raise _bad_request(world, "The query is missing.")
    if request.get("facets"):
        raise _bad_request(world, "The simulator does not compute facets.")
    options = _options(world, request.get("options"))
    tables = Tables(world, _scope(world, request))
    try:
        result = run(query, tables.rows)
    except InvalidQuery as error:
        raise _error(world, 400, "BadRequest", error.details) from error
    return _page(world, result, options)


def _page(world: World, result: Result, options: Options) -> dict[str, Any]:
    start = 0 if result.is_cut else options.skip
    rows = result.rows[start : start + options.top]
    end = start + len(rows)
    names = [name for name, _ in result.columns]
    data: Any = [dict(zip(names, row, strict=True)) for row in rows]
    if options.as_table:
        data = {"columns": [{"name": name, "type": kind} for name, kind in result.columns], "rows": rows}
    size = len(json.dumps(data, separators=(",", ":")))
    if size > _MOST_BYTES:
        raise _bad_request(
            world,
            f"Response payload size is {size}, and has exceeded the limit of {_MOST_BYTES}. Please consider querying "
            "less data at a time and make paginated call if needed.",
            "ResponsePayloadTooLarge",
        )
    more = end < len(result.rows)
    body = {
        "totalRecords": len(result.rows),
        "count": len(rows),
        "data": data,
        "facets": [],
        "resultTruncated": "true" if more and not result.can_be_paged else "false",
    }
    if more and result.can_be_paged:
        body["$skipToken"] = _skip_token(options.top, end)
    return body


def _options(world: World, given: Any) -> Options:
    options = _members(world, given or {})
    if unknown := sorted(options.keys() - _OPTIONS):
        raise _bad_request(world, f"The simulator does not know the option {unknown[0]}.")
    rows, skip = _read_token(world, options.get("$skipToken"))
    top = _whole(world, options, "$top", rows)
    if not 0 < top <= _MOST_ROWS:
        raise _bad_request(world, f"The value of $top must be between 1 and {_MOST_ROWS}.")
    result_format = options.get("resultFormat", _FORMATS[0])
    if result_format not in _FORMATS:
        raise _bad_request(world, f"There is no result format {result_format!r}.")
    top = min(top, world.scenario.settings.page_graph_rows)
    return Options(top, skip or _whole(world, options, "$skip", 0), as_table=result_format == "table")


def _whole(world: World, options: Mapping[str, Any], name: str, default: int) -> int:
    value = options.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _bad_request(world, f"The value of {name} must be a whole number.")
    return value


def _skip_token(rows: int, skip: int) -> str:
    members = {
        "$id": "1",
        "MaxRows": rows,
        "RowsToSkip": skip,
        "KustoClusterUrl": "https://arg-simulator.arg.core.windows.net",
    }
    return base64.b64encode(json.dumps(members, indent=2).replace("\n", "\r\n").encode()).decode()


def _read_token(world: World, token: Any) -> tuple[int, int]:
    """Return the size of a page and how many rows stand before it, as a ``$skipToken`` says."""
    if token is None:
        return _MOST_ROWS, 0
    try:
        members = json.loads(base64.b64decode(token, validate=True))
        return int(members["MaxRows"]), int(members["RowsToSkip"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise _bad_request(world, "The $skipToken is not valid.") from error


def _scope(world: World, request: Mapping[str, Any]) -> set[str]:
    """Return the subscriptions that a query is about, in lower case: those asked for, or all."""
    known = {subscription.subscription_id.lower() for subscription in world.scenario.subscriptions}
    if request.get("managementGroups"):
        groups = {str(group).lower() for group in cast("list[object]", request["managementGroups"])}
        if request.get("subscriptions"):
            raise _bad_request(world, "managementGroups and subscriptions cannot be used together.")
        if TENANT_ID not in groups:
            raise _error(world, 403, "AccessDenied", [_DENIED])
        return known
    if not request.get("subscriptions"):
        return known
    asked = {str(subscription).lower() for subscription in cast("list[object]", request["subscriptions"])}
    if not asked & known:
        raise _error(world, 403, "AccessDenied", [_DENIED])
    return asked & known


def _members(world: World, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _bad_request(world, "An object is needed.")
    return cast("Mapping[str, Any]", value)


def _bad_request(world: World, message: str, code: str = "InvalidRequest") -> ArmError:
    return _error(world, 400, "BadRequest", [{"code": code, "message": message}])


def _error(world: World, status: int, code: str, details: list[dict[str, Any]]) -> ArmError:
    """Return an error in the shape of Resource Graph, which gives the reasons as details."""
    request_id = world.new_id()
    message = (
        f"Please provide below info when asking for support: timestamp = {iso_time(world.now())}, "
        f"correlationId = {request_id}."
    )
    error = ArmError(status, code, message)
    error.headers = {"x-ms-correlation-request-id": request_id}
    error.body["error"]["details"] = details
    return error
