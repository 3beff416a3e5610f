"""What holds for every restore, whatever Azure answers and whenever people say something."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import errors
from domain.answers import Answer
from domain.azure.jobs import Job, JobStatus, Operation, OperationStatus
from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, TerminalError, TransientError, UnknownOutcomeError
from domain.restore import answers, calls, watching
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT, SLOT_EVENT, WATCH_EVENT, absorb, advance, decide, hear
from domain.restore.parts import ENDED, Decision, Delivery, WatchNews
from domain.restore.polling import Limits
from domain.restore.steps import Finish, MakeCall
from tests.support.azure import GUARD_CLOSED, GUARD_REQUEST, a_point, a_restore, an_alert_start, throttled
from tests.support.player import RESTORE, MadeCall, Player, check_move
from tests.unit.domain.restore.states import ITEM, of_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json, RestoreError
    from domain.restore.calls import Call
    from domain.restore.state import Restore

PLAYS = settings(deadline=None, max_examples=40)
WALKS = settings(deadline=None, max_examples=60)

_NO_AZURE: Final = {
    *(calls.PublishResult.name, calls.PostResult.name, calls.WakeRestore.name, calls.FindRunning.name),
    *(calls.ClaimPost.name, calls.JoinWatch.name),
}
_SAYINGS: Final = st.sampled_from(
    [
        (CANCEL_EVENT, {"by": "ada"}),
        (CANCEL_EVENT, None),
        (DECISION_EVENT, {"decision": "Approved", "by": "ada"}),
        (DECISION_EVENT, {"decision": "Rejected"}),
        (DECISION_EVENT, "junk"),
        (SLOT_EVENT, None),
        *((WATCH_EVENT, {"news": news, "jobId": "job-1"}) for news in WatchNews),
        *((WATCH_EVENT, data) for data in (None, {"news": "Found"}, {"news": "Odd", "jobId": 1})),
    ]
)
_FAILURES: Final[st.SearchStrategy[Exception | None]] = st.sampled_from(
    [
        *[None] * 4,
        *(throttled(None), throttled(3.5), throttled(700.0), throttled(20_000.0)),
        TransientError(errors.INTERNAL_ERROR, "odd"),
        *(TransientError(errors.ITEM_BUSY, "busy", retry_after_s=asked_s) for asked_s in (None, 2.0, 4000.0)),
        *(TransientError(errors.VAULT_BLOCKED, "blocked", retry_after_s=asked_s) for asked_s in (None, 900.0)),
        TerminalError(errors.AUTHORIZATION_FAILED, "no role"),
        TerminalError(errors.NOT_FOUND, "gone"),
        TerminalError(errors.RESTORE_REFUSED, "locked", retry_after_s=45.0),
        RuntimeError("python exited with code 137 (0x89)"),
    ]
)


# Whole restores against a scripted Azure


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens to a restore: its request, Azure's answers, what people say and after how many seconds."""

    members: Json
    limits: Limits
    by_alert: bool
    azure: Json
    is_guarded: bool
    fails: dict[str, list[Exception | None]]
    sayings: list[tuple[int, tuple[str, object]]]
    lost_deliveries: tuple[int, int, int]
    is_watched: bool
    watcher_dies_s: list[int]
    breaks: set[str]

    def play(self) -> Player:
        """Play it to its end."""
        with pytest.MonkeyPatch.context() as patch:
            if self.is_watched:
                patch.setattr(watching, "_FEW_RESTORES", 0)
            return self._play()

    def _play(self) -> Player:
        player = Player()
        player.breaks = set(self.breaks)
        for after_s in self.watcher_dies_s:
            player.at(timedelta(seconds=after_s), player.watches.clear)
        for name, value in self.azure.items():
            setattr(player.azure, name, copy(value))
        player.azure.retry_after.setdefault("trigger_restore", 60.0)
        if self.is_guarded:
            detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": GUARD_REQUEST}
            player.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
        for call, failures in self.fails.items():
            player.azure.fails[call] = list(failures)
        alert = an_alert_start(max_per_hour=1, storm_vms=0) if self.by_alert else None
        player.start(a_restore(self.limits, alert=alert, started_by="alert" if alert else "http", **self.members))
        for after_s, (event, data) in self.sayings:
            player.at(timedelta(seconds=after_s), _say(player, event, data))
        receivers = player.receivers
        receivers.publishing_fails, receivers.publishing_events_fails, receivers.posting_events_fails = (
            self.lost_deliveries
        )
        player.finish()
        return player


