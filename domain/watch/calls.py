"""The call that the watcher of a vault makes, and its answer. Names are stored in histories: add, never rename."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from domain.restore.calls import ActivityCall


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJobs:
    """What the list of a vault's running restores says about the watched ones, and no more, so that it stays small.

    ``found`` has the ids of jobs that were not known yet, by the client request ids of their triggers. ``missing`` are
    the client request ids of the known jobs that are not in the list.
    """

    found: dict[str, str] = field(default_factory=dict[str, str])
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRunningJobs(ActivityCall):
    """List the vault's running restores.

    ``unknown`` are the client request ids of the watched restores whose job is not known yet, ``known`` those of the
    others.
    """

    name: ClassVar = "list_running_jobs"
    answer: ClassVar = RunningJobs
    vault_id: str
    unknown: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
