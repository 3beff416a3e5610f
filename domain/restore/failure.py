"""The failure policy: whether a call that failed is made again, or ends the restore."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.azure.vault_block import TRY_AGAIN_AFTER
from domain.errors import TransientError
from domain.restore.backoff import retry_interval_s
from domain.restore.outcome import failed
from domain.restore.parts import ItemBusy, SlotState
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.calls import Call
    from domain.restore.state import Restore

PATIENCE: Final = timedelta(minutes=30)
"""How long a call may fail in a row before the restore ends. Once Azure has the restore, outages have no such limit."""


def retry_or_end(restore: Restore, call: Call | type[Call], error: RestoreError, now: datetime) -> Restore:
    """Return the restore, either ended or with the failed call to be made again.

    Before Azure has the restore, a busy item and a blocked vault are waited for, other transient errors are retried for
    half an hour and all others end it. While Azure works on it, or may, no single answer ends it: even a 403 or a 404
    may be temporary, and the disks are being created meanwhile. Throttling and outages are then retried until the
    deadline, all other failures for half an hour.
    """
    is_transient = isinstance(error, TransientError)
    is_outage = is_transient and error.code in {errors.SERVICE_UNAVAILABLE, errors.ITEM_BUSY, errors.VAULT_BLOCKED}
    if error.code == errors.ITEM_BUSY and is_transient and not restore.azure_has_it:
        return wait_for_item(restore, call, error, now)
    if error.code == errors.VAULT_BLOCKED and not restore.azure_has_it:
        uses_slot = restore.slot.state is not SlotState.NOT_NEEDED  # a plan uses none, and does not wait
        return _wait_for_vault(restore, call, now) if uses_slot else failed(restore, error, now)
    if restore.azure_has_it and is_outage:
        return retry(restore, call, now)
    if (is_transient or restore.azure_has_it) and restore.backoff.failing_for(call.name, now) < PATIENCE:
        return retry(restore, call, now)
    return failed(restore, error, now)


def wait_for_item(
    restore: Restore, call: Call | type[Call], error: RestoreError, now: datetime, *, asked_s: float | None = None
) -> Restore:
    """Return the restore that makes the call again when its item may be free; only the deadline ends this.

    It waits as long as Azure asked, for this call or in the answer to another one (``asked_s``), else longer each time.
    Azure has answered, so earlier failures of the call, which were an outage, do not count any more.
    """
    known = restore.item_busy
    answers = 0 if known is None else known.answers
    busy = ItemBusy(since=now if known is None else known.since, answers=answers + 1, error=error.to_json())
    own_s = retry_interval_s(answers)
    backoff = restore.backoff.without_failures(call.name).wait(call.name, own_s, now, asked_s=asked_s)
    return replace(restore, item_busy=busy, backoff=backoff).with_warning(
        WarningCode.ITEM_BUSY,
        "Azure Backup does not take the restore yet: the VM's protected item is busy, most likely with a backup or "
        "another restore (see the vault's list of jobs). The restore is sent again until it is taken, at the latest "
        "at its deadline; cancel it if it must not wait.",
    )


def _wait_for_vault(restore: Restore, call: Call | type[Call], now: datetime) -> Restore:
    asked_s = restore.backoff.asked_s(call.name, now)
    until = now + (TRY_AGAIN_AFTER if asked_s is None else timedelta(seconds=asked_s))
    backoff = restore.backoff.without_failures(call.name).wait(call.name, (until - now).total_seconds(), now)
    return with_blocked_vault(replace(restore, backoff=backoff), until)


def with_blocked_vault(restore: Restore, until: datetime) -> Restore:
    """Return the restore with its vault blocked ``until`` a time; it yields its slot, if it has one."""
    return replace(restore, slot=replace(restore.slot, blocked_until=until)).with_warning(
        WarningCode.VAULT_BLOCKED,
        "Azure Backup blocks the vault for some hours, because too many operations were asked of it. All restores of "
        "the vault wait; then one after the other tries again. Microsoft's support can say more about the limit.",
    )


def retry(restore: Restore, call: Call | type[Call], now: datetime) -> Restore:
    """Return the restore with the failed call to be made again after the wait that Azure asked for, else our own."""
    return replace(restore, backoff=restore.backoff.retry(call.name, now))
