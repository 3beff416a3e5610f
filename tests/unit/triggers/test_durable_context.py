"""Every activity runs in the context of the restore that its input names, whatever kind of function it is."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from telemetry.context import current_restore_id
from triggers.durable import _in_restore_context  # pyright: ignore[reportPrivateUsage]

if TYPE_CHECKING:
    from domain.errors import Json

ID = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"
DATA: Json = {"traceparent": f"00-{ID.replace('-', '')}-00f067aa0ba902b7-01"}


def plain(data: Json, client: Any) -> tuple[Json, Any, str | None]:
    return data, client, current_restore_id()


async def coroutine(data: Json, client: Any) -> tuple[Json, Any, str | None]:
    await asyncio.sleep(0)
    return data, client, current_restore_id()


def test_a_function_does() -> None:
    assert _in_restore_context(plain)(DATA, client="c") == (DATA, "c", ID)
    assert current_restore_id() is None


def test_a_coroutine_does() -> None:
    assert asyncio.run(_in_restore_context(coroutine)(data=DATA, client="c")) == (DATA, "c", ID)


def test_the_worker_sees_the_same_signature() -> None:
    for activity in (plain, coroutine):
        wrapped = _in_restore_context(activity)

        assert inspect.signature(wrapped) == inspect.signature(activity)
        assert inspect.iscoroutinefunction(wrapped) == inspect.iscoroutinefunction(activity)
        assert wrapped.__name__ == activity.__name__
