"""Readers that all calls share: the body of an answer as an object, and the operation that an answer has accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from domain.answers import Accepted
from domain.wire import as_name

from arm.addresses import is_usable, operation_id_of, without_signature
from arm.errors import unreadable_error

if TYPE_CHECKING:
    from domain.errors import Json

    from arm.reply import Reply


def object_of(reply: Reply) -> Json:
    """Return the body; one that is no JSON object raises ``TransientError``."""
    body = reply.parsed()
    if not isinstance(body, dict):
        raise unreadable_error(reply, "a JSON object")
    return cast("Json", body)


def resource_of(reply: Reply, member: str) -> Json:
    """Return the body, an object whose ``member`` is a usable name."""
    body = object_of(reply)
    if as_name(body.get(member)) is None:
        raise unreadable_error(reply, f"a resource with {member}")
    return body


def accepted_by(reply: Reply, endpoint: str) -> Accepted:
    """Return the operation that the answer names, with its URL if that may be called and stored."""
    for header in ("Azure-AsyncOperation", "Location"):
        first, _, _ = reply.headers.get(header, "").partition(",")  # several header lines arrive joined by commas
        url = without_signature(first.strip())
        operation_id = operation_id_of(url) if url else None
        if operation_id is not None:
            usable = url if is_usable(url, endpoint) else None
            return Accepted(operation_id=operation_id, url=usable, retry_after_s=reply.retry_after_s)
    return Accepted(operation_id=None, url=None, retry_after_s=reply.retry_after_s)
