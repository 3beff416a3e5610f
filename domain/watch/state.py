"""The watcher of a vault as a value: which restores it watches, and when it lists their jobs next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Self

from domain.errors import Json
from domain.restore.backoff import Backoff
from domain.restore.calls import JoinWatch
from domain.restore.polling import Limits
from domain.times import format_time, parse_request_time
from domain.wire import as_object, as_text

_SILENT_AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A restore whose job is watched.

    ``triggered`` is when Azure took it, ``joined`` when it last registered. ``is_found``: it knows its job. ``missed``
    counts the lists in a row that did not have the job, ``seen`` those that had it since it was found, or since the
    restore's last turn to read it.
    """

    restore_id: str
    triggered: datetime
    joined: datetime
    is_found: bool = False
    missed: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultWatch:
    """The state of a vault's watcher. ``watched`` is by the client request ids of the triggers.

    ``now`` is the time of the latest answer, timer or event that was delivered to it, in aware UTC. ``since`` is when
    the last list was read, or when the first restore registered after that; while nothing is watched, it is when that
    began. ``oldest`` is when the first job that it ever watched was triggered. ``is_over``: the list cannot be
    read, so the watcher ends.
    """

    vault_id: str
    limits: Limits
    now: datetime
    since: datetime
    watched: dict[str, Watched] = field(default_factory=dict[str, Watched])
    backoff: Backoff = field(default_factory=Backoff)
    oldest: datetime | None = None
    is_over: bool = False

    @classmethod
    def begin(cls, vault_id: str, limits: Limits, now: datetime) -> Self:
        """Return a watcher that watches nothing yet."""
        return cls(vault_id=vault_id, limits=limits, now=now, since=now)

    def at(self, moment: datetime | None) -> Self:
        """Return the watcher with its clock moved forward to this time; it never goes back."""
        return self if moment is None or moment <= self.now else replace(self, now=moment)

    def shown(self) -> Json:
        """Return the watcher's custom status: ``waitsSince`` is ``None`` while nothing is watched."""
        return {
            "vaultId": self.vault_id,
            "watched": len(self.watched),
            "waitsSince": format_time(self.since) if self.watched else None,
        }


def is_reliable(shown: object, call: JoinWatch, now: datetime) -> bool:
    """Return whether a restore that registers can rely on a watcher with this custom status, ``None`` for a new one.

    It cannot if the watcher has not read its list for long, or watches nothing although the restore registered before.
    """
    since = as_text(as_object(shown).get("waitsSince"))
    if since is None:
        return not call.is_again
    return now - parse_request_time(since) <= _SILENT_AFTER + 2 * timedelta(seconds=call.limits.job_poll_max_s)
