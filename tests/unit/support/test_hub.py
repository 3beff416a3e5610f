from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import durabletask.internal.helpers as ph
import durabletask.internal.orchestrator_service_pb2 as pb
import pytest
from durabletask import task
from durabletask.entities import EntityInstanceId

from tests.support import hub as hubs
from tests.support.hub import START, Call, CustomStatus, Hub, OrchestrationFailed, StillWaitingError, Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

type Ctx = task.OrchestrationContext
type Steps = Generator[task.Task[Any], Any, Any]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def echo(data: Any) -> Any:
    return data


def echo_at_once(_ctx: Ctx, data: Any) -> Any:
    return data


def call_echo(ctx: Ctx, data: Any) -> Steps:
    return (yield ctx.call_activity("echo", input=data))


def nap(ctx: Ctx, data: Any) -> Steps:
    """Sleep ``data`` seconds and tell when it was."""
    before = ctx.current_utc_datetime
    yield ctx.create_timer(seconds(data))
    return [before.isoformat(), ctx.current_utc_datetime.isoformat()]


# Activities


def test_an_activity_gets_the_decoded_input_and_its_result_comes_back() -> None:
    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": echo})

    assert hub.run("o", {"v": 1, "disks": [1, None]}) == {"v": 1, "disks": [1, None]}
    assert hub.calls == [Call(START, "echo", {"v": 1, "disks": [1, None]}, {"v": 1, "disks": [1, None]})]


def test_any_json_value_survives_the_trip() -> None:
    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": echo})

    for value in (None, "", 0, False, [], {}, "a"):
        assert hub.run("o", value) == value


def test_what_an_activity_does_to_its_input_is_not_seen_elsewhere() -> None:
    def spoil(data: dict[str, Any]) -> None:
        data.clear()

    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": spoil})
    hub.run("o", {"v": 1})

    assert hub.calls[0].input == {"v": 1}


def test_a_two_argument_activity_cannot_read_its_context() -> None:
    def native(ctx: task.ActivityContext, _data: Any) -> str:
        return ctx.orchestration_id

    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": native})

    with pytest.raises(OrchestrationFailed, match="not available"):
        hub.run("o")


@dataclass
class NotJson:
    number: int


def test_a_result_that_is_not_json_fails_as_in_production() -> None:
    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": lambda _: NotJson(1)})

    with pytest.raises(OrchestrationFailed, match="to_json"):
        hub.run("o")


def test_an_input_that_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="to_json"):
        Hub(orchestrators={"o": call_echo}).start("o", NotJson(1))


def test_an_activity_that_raises_fails_with_type_and_message() -> None:
    def broken(_: Any) -> None:
        raise KeyError("disk")

    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": broken})

    with pytest.raises(OrchestrationFailed, match="Activity task #1 failed: 'disk'") as caught:
        hub.run("o", instance_id="r1")
    assert caught.value.status == "Failed"
    assert isinstance(hub.calls[0].error, KeyError)
    failed = next(event.taskFailed for event in hub.history("r1") if event.HasField("taskFailed"))
    assert failed.failureDetails.errorType == "builtins.KeyError"


def test_an_error_without_a_message_is_still_a_failure() -> None:
    def broken(_: Any) -> None:
        raise ValueError

    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": broken})

    with pytest.raises(OrchestrationFailed, match=r"builtins\.ValueError"):
        hub.run("o")


def test_a_retry_policy_waits_on_the_skipping_clock() -> None:
    def flaky(_: Any) -> str:
        if len(hub.calls) < 3:
            raise TimeoutError("not yet")
        return "done"

    def orchestrator(ctx: Ctx, data: Any) -> Steps:
        policy = task.RetryPolicy(first_retry_interval=seconds(5), max_number_of_attempts=6, backoff_coefficient=2.0)
        return (yield ctx.call_activity("flaky", input=data, retry_policy=policy))

    hub = Hub(orchestrators={"o": orchestrator}, activities={"flaky": flaky})

    assert hub.run("o", {"v": 1}, instance_id="r1") == "done"
    assert [call.at - START for call in hub.calls] == [seconds(0), seconds(4), seconds(13), seconds(32)]
    assert [call.input for call in hub.calls] == [{"v": 1}] * 4
    assert [timer.fire_at - timer.created_at for timer in hub.timers("r1")] == [seconds(5), seconds(10), seconds(20)]


