"""Many restores of one vault, most of them watched, and how often they read their jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from domain.restore.state import restore_id_for
from domain.times import parse_request_time
from tests.support.azure import LIMITS, a_restore, vm_id
from tests.support.player import Player

MANY = replace(LIMITS, max_per_vault=50)
FEW = 3
LAST = restore_id_for("5")


def start(player: Player, number: int, **members: Any) -> str:
    now = player.clock.now()
    return player.start(a_restore(MANY, key=str(number), created=now, sourceResourceId=vm_id(number), **members))


def made(player: Player, name: str) -> int:
    return len(player.calls_of(name, LAST))


def own_reads(player: Player, number: int = 5) -> int:
    """Return how often a restore has read its job without having a turn."""
    reads = player.calls_of("get_job", restore_id_for(str(number)))
    return sum(read.restore.watch is None or not read.restore.watch.has_turn for read in reads)


def turns_s(player: Player, number: int = 5) -> list[float]:
    """Return when a restore has read its job in its turn, in seconds since its job was made."""
    reads = player.calls_of("get_job", restore_id_for(str(number)))
    made_at = player.azure.jobs[number].made
    return [
        (read.at - made_at).total_seconds()
        for read in reads
        if read.restore.watch is not None and read.restore.watch.has_turn
    ]


def late_s(player: Player) -> float:
    """Return how long after its job's end the last restore ended."""
    ended = parse_request_time(player.finish(LAST)["completedTime"])
    return (ended - (player.azure.jobs[5].made + player.azure.job_takes)).total_seconds()


def many_restores() -> Player:
    """Return a player of six restores of one vault; the last three are watched, and the tests look at the last one."""
    player = Player()
    player.azure.has_own_operations = True
    for number in range(6):
        start(player, number)
    return player
