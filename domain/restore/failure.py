"""The failure policy: what follows when a call fails. Nothing else decides whether it is made again."""

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
"""How long a call may fail in a row before it is given up; outages are waited out once Azure has the restore."""


def retry_or_end(restore: Restore, call: Call | type[Call], error: RestoreError, now: datetime) -> Restore:
    """Return the restore with the failed call to be made again, or at its end.

    Before Azure has the restore, transient errors are retried for half an hour and all others end it. While Azure works
    on it, or may, no single answer ends it: even a 403 or a 404 may pass, and the disks are being made meanwhile.
    Throttling and outages are waited out until the deadline then, anything else for half an hour.
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