def test_redelivery_runs_each_activity_twice_and_goes_on_with_the_second_result() -> None:
    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": lambda _: len(hub.calls)}, redeliver_activities=True)

    assert hub.run("o") == 1
    assert [call.result for call in hub.calls] == [0, 1]


def test_a_name_that_nobody_registered_is_the_tests_mistake() -> None:
    with pytest.raises(LookupError, match="no activity is registered as 'echo', only \\['other'\\]"):
        Hub(orchestrators={"o": call_echo}, activities={"other": echo}).run("o")
    with pytest.raises(LookupError, match="no orchestrator is registered as 'p'"):
        Hub(orchestrators={"o": call_echo}).run("p")


# The clock


def test_a_timer_fires_up_to_a_second_early_and_everything_is_stamped_by_the_clock() -> None:
    hub = Hub(orchestrators={"o": nap})

    assert hub.run("o", 60, instance_id="r1") == ["2026-11-23T08:00:00", "2026-11-23T08:00:59"]
    assert hub.clock.elapsed == seconds(59)
    assert hub.timers("r1") == [Timer(START, START + seconds(60))]
    state = hub.state("r1")
    assert (state.created_at, state.last_updated_at) == (START, START + seconds(59))
    assert hub._backend._instances["r1"].completed_at == START + seconds(59)


@pytest.mark.parametrize(("asked_s", "waited_s"), [(0.3, 0), (1, 0), (1.3, 1), (2, 1), (59.9, 59), (61, 60)])
def test_a_wait_is_cut_to_whole_seconds_and_one_within_a_second_is_none(asked_s: float, waited_s: float) -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.run("o", asked_s)

    assert hub.clock.elapsed == seconds(waited_s)


def test_a_loop_on_a_timer_that_fires_at_once_is_told() -> None:
    def impatient(ctx: Ctx, _: Any) -> Steps:
        until = ctx.current_utc_datetime + seconds(60)
        while ctx.current_utc_datetime < until:
            yield ctx.create_timer(until)

    with pytest.raises(StillWaitingError, match="r1 loops on a timer that fires at once at 2026-11-23T08:00:59"):
        Hub(orchestrators={"o": impatient}).run("o", instance_id="r1")


def test_an_activity_may_take_time() -> None:
    def slow(_: Any) -> None:
        hub.clock.advance(seconds(90))

    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        yield ctx.call_activity("slow")
        return ctx.current_utc_datetime.isoformat()

    hub = Hub(orchestrators={"o": orchestrator}, activities={"slow": slow})

    assert hub.run("o") == "2026-11-23T08:01:30"


def test_a_timer_that_is_overdue_fires_without_turning_the_clock_back() -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.start("o", 60)
    hub.run_until(seconds(1))
    hub.clock.advance(seconds(100))
    hub.run_until_idle()

    assert hub.clock.elapsed == seconds(101)


def test_a_timer_longer_than_the_longest_allowed_fires_in_legs() -> None:
    hub = Hub(orchestrators={"o": nap})
    week = 7 * 24 * 3600

    assert hub.run("o", week, instance_id="r1")[1] == "2026-11-30T07:59:59"
    assert len(hub.timers("r1")) == 3


def test_a_timer_left_behind_does_not_move_the_clock() -> None:
    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        yield task.when_any([ctx.create_timer(seconds(10)), ctx.create_timer(seconds(3600))])

    hub = Hub(orchestrators={"o": orchestrator})
    hub.run("o")
    hub.run_until_idle()

    assert hub.clock.elapsed == seconds(9)


# Stopping midway


def wait_or_give_up(ctx: Ctx, data: Any) -> Steps:
    event, timer = ctx.wait_for_external_event("go"), ctx.create_timer(seconds(data))
    if (yield task.when_any([event, timer])) is event:
        return {"event": event.get_result(), "at": ctx.current_utc_datetime.isoformat()}
    return "gave up"


def test_an_event_raised_at_a_given_time_wins_over_a_later_timer() -> None:
    hub = Hub(orchestrators={"o": wait_or_give_up})
    hub.start("o", 3600, instance_id="r1")
    hub.run_until(START + seconds(600))
    hub.raise_event("r1", "go", {"by": "me"})

    assert hub.finish("r1") == {"event": {"by": "me"}, "at": "2026-11-23T08:10:00"}
    assert hub.clock.elapsed == seconds(600)


