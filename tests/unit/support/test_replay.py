from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from durabletask import task
from durabletask.entities import EntityInstanceId

from tests.support.hub import Hub
from tests.support.replay import Recorded, ReplayMismatchError, dump, record, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

type Ctx = task.OrchestrationContext
type Steps = Generator[task.Task[Any], Any, Any]

MINUTE = timedelta(minutes=1)


def restore(ctx: Ctx, data: dict[str, Any]) -> Steps:
    """Start, look, wait, look again."""
    job = yield ctx.call_activity("start", input=data)
    yield ctx.create_timer(MINUTE)
    seen = yield ctx.call_activity("look", input=job)
    return {"v": 1, "outcome": seen}


def activity(data: Any) -> Any:
    return {"seen": data}


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    hub = Hub(orchestrators={"restore": restore}, activities={"start": activity, "look": activity})
    hub.run("restore", {"v": 1, "vm": "vm-ä"}, instance_id="r1")
    return record(hub, "r1")


def test_the_same_code_passes(recorded: Recorded) -> None:
    replay(restore, "restore", recorded)


def test_a_history_survives_its_file(recorded: Recorded) -> None:
    text = dump(recorded)

    assert json.loads(text) == recorded
    replay(restore, "restore", json.loads(text))


def test_a_file_is_stable_small_and_tells_no_path(recorded: Recorded) -> None:
    hub = Hub(orchestrators={"restore": restore}, activities={"start": activity, "look": activity})
    hub.run("restore", {"v": 1, "vm": "vm-ä"}, instance_id="r1")
    text = dump(record(hub, "r1"))

    assert text == dump(recorded)
    assert len(text.splitlines()) == len(recorded["events"]) + 7
    assert "vm-ä" in json.loads(recorded["events"][1]["executionStarted"]["input"])["vm"]
    assert str(Path.cwd()) not in text
    assert "1970" not in text


def another_activity(ctx: Ctx, data: dict[str, Any]) -> Steps:
    job = yield ctx.call_activity("begin", input=data)
    yield ctx.create_timer(MINUTE)
    seen = yield ctx.call_activity("look", input=job)
    return {"v": 1, "outcome": seen}


def another_last_activity(ctx: Ctx, data: dict[str, Any]) -> Steps:
    job = yield ctx.call_activity("start", input=data)
    yield ctx.create_timer(MINUTE)
    seen = yield ctx.call_activity("see", input=job)
    return {"v": 1, "outcome": seen}


def an_extra_timer(ctx: Ctx, data: dict[str, Any]) -> Steps:
    job = yield ctx.call_activity("start", input=data)
    yield ctx.create_timer(MINUTE)
    yield ctx.create_timer(MINUTE)
    seen = yield ctx.call_activity("look", input=job)
    return {"v": 1, "outcome": seen}


def an_extra_timer_at_the_end(ctx: Ctx, data: dict[str, Any]) -> Steps:
    outcome = yield from restore(ctx, data)
    yield ctx.create_timer(MINUTE)
    return outcome


def a_missing_timer(ctx: Ctx, data: dict[str, Any]) -> Steps:
    job = yield ctx.call_activity("start", input=data)
    seen = yield ctx.call_activity("look", input=job)
    return {"v": 1, "outcome": seen}


def a_longer_timer(ctx: Ctx, data: dict[str, Any]) -> Steps:
    job = yield ctx.call_activity("start", input=data)
    yield ctx.create_timer(2 * MINUTE)
    seen = yield ctx.call_activity("look", input=job)
    return {"v": 1, "outcome": seen}


def a_swapped_order(ctx: Ctx, data: dict[str, Any]) -> Steps:
    yield ctx.create_timer(MINUTE)
    job = yield ctx.call_activity("start", input=data)
    seen = yield ctx.call_activity("look", input=job)
    return {"v": 1, "outcome": seen}


def another_output(ctx: Ctx, data: dict[str, Any]) -> Steps:
    return (yield from restore(ctx, data)) | {"v": 2}


def an_error(ctx: Ctx, data: dict[str, Any]) -> Steps:
    yield from restore(ctx, data)
    raise ValueError("broken")


