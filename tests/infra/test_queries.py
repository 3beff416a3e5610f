"""The queries of the alert rules and the workbook, on rows as the app's telemetry makes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.restore.parts import Status
from tests.infra.conftest import ROOT
from tests.infra.kql import QUERIES, Insights, names, problems, values, whole, with_parameters

if TYPE_CHECKING:
    from tests.infra.conftest import Json

WEB = "/subscriptions/1111/resourceGroups/web-rg/providers/Microsoft.Compute/virtualMachines/web-01"
SQL = "/subscriptions/1111/resourceGroups/sql-rg/providers/Microsoft.Compute/virtualMachines/sql-01"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

NOT_ENDED = {Status.PENDING, Status.RUNNING, Status.AWAITING_APPROVAL}


def restore_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def line(number: int, vm: str, status: str, code: str | None = None) -> str:
    return f"restore {restore_id(number)} of {vm}: status {status}" + (f", error {code}" if code else "")


@pytest.fixture
def insights() -> Insights:
    return Insights()


@pytest.fixture
def restores(insights: Insights) -> Insights:
    """Return the logs of nine restores: one runs, one waits, seven have ended."""
    insights.log(line(1, WEB, "Running"), ago=3 * HOUR)
    insights.log(line(2, SQL, "Running"), ago=2 * HOUR)
    insights.log(line(2, SQL, "AwaitingApproval"), ago=HOUR)
    insights.log(line(3, WEB, "Running"), ago=30 * HOUR)
    insights.log(line(3, WEB, "Completed"), line(3, WEB, "Completed"), ago=29 * HOUR)  # published twice
    insights.log(line(4, SQL, "Running"), ago=28 * HOUR)
    insights.log(line(4, SQL, "Failed", "RestoreFailed"), ago=27 * HOUR)
    insights.log(line(5, SQL, "AwaitingApproval"), ago=10 * HOUR)
    insights.log(line(5, SQL, "Rejected", "ApprovalTimedOut"), ago=6 * HOUR)
    insights.log(line(6, SQL, "AwaitingApproval"), ago=5 * HOUR)
    insights.log(line(6, SQL, "Rejected", "Rejected"), ago=4 * HOUR)
    insights.log(line(7, WEB, "Cancelled"), line(7, WEB, "AwaitingApproval"), ago=2 * HOUR)  # two lines of one time
    insights.log(line(8, WEB, "AwaitingApproval"), line(8, WEB, "Cancelled"), ago=2 * HOUR)
    insights.log(line(9, WEB, "TimedOut", "DeadlineExceeded"), ago=26 * HOUR)
    insights.log(line(7, WEB, "Failed", "RestoreFailed") + " (quoted)", f"quoted: {line(10, WEB, 'Failed', 'X')}")
    return insights


def test_every_query_is_correct_kql() -> None:
    found = problems({name: with_parameters(whole(name)) for name in names()})

    assert found == {name: [] for name in names()}


def test_the_check_of_kql_finds_wrong_columns_and_functions() -> None:
    found = problems({"query": 'traces | where mesage == "" | summarize none_such(1)'})

    assert [problem.split("[")[1] for problem in found["query"]] == ["mesage]", "none_such]"]


def test_queries_name_only_what_the_app_sends() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "telemetry").glob("*.py"))
    sent = set(re.findall(r'"((?:azure|error|http|restore)(?:\.[a-z_]+)*)"', source))
    queries = "".join(QUERIES.values())
    named = re.findall(r'customDimensions\["([^"]+)"\]', queries) + re.findall(r'\bname == "([^"]+)"', queries)

    assert len(set(named)) > 10
    assert set(named) <= sent


def test_the_ends_are_the_states_in_which_a_restore_stays() -> None:
    ends = re.search(r"let EndStatuses = dynamic\((.*?)\);", QUERIES["status-lines"], re.DOTALL)

    assert ends is not None
    assert set(re.findall(r'"(\w+)"', ends[1])) == set(Status) - NOT_ENDED


def test_a_restore_that_failed_is_one_alert_with_its_name(restores: Insights) -> None:
    restores.log(line(4, SQL, "Failed", "RestoreFailed"), ago=26 * HOUR)  # published twice

    rows = restores.run("alert-restore-failed")

    assert sorted(values(rows, "RestoreId", "VirtualMachine", "VirtualMachineId", "Status", "ErrorCode")) == [
        (restore_id(4), "sql-01", SQL, "Failed", "RestoreFailed"),
        (restore_id(5), "sql-01", SQL, "Rejected", "ApprovalTimedOut"),
        (restore_id(9), "web-01", WEB, "TimedOut", "DeadlineExceeded"),
    ]


def test_an_alert_for_each_restore_that_waits_for_a_person(restores: Insights) -> None:
    rows = restores.run("alert-restore-waits-for-approval")

    assert values(rows, "RestoreId", "VirtualMachine", "VirtualMachineId") == [(restore_id(2), "sql-01", SQL)]


def test_a_request_in_the_poison_queue_is_an_alert(insights: Insights) -> None:
    moved = "Message has reached MaxDequeueCount of 5. Moving message to queue 'restore-requests-poison'."
    insights.log(moved, moved, "Message has reached MaxDequeueCount of 5. Moving message to queue 'other'.")

    assert values(insights.run("alert-message-in-poison-queue"), "Queue", "Messages") == [
        ("restore-requests-poison", 2)
    ]


def test_tiles_count_what_runs_and_what_waits(restores: Insights) -> None:
    assert restores.run("restores-now") == [
        {"State": "Running", "Restores": 1},
        {"State": "Waiting for a person", "Restores": 1},
    ]
    assert values(restores.run("restores-now", VirtualMachine="WEB-01"), "Restores") == [(1,), (0,)]


def test_tiles_count_nothing_as_zero(insights: Insights) -> None:
    assert values(insights.run("restores-now"), "Restores") == [(0,), (0,)]


def test_tiles_count_each_end_once(restores: Insights) -> None:
    rows = restores.run("restores-ended")

    counts = {row["Status"]: row["Restores"] for row in rows}
    assert counts == {"Completed": 1, "Failed": 1, "TimedOut": 1, "Rejected": 2, "Cancelled": 2}


def test_restores_that_have_not_ended_show_their_last_call(restores: Insights) -> None:
    for minutes, operation, code in (
        (9, "backupJobs/read", "429"),
        (4, "backupJobs/read", "200"),
        (20, "restore", "202"),
    ):
        restores.add(
            "dependencies",
            ago=minutes * MINUTE,
            operation_Id=restore_id(1).replace("-", ""),
            type="HTTP",
            name=operation,
            resultCode=code,
        )
    restores.add("dependencies", type="InProc", name="Validating", operation_Id=restore_id(1).replace("-", ""))

    rows = restores.run("restores-not-ended")

    assert values(rows, "VM", "Status", "Restore", "Operation", "Answer", "VM id") == [
        ("sql-01", "AwaitingApproval", restore_id(2), "", "", SQL),
        ("web-01", "Running", restore_id(1), "backupJobs/read", "200", WEB),
    ]


def test_failed_restores_come_with_code_message_and_trace(restores: Insights) -> None:
    restores.add(
        "requests",
        ago=28 * HOUR,
        name="restore",
        itemId="item",
        operation_Id=restore_id(4).replace("-", ""),
        dimensions={"restore.recovery_type": "RestoreDisks", "restore.started_by": "alert", "restore.job_id": "job"},
    )

    restores.log(
        f"restore {restore_id(4)} of {SQL} ended as Failed: RestoreFailed: 'The job: it failed.'", ago=27 * HOUR
    )

    rows = restores.run("restores-failed")

    assert values(rows, "VM", "Status", "Error code", "Message") == [
        ("sql-01", "Rejected", "ApprovalTimedOut", ""),
        ("web-01", "TimedOut", "DeadlineExceeded", ""),
        ("sql-01", "Failed", "RestoreFailed", "The job: it failed."),
    ]
    assert values(rows, "Trace", "Recovery type", "Started by", "Azure Backup job") == [
        ("", "", "", ""),
        ("", "", "", ""),
        ("item", "RestoreDisks", "alert", "job"),
    ]


def completed(
    number: int, vm: str, *, rpo: timedelta, rto: timedelta, status: str = "Completed", ago: timedelta = HOUR
) -> Json:
    return {
        "ago": ago + rto,
        "name": "restore",
        "operation_Id": restore_id(number).replace("-", ""),
        "duration": rto.total_seconds() * 1000,
        "dimensions": {
            "restore.status": status,
            "restore.source_resource_id": vm,
            "restore.rpo_s": rpo.total_seconds(),
            "restore.rto_s": rto.total_seconds(),
        },
    }


def test_rpo_and_rto_are_of_completed_restores(insights: Insights) -> None:
    insights.add("requests", **completed(1, WEB, rpo=2 * HOUR, rto=HOUR))
    insights.add("requests", **completed(1, WEB, rpo=2 * HOUR, rto=HOUR))  # sent twice
    insights.add("requests", **completed(2, WEB.upper(), rpo=4 * HOUR, rto=2 * HOUR, status="CompletedWithWarnings"))
    insights.add("requests", **completed(3, SQL, rpo=9 * HOUR, rto=6 * HOUR))
    insights.add("requests", **completed(4, SQL, rpo=99 * HOUR, rto=99 * HOUR, status="Failed"))
    insights.add("requests", ago=HOUR, name="GET /api/restores", dimensions={"restore.status": "Completed"})

    figures = {row["Figure"]: row["Hours"] for row in insights.run("rpo-rto")}
    by_vm = insights.run("rpo-rto-by-vm")

    assert figures["RPO, worst"] == 9
    assert figures["RPO, median"] == 4
    assert figures["RTO, median"] == 2
    assert values(by_vm, "VM", "Restores", "RPO, worst (h)", "RTO, longest (h)") == [
        ("sql-01", 1, 9, 6),
        ("web-01", 2, 4, 2),
    ]
    assert values(insights.run("rpo-rto", VirtualMachine="sql-"), "Hours") == [(9,), (9,), (6,), (6,)]


def test_rto_over_time_goes_by_the_end(insights: Insights) -> None:
    insights.add("requests", **completed(1, WEB, rpo=HOUR, rto=HOUR, ago=30 * MINUTE))
    insights.add("requests", **completed(2, WEB, rpo=HOUR, rto=3 * HOUR, ago=30 * MINUTE))

    (row,) = insights.run("rto-over-time")

    assert (row["Ended"].hour, row["Median"] in {60, 180}, row["95 % are faster"]) == (11, True, 180)


def test_no_completed_restore_gives_no_figures(insights: Insights) -> None:
    assert insights.run("rpo-rto") == []


def metric(name: str, total: float, count: int = 1, **dimensions: object) -> Json:
    named = {key.replace("__", "."): value for key, value in dimensions.items()}
    return {"name": name, "valueSum": total, "valueCount": count, "dimensions": named}


def test_minutes_by_phase_and_by_what_was_waited_for(insights: Insights) -> None:
    insights.add("customMetrics", **metric("restore.phase.duration", 600, 2, restore__phase="TrackingJob"))
    insights.add("customMetrics", **metric("restore.phase.duration", 300, 1, restore__phase="TrackingJob"))
    insights.add("customMetrics", **metric("restore.phase.duration", 6, 3, restore__phase="Validating"))
    insights.add("customMetrics", **metric("restore.wait.duration", 120, 2, restore__wait_reason="Throttled"))

    assert values(insights.run("phases"), "Phase", "Minutes, all", "Minutes, average", "Restores") == [
        ("TrackingJob", 15, 5, 3),
        ("Validating", 0.1, 0.03, 3),
    ]
    assert values(insights.run("waits"), "Waited for", "Minutes, all", "Waits") == [("Throttled", 2, 2)]


def test_calls_by_operation_and_answer(insights: Insights) -> None:
    sent: list[tuple[Json, int]] = [
        ({"http.response.status_code": code}, n) for code, n in ((200, 7), (429, 3), (503, 2))
    ]
    for answer, calls in [*sent, ({"error.type": "ConnectTimeout"}, 1), ({"error.type": "NotSent"}, 5)]:
        dimensions = {"azure.operation": "backupJobs/read", **answer}
        insights.add("customMetrics", name="azure.calls", valueSum=calls, valueCount=1, dimensions=dimensions)

    (row,) = insights.run("calls")
    assert values([row], "Operation", "Calls", "Throttled (429)") == [("backupJobs/read", 13, 3)]
    assert values([row], "Server errors (5xx)", "No answer", "Not sent") == [(2, 1, 5)]
    assert values(insights.run("throttling-over-time"), "Operation", "Throttled") == [("backupJobs/read", 3)]
