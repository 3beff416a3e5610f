"""The table of az commands that passed or failed, in Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

# Which vault, item and point a command is about says nothing about the command.
_PLACES = re.compile(
    r" --(resource-group|vault-name|container-name|item-name|rp-name|storage-account|backup-management-type"
    r"|workload-type) \S+"
)
_IDS_AND_PATHS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\S*/\S*")


def table(reports: Iterable[pytest.TestReport]) -> str:
    """Write a row for each case, in the order of their places, and the sum below."""
    cases = sorted((report for report in reports if report.when == "call" or report.failed), key=_key)
    seconds = sum(_seconds(case) for case in cases)
    return "\n".join(
        (
            "| command | what is shown | result | seconds |",
            "| --- | --- | --- | --- |",
            *(f"| {_commands(case)} | {_sentence(case)} | {_result(case)} | {_seconds(case):.1f} |" for case in cases),
            "",
            f"{sum(case.passed for case in cases)} of {len(cases)} cases passed, with {seconds:.0f} s of az.",
        )
    )


def _key(case: pytest.TestReport) -> tuple[str, str]:
    return case.location[0], case.nodeid


def _commands(case: pytest.TestReport) -> str:
    return "<br>".join(
        f"`az {_IDS_AND_PATHS.sub('…', _PLACES.sub('', command))}`" for command, _ in case.user_properties
    )


def _sentence(case: pytest.TestReport) -> str:
    name, _, variant = case.nodeid.rpartition("::")[2].removeprefix("test_").partition("[")
    return name.replace("_", " ") + (f": {variant.rstrip(']')}" if variant else "")


def _result(case: pytest.TestReport) -> str:
    return "pass" if case.passed else "FAIL"


def _seconds(case: pytest.TestReport) -> float:
    return sum(float(str(seconds)) for _, seconds in case.user_properties)
