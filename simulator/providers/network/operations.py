"""The long-running operations of Microsoft.Network and what their addresses answer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.calls import Answer, Call
from simulator.providers.network.errors import not_found
from simulator.providers.network.states import SECONDS
from simulator.signing import Signatures

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.world import World

OPERATIONS = "Microsoft.Network/locations/operations"
RETRY_AFTER_S = 10


def begin(world: World, call: Call, location: str, finish: Callable[[], object] | None = None) -> str:
    """Begin an operation of ``SECONDS`` that ends with ``finish``, if that is given; return its id."""
    place = f"/subscriptions/{call.params['subscription']}/providers/Microsoft.Network/locations/{location}"
    operation = {"id": f"{place}/operations/{world.new_id()}", "type": OPERATIONS, "status": "InProgress"}
    world.store.put(operation)

    def end() -> None:
        if finish:
            finish()
        world.store.put({**operation, "status": "Succeeded"})

    world.at(world.now() + timedelta(seconds=SECONDS), end)
    return operation["id"]


def operation_headers(world: World, call: Call, operation_id: str, *, location: bool) -> dict[str, str]:
    """Return the headers with the address of an operation's status, and with ``location`` also that of its result."""
    version, signatures = f"?api-version={call.api_version}", Signatures(world.now(), world.random)
    status = f"{call.base_url}{operation_id}"
    headers = {
        "Azure-AsyncNotification": "Enabled",
        "Azure-AsyncOperation": signatures.sign(f"{status}{version}"),
        "Retry-After": world.timeline.retry_after(RETRY_AFTER_S),
    }
    if location:
        result = status.replace("/operations/", "/operationResults/")
        headers["Location"] = signatures.sign(f"{result}{version}")
    return headers


def get_network_operation(world: World, call: Call) -> Answer:
    """Answer the status of an operation; the body has no other member."""
    operation = world.store.get(call.path)
    if operation is None:
        raise not_found(call.path)
    return Answer(body={"status": operation["status"]})


def get_network_operation_result(world: World, call: Call) -> Answer:
    """Answer 202 while an operation runs, then 204; both have the headers of the operation."""
    operation = world.store.get(call.path.lower().replace("/operationresults/", "/operations/"))
    if operation is None:
        raise not_found(call.path)
    headers = operation_headers(world, call, operation["id"], location=True)
    return Answer(status=202 if operation["status"] == "InProgress" else 204, headers=headers)
