"""Replacements for what the pinned SDK does wrong or cannot do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from azure.durable_functions.internal.serialization import FunctionsDataConverter
from durabletask.client import OrchestrationState, Page, parse_orchestration_state
from durabletask.internal.client_helpers import build_query_instances_req  # pyright: ignore[reportMissingTypeStubs]
from google.protobuf.wrappers_pb2 import StringValue

if TYPE_CHECKING:
    import azure.durable_functions as df
    from durabletask.client import OrchestrationQuery

_NO_TOKENS: Final = frozenset({"", "0"})

_deserialize = FunctionsDataConverter.deserialize


def _read(self: FunctionsDataConverter, data: str | None, target_type: type | None = None) -> Any:
    try:
        return _deserialize(self, data, target_type)
    except json.JSONDecodeError:
        return data


def accept_plain_text_payloads() -> None:
    """Patch the SDK so that payloads which are not JSON are read as text. Calling it again changes nothing.

    When a worker dies during an entity's operation, the extension answers the calling orchestration with its error as
    plain text. azure-functions-durable 2.0.0rc3 parses that as JSON and fails the whole orchestration. Observed on
    Microsoft's engine: one restore in some hundreds of kills (``make chaos ENGINE=real``). Read as text, it is a failed
    call, which is made again. Remove this with the first version of the SDK that does so itself.
    """
    FunctionsDataConverter.deserialize = _read


async def query_page(
    client: df.DurableFunctionsClient, query: OrchestrationQuery, token: str | None = None
) -> Page[OrchestrationState]:
    """Return one page of a query, in the order of the instances' ids; ``token`` is the one of the page before it.

    The page may hold fewer instances than asked for, even none, and yet not be the last. The SDK's own method always
    reads all pages, even those of ten thousand instances.
    """
    request = build_query_instances_req(query, StringValue(value=token) if token else None)
    answer = await client._get_stub().QueryInstances(request)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    following = answer.continuationToken.value
    states = [parse_orchestration_state(state) for state in answer.orchestrationState]
    return Page(states, None if following in _NO_TOKENS else following)