def test_running_until_a_time_includes_what_is_due_then_and_nothing_later() -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.start("o", 61, instance_id="at")
    hub.start("o", 62, instance_id="after")
    hub.run_until(seconds(60))

    assert (hub.state("at").status, hub.state("after").status) == ("Completed", "Running")


def test_running_until_a_condition_stops_as_soon_as_it_holds() -> None:
    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": echo})
    hub.start("o", instance_id="r1")
    hub.run_until(lambda: bool(hub.calls))

    assert hub.state("r1").status == "Running"


def test_a_condition_that_never_holds_is_told() -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.start("o", 1, instance_id="r1")

    with pytest.raises(StillWaitingError, match="r1 is Completed"):
        hub.run_until(lambda: False)


def test_an_orchestration_that_never_ends_meets_the_step_limit() -> None:
    def forever(ctx: Ctx, _: Any) -> None:
        ctx.continue_as_new(None)

    with pytest.raises(StillWaitingError, match="step limit"):
        Hub(orchestrators={"o": forever}, step_limit=100).run("o")


def test_termination_ends_it_and_the_reason_is_its_output() -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.start("o", 3600, instance_id="r1")
    hub.run_until(seconds(60))
    hub.terminate("r1", "enough")

    with pytest.raises(OrchestrationFailed, match="enough"):
        hub.finish("r1")
    assert (hub.state("r1").status, hub.state("r1").output) == ("Terminated", "enough")
    assert hub._backend._instances["r1"].output == "enough"
    hub.run_until_idle()
    assert hub.clock.elapsed == seconds(60)


def test_an_activity_queued_before_termination_still_runs_but_changes_nothing() -> None:
    hub = Hub(orchestrators={"o": call_echo}, activities={"echo": echo})
    hub.start("o", 1, instance_id="r1")
    hub.step()
    hub.terminate("r1")
    hub.run_until_idle()
    events = len(hub.history("r1"))

    assert len(hub.calls) == 1
    assert hub.state("r1").status == "Terminated"
    hub.run_until_idle()
    assert len(hub.history("r1")) == events


def test_a_suspended_orchestration_goes_on_where_it_was_when_resumed() -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.start("o", 60, instance_id="r1")
    hub.run_until(seconds(10))
    hub.suspend("r1", "wait")
    hub.run_until(seconds(300))
    assert hub.state("r1").status == "Suspended"
    hub.resume("r1")

    assert hub.finish("r1") == ["2026-11-23T08:00:00", "2026-11-23T08:00:59"]
    assert hub.clock.elapsed == seconds(310)


def test_an_event_for_nobody_is_refused() -> None:
    with pytest.raises(LookupError, match="NOT_FOUND"):
        Hub(orchestrators={}).raise_event("r1", "go")


@pytest.mark.parametrize("send", [Hub.terminate, Hub.suspend, Hub.resume, Hub.raise_event])
def test_nothing_can_be_sent_to_an_orchestration_that_has_ended(send: Callable[[Hub, str, str], None]) -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.run("o", 60, instance_id="r1")

    with pytest.raises(LookupError, match="FAILED_PRECONDITION"):
        send(hub, "r1", "x")


def test_an_instance_that_has_not_ended_cannot_be_purged() -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.start("o", 60, instance_id="r1")

    with pytest.raises(LookupError, match="FAILED_PRECONDITION"):
        hub._backend.PurgeInstances(pb.PurgeInstancesRequest(instanceId="r1"), hubs._CONTEXT)


def test_an_id_in_use_is_refused_until_its_orchestration_has_ended() -> None:
    hub = Hub(orchestrators={"o": nap})
    hub.start("o", 60, instance_id="r1")
    hub.step()
    with pytest.raises(LookupError, match="ALREADY_EXISTS"):
        hub.start("o", 60, instance_id="r1")
    hub.finish("r1")

    assert hub.run("o", 5, instance_id="r1") == ["2026-11-23T08:00:59", "2026-11-23T08:01:03"]


def test_a_start_that_lies_is_seen_by_another_half_a_second_later() -> None:
    hub = Hub(orchestrators={"o": nap}, defer_starts=True)
    hub.start("o", instance_id="r1")
    hub.clock.advance(seconds(0.5))

    with pytest.raises(LookupError, match="ALREADY_EXISTS"):
        hub.start("o", instance_id="r1")


