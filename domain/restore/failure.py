"""The failure policy: whether a call that failed is made again, or ends the restore."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import TransientError
from domain.restore.outcome import failed

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.calls import Call
    from domain.restore.state import Restore

PATIENCE: Final = timedelta(minutes=30)
"""How long a call may fail in a row before the restore ends. Once Azure has the restore, outages have no such limit."""


def retry_or_end(restore: Restore, call: Call | type[Call], error: RestoreError, now: datetime) -> Restore:
    """Return the restore, either ended or with the failed call to be made again.

    Before Azure has the restore, transient errors are retried for half an hour and all others end it. While Azure works
    on it, or may, no single answer ends it: even a 403 or a 404 may be temporary, and the disks are being created
    meanwhile. Throttling and outages are then retried until the deadline, all other failures for half an hour.
    """
    is_transient = isinstance(error, TransientError)
    is_outage = is_transient and error.code == errors.SERVICE_UNAVAILABLE
    if restore.azure_has_it and is_outage:
        return retry(restore, call, now)
    if (is_transient or restore.azure_has_it) and restore.backoff.failing_for(call.name, now) < PATIENCE:
        return retry(restore, call, now)
    return failed(restore, error, now)


def retry(restore: Restore, call: Call | type[Call], now: datetime) -> Restore:
    """Return the restore with the failed call to be made again after the wait that Azure asked for, else our own."""
    return replace(restore, backoff=restore.backoff.retry(call.name, now))