def _say(player: Player, event: str, data: object) -> Callable[[], object]:
    return lambda: None if player.play().is_over else player.say(event, data)


_FINDINGS: Final = [
    (),
    (),
    *((ErrorDetail(code=code, message="m"),) for code in ("BMSUserErrorObjectLocked", "CloudDosAbsoluteLimitReached")),
]
_SECONDS: Final = st.sampled_from([0, 1, 5, 20, 60, 61, 100, 130, 300, 601, 2000, 4000])
_REQUESTS: Final = st.fixed_dictionaries(
    {"validate": st.booleans()},
    optional={
        "approval": st.sampled_from([{"required": True, "timeout": "PT5M"}, {"timeout": "PT10M"}]),
        "restoreDiskLunList": st.just([]),
        "dryRun": st.sampled_from([False, False, True]),
    },
)
_AZURE: Final = st.fixed_dictionaries(
    {},
    optional={
        "job_takes": st.sampled_from([timedelta(0), timedelta(minutes=3), timedelta(minutes=40), timedelta(hours=9)]),
        "job_end": st.sampled_from(JobStatus),
        "listed_after": st.sampled_from([timedelta(seconds=30), timedelta(seconds=120), timedelta(seconds=400)]),
        "posts": st.lists(st.sampled_from(["accepted", "lost", "unheard", "jobless", "died"]), max_size=4),
        "operations": st.lists(st.builds(Operation, status=st.sampled_from(OperationStatus)), max_size=9),
        "validations": st.lists(
            st.builds(Validation, status=st.sampled_from(OperationStatus), findings=st.sampled_from(_FINDINGS)),
            max_size=4,
        ),
        "retry_after": st.dictionaries(
            st.sampled_from(
                [
                    "trigger_restore",
                    "get_operation",
                    "get_job",
                    "cancel_job",
                    "get_validation",
                    "open",
                    "list_running_jobs",
                ]
            ),
            st.sampled_from([0.0, 0.4, 7.5, 90.0, 5000.0]),
        ),
        "operation_id": st.sampled_from([None, "operation-1"]),
        "validation_id": st.sampled_from([None, "validation-1"]),
        "cancels": st.booleans(),
        "hides": st.lists(st.sampled_from([(), ("job-1",)]), max_size=12),
        "points": st.sampled_from([[a_point()], [a_point("1", 3), a_point("2", 4)]]),
    },
)
_GUARDED_FAILURES: Final = st.lists(_FAILURES | st.just(GUARD_CLOSED), max_size=4)
scripts: Final = st.builds(
    Script,
    members=_REQUESTS,
    limits=st.builds(
        Limits,
        job_poll_min_s=st.just(15),
        job_poll_max_s=st.just(60),
        deadline_s=st.sampled_from([90, 900, 7200, 40_000]),
        adoption_window_s=st.sampled_from([0, 30, 120]),
        max_per_vault=st.sampled_from([None, 1]),
    ),
    by_alert=st.booleans(),
    azure=_AZURE,
    is_guarded=st.booleans(),
    fails=st.fixed_dictionaries(
        {"trigger_restore": _GUARDED_FAILURES},
        optional={
            name: st.lists(_FAILURES, max_size=5)
            for name in (
                *("get_backup_status", "list_recovery_points", "trigger_validation", "get_validation"),
                *("find_restore_job", "get_operation", "get_job", "cancel_job", "list_disks", "list_running_jobs"),
            )
        },
    ),
    sayings=st.lists(st.tuples(_SECONDS, _SAYINGS), max_size=3),
    lost_deliveries=st.tuples(*[st.sampled_from([0, 0, 3, 7])] * 3),
    is_watched=st.booleans(),
    watcher_dies_s=st.lists(_SECONDS, max_size=2),
    breaks=st.sampled_from([set(), set(), {calls.JoinWatch.name}]),
)


def posts_of(player: Player) -> list[MadeCall]:
    return player.calls_of(calls.StartRestore.name)


@given(scripts)
@PLAYS
def test_every_restore_ends_and_leaves_nothing_behind(script: Script) -> None:
    player = script.play()
    done = player.document()

    assert done["status"] in ENDED
    assert player.receivers.published in ([done], [])
    assert player.lock().get("holder") is None
    assert not any(state.get("running") or state.get("waiting") for state in player.entity_states("vault_slots"))


@given(scripts)
@PLAYS
def test_a_restore_is_posted_only_while_it_is_wanted(script: Script) -> None:
    for made in posts_of(script.play()):
        assert made.restore.outcome is None
        assert made.restore.cancellation is None
        assert made.restore.admission.admitted
        assert made.restore.slot.is_ready
        assert not made.restore.request.is_plan
        approval = made.restore.approval
        assert approval is None or approval.decision is Decision.APPROVED