def test_ids_are_made_up_and_functions_stand_for_their_names() -> None:
    hub = Hub(orchestrators={"o": nap})

    assert [hub.start(nap, 1), hub.start("o", 1)] == ["o-1", "o-2"]
    assert hub.instances() == ["o-1", "o-2"]
    with pytest.raises(LookupError, match="not an orchestrator"):
        hub.start(call_echo)


def test_a_deferred_start_is_pending_for_two_seconds_and_hears_nothing() -> None:
    hub = Hub(orchestrators={"o": wait_or_give_up}, defer_starts=lambda instance_id: instance_id == "r1")
    hub.start("o", 60, instance_id="r1")
    hub.start("o", 60, instance_id="r2")
    for instance_id in ("r1", "r2"):
        hub.raise_event(instance_id, "go", "early")
    hub.terminate("r1", "early")
    hub.run_until(START + seconds(1.9))
    assert (hub.state("r1").status, hub.state("r2").status) == ("Pending", "Completed")
    hub.run_until(START + seconds(2))
    hub.raise_event("r1", "go", "in time")

    assert hub.finish("r1") == {"event": "in time", "at": "2026-11-23T08:00:02"}


def test_each_fourth_start_of_an_orchestrator_is_deferred() -> None:
    hub = Hub(orchestrators={"o": echo_at_once, "p": echo_at_once})
    for _ in range(4):
        hub.start("o")
    hub.start("p")
    hub.run_until(seconds(0))

    assert [hub.state(instance_id).status for instance_id in hub.instances()] == ["Completed"] * 3 + [
        "Pending",
        "Completed",
    ]


# Status and history


def test_every_custom_status_is_kept_with_its_time_and_equal_ones_once() -> None:
    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        for progress in (10, 10, 55):
            ctx.set_custom_status({"pct": progress})
            yield ctx.create_timer(seconds(60))

    hub = Hub(orchestrators={"o": orchestrator})
    hub.run("o", instance_id="r1")

    assert hub.statuses("r1") == [CustomStatus(START, {"pct": 10}), CustomStatus(START + seconds(118), {"pct": 55})]
    assert hub.state("r1").custom_status == {"pct": 55}


def test_a_failed_orchestration_has_its_error_as_output_in_plain_text() -> None:
    def orchestrator(_ctx: Ctx, _: Any) -> None:
        raise ValueError("no disk")

    hub = Hub(orchestrators={"o": orchestrator})
    hub.start("o", instance_id="1")
    hub.run_until_idle()
    row = ask(hub, fetchInputsAndOutputs=True).orchestrationState[0]

    assert (row.output.value, row.HasField("failureDetails")) == ("builtins.ValueError: no disk", False)
    assert (hub.state("1").output, hub.state("1").failure) == ("builtins.ValueError: no disk", "no disk")


def test_an_output_that_is_not_json_fails_the_orchestration() -> None:
    def orchestrator(_ctx: Ctx, _: Any) -> Any:
        return NotJson(1)

    with pytest.raises(OrchestrationFailed, match="could not be encoded"):
        Hub(orchestrators={"o": orchestrator}).run("o")


def count_down(ctx: Ctx, data: int) -> Steps:
    yield ctx.create_timer(seconds(60))
    if data:
        ctx.set_custom_status(data)
        ctx.continue_as_new(data - 1, save_events=True)
        return None
    event = yield ctx.wait_for_external_event("go")
    return [event, ctx.current_utc_datetime.isoformat()]


def test_continue_as_new_carries_the_input_the_events_and_the_clock() -> None:
    hub = Hub(orchestrators={"o": count_down})
    hub.start("o", 2, instance_id="r1")
    hub.raise_event("r1", "go", "early")

    assert hub.finish("r1") == ["early", "2026-11-23T08:02:57"]
    assert [timer.created_at - START for timer in hub.timers("r1")] == [seconds(0), seconds(59), seconds(118)]
    assert [status.value for status in hub.statuses("r1")] == [2, 1]
    assert len(hub.generations("r1")) == 3
    assert hub.history("r1") == hub.generations("r1")[-1]
    assert hub.largest_history == max(len(generation) for generation in hub.generations("r1"))


def test_an_instance_was_created_when_its_present_generation_was() -> None:
    hub = Hub(orchestrators={"o": count_down})
    hub.start("o", 1, instance_id="r1")
    hub.run_until(seconds(60))

    assert hub.state("r1").created_at == START + seconds(59)


