"""What must hold when a run is over. Each check names every restore for which it does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from domain.follow_up.work import KINDS
from domain.times import parse_request_time
from domain.wire import as_object, as_text
from tests.chaos.made_checks import SLACK as SLACK_OF_USE
from tests.chaos.made_checks import use_of, use_violations
from tests.chaos.swap_checks import SLACK, swap_of, swap_violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json
    from simulator.providers.backup.jobs import Job
    from tests.chaos.service import EarlyCall
    from tests.chaos.stage import Outcome, Stage

FINAL: Final = frozenset({"Completed", "CompletedWithWarnings", "Failed", "Cancelled", "Rejected", "TimedOut"})
GOOD: Final = frozenset({"Completed", "CompletedWithWarnings"})
_SLACK: Final = timedelta(hours=1)
"""Beyond the deadline: one activity whose worker died holds a lease, and an operator may suspend."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: which check, which restore, and what was seen."""

    check: str
    number: int
    what: str


def violations(stage: Stage) -> list[Violation]:
    """Return everything that does not hold."""
    found = [Violation("stuck", -1, stage.livelock)] if stage.livelock else []
    for outcome in stage.outcomes.values():
        jobs = stage.service.jobs_of(outcome.restore.client_request_id)
        for check, what in _of_one(stage, outcome, jobs):
            found.append(Violation(check, outcome.plan.number, what))
    for outcome, document in stage.refused_again:
        what = f"vm-{outcome.plan.vm} cannot be restored again: {document.get('error') or 'no end'}"
        found.append(Violation("not released", outcome.plan.number, what))
    found += [
        Violation("too early", stage.plan_of(call.restore_id).number, _words(call)) for call in stage.service.early
    ]
    found += [Violation("another host", -1, host) for host in stage.service.strangers]
    found += [Violation(*each) for each in swap_violations(stage)]
    found += [Violation(*each) for each in use_violations(stage)]
    found += [Violation("overlap", *each) for each in _overlaps(stage)]
    found += [Violation("crowded", *each) for each in _crowds(stage)]
    return found


def _words(call: EarlyCall) -> str:
    early_s = (call.allowed - call.at).total_seconds()
    path = call.path.rpartition("/providers/")[2]
    return f"{call.method} {path} at {call.at:%d %H:%M:%S}, {early_s:.1f} s before what a {call.told_by} had asked for"


def tells_of_azure(document: Json) -> bool:
    """Whether a document says that Azure may still be at work, or that a person must look."""
    message = as_text(as_object(document.get("error")).get("message")) or ""
    return "may still run" in message or "A person must look" in message


def _of_one(stage: Stage, outcome: Outcome, jobs: list[Job]) -> Iterator[tuple[str, str]]:
    if len(jobs) > 1:
        yield "doubled", f"{len(jobs)} jobs"
    if outcome.terminated and outcome.state == "Terminated":
        return
    document = outcome.document
    if document is None or document["status"] not in FINAL:
        yield "stuck", f"{outcome.state}: {stage.hub.state(outcome.restore.restore_id).failure or document}"
        return
    if (late := _late_by(outcome, document)) > timedelta():
        yield "stuck", f"ended {late} after its bound"
    if outcome.holds_vm:
        yield "not released", f"still holds vm-{outcome.plan.vm}"
    if outcome.holds_slot:
        yield "not released", f"still holds a slot at the vault of vm-{outcome.plan.vm}"
    job = jobs[0] if jobs else None
    if outcome.restore.accepted.undo_of is not None:
        if job is not None:
            yield "doubled", f"an undo has job {job.job_id}"
    elif job is None or not _came_to_work(outcome, document, job, stage.service.world.now()):
        yield from _agreement(document, job, stage.service.world.now())
    yield from _publication(outcome, document)


def _late_by(outcome: Outcome, document: Json) -> timedelta:
    ended: datetime = parse_request_time(document["completedTime"])
    restore = outcome.restore
    swaps = restore.request.then_swap_disks is not None
    slack = SLACK if swaps else SLACK_OF_USE if outcome.plan.uses_disks else timedelta()
    bound = restore.deadline + _SLACK + slack
    if restore.request.needs_approval or restore.request.needs_approval_of_swap:
        bound += restore.request.approval_timeout
    return ended - bound


