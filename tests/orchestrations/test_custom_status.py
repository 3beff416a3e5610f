"""A status is built where callers may come to see it, not in each replay of the history."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orchestrations.custom_status import CustomStatus
from tests.support.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Generator

    from durabletask import task

STATUSES = 12


def counted(ctx: task.OrchestrationContext, built: Counter[int]) -> Generator[task.Task[Any], Any]:
    status = CustomStatus(ctx)

    def build(number: int) -> dict[str, int]:
        built[number] += 1
        return {"number": number}

    for number in range(STATUSES):
        status.set(lambda number=number: build(number))
        yield ctx.create_timer(timedelta(minutes=1))


def test_a_status_is_not_built_in_each_replay() -> None:
    built: Counter[int] = Counter()
    hub = Hub(orchestrators={"counted": lambda ctx, _: counted(ctx, built)})

    hub.run("counted")

    assert max(built.values()) <= 4


def test_a_turn_that_changes_nothing_keeps_the_status() -> None:
    hub = Hub(orchestrators={"counted": lambda ctx, _: counted(ctx, Counter())})
    instance = hub.start("counted")
    hub.run_until(timedelta(minutes=5, seconds=30))
    before = hub.state(instance).custom_status

    for _ in range(3):
        hub.raise_event(instance, "nobody waits for it")
        hub.run_until(timedelta(seconds=1))

    assert before == {"number": 5}
    assert hub.state(instance).custom_status == before