def too_early_an_end(ctx: Ctx, data: dict[str, Any]) -> Steps:
    yield ctx.call_activity("start", input=data)


def continuing(ctx: Ctx, data: dict[str, Any]) -> Steps:
    yield from restore(ctx, data)
    ctx.continue_as_new(data)


@pytest.mark.parametrize(
    ("changed", "turn", "then", "now"),
    [
        (another_activity, 1, "activity #1 start", "activity #1 begin"),
        (another_last_activity, 3, "activity #3 look", "activity #3 see"),
        (an_extra_timer, 3, "activity #3 look", "timer #3 2026-11-23T08:01:59"),
        (an_extra_timer_at_the_end, 4, "end Completed", "timer #4 2026-11-23T08:01:59"),
        (a_missing_timer, 2, "timer #2 2026-11-23T08:01:00", "activity #2 look"),
        (a_longer_timer, 2, "timer #2 2026-11-23T08:01:00", "timer #2 2026-11-23T08:02:00"),
        (a_swapped_order, 1, "activity #1 start", "timer #1 2026-11-23T08:01:00"),
        (another_output, 4, 'end Completed {"output": {"v": 1', '"v": 2'),
        (an_error, 4, "end Completed", "broken"),
        (too_early_an_end, 2, "timer #2", "end Completed"),
        (continuing, 4, "end Completed", "end ContinuedAsNew"),
    ],
)
def test_a_change_is_found_and_told(
    recorded: Recorded, changed: Callable[..., Any], turn: int, then: str, now: str
) -> None:
    with pytest.raises(ReplayMismatchError) as caught:
        replay(changed, "restore", recorded)

    message, was, becomes = str(caught.value).splitlines()
    assert f"restore, turn {turn} at 2026-11-23T08:0" in message
    assert then in was
    assert now in becomes
    assert isinstance(caught.value, task.NonDeterminismError)


def another_input(ctx: Ctx, data: dict[str, Any]) -> Steps:
    job = yield ctx.call_activity("start", input=data | {"more": True})
    yield ctx.create_timer(MINUTE)
    seen = yield ctx.call_activity("look", input=job)
    return {"v": 1, "outcome": seen}


def test_another_input_is_found_unless_it_is_allowed(recorded: Recorded) -> None:
    with pytest.raises(ReplayMismatchError, match='"more": true'):
        replay(another_input, "restore", recorded)

    replay(another_input, "restore", recorded, inputs=False)


def test_another_output_is_found_even_if_inputs_may_differ(recorded: Recorded) -> None:
    with pytest.raises(ReplayMismatchError, match="turn 4"):
        replay(another_output, "restore", recorded, inputs=False)


def test_a_history_of_another_orchestrator_or_format_is_refused(recorded: Recorded) -> None:
    with pytest.raises(ReplayMismatchError, match="is of 'restore', not of 'follow'"):
        replay(restore, "follow", recorded)
    with pytest.raises(ReplayMismatchError, match="format 2"):
        replay(restore, "restore", recorded | {"v": 2})
    with pytest.raises(ReplayMismatchError, match="no turn"):
        replay(restore, "restore", recorded | {"events": []})


def test_an_unfinished_history_is_replayed_as_far_as_it_goes() -> None:
    hub = Hub(orchestrators={"restore": restore}, activities={"start": activity})
    hub.start("restore", {"v": 1}, instance_id="r1")
    hub.run_until(timedelta(seconds=30))
    recorded = record(hub, "r1")

    replay(restore, "restore", recorded)
    replay(another_last_activity, "restore", recorded)
    with pytest.raises(ReplayMismatchError):
        replay(a_longer_timer, "restore", recorded)


# Everything that may stand in a history

DISK = EntityInstanceId("counter", "disk")
RETRY = task.RetryPolicy(first_retry_interval=timedelta(seconds=5), max_number_of_attempts=3)


def rich(ctx: Ctx, data: dict[str, Any]) -> Steps:
    yield ctx.call_entity(DISK, "add", 1)
    ctx.signal_entity(DISK, data["operation"], 2)
    go, deadline = ctx.wait_for_external_event("go"), ctx.create_timer(MINUTE)
    yield task.when_any([go, deadline])
    deadline.cancel()
    flaky = yield ctx.call_activity("flaky", retry_policy=RETRY)
    try:
        yield ctx.call_activity("broken")
    except task.TaskFailedError as error:
        return [flaky, error.details.message]