def _came_to_work(outcome: Outcome, document: Json, job: Job, now: datetime) -> bool:
    """Whether the job went well and the document names it, so that what it says is about the use of the disks."""
    wants_it = outcome.restore.request.has_follow_up
    said = str(document.get("error")).lower()
    is_untouched = any(kind.untouched.lower() in said for kind in KINDS.values())
    has_begun = bool(swap_of(document) or use_of(document)) or is_untouched
    return wants_it and has_begun and job.status(now) in GOOD and document["jobId"] == job.job_id


def _agreement(document: Json, job: Job | None, now: datetime) -> Iterator[tuple[str, str]]:
    status, error = document["status"], as_object(document.get("error")).get("message")
    if job is None:
        if status in GOOD or document["jobId"] is not None:
            yield "invented", f"{status} with job {document['jobId']}, and Azure has none"
        return
    real = job.status(now)
    if document["jobId"] != job.job_id and not tells_of_azure(document):
        yield "lost", f"{status}, not a word of job {job.job_id}, which is {real}: {error}"
    elif status in GOOD | {"Failed", "Cancelled"} and status != real and not tells_of_azure(document):
        yield "disagrees", f"{status}, but the job is {real}: {error}"
    elif status in GOOD and status != real:
        yield "disagrees", f"{status}, but the job is {real}"
    elif status == "Rejected":
        yield "disagrees", f"Rejected, but there is a job, {real}"


def _publication(outcome: Outcome, document: Json) -> Iterator[tuple[str, str]]:
    lost_events = any(warning["code"] == "EventsNotPublished" for warning in document["warnings"])
    if document["status"] not in outcome.events and document.get("refused") != "AtOnce" and not lost_events:
        yield "published", f"{document['status']}, but the events are {outcome.events}"
    gave_up = any(each["code"] == "ResultNotPublished" for each in document["warnings"])
    if "refused" in document:
        wanted = outcome.restore.accepted.source in {"queue", "recovery"} or document["refused"] != "AtOnce"
        # The same start, repeated, may have been refused before: that one's result does not count.
        published = [result for result in outcome.published if result["completedTime"] == document["completedTime"]]
        if wanted is not bool(published) and not gave_up:
            yield "published", f"a refused start was published {len(published)} times"
        return
    # The same start, repeated after a refusal, is another one: its result comes on top.
    results = [each for each in outcome.published if "refused" not in each]
    distinct = [each for n, each in enumerate(results) if each not in results[:n]]
    if len(distinct) != 1 and not (gave_up and not distinct):
        yield "published", f"{len(distinct)} different results"


def _overlaps(stage: Stage) -> Iterator[tuple[int, str]]:
    """Two jobs of one VM at once, unless the first one's restore was ended before its job and says so."""
    by_activity = {outcome.restore.client_request_id: outcome for outcome in stage.outcomes.values()}
    by_vm: dict[str, list[Job]] = {}
    for job in sorted(stage.service.world.jobs.values(), key=lambda each: each.started):
        by_vm.setdefault(job.vm_key, []).append(job)
    for jobs in by_vm.values():
        for first, second in pairwise(jobs):
            outcome = by_activity.get(first.activity_id)
            if outcome is None or first.activity_id == second.activity_id or first.ends_at() <= second.started:
                continue
            if not outcome.terminated and not tells_of_azure(outcome.document or {}):
                yield outcome.plan.number, f"job {second.job_id} started while {first.job_id} ran"


def _crowds(stage: Stage) -> Iterator[tuple[int, str]]:
    """More jobs at once than a vault may have, but for those whose restores have left them behind and say so."""
    jobs_of: dict[str, list[Job]] = {}
    most_of: dict[str, int] = {}
    for outcome in stage.outcomes.values():
        if outcome.terminated or tells_of_azure(outcome.document or {}):
            continue
        for job in stage.service.jobs_of(outcome.restore.client_request_id):
            jobs_of.setdefault(job.vault, []).append(job)
            most_of[job.vault] = outcome.restore.limits.max_per_vault or 1_000_000
    for vault, jobs in jobs_of.items():
        changes = sorted([(job.ends_at(), -1) for job in jobs] + [(job.started, 1) for job in jobs])
        most = max(accumulate(change for _, change in changes))
        if most > most_of[vault]:
            yield -1, f"{most} jobs at once in {vault}, which may have {most_of[vault]}"
