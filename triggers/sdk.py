"""A workaround for a bug of the pinned SDK that makes restores fail."""

from __future__ import annotations

import json
from typing import Any

from azure.durable_functions.internal.serialization import FunctionsDataConverter

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