def run_rich(hub_of: Callable[[], Hub]) -> Hub:
    hub = hub_of()
    hub.start("rich", {"operation": "add"}, instance_id="r1")
    hub.run_until(timedelta(seconds=1))
    hub.suspend("r1")
    hub.run_until(timedelta(seconds=1))
    hub.raise_event("r1", "go", {"v": 1})
    hub.resume("r1")
    hub.finish("r1")
    return hub


def rich_hub() -> Hub:
    def flaky(_: Any) -> int:
        if len(hub.calls) < 2:
            raise TimeoutError("not yet")
        return 1

    def broken(_: Any) -> None:
        raise KeyError("disk")

    def counter(ctx: Any, data: Any) -> Any:
        ctx.set_state(ctx.get_state(int, 0) + data)

    hub = Hub(
        orchestrators={"rich": rich},
        activities={"flaky": flaky, "broken": broken},
        entities={"counter": counter},
    )
    return hub


def test_entities_events_retries_and_suspension_are_replayed() -> None:
    recorded = record(run_rich(rich_hub), "r1")
    text = dump(recorded)

    kinds = {key for event in recorded["events"] for key in event} - {"eventId", "timestamp"}
    assert kinds >= {"entityOperationCalled", "entityOperationSignaled", "eventRaised"}
    assert kinds >= {"timerFired", "taskFailed", "executionSuspended"}
    assert str(Path.cwd()) not in text
    assert "stackTrace" not in text
    replay(rich, "rich", json.loads(text))


def test_a_change_among_them_is_found() -> None:
    def changed(ctx: Ctx, data: dict[str, Any]) -> Steps:
        return (yield from rich(ctx, data | {"operation": "other"}))

    with pytest.raises(ReplayMismatchError, match="other"):
        replay(changed, "rich", record(run_rich(rich_hub), "r1"))


def test_a_decision_of_no_kind_that_the_app_takes_is_refused(recorded: Recorded) -> None:
    def parent(ctx: Ctx, _: Any) -> Steps:
        yield ctx.call_sub_orchestrator("child")

    with pytest.raises(ReplayMismatchError, match="is of no kind that a history is known to hold"):
        replay(parent, "restore", recorded)


def failing(ctx: Ctx, _: Any) -> Steps:
    yield ctx.create_timer(MINUTE)
    raise ValueError("broken")


def failing_otherwise(ctx: Ctx, _: Any) -> Steps:
    yield ctx.create_timer(MINUTE)
    raise ValueError("broken in another way")


def test_a_failure_is_an_end_like_any_other() -> None:
    hub = Hub(orchestrators={"failing": failing})
    hub.start("failing", instance_id="r1")
    hub.run_until_idle()
    recorded = record(hub, "r1")

    replay(failing, "failing", recorded)
    with pytest.raises(ReplayMismatchError, match="in another way"):
        replay(failing_otherwise, "failing", recorded)


def count_down(ctx: Ctx, data: int) -> Steps:
    yield ctx.create_timer(MINUTE)
    if data:
        ctx.continue_as_new(data - 1, save_events=True)
        return None
    return (yield ctx.wait_for_external_event("go"))


def count_down_faster(ctx: Ctx, data: int) -> Steps:
    yield ctx.create_timer(MINUTE)
    if data:
        ctx.continue_as_new(data - 2, save_events=True)
        return None
    return (yield ctx.wait_for_external_event("go"))


def test_each_generation_can_be_recorded() -> None:
    hub = Hub(orchestrators={"o": count_down})
    hub.start("o", 2, instance_id="r1")
    hub.raise_event("r1", "go", "early")
    hub.finish("r1")

    for generation in (0, 1, 2):
        replay(count_down, "o", record(hub, "r1", generation=generation))
    with pytest.raises(ReplayMismatchError, match="ContinuedAsNew"):
        replay(count_down_faster, "o", record(hub, "r1", generation=0))
