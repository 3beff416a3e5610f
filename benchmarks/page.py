"""How soon the operator's page shows something, and what its polls cost, in a real browser."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import requests

from benchmarks.full_hub import full_hub
from benchmarks.rows import Row, median_of
from scripts.stack import ROOT
from tests.page.operator import Operator
from tests.support.chromium import MISSING, chromium, chromium_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

_RESTORES: Final = 10_000
_REPEATS: Final = 11
_MAX_VIEW_MS: Final = 1000
_MAX_LIST_MS: Final = 300
_MAX_KB: Final = 150


def measure() -> list[Row]:
    """Open the page of an app whose task hub has ten thousand restores."""
    path = chromium_path()
    if path is None:
        print(f"page: {MISSING}; left out", file=sys.stderr)
        return []
    with full_hub(_RESTORES) as url, chromium(path) as browser:
        return [_first_view(browser, url), _list(browser, url), _unchanged(url), _size()]


def _first_view(browser: Browser, url: str) -> Row:
    def open_page() -> None:
        with Operator.at(browser, url) as person:  # a new context: nothing is cached
            person.page.goto(f"{url}/api/ui")
            person.sees(person.page.get_by_label("Function key"))

    return _row(
        "first view of the page", _MAX_VIEW_MS, _times(open_page), "a new browser context, until the first form"
    )


def _list(browser: Browser, url: str) -> Row:
    with Operator.at(browser, url) as person:
        person.sign_in()
        person.open("/start", "Start a restore")

        def show_all() -> None:
            person.page.evaluate("location.hash = '/?status='")
            person.sees(person.page.get_by_role("table", name="Restores, newest first"))
            person.page.evaluate("location.hash = '/start'")
            person.sees(person.page.get_by_role("heading", name="Start a restore"))

        times = _times(show_all)
    return _row(f"list of {_RESTORES} in the page", _MAX_LIST_MS, times, "from another view and back, 50 rows shown")


def _unchanged(url: str) -> Row:
    link = f"{url}/api/restores?top=50"
    etag = requests.get(link, timeout=30).headers["ETag"]

    def ask() -> None:
        answer = requests.get(link, headers={"If-None-Match": etag}, timeout=30)
        assert answer.status_code == requests.codes.not_modified

    times = _times(ask)
    return _row("a poll of that list, answered 304", None, times, "GET /api/restores over loopback with If-None-Match")


def _size() -> Row:
    files = [path for path in (ROOT / "triggers/ui").iterdir() if path.is_file()]
    kb = sum(path.stat().st_size for path in files) / 1024
    return Row(
        measure="size of the page",
        target=f"<= {_MAX_KB} KB",
        median=f"{kb:.0f} KB",
        worst="",
        met=kb <= _MAX_KB,
        how=f"all {len(files)} files of triggers/ui, as they are sent",
    )


def _times(work: Callable[[], object]) -> list[float]:
    """Return the milliseconds that the work took, without its first time."""
    times: list[float] = []
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times[1:]


def _row(measure: str, most_ms: int | None, times: list[float], how: str) -> Row:
    median = median_of(times)
    return Row(
        measure=measure,
        target="-" if most_ms is None else f"<= {most_ms} ms",
        median=f"{median:.0f} ms",
        worst=f"max {max(times):.0f} ms",
        met=None if most_ms is None else median <= most_ms,
        how=f"{how}; {len(times)} times",
    )
