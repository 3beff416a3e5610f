"""Reads of Azure that many restores make alike: one answer serves all restores of the process for a short time."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from domain.answers import Answer
from domain.azure.disks import Disk
from domain.azure.machine_sizes import MachineSize
from domain.errors import Json

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from queries.backup_api import BackupApi

_KEPT_FOR: Final = timedelta(minutes=5)
_RUNNING_JOBS_KEPT_FOR: Final = timedelta(minutes=1)
_DISKS_KEPT_FOR: Final = timedelta(minutes=1)
_MAX_ANSWERS: Final = 500


class SharedReads:
    """The shared reads of one process. Failures are not kept. Safe to use from several threads.

    Threads that need the same answer at the same moment may read it more than once: none waits for another's call.
    ``clock`` returns aware UTC.
    """

    def __init__(self, api: BackupApi, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._accounts = _Answers[Json](_KEPT_FOR, clock)
        self._proxies = _Answers[list[Json]](_KEPT_FOR, clock)
        self._sizes = _Answers[list[MachineSize]](_KEPT_FOR, clock)
        self._running = _Answers[Answer[dict[str, str | None]]](_RUNNING_JOBS_KEPT_FOR, clock)
        self._disks = _Answers[list[Disk]](_DISKS_KEPT_FOR, clock)

    def get_storage_account(self, account_id: str) -> Json:
        """Return a storage account, as it was at most five minutes ago."""
        return self._accounts.get(account_id, lambda: self._api.get_storage_account(account_id))

    def list_resource_guard_proxies(self, vault_id: str) -> list[Json]:
        """Return the vault's Resource Guard proxies, as they were at most five minutes ago."""
        return self._proxies.get(vault_id, lambda: list(self._api.list_resource_guard_proxies(vault_id)))

    def list_machine_sizes(self, subscription: str, location: str) -> list[MachineSize]:
        """Return the sizes of VMs of a region, as they were at most five minutes ago."""
        return self._sizes.get(
            f"{subscription}/{location}", lambda: list(self._api.list_machine_sizes(subscription, location))
        )

    def running_jobs(self, vault_id: str) -> dict[str, str | None]:
        """Return the running restore jobs of a vault as ``list_running_jobs`` does, at most a minute old."""
        return self._running.get(vault_id, lambda: self._api.list_running_jobs(vault_id)).value

    def list_running_jobs(self, vault_id: str) -> Answer[dict[str, str | None]]:
        """List the running restore jobs of a vault now, and keep them for ``running_jobs``."""
        return self._running.renew(vault_id, lambda: self._api.list_running_jobs(vault_id))

    def known_disks(self, resource_group_id: str, *, begun_after: datetime) -> list[Disk]:
        """Return the managed disks of a resource group from a list whose reading began after this time, if known.

        Without such a list there are none.
        """
        return self._disks.known(resource_group_id, begun_after=begun_after) or []

    def list_disks(self, resource_group_id: str) -> list[Disk]:
        """List the managed disks of a resource group now, and keep them for ``known_disks``, for a minute."""
        return self._disks.renew(resource_group_id, lambda: list(self._api.list_disks(resource_group_id)))


class _Answers[T]:
    """Answers by name, each with the time at which its call began. The case of a name is ignored."""

    def __init__(self, kept_for: timedelta, clock: Callable[[], datetime]) -> None:
        self._kept_for = kept_for
        self._clock = clock
        self._lock = Lock()
        self._known: dict[str, tuple[datetime, T]] = {}

    def get(self, name: str, read: Callable[[], T]) -> T:
        """Return the known answer, or read and keep it."""
        known = self.known(name)
        return self.renew(name, read) if known is None else known

    def known(self, name: str, *, begun_after: datetime | None = None) -> T | None:
        """Return the known answer if it is not too old, and its call began after this time."""
        with self._lock:
            known = self._known.get(name.lower())
        if known is None or self._clock() - known[0] >= self._kept_for:
            return None
        return known[1] if begun_after is None or known[0] > begun_after else None

    def renew(self, name: str, read: Callable[[], T]) -> T:
        """Read the answer and keep it."""
        began = self._clock()
        answer = read()
        with self._lock:
            if len(self._known) >= _MAX_ANSWERS:
                self._known.clear()
            self._known[name.lower()] = began, answer
        return answer
