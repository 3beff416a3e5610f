"""The restore whose activity runs, in log lines and for spans."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, override

import pytest
from opentelemetry import trace

from domain.restore.trace import with_recovery
from telemetry.context import current_recovery_id, current_restore_id, name_restores_in_logs, restore_context

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"
DATA = {"traceparent": f"00-{ID.replace('-', '')}-00f067aa0ba902b7-01"}
LOG = logging.getLogger("some.library")


@pytest.fixture(autouse=True)
def _factory() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    name_restores_in_logs()
    name_restores_in_logs()
    yield
    logging.setLogRecordFactory(before)


def line(caplog: pytest.LogCaptureFixture, message: object, *args: object) -> str:
    caplog.clear()
    LOG.warning(message, *args)
    (record,) = caplog.records
    return record.getMessage()


def test_a_line_begins_with_the_restore_while_its_activity_runs(caplog: pytest.LogCaptureFixture) -> None:
    with restore_context(DATA):
        assert line(caplog, "%s of 100 %%", 5) == f"restore {ID}: 5 of 100 %"
        assert line(caplog, "50 % done") == f"restore {ID}: 50 % done"
        assert line(caplog, ValueError("no")) == f"restore {ID}: no"
    assert line(caplog, "after %d", 1) == "after 1"


def test_a_line_that_names_the_restore_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with restore_context(DATA):
        assert line(caplog, "restore %s of %s: status Running", ID, "vm") == f"restore {ID} of vm: status Running"


def test_a_line_whose_arguments_do_not_fit_is_left_to_the_handler(caplog: pytest.LogCaptureFixture) -> None:
    del caplog
    with restore_context(DATA):
        record = LOG.makeRecord("n", logging.INFO, "f", 1, "%d %d", ("x",), None)

    assert record.msg == f"restore {ID}: %d %d"


class Unprintable:
    """Has no text."""

    @override
    def __str__(self) -> str:
        raise AttributeError("no text")


@pytest.mark.parametrize(
    ("message", "args"), [("%s", (Unprintable(),)), (Unprintable(), ()), ("%d", (math.inf,)), ("%c", (-1,))]
)
def test_a_line_that_cannot_be_written_stops_no_restore(message: object, args: tuple[object, ...]) -> None:
    with restore_context(DATA):
        record = LOG.makeRecord("n", logging.INFO, "f", 1, message, args, None)

    assert record.args == args


def test_the_context_is_the_parent_of_spans() -> None:
    with restore_context(DATA):
        parent = trace.get_current_span().get_span_context()

    assert (parent.trace_id, parent.span_id, parent.trace_flags.sampled) == (
        int(ID.replace("-", ""), 16),
        0x00F067AA0BA902B7,
        True,
    )
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("data", [{}, {"traceparent": None}, {"traceparent": "00-zz"}, {"traceparent": {}}])
def test_without_a_valid_one_there_is_no_restore(data: dict[str, Any]) -> None:
    with restore_context(data):
        assert current_restore_id() is None


def test_the_context_ends_with_an_error_too() -> None:
    with pytest.raises(RuntimeError, match="x"), restore_context(DATA):
        raise RuntimeError("x")

    assert current_restore_id() is None


def test_coroutines_beside_each_other_have_their_own() -> None:
    other = ID.replace("1", "2")

    async def seen(restore_id: str, *others: asyncio.Event) -> str | None:
        mine, yours = others
        with restore_context({"traceparent": f"00-{restore_id.replace('-', '')}-00f067aa0ba902b7-01"}):
            mine.set()
            await yours.wait()
            return current_restore_id()

    async def both() -> list[str | None]:
        first, second = asyncio.Event(), asyncio.Event()
        return list(await asyncio.gather(seen(ID, first, second), seen(other, second, first)))

    assert asyncio.run(both()) == [ID, other]


def test_the_activity_of_a_recovery_belongs_to_that_and_to_no_restore(caplog: pytest.LogCaptureFixture) -> None:
    with restore_context(with_recovery({}, ID)):
        assert (current_recovery_id(), current_restore_id()) == (ID, None)
        assert line(caplog, "asked again") == f"recovery {ID}: asked again"
        assert trace.get_current_span().get_span_context().trace_id == int(ID.replace("-", ""), 16)
    assert current_recovery_id() is None
