"""What crosses a durable boundary: every dataclass that does comes out of JSON as it went in."""

from __future__ import annotations

import functools
import json
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeAliasType, cast, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.admission import alert_storm, answer_once, rule_budget, vault_slots, vm_lock
from domain.codec import pack, unpack
from domain.restore import answers, calls, stages, state
from domain.restore.answers import StillReading
from domain.restore.calls import AcquireLock, ActivityCall, EntityCall, EventCall
from domain.restore.parts import Clock
from domain.restore.state import Restore
from tests.support.azure import a_restore
from tests.support.strategies import SWIFT, THOROUGH, damaged, json_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

FEW: Final = settings(deadline=None, max_examples=15)
_TEXTS: Final = st.text(max_size=20)
_KNOWN: Final[dict[Any, st.SearchStrategy[Any]]] = {
    str: _TEXTS,
    float: st.floats(allow_nan=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    timedelta: st.timedeltas(timedelta(0), timedelta(days=1000)),
    Any: st.none() | st.booleans() | st.integers() | _TEXTS | st.lists(_TEXTS, max_size=2),
}


@functools.cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy of the values of a type, as far as the codec knows types."""
    options = list(_options(kind))
    if options != [kind]:
        return st.one_of(*map(values_of, options))
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(_TEXTS, values_of(arguments[1]), max_size=2)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(
            cast("type[Any]", kind), **{field.name: values_of(hints[field.name]) for field in fields(kind)}
        )
    return _KNOWN[kind] if kind in _KNOWN else st.from_type(kind)


def _options(kind: Any) -> Iterator[Any]:
    """Yield what an alias or a union stands for."""
    if isinstance(kind, TypeAliasType):
        yield from _options(kind.__value__)
    elif isinstance(kind, UnionType):
        for option in get_args(kind):
            yield from _options(option)
    else:
        yield kind


def _reached_from(kind: Any, known: dict[Any, None]) -> None:
    """Note a type and all types that its values hold."""
    if kind in known:
        return
    known[kind] = None
    inner = [*_options(kind), *get_args(kind)]
    for found in inner if inner != [kind] else ():
        _reached_from(found, known)
    for hint in get_type_hints(kind).values() if is_dataclass(kind) else ():
        _reached_from(hint, known)


CALLS: Final = {ActivityCall, EntityCall, EventCall}


def _all_types() -> list[Any]:
    # A dict, because all test processes must find the types in the same order.
    known: dict[Any, None] = {}
    calls_made = [kind for kind in vars(calls).values() if isinstance(kind, type) and _is_call(kind)]
    operated_on = [vm_lock.VmLock, rule_budget.RuleBudget, alert_storm.AlertStorm, vault_slots.VaultSlots]
    framed = [answer_once.Asked, answer_once.LastAnswer]
    for kind in (Restore, *calls_made, *(call.answer for call in calls_made), *operated_on, *framed):
        _reached_from(kind, known)
    return list(known)


def _is_call(kind: type) -> bool:
    return issubclass(kind, tuple(CALLS)) and kind not in CALLS


ALL_TYPES: Final = _all_types()
DATACLASSES: Final = sorted(filter(is_dataclass, ALL_TYPES), key=str)
BY_NAME: Final = pytest.mark.parametrize("kind", DATACLASSES, ids=lambda kind: kind.__qualname__)


def through_json(value: object) -> Json:
    return json.loads(json.dumps(pack(value)))


def test_no_dataclass_that_crosses_a_boundary_is_left_out() -> None:
    modules = (calls, state, vm_lock, rule_budget, alert_storm, vault_slots)
    written = {
        kind
        for module in modules
        for kind in vars(module).values()
        if is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
    }

    assert written - set(DATACLASSES) == CALLS


@BY_NAME
@given(data=st.data())
@SWIFT
def test_a_value_comes_out_of_json_as_it_went_in(kind: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(kind))

    assert unpack(kind, through_json(value)) == value


@BY_NAME
@given(data=st.data())
@FEW
def test_a_member_that_an_older_version_did_not_write_has_its_default(kind: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(kind))
    written = through_json(value)
    defaults: Json = {}
    for field in fields(kind):
        if field.default is not MISSING:
            defaults[field.name] = field.default
        elif field.default_factory is not MISSING:
            defaults[field.name] = field.default_factory()
    for name in defaults:
        first, *rest = name.split("_")
        written.pop(first + "".join(word.capitalize() for word in rest), None)

    assert unpack(kind, written) == replace(value, **defaults)


@BY_NAME
@given(data=st.data())
@FEW
def test_a_member_that_a_newer_version_wrote_is_ignored(kind: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(kind))

    assert unpack(kind, {**through_json(value), "somethingNew": {"a": 1}}) == value


def test_members_with_their_defaults_are_not_written() -> None:
    call = AcquireLock(key="k", vm="/vm", source="http")

    assert pack(call) == {"v": 1, "key": "k", "vm": "/vm", "source": "http"}


def test_times_are_utc_and_lengths_of_time_are_seconds() -> None:
    clock = Clock(now=datetime(2026, 11, 23, 8, 0, 0, 500_000, tzinfo=UTC), paused=timedelta(minutes=1), requests=7)

    assert pack(clock) == {"v": 1, "now": "2026-11-23T08:00:00.500000Z", "paused": 60.0, "requests": 7}


def _dataclasses_of(union: Any) -> list[Any]:
    return [option for option in _options(union) if is_dataclass(option)]


@pytest.mark.parametrize("union", [kind for kind in ALL_TYPES if len(_dataclasses_of(kind)) > 1], ids=str)
def test_each_dataclass_of_a_union_has_a_kind_of_its_own(union: Any) -> None:
    kinds = [getattr(option, "kind", None) for option in _dataclasses_of(union)]

    assert None not in kinds
    assert len(set(kinds)) == len(kinds)


def test_no_union_holds_two_things_that_the_codec_cannot_tell_apart() -> None:
    for kind in ALL_TYPES:
        others = [option for option in _options(kind) if option is not NoneType and not is_dataclass(option)]
        assert not others or len(list(_options(kind))) == 1 + (NoneType in _options(kind)), kind


def test_the_kind_is_written_along() -> None:
    assert pack(stages.Resolving()) == {"v": 1, "kind": "resolving"}
    assert unpack(answers.Prepared, {"kind": "reading", "progress": {"link": None, "slices": 1}}) == StillReading(
        progress=calls.SearchProgress(link=None, slices=1)
    )


@given(json_values | damaged(st.just(through_json(a_restore()))))
@THOROUGH
def test_what_is_no_restore_is_refused(data: Any) -> None:
    try:
        restore = unpack(Restore, data)
    except (KeyError, TypeError, ValueError):
        return
    assert isinstance(restore, Restore)