@given(scripts)
@PLAYS
def test_after_an_unknown_outcome_a_window_without_a_job_comes_before_the_next_post(script: Script) -> None:
    player = script.play()

    for earlier, later in pairwise(posts_of(player)):
        if isinstance(earlier.answer, UnknownOutcomeError):
            closes = earlier.at + timedelta(seconds=script.limits.adoption_window_s)
            searches = [made for made in player.calls_of("find_job") if earlier.at <= made.at <= later.at]
            assert any(made.at >= closes and _found_nothing(made) for made in searches)


def _found_nothing(made: MadeCall) -> bool:
    return isinstance(made.answer, Answer) and made.answer.value.job_id is None


@given(scripts)
@PLAYS
def test_no_more_than_two_posts_have_an_unknown_outcome_and_no_listed_job_gets_a_second(script: Script) -> None:
    player = script.play()

    unknown = [made for made in posts_of(player) if isinstance(made.answer, UnknownOutcomeError)]
    assert player.play().restore.trigger.unknown == len(unknown) + _resolved_as_unknown(player) <= 2
    if player.azure.listed_after <= timedelta(seconds=script.limits.adoption_window_s):
        assert len(player.azure.jobs) <= 1


def _resolved_as_unknown(player: Player) -> int:
    """Return how many broken attempts could not be claimed afterwards: they may have posted."""
    claims = [made for made in player.calls_of("claim_post") if made.call.name == "claim_post"]
    return sum(isinstance(made.answer, Answer) and not made.answer.value.is_ours for made in claims)


@given(scripts)
@PLAYS
def test_who_reads_that_nothing_was_started_can_rely_on_it(script: Script) -> None:
    player = script.play()

    if "Nothing was started." in (player.document()["error"] or {}).get("message", ""):
        assert player.azure.jobs == []


@given(scripts)
@PLAYS
def test_one_that_has_ended_waits_for_nothing_and_says_what_may_still_run(script: Script) -> None:
    player = script.play()
    done = player.document()

    assert (done["waiting"], done["nextPollTime"]) == (None, None)
    if player.azure.jobs and done["error"] is not None:
        said = (
            "A person must look",
            "may still run",
            "Azure Backup job",
            "restore operation",
            "no job of it was found",
        )
        assert any(words in done["error"]["message"] for words in said)


@given(scripts)
@PLAYS
def test_its_events_tell_each_status_once_and_in_order(script: Script) -> None:
    player = script.play()
    events = player.receivers.events

    statuses = [document["status"] for document in [*player.shown(), player.document()]]
    outcome = player.play().restore.outcome
    if outcome is not None and outcome.queue is Delivery.NOT_NEEDED:  # refused while its caller waited
        assert events == []
    else:
        assert [event["event"] for event in events] == [status for status, _ in groupby(statuses)]
    assert [event["restore"]["status"] for event in events] == [event["event"] for event in events]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


@given(scripts)
@PLAYS
def test_no_wait_that_azure_asked_for_is_ever_shortened(script: Script) -> None:
    player = script.play()

    for name in {made.call.name for made in player.play().calls}:
        for earlier, later in pairwise(player.calls_of(name)):
            asked = timedelta(seconds=earlier.answer.retry_after_s or 0)
            assert later.at >= earlier.at + asked, f"{name} was called too early"


@given(scripts)
@PLAYS
def test_after_the_deadline_there_is_at_most_one_more_poll(script: Script) -> None:
    player = script.play()

    late = [
        made
        for made in player.play().calls
        if made.restore.outcome is None
        and made.at >= made.restore.deadline
        and isinstance(made.call, calls.ActivityCall)
        and made.call.name not in {*_NO_AZURE, calls.ListRestoredDisks.name}
    ]
    assert len(late) <= 1
    assert all(made.restore.azure_has_it for made in late)


# Walks through the states with answers of any kind


