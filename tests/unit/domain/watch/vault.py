"""A vault and its watcher, for tests of the watcher."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from domain.answers import Answer
from domain.codec import pack, unpack
from domain.restore.calls import JoinWatch
from domain.restore.state import client_request_id_for
from domain.restore.steps import Finish, Wait
from domain.watch.calls import ListRunningJobs, RunningJobs
from domain.watch.machine import News, absorb, decide, hear
from domain.watch.state import VaultWatch
from tests.support.azure import LIMITS, VAULT_ID
from tests.support.hub import START

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError


def a_registration(name: str = "r1", **members: Any) -> JoinWatch:
    usual = {"triggered": START, "limits": LIMITS, **members}
    return JoinWatch(vault_id=VAULT_ID, restore_id=name, client_request_id=client_request_id_for(name), **usual)


class Vault:
    """A watcher, and the vault whose list it reads."""

    def __init__(self) -> None:
        self.watch = VaultWatch.begin(VAULT_ID, LIMITS, START)
        self.running: dict[str, str] = {}
        self.told: list[News] = []
        self.lists: list[datetime] = []

    @property
    def now(self) -> datetime:
        return self.watch.now

    def join(self, *names: str, **members: Any) -> None:
        for name in names:
            self.watch = hear(self.watch, pack(a_registration(name, **members)), self.now)

    def runs(self, *names: str) -> None:
        self.running = {client_request_id_for(name): f"job of {name}" for name in names}

    def pass_until(self, until: datetime) -> None:
        """Let the watcher work until this time, or its end."""
        while self.watch.now < until:
            step = decide(self.watch, self.now)
            if isinstance(step, Finish):
                return
            if isinstance(step, Wait):
                self.watch = self.watch.at(min(step.until, until))
            else:
                self.list()

    def for_s(self, seconds: float) -> None:
        self.pass_until(self.now + timedelta(seconds=seconds))

    def list(self, answer: Answer[Any] | RestoreError | None = None, asked_s: float | None = None) -> None:
        """Let it list now, whenever that is due, and take the vault's answer, or this one."""
        call = ListRunningJobs(
            vault_id=VAULT_ID,
            unknown=tuple(key for key, entry in self.watch.watched.items() if not entry.is_found),
            known=tuple(key for key, entry in self.watch.watched.items() if entry.is_found),
        )
        found = {key: self.running[key] for key in call.unknown if key in self.running}
        missing = tuple(key for key in call.known if key not in self.running)
        listed = Answer(RunningJobs(found=found, missing=missing), asked_s)
        self.lists.append(self.now)
        watch, told = absorb(self.watch, call, answer or listed, self.now)
        assert unpack(VaultWatch, pack(watch)) == watch
        self.watch, self.told = watch, [*self.told, *told]

    def all_news(self) -> list[tuple[str, str]]:
        """Take what it has told since: the restores, and the word."""
        told, self.told = self.told, []
        return [(news.restore_id, news.data["news"]) for news in told]

    def news(self) -> list[tuple[str, str]]:
        """Take what it has told since, turns aside."""
        return [(name, word) for name, word in self.all_news() if word != "Turn"]

    def turns(self) -> list[str]:
        """Take what it has told since; returns the restores that it gave a turn."""
        return [name for name, word in self.all_news() if word == "Turn"]

    def turns_of_lists(self, count: int) -> list[list[str]]:
        """Read so many lists; returns the restores that each gave a turn."""
        self.told.clear()
        given: list[list[str]] = []
        for _ in range(count):
            self.list()
            given.append(self.turns())
        return given

    def gaps_s(self) -> list[float]:
        return [(later - earlier).total_seconds() for earlier, later in zip(self.lists, self.lists[1:], strict=False)]