def test_a_timer_of_an_earlier_generation_does_not_answer_a_later_one() -> None:
    def orchestrator(ctx: Ctx, data: int) -> Steps:
        if data == 0:
            yield task.when_any([ctx.create_timer(seconds(30)), ctx.create_timer(seconds(10))])
            ctx.continue_as_new(1)
            return None
        yield ctx.create_timer(seconds(1000))
        return ctx.current_utc_datetime.isoformat()

    hub = Hub(orchestrators={"o": orchestrator})

    assert hub.run("o", 0) == (START + seconds(1008)).replace(tzinfo=None).isoformat()


def test_an_activity_of_an_earlier_generation_does_not_answer_a_later_one() -> None:
    def orchestrator(ctx: Ctx, data: int) -> Steps:
        first = ctx.call_activity("echo", input=f"a{data}")
        second = ctx.call_activity("echo", input=f"b{data}")
        if data == 0:
            yield task.when_any([first, second])
            ctx.continue_as_new(1)
            return None
        return (yield task.when_all([first, second]))

    hub = Hub(orchestrators={"o": orchestrator}, activities={"echo": echo})

    assert hub.run("o", 0) == ["a1", "b1"]
    assert [call.input for call in hub.calls] == ["a0", "b0", "a1", "b1"]


# Replaying


def one_answer_after(naps: int, answers: list[str]) -> Callable[[Ctx, Any], Steps]:
    """Return an orchestrator that gives another input to its activity at each replay."""

    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        for _ in range(naps):
            yield ctx.create_timer(seconds(60))
        answers.append(f"answer {len(answers)}")
        yield ctx.call_activity("echo", input=answers[-1])
        return answers[-1]

    return orchestrator


@pytest.mark.parametrize("naps", [2, 60], ids=["at the step itself", "at the end of a long history"])
def test_an_orchestrator_that_is_not_deterministic_is_found_out(naps: int) -> None:
    hub = Hub(orchestrators={"o": one_answer_after(naps, [])}, activities={"echo": echo})

    with pytest.raises(task.NonDeterminismError, match="a turn taken twice acts differently"):
        hub.run("o")


def test_a_long_history_is_replayed_now_and_then_and_at_its_end() -> None:
    runs: list[int] = []

    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        runs.append(1)
        for _ in range(200):
            yield ctx.create_timer(seconds(60))

    hub = Hub(orchestrators={"o": orchestrator})
    hub.run("o")

    assert hub.clock.elapsed == seconds(11_800)
    assert 10 < len(runs) < 30


def counting_its_runs(runs: list[int]) -> Callable[[Ctx, Any], Steps]:
    """Return an orchestrator of three activities that counts how often it is begun: once, and for each replay."""

    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        runs.append(1)
        for number in range(3):
            yield ctx.call_activity("answer", input=number)

    return orchestrator


def test_a_history_that_was_replayed_before_is_not_replayed_again() -> None:
    runs: list[int] = []
    orchestrator = counting_its_runs(runs)
    for _ in range(2):
        Hub(orchestrators={"o": orchestrator}, activities={"answer": echo}).run("o")

    assert len(runs) == (1 + 4) + 1


def test_before_the_first_replay_of_a_new_history_the_one_before_it_is_made_after_all() -> None:
    runs: list[int] = []
    orchestrator = counting_its_runs(runs)
    Hub(orchestrators={"o": orchestrator}, activities={"answer": echo}).run("o")
    before = len(runs)

    Hub(orchestrators={"o": orchestrator}, activities={"answer": lambda number: -number}).run("o")

    # The answers 1 and 2 are others: the turns after them have new histories. The turn before is replayed late.
    assert len(runs) - before == 1 + 1 + 2


def test_a_turn_that_acts_otherwise_than_the_same_replay_before_is_found_out_at_once() -> None:
    answers = iter(["a", "a", "a", "b", "c"])

    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        yield ctx.call_activity("echo", input=next(answers))

    before, hub = (Hub(orchestrators={"o": orchestrator}, activities={"echo": echo}) for _ in range(2))
    before.run("o")

    with pytest.raises(task.NonDeterminismError, match="a turn taken twice acts differently"):
        hub.run("o")
    assert hub.calls == []


# Queries


def ask(hub: Hub, wanted: int = 9, **members: Any) -> pb.QueryInstancesResponse:
    request = pb.QueryInstancesRequest(query=pb.InstanceQuery(maxInstanceCount=wanted, **members))
    return hub._backend.QueryInstances(request, hubs._CONTEXT)


