"""No secret is written anywhere: each is planted, restores of every kind run, and all that was written is searched."""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas

from scripts.stack import KEY
from tests.integration.app_stage import Stage, a_request, eventually, staged, vm_id
from tests.integration.leaky_gateway import PLANTED, Gateway, listening
from tests.support.logs import DEADLOCKS
from tests.support.otlp import OtlpReceiver
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

WRITTEN = {
    "code in a comment": "planted-comment-code-0a1b2c3d",
    "SAS in a comment": "planted-comment-sas-1b2c3d4e",
    "account key in a comment": "planted-comment-key-2c3d4e5f",
    "client secret in a comment": "planted-comment-secret-3d4e5f",
    "token in a comment": "planted-comment-token-4e5f6a7b",
}
"""What people write into comments, reasons and names."""
COMMENT = (
    "see /api/alerts?code={}, https://a.blob.core.windows.net/vhds/x?sv=1&sig={}; "
    "AccountKey={};client_secret={} Bearer {}"
).format(*WRITTEN.values())
SECRETS = {
    **PLANTED,
    **WRITTEN,
    "storage account's key": KEY,
    "webhook's secret": "planted-webhook-secret-123456",
    "key in the webhook's URL": "planted-webhook-code-abcdef",
}
PLACES = (
    "log",
    "history",
    "state",
    "entity",
    "HTTP answer",
    "results queue",
    "events queue",
    "webhook",
    "telemetry",
    "output",
)
JOB_FAILED = {"jobFailed": {"afterSeconds": 1, "errorString": "It broke."}}
RUNS: dict[str, tuple[Json, Json, str]] = {
    "succeeds": ({}, {"validate": True}, "Completed"),
    "warns": ({"jobWarnings": [{"errorString": "Nearly."}]}, {}, "CompletedWithWarnings"),
    "fails": (JOB_FAILED, {}, "Failed"),
    "fails at once": ({"operationFailed": {"code": "X", "message": "No."}}, {}, "Failed"),
    "is refused": ({}, {"recoveryPoint": {"id": "absent"}}, "Failed"),
    "is throttled": ({"throttle429": {"count": 6, "retryAfterSeconds": 1}}, {}, "Completed"),
    "meets an outage": ({"errors503": {"count": 6, "retryAfterSeconds": 1}}, {}, "Completed"),
    "needs a new token": ({"unauthorizedOnce": True}, {}, "Completed"),
    "waits for its operation": ({"slowOperation": {"seconds": 300}}, {}, "Completed"),
    "loses the answer": ({"lost202": {"count": 1}}, {}, "Completed"),
    "loses the answer otherwise": ({"error500AfterAccept": {"count": 1}}, {}, "Completed"),
    "reads half a job": ({"malformedJson": {"count": 2}}, {}, "Completed"),
    "is led to another host": ({"wrongHostUrl": True}, {}, "Completed"),
    "has a results address alone": ({"noAsyncHeader": True, "slowOperation": {"seconds": 300}}, {}, "Completed"),
    "plans": ({}, {"dryRun": True}, "Planned"),
    "times out": ({"jobSeconds": 1_000_000}, {}, "TimedOut"),
    "is cancelled": ({"jobSeconds": 1_000_000}, {}, "Cancelled"),
    "is rejected": ({}, {"approval": {"required": True}, "reason": COMMENT, "requestedBy": COMMENT}, "Rejected"),
}


