"""What happens later happens in the order of its time, before the next call is answered."""

from __future__ import annotations

from datetime import timedelta

from simulator.clock import ManualClock, Timeline
from simulator.scenario import Scenario
from simulator.world import World


def test_effects_happen_when_they_are_due_in_the_order_of_their_time() -> None:
    clock = ManualClock()
    world = World(Scenario.default(), Timeline.driven_by(clock))
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        world.at(world.started + timedelta(seconds=7), lambda: seen.append("caused"))

    world.at(world.started + timedelta(seconds=20), lambda: seen.append("late"))
    world.at(world.started + timedelta(seconds=5), first)
    world.settle()
    assert seen == []

    clock.advance(10)
    world.settle()
    assert seen == ["first", "caused"]

    clock.advance(10)
    world.settle()
    assert seen == ["first", "caused", "late"]


def test_a_group_that_is_removed_takes_what_lies_in_it_along_and_no_namesake() -> None:
    world = World(Scenario.default(), Timeline.driven_by(ManualClock()))
    group = f"/subscriptions/{world.scenario.subscription_id}/resourceGroups/web-rg"
    neighbour = {"id": f"{group}-2", "name": "web-rg-2", "type": "Microsoft.Resources/resourceGroups"}
    world.store.put(neighbour)
    assert world.store.get(f"{group.upper()}/providers/Microsoft.Compute/virtualMachines/WEB-01")

    world.store.remove(group)

    assert list(world.store.below(group)) == []
    assert world.store.get(f"{group}-2") is neighbour


def test_an_effect_sees_the_moment_for_which_it_was_meant() -> None:
    clock = ManualClock()
    world = World(Scenario.default(), Timeline.driven_by(clock))
    seen: list[float] = []

    def look() -> None:
        seen.append((world.now() - world.started).total_seconds())
        if len(seen) < 3:
            world.at(world.now() + timedelta(seconds=2), look)

    world.at(world.started + timedelta(seconds=5), look)
    clock.advance(3600)
    world.settle()

    assert seen == [5, 7, 9]
    assert (world.now() - world.started).total_seconds() == 3600