_GOOD: Final[dict[str, Any]] = {
    "acquire_lock": answers.Grant(),
    "take_budget": answers.Grant(),
    "note_alert": answers.Storm(is_storm=False, vms=1),
    "acquire_slot": answers.SlotGrant(running=9),
    "join_watch": answers.Joined(is_watched=True),
    "release_slot": answers.SlotReleased(),
    "resolve_item": ITEM,
    "prepare_restore": answers.Preparation(point=a_point()),
    "get_validation": Validation(status=OperationStatus.SUCCEEDED),
    "start_restore": answers.Started(operation=answers.AcceptedOperation(operation_id="o")),
    "find_job": answers.FoundJob(job_id=None),
    "get_operation": Operation(status=OperationStatus.SUCCEEDED, job_id="j"),
    "get_job": Job(job_id="j", status=JobStatus.IN_PROGRESS),
    "claim_post": answers.Claim(is_ours=True),
}
_ERRORS: Final = st.builds(
    lambda kind, code, asked_s: kind(code, "message", retry_after_s=asked_s),
    st.sampled_from([TransientError, TransientError, TerminalError, UnknownOutcomeError]),
    st.sampled_from(
        [
            *(errors.SERVICE_UNAVAILABLE, errors.INTERNAL_ERROR, errors.NOT_FOUND, errors.AUTHORIZATION_FAILED),
            *(errors.RESOURCE_GUARD_CLOSED, errors.LATE_DELIVERY, errors.ITEM_BUSY, errors.VAULT_BLOCKED),
        ]
    ),
    st.sampled_from([None, 0.0, 0.5, 30.0, 5000.0]),
)


class Walk:
    """One restore that is led on by drawn answers; every step is held to what must always be true."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], restore: Restore) -> None:
        self.draw = draw
        self.restore = restore

    def go(self, steps: int) -> None:
        """Walk so many steps, or to the end."""
        for _ in range(steps):
            self._move(advance(self.restore, self.now))
            step = decide(self.restore, self.now)
            if isinstance(step, Finish):
                return
            if isinstance(step, MakeCall):
                assert len({call.name for call in (step.call, *step.beside)}) == 1 + len(step.beside)
                for call in (step.call, *step.beside):
                    self._call(call)
                continue
            assert step.until > self.now
            if self.draw(st.integers(0, 5)):
                self._tick(step.until)
            else:
                self._tick(self.now + (step.until - self.now) * self.draw(st.floats(0, 0.9)))
                self._hear()

    @property
    def now(self) -> datetime:
        return self.restore.clock.now

    def _tick(self, now: datetime) -> None:
        self.restore = replace(self.restore, clock=replace(self.restore.clock, now=now))

    def _move(self, after: Restore) -> None:
        check_move(self.restore, after)
        before, self.restore = self.restore, after
        assert before.outcome is None or after.outcome is not None
        assert after.trigger.unknown <= 2
        assert after.trigger.attempts >= before.trigger.attempts
        assert after.cancellation is not None or before.cancellation is None

    def _hear(self) -> None:
        event, data = self.draw(_SAYINGS)
        self._move(hear(self.restore, event, data, self.now))

    def _call(self, call: Call) -> None:
        if isinstance(call, calls.StartRestore):
            assert self.restore.outcome is None
            assert self.restore.cancellation is None
            assert call.attempt == self.restore.trigger.attempts + 1
        if self.draw(st.integers(0, 9)) == 0:
            self._hear()
        self._tick(self.now + timedelta(seconds=self.draw(st.integers(0, 90))))
        self._move(absorb(self.restore, call, self._answer(call), self.now))

    def _answer(self, call: Call) -> Answer[Any] | RestoreError:
        match self.draw(st.integers(0, 5)):
            case 0:
                return self.draw(_ERRORS)
            case number if number > 1 and call.name in _GOOD:
                return Answer(_GOOD[call.name], self.draw(st.sampled_from([None, None, 45.0])))
            case _:
                return Answer(self.draw(of_type(call.answer)), self.draw(st.sampled_from([None, 0.5, 300.0])))


@given(st.data(), _REQUESTS, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([600, 86_400]))
@WALKS
def test_whatever_is_answered_only_allowed_states_follow(
    data: st.DataObject, members: Json, max_per_vault: int | None, by_alert: bool, deadline_s: int
) -> None:
    limits = Limits(
        job_poll_min_s=15,
        job_poll_max_s=60,
        deadline_s=deadline_s,
        adoption_window_s=60,
        max_per_vault=max_per_vault,
    )
    alert = an_alert_start(max_per_hour=1) if by_alert else None
    restore = a_restore(limits, alert=alert, started_by="alert" if alert else "http", **members)

    Walk(data.draw, restore).go(steps=40)


@given(scripts)
@settings(deadline=None, max_examples=10)
def test_the_same_script_has_the_same_end(script: Script) -> None:
    first, second = script.play(), script.play()

    assert first.document(RESTORE) == second.document(RESTORE)
    assert first.play().states == second.play().states
