"""A fault of the pinned SDK that ends restores, mended from outside."""

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
    """Have payloads that are no JSON read as text; doing it twice does no harm.

    When a worker dies in the middle of an entity's operation, the extension answers the calling orchestration with its
    error as plain text. azure-functions-durable 2.0.0rc3 reads that as JSON, and fails the whole orchestration: seen on
    Microsoft's engine, one restore in some hundreds of kills (``make chaos ENGINE=real``). Read as text it is what it
    should be, a failed call that is made again. To be taken out with the first version of the SDK that does so itself.
    """
    FunctionsDataConverter.deserialize = _read
