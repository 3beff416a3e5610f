"""Runs the modules that take longest first, so that no worker is left alone with one of them at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

LONGEST = (
    "tests/az/test_job_wait.py",
    "tests/integration/test_worker_killed.py",
    "tests/chaos/test_chaos.py",
    "tests/orchestrations/test_steps_run_twice.py",
    "tests/page/",
    "tests/integration/scripts/test_demo.py",
    "tests/integration/test_secrets.py",
    "tests/integration/test_http_api.py",
    "tests/integration/test_openapi.py",
    "tests/integration/scripts/",
    "tests/integration/test_",
    "tests/orchestrations/",
    "tests/unit/arm/test_hostile_bodies.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of ``make conformance``; a conftest further down is read too late to add one."""
    parser.addoption("--sdk-calls", action="store_true", help="show which calls the official SDKs have made")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first; within each rank the random order stays as it is."""
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(node_id: str) -> int:
    return next((rank for rank, prefix in enumerate(LONGEST) if node_id.startswith(prefix)), len(LONGEST))