class Written(logging.Handler):
    """All that was written, by place."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: defaultdict[str, list[str]] = defaultdict(list)
        self.planted: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.texts["log"].append(f"{record.name}: {self.format(record)}")

    def answer(self, answer: Any, **_: Any) -> None:
        self.texts["HTTP answer"].append(f"{answer.status_code} {answer.headers} {answer.text}")

    def hub(self, stage: Stage) -> None:
        for instance in list(stage.backend._instances.values()):
            events = (*instance.history, *instance.pending_events)
            self.texts["history"] += [str(event) for event in events]
            state = (instance.input, instance.output, instance.custom_status, instance.failure_details)
            self.texts["state"].append(str(state))
        self.texts["entity"] += [str(vars(entity)) for entity in stage.backend._entities.values()]

    def found(self, secret: str) -> list[str]:
        """Return where a secret stands, with what stands around it."""
        forms = {secret, quote(secret, safe="")}
        return [
            f"{place}: …{text[max(text.index(form) - 120, 0) : text.index(form) + len(form) + 20]}"
            for place, texts in self.texts.items()
            for text in texts
            for form in forms
            if form in text
        ]


@contextmanager
def every_logger_heard(handler: logging.Handler) -> Iterator[None]:
    """Give the handler all that any logger is told, whatever levels and handlers libraries have set."""
    loggers = [logging.getLogger(), *(each for each in logging.Logger.manager.loggerDict.values())]
    known = [each for each in loggers if isinstance(each, logging.Logger) and each.name != DEADLOCKS]
    before = [(each, each.level, each.disabled, each.propagate) for each in known]
    for each in known:
        each.setLevel(logging.DEBUG)
        each.disabled, each.propagate = False, True
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        for each, level, disabled, propagate in before:
            each.setLevel(level)
            each.disabled, each.propagate = disabled, propagate


def ran(stage: Stage, written: Written) -> dict[str, str]:
    """Run every kind of restore, all at once; returns how each ended."""
    started: dict[str, Json] = {}
    for number, (name, (faults, members, _)) in enumerate(RUNS.items(), start=1):
        vm = f"load-{number:03d}"
        stage.simulator.world.set_faults(vm, faults)
        started[name] = stage.post(a_request(sourceResourceId=vm_id(vm, "load-rg"), **members)).json()
    cancelled = started["is cancelled"]
    eventually(lambda: stage.call("GET", cancelled["links"]["self"]).json().get("jobId"))
    person = {"by": f"ada, {COMMENT}", "comment": COMMENT}
    stage.call("POST", cancelled["links"]["cancel"], json=person)
    stage.call("POST", started["is rejected"]["links"]["reject"], json=person)
    stage.send(a_request(sourceResourceId=COMMENT, requestId=COMMENT, reason=COMMENT))
    stage.simulator.world.set_faults("load-050", {"errors503": {"count": 3}})
    stage.send(a_request(sourceResourceId=vm_id("load-051", "load-rg")))
    for vm in ("load-050", "absent-01"):
        stage.call("GET", "recovery-points", params={"sourceResourceId": vm_id(vm, "load-rg")})
    ended = {name: stage.finished(each["id"])["status"] for name, each in started.items()}

    def told() -> bool:
        written.texts["results queue"] += [str(message) for message in stage.results()]
        written.texts["events queue"] += [str(message) for message in stage.events()]
        return len(written.texts["results queue"]) > len(RUNS)

    eventually(told)
    return ended


@pytest.fixture(scope="module")
def written(azurite: str) -> Written:
    everything, gateways = Written(), list[Gateway]()

    def front(simulator: str) -> Any:
        gateways.append(Gateway(simulator))
        return listening(gateways[0])

    with (
        Receiver() as receiver,
        OtlpReceiver() as telemetry,
        pytest.MonkeyPatch.context() as patch,
        every_logger_heard(everything),
    ):
        settings = {
            **telemetry.settings,
            "RESTORE_JOB_POLL_MAX_SECONDS": "2",  # two jobs never end: to poll them more often shows nothing new
            "RESTORE_DEADLINE_HOURS": "0.006",  # a retry after five seconds must fit in on a busy machine, too
            "RESTORE_WEBHOOK_URL": f"{receiver.url}/hook?code={SECRETS["key in the webhook's URL"]}",
            "RESTORE_WEBHOOK_SECRET": SECRETS["webhook's secret"],
        }
        receiver.answers = [500]
        printed = Printed(everything)
        patch.setattr(sys, "stdout", printed)
        patch.setattr(sys, "stderr", printed)
        with staged(patch, azurite, front, **settings) as stage:
            patch.setenv("IDENTITY_HEADER", SECRETS["identity header"])
            stage._web.hooks["response"].append(everything.answer)
            ended = ran(stage, everything)
            eventually(lambda: len(receiver.got) > len(RUNS) + 1)
            everything.hub(stage)
        everything.texts["telemetry"].append(telemetry.text)
        everything.texts["webhook"] += [f"{got.headers} {got.body.decode()}" for got in receiver.got]
        everything.planted = {**gateways[0].planted, "storage account's key": 1, "webhook's secret": 1}
        everything.planted |= dict.fromkeys(WRITTEN, 1)
        everything.planted["key in the webhook's URL"] = sum(
            SECRETS["key in the webhook's URL"] in got.path for got in receiver.got
        )
    assert ended == {name: status for name, (_, _, status) in RUNS.items()}
    return everything


def test_nor_is_a_sas_for_the_storage(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = dict(part.split("=", 1) for part in azurite.split(";") if part)
    ends = datetime.now(UTC) + timedelta(hours=1)
    everything = AccountSasPermissions.from_string("rwdlacup"), ResourceTypes.from_string("sco")
    sas = generate_account_sas(parts["AccountName"], KEY, everything[1], everything[0], ends)
    written = Written()

    with every_logger_heard(written):
        connection = f"QueueEndpoint={parts['QueueEndpoint']};SharedAccessSignature={sas}"
        with staged(monkeypatch, connection) as stage:
            stage._web.hooks["response"].append(written.answer)
            stage.send(a_request())
            written.texts["results queue"].append(str(eventually(stage.results)))
            written.hub(stage)

    (signature,) = [unquote(each.removeprefix("sig=")) for each in sas.split("&") if each.startswith("sig=")]
    assert any("/messages" in line for line in written.texts["log"])
    assert written.found(signature) == []


class Printed:
    """Standard output and errors."""

    def __init__(self, written: Written) -> None:
        self._written = written

    def write(self, text: str) -> int:
        self._written.texts["output"].append(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_written_nowhere(written: Written, secret: str) -> None:
    assert written.planted[secret] > 0
    assert written.found(SECRETS[secret]) == []


@pytest.mark.parametrize("place", PLACES[:-1])
def test_where_a_secret_could_stand_something_stands(written: Written, place: str) -> None:
    assert sum(map(len, written.texts[place])) > 1000


def test_the_log_is_everybodys(written: Written) -> None:
    heard = {line.partition(":")[0].partition(".")[0] for line in written.texts["log"]}

    assert heard >= {"arm", "urllib3", "azure", "durabletask"}


def test_what_is_no_secret_is_still_told(written: Written) -> None:
    (done,) = [text for text in written.texts["results queue"] if "'It broke." in text.replace('"', "'")][:1]

    assert "https://a.blob.core.windows.net/vhds/x.vhd" in done
    assert any("azuredeploy" in text and ".json'" in text for text in written.texts["results queue"])
    assert any("ada, see /api/alerts?code=(removed)" in text for text in written.texts["webhook"])
    assert any("/operationsStatus/" in text and "api-version=" in text for text in written.texts["history"])
