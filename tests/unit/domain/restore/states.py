"""Restores in every stage, made by hand or drawn by hypothesis."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import UnionType
from typing import Any, Final, TypeAliasType, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from domain.azure.jobs import Job, JobStatus
from domain.azure.protected_items import ProtectedItem
from domain.azure.recovery_points import RecoveryPoint
from domain.errors import ErrorDetail
from domain.requests import RestoreRequest
from domain.restore.answers import AcceptedOperation, NoPointForPlan
from domain.restore.parts import Admission, LockState
from domain.restore.stages import Prepared, Preparing, Searching, TrackingJob, TrackingOperation, Triggering
from domain.restore.state import Restore
from tests.support.azure import VAULT_ID, VM_ID, a_point, a_restore
from tests.support.strategies import good_requests, json_values

CREATED: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NOW: Final = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ITEM: Final = ProtectedItem(
    vault_id=VAULT_ID, container_name="c", protected_item_name="i", source_resource_id=VM_ID, region="westeurope"
)
PREPARED: Final = Prepared(item=ITEM, point=a_point())
JOB: Final = Job(job_id="job-1", status=JobStatus.COMPLETED)


def admitted(**members: Any) -> Restore:
    """Return a restore that was let in; ``members`` as in a request."""
    restore = a_restore(**members)
    return replace(restore, admission=Admission(lock=LockState.HELD, admitted=True))


def preparing(**members: Any) -> Restore:
    return replace(admitted(**members), stage=Preparing(item=ITEM))


def triggering(**members: Any) -> Restore:
    return replace(admitted(**members), stage=Triggering(prepared=PREPARED))


def searching(**members: Any) -> Restore:
    return replace(admitted(**members), stage=Searching(before=Triggering(prepared=PREPARED), since=CREATED))


def tracking_operation(**members: Any) -> Restore:
    operation = AcceptedOperation(operation_id="op-1", url="https://azure/op-1")
    stage = TrackingOperation(prepared=PREPARED, triggered=CREATED, operation=operation)
    return replace(admitted(**members), stage=stage)


def tracking_job(*, progress_pct: float | None = None, job_id: str = "job-1", **members: Any) -> Restore:
    stage = TrackingJob(
        prepared=PREPARED, triggered=CREATED, job_id=job_id, operation_id="op-1", progress_pct=progress_pct
    )
    return replace(admitted(**members), stage=stage)


times = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone follows
_texts = st.text(max_size=20)
_BY_HAND: Final[dict[Any, st.SearchStrategy[Any]]] = {
    datetime: times,
    timedelta: st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
    str: _texts,
    bool: st.booleans(),
    int: st.integers(0, 50),
    float: st.floats(0, 1e6),
    RestoreRequest: good_requests().map(RestoreRequest.from_json),
    RecoveryPoint: st.sampled_from([a_point(), a_point("2", 5, extendedLocation={"name": "z", "type": "EdgeZone"})]),
    NoPointForPlan: st.just(NoPointForPlan(candidates=(), candidates_cut=0, error={"code": "c", "message": "m"})),
    ErrorDetail: st.builds(ErrorDetail, code=st.just("c"), message=st.just("m"), info=st.none() | st.just({"a": 1})),
}


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy of values of a type: of a state, of a call or of an answer."""
    if kind in _BY_HAND:
        return _BY_HAND[kind]
    if isinstance(kind, TypeAliasType):
        return of_type(kind.__value__) if kind.__name__ != "Json" else st.dictionaries(_texts, json_values, max_size=2)
    if get_origin(kind) in {tuple, dict, UnionType}:
        return _of_generic(kind)
    if issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    hints = get_type_hints(kind)
    return st.builds(kind, **{member.name: of_type(hints[member.name]) for member in fields(kind)})


def _of_generic(kind: Any) -> st.SearchStrategy[Any]:
    if get_origin(kind) is UnionType:
        options = [option for option in get_args(kind) if option is not type(None)]
        some = st.one_of([of_type(option) for option in options])
        return some if len(options) == len(get_args(kind)) else st.none() | some
    if get_origin(kind) is tuple:
        return st.lists(of_type(get_args(kind)[0]), max_size=2).map(tuple)
    value = get_args(kind)[1]
    return st.dictionaries(_texts, json_values if value is Any else of_type(value), max_size=2)


restores: Final = of_type(Restore)
"""Any restore that its types allow, also one that no way leads to."""