def ids(page: pb.QueryInstancesResponse) -> list[str]:
    return [state.instanceId for state in page.orchestrationState]


def test_a_page_that_the_table_service_does_not_give_is_refused() -> None:
    hub = Hub(orchestrators={})

    for wanted in (-1, 0, 1001, 2**31 - 1):
        with pytest.raises(LookupError, match="UNKNOWN"):
            ask(hub, wanted)
    with pytest.raises(LookupError, match="UNKNOWN"):
        ask(hub, continuationToken=ph.get_string_value("?"))


@pytest.mark.parametrize(
    ("instance_ids", "expected"), [("a4192", [["1", "2"], ["4"], ["9", "a"]]), ("a", [[], ["a"]])], ids=len
)
def test_pages_go_by_id_may_be_empty_and_none_goes_across_the_boundary_of_two_servers(
    instance_ids: str, expected: list[list[str]]
) -> None:
    hub = Hub(orchestrators={"o": nap}, defer_starts=False)
    for instance_id in instance_ids:
        hub.start("o", 60, instance_id=instance_id)
    page = ask(hub, 2)
    pages = [ids(page)]
    while page.continuationToken.value:
        page = ask(hub, 2, continuationToken=page.continuationToken)
        pages.append(ids(page))

    assert pages == expected


def test_queries_filter_by_status_prefix_and_time_of_creation() -> None:
    hub = Hub(orchestrators={"o": nap}, defer_starts=False)
    for instance_id, length_s in (("10", 1), ("11", 60), ("12", 60), ("2", 60)):
        hub.start("o", length_s, instance_id=instance_id)
        hub.run_until(seconds(10))

    assert ids(ask(hub, instanceIdPrefix=ph.get_string_value("1"))) == ["10", "11", "12"]
    assert ids(ask(hub, runtimeStatus=[pb.ORCHESTRATION_STATUS_COMPLETED])) == ["10"]
    assert ids(ask(hub, createdTimeFrom=ph.new_timestamp(START + seconds(10)))) == ["11", "12", "2"]
    assert ids(ask(hub, createdTimeTo=ph.new_timestamp(START + seconds(10)))) == ["10", "11"]


def test_payloads_are_in_a_page_only_if_asked_for_and_a_custom_status_that_nobody_set_is_the_text_null() -> None:
    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        ctx.set_custom_status("waits")
        yield ctx.create_timer(seconds(60))

    hub = Hub(orchestrators={"o": orchestrator, "p": nap}, defer_starts=False)
    hub.start("o", 7, instance_id="1")
    hub.start("p", 60, instance_id="2")
    hub.run_until(seconds(1))
    full, of_another = ask(hub, fetchInputsAndOutputs=True).orchestrationState
    bare = ask(hub).orchestrationState[0]

    assert (full.input.value, full.customStatus.value) == ("7", '"waits"')
    assert of_another.customStatus.value == "null"
    assert not any(bare.HasField(name) for name in ("input", "output", "customStatus", "failureDetails"))


# Turns that are run twice


def test_a_turn_that_is_run_twice_sends_its_messages_twice_and_is_written_with_a_later_time() -> None:
    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        ctx.signal_entity(DISK, "add", 1)
        return (yield ctx.call_activity("echo", input=ctx.current_utc_datetime.isoformat()))

    hub = Hub(
        orchestrators={"o": orchestrator},
        activities={"echo": echo},
        entities={"counter": counter},
        repeat_turns=True,
        repeat_operations=False,
    )

    assert hub.run("o", instance_id="r1") == "2026-11-23T08:00:00"
    hub.run_until_idle()
    assert [call.result for call in hub.calls] == ["2026-11-23T08:00:00", "2026-11-23T08:00:00.700000"]
    scheduled = [event.taskScheduled for event in hub.history("r1") if event.HasField("taskScheduled")]
    assert [task_scheduled.input.value for task_scheduled in scheduled] == ['"2026-11-23T08:00:00.700000"']
    assert hub.entity_state("counter", "disk") == 2


def test_the_answer_to_a_call_that_was_never_written_is_not_heard() -> None:
    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        return (yield ctx.call_entity(DISK, "add", 1))

    hub = Hub(
        orchestrators={"o": orchestrator}, entities={"counter": counter}, repeat_turns=True, repeat_operations=False
    )

    assert hub.run("o") == 2


