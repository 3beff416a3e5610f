"""How long a page of the list takes if the task hub has ten thousand restores: local host and Microsoft's engine."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import requests

from benchmarks.full_hub import APART, FAILED_EACH, RUNNING, VMS, fill_tables, full_hub, vm_id
from benchmarks.rows import Row, median_of
from domain.times import format_time
from scripts import real_engine
from scripts.stack import connection_to
from tests.support.real_hub import RealHub, start_azurite

_RESTORES: Final = 10_000
_TOP: Final = 50
_PAGE: Final = 10
_REPEATS: Final = 15
_WARM: Final = 2
_MAX_MS: Final = 300


def measure() -> list[Row]:
    """Ask for pages of the list, with and without filters."""
    found = _on_local_host()
    if real_engine.is_there():
        found += _on_real_engine()
    else:
        print(f"list: {real_engine.MISSING}; left out", file=sys.stderr)
    return found


def _on_local_host() -> list[Row]:
    with full_hub(_RESTORES) as url:
        return _rows(url, "local host")


def _on_real_engine() -> list[Row]:
    with ExitStack() as stack:
        azurite = start_azurite(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(azurite.stop)
        connection = connection_to(azurite)
        nowhere = "http://127.0.0.1:9"  # a list makes no call to Azure
        hub = stack.enter_context(RealHub(connection, nowhere))
        instance = hub.start()
        fill_tables(connection, hub.name, _RESTORES)
        return _rows(instance.url, "Microsoft's engine")


def _rows(url: str, where: str) -> list[Row]:
    tenth = _link_to_page(url)
    days = (APART * _RESTORES).days
    read = f"reads {_TOP} rows of the index, and by id the restores that run, of {3 * _RESTORES} rows over {days} days"
    some = "reads at most 150 restores, then gives a short page with a link"
    return [
        _row(where, f"page 1 of {_TOP}", {"top": _TOP}, url, read),
        _row(where, f"page {_PAGE}", {}, tenth, read),
        _row(where, "status=Running", {"status": "Running"}, url, f"{RUNNING} run; the hub filters by state"),
        _row(where, "status=Failed", {"status": "Failed"}, url, f"one of {FAILED_EACH} has failed; {some}"),
        _row(
            where,
            "of one VM",
            {"sourceResourceId": vm_id(RUNNING)},
            url,
            f"{_RESTORES // VMS} restores; reads at most 3,200 rows of the index, which tell the VM",
        ),
        _row(where, "text=load-1999", {"text": vm_id(VMS - 1).rpartition("/")[2]}, url, f"one of {VMS} has it; {some}"),
        _row(
            where,
            "of the week before the last",
            {"createdBefore": _days_ago(7), "createdAfter": _days_ago(14), "top": _TOP},
            url,
            "passes over 775 newer entries without their documents",
        ),
    ]


def _days_ago(days: float) -> str:
    return format_time(datetime.now(UTC) - timedelta(days=days))


def _link_to_page(url: str) -> str:
    link = f"{url}/api/restores?top={_TOP}"
    for _ in range(_PAGE - 1):
        link = _get(link)["nextLink"]
    return link


def _row(where: str, what: str, params: dict[str, Any], url: str, how: str) -> Row:
    link = url if "/api/" in url else f"{url}/api/restores"
    times: list[float] = []
    shown = 0
    for _ in range(_WARM + _REPEATS):
        began = time.perf_counter()
        shown = len(_get(link, params)["value"])
        times.append((time.perf_counter() - began) * 1000)
    times = times[_WARM:]
    return Row(
        measure=f"list of {_RESTORES}, {where}: {what}",
        target=f"<= {_MAX_MS} ms",
        median=f"{median_of(times):.0f} ms",
        worst=f"max {max(times):.0f} ms",
        met=median_of(times) <= _MAX_MS,
        how=f"GET /api/restores over loopback, {_REPEATS} times, {shown} shown; {how}",
    )


def _get(link: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = requests.get(link, params=params, timeout=120)
    answer.raise_for_status()
    return answer.json()