def test_a_retry_is_heard_although_its_first_try_was_run_twice() -> None:
    def flaky(_: Any) -> str:
        if len(hub.calls) < 2:
            raise TimeoutError("not yet")
        return "done"

    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        policy = task.RetryPolicy(first_retry_interval=seconds(5), max_number_of_attempts=2)
        return (yield ctx.call_activity("flaky", retry_policy=policy))

    hub = Hub(orchestrators={"o": orchestrator}, activities={"flaky": flaky}, repeat_turns=True)

    assert hub.run("o") == "done"


def test_each_seventh_turn_of_an_instance_is_run_twice_when_it_goes_by_count() -> None:
    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        for number in range(20):
            yield ctx.call_activity("echo", input=number)

    hub = Hub(orchestrators={"o": orchestrator}, activities={"echo": echo}, repeat_turns=None)
    hub.run("o")

    assert len(hub.calls) in {22, 23}


# Entities


def counter(ctx: Any, data: Any) -> Any:
    match ctx.operation:
        case "add":
            ctx.set_state(ctx.get_state(int, 0) + data)
        case "fail":
            raise ValueError("no")
    return ctx.get_state(int, 0)


DISK = EntityInstanceId("counter", "disk")


def test_an_entity_is_signalled_and_called() -> None:
    def orchestrator(ctx: Ctx, data: int) -> Steps:
        ctx.signal_entity(DISK, "add", data)
        return (yield ctx.call_entity(DISK, "add", 1))

    hub = Hub(orchestrators={"o": orchestrator}, entities={"counter": counter}, repeat_operations=False)
    hub.signal_entity("counter", "disk", "add", 10)

    assert hub.run("o", 5) == 16
    assert hub.entity_state("counter", "disk") == 16
    assert hub.entity_state("counter", "other") is None


def log(ctx: Any, data: Any) -> Any:
    """An entity that remembers what it was told, and answers how much that is."""
    ctx.set_state([*ctx.get_state(list, []), data])
    return len(ctx.get_state(list))


LOG = EntityInstanceId("log", "l")


def test_an_operation_that_comes_twice_does_so_at_once_after_two_others_and_late() -> None:
    def orchestrator(ctx: Ctx, data: str) -> Steps:
        return (yield ctx.call_entity(LOG, data, data))

    hub = Hub(
        orchestrators={"o": orchestrator},
        entities={"log": log},
        repeat_operations=lambda operation: operation in {"a", "b", "c"},
    )

    assert [hub.run("o", data) for data in "abcde"] == [1, 3, 4, 5, 7]
    assert hub.entity_state("log", "l") == ["a", "a", "b", "c", "d", "b", "e"]
    hub.run_until_idle()
    assert hub.entity_state("log", "l")[7:] == ["c"]
    assert hub.clock.elapsed == seconds(30)


def test_an_operation_that_no_other_follows_comes_again_late() -> None:
    hub = Hub(orchestrators={}, entities={"log": log}, repeat_operations=True)
    hub.signal_entity("log", "l", "a", "a")
    hub.run_until_idle()
    hub.signal_entity("log", "l", "b", "b")
    hub.run_until(seconds(29))
    assert hub.entity_state("log", "l") == ["a", "a", "b"]
    hub.run_until(seconds(1))

    assert hub.entity_state("log", "l") == ["a", "a", "b", "b"]


def test_each_third_operation_of_an_entity_comes_twice() -> None:
    hub = Hub(orchestrators={}, entities={"log": log})
    for number in range(9):
        hub.signal_entity("log", "l", "add", number)
    hub.run_until_idle()

    assert len(hub.entity_state("log", "l")) == 12


def test_a_delayed_signal_arrives_up_to_a_second_early() -> None:
    def orchestrator(ctx: Ctx, _: Any) -> Steps:
        ctx.signal_entity(DISK, "add", 1, ctx.current_utc_datetime + seconds(3600))
        yield ctx.create_timer(seconds(3599))

    hub = Hub(orchestrators={"o": orchestrator}, entities={"counter": counter}, repeat_operations=False)
    hub.run("o")
    assert hub.entity_state("counter", "disk") is None
    hub.run_until_idle()

    assert hub.entity_state("counter", "disk") == 1
    assert hub.clock.elapsed == seconds(3599)
