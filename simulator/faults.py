"""What can go wrong with a VM's calls: the switches, and how often each was used."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.clock import WAIT_FORMS
from simulator.providers.compute.faults import ComputeFaults

if TYPE_CHECKING:
    from simulator.reading import Node

ALWAYS = sys.maxsize
MIN_ERROR, MAX_ERROR = 400, 599
BAGS = ("absent", "null", "empty")
UNREACHABLE = "http://wrong-host.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """One entry of a job's ``errorDetails``."""

    code: int
    title: str
    text: str
    recommendations: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> ErrorDetail:
        """Read the members of an entry; the node stays open for further ones."""
        return cls(
            code=node.whole("errorCode", 400001),
            title=node.text("errorTitle", "UserErrorSimulated"),
            text=node.text("errorString", "The simulator was told that this goes wrong."),
            recommendations=node.texts("recommendations"),
        )

    def body(self) -> dict[str, Any]:
        """Write the entry as the service does."""
        return {
            "errorCode": self.code,
            "errorTitle": self.title,
            "errorString": self.text,
            "recommendations": list(self.recommendations),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """So many refusals in a row of the named actions, or of all; with or without a wait, written in some form."""

    count: int
    retry_after_s: float | None
    form: str
    actions: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> Burst:
        """Read a burst and close its node."""
        burst = cls(
            count=node.whole("count"),
            retry_after_s=node.number("retryAfterSeconds") if node.has("retryAfterSeconds") else None,
            form=node.choice("form", WAIT_FORMS, "seconds"),
            actions=node.texts("actions"),
        )
        node.close()
        return burst

    def hits(self, action: str) -> bool:
        """Return whether the burst concerns this action."""
        return not self.actions or action in self.actions


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedWrites:
    """So many writes in a row, of the named actions or of all, that are answered with an error.

    ``status`` 0 drops the connection without an answer.
    """

    count: int
    status: int
    code: str
    message: str
    retry_after_s: float | None
    form: str
    actions: tuple[str, ...]

    @classmethod
    def read(cls, node: Node, status: int) -> RefusedWrites:
        """Read the answers and close their node; ``status`` is the one where none is given."""
        writes = cls(
            count=node.whole("count", ALWAYS),
            status=node.whole("status", status, least=0),
            code=node.text("code", ""),
            message=node.text("message", ""),
            retry_after_s=node.number("retryAfterSeconds") if node.has("retryAfterSeconds") else None,
            form=node.choice("form", WAIT_FORMS, "seconds"),
            actions=node.texts("actions"),
        )
        if writes.status and not MIN_ERROR <= writes.status <= MAX_ERROR:
            node.complain("status", "expected the status of an error, or 0")
        node.close()
        return writes

    def hits(self, method: str, action: str) -> bool:
        """Return whether this call is a write that is concerned."""
        return method not in {"GET", "HEAD"} and (not self.actions or action in self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBusy:
    """Another operation that runs on the item, so that restores and validations of it are refused.

    It ends after ``count`` refusals, or ``seconds`` after the first one. ``as_finding``: a validation is accepted, and
    the busy item is its finding.
    """

    count: int
    seconds: float | None
    status: int
    code: str
    retry_after_s: float | None
    form: str
    as_finding: bool

    @classmethod
    def read(cls, node: Node) -> ItemBusy:
        """Read the operation and close its node."""
        busy = cls(
            count=node.whole("count", ALWAYS),
            seconds=node.number("seconds") if node.has("seconds") else None,
            status=node.whole("status", 409),
            code=node.text("code", "BMSUserErrorObjectLocked"),
            retry_after_s=node.number("retryAfterSeconds") if node.has("retryAfterSeconds") else None,
            form=node.choice("form", WAIT_FORMS, "seconds"),
            as_finding=node.flag("asFinding"),
        )
        if busy.status not in {400, 409}:
            node.complain("status", "expected 400 or 409")
        node.close()
        return busy


@dataclass(frozen=True, slots=True, kw_only=True)
class BagFault:
    """What a job's property bag lacks: single ``keys``, or everything; then ``whole`` is one of ``BAGS``."""

    whole: str = ""
    keys: tuple[str, ...] = ()

    @classmethod
    def read(cls, node: Node) -> BagFault:
        """Read one of ``BAGS`` or a list of keys; the node stays open."""
        if isinstance(node.raw("propertyBag"), list):
            return cls(keys=node.texts("propertyBag"))
        return cls(whole=node.choice("propertyBag", BAGS)) if node.has("propertyBag") else cls()

    def applied(self, bag: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the member ``propertyBag``, or nothing if it is absent."""
        if self.whole:
            return {"absent": {}, "null": {"propertyBag": None}, "empty": {"propertyBag": {}}}[self.whole]
        return {"propertyBag": {key: value for key, value in bag.items() if key not in self.keys}}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """A job that ends as ``Failed`` after so many seconds."""

    after_s: float
    detail: ErrorDetail


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFailure:
    """An operation that ends as ``Failed`` and makes no job.

    ``leaves`` says which model an update of a VM leaves: as it was ``asked`` for, or the ``former`` one.
    """

    code: str
    message: str
    leaves: str = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The switches of one VM; the numbers of the counted ones say how often they strike."""

    lost202: int = 0
    error500_after_accept: int = 0
    error500_before_accept: int = 0
    unauthorized_once: int = 0
    malformed_json: int = 0
    job_missing404: int = 0
    errors503: Burst | None = None
    throttle429: Burst | None = None
    item_busy: ItemBusy | None = None
    slow_operation_s: float = 0.0
    operation_failed: OperationFailure | None = None
    job_failed: JobFailure | None = None
    job_warnings: tuple[ErrorDetail, ...] = ()
    job_not_listed_s: float = 0.0
    job_s: float | None = None
    wrong_host_url: str = ""
    double_subscriptions_location: bool = False
    no_async_header: bool = False
    integer_enums: bool = False
    unknown_enums: bool = False
    different_operation_id: bool = False
    cancel_refused: bool = False
    ignores_disk_list: bool = False
    untagged_disks: bool = False
    bag: BagFault = field(default_factory=BagFault)
    compute: ComputeFaults = field(default_factory=ComputeFaults)
    lost_answers: RefusedWrites | None = None
    refused_writes: RefusedWrites | None = None
    given: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)

    @classmethod
    def read(cls, node: Node, given: Mapping[str, Any]) -> Faults:
        """Read the switches by their JSON names and close the node; ``given`` is kept for display."""
        faults = cls(
            lost202=_count(node, "lost202"),
            error500_after_accept=_count(node, "error500AfterAccept"),
            error500_before_accept=_count(node, "error500BeforeAccept"),
            unauthorized_once=int(node.flag("unauthorizedOnce")),
            malformed_json=_count(node, "malformedJson"),
            job_missing404=_count(node, "jobMissing404"),
            errors503=Burst.read(node.node("errors503")) if node.has("errors503") else None,
            throttle429=Burst.read(node.node("throttle429")) if node.has("throttle429") else None,
            item_busy=ItemBusy.read(node.node("itemBusy")) if node.has("itemBusy") else None,
            slow_operation_s=_seconds(node, "slowOperation"),
            operation_failed=_operation_failure(node),
            job_failed=_job_failure(node),
            job_warnings=_job_warnings(node),
            job_not_listed_s=_seconds(node, "jobNotListed"),
            job_s=node.number("jobSeconds", above=0) if node.has("jobSeconds") else None,
            wrong_host_url=_wrong_host(node),
            double_subscriptions_location=node.flag("doubleSubscriptionsLocation"),
            no_async_header=node.flag("noAsyncHeader"),
            integer_enums=node.flag("integerEnums"),
            unknown_enums=node.flag("unknownEnums"),
            different_operation_id=node.flag("differentOperationId"),
            cancel_refused=node.flag("cancelRefused"),
            ignores_disk_list=node.flag("ignoresDiskList"),
            untagged_disks=node.flag("untaggedDisks"),
            bag=BagFault.read(node),
            compute=ComputeFaults.read(node),
            lost_answers=RefusedWrites.read(node.node("lostAnswers"), 0) if node.has("lostAnswers") else None,
            refused_writes=RefusedWrites.read(node.node("refusedWrites"), 500) if node.has("refusedWrites") else None,
            given=given,
        )
        node.close()
        return faults


class FaultState:
    """The switches of one VM and how often the counted ones have struck."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._used: Counter[str] = Counter()
        self._busy_since: datetime | None = None

    def strikes(self, switch: str, limit: int) -> bool:
        """Use a counted switch once more; false when it has struck its number of times."""
        if self._used[switch] >= limit:
            return False
        self._used[switch] += 1
        return True

    def busy_item(self, now: datetime) -> ItemBusy | None:
        """Return the operation that refuses a call now, if one runs on the item."""
        busy = self.faults.item_busy
        if busy is None:
            return None
        self._busy_since = self._busy_since or now
        if busy.seconds is not None and now >= self._busy_since + timedelta(seconds=busy.seconds):
            return None
        return busy if self.strikes("itemBusy", busy.count) else None


def _count(node: Node, name: str) -> int:
    """Read ``true`` (every time) or ``{"count": n}``."""
    if not isinstance(node.raw(name), Mapping):
        return ALWAYS if node.flag(name) else 0
    inner = node.node(name)
    count = inner.whole("count")
    inner.close()
    return count


def _seconds(node: Node, name: str) -> float:
    if not node.has(name):
        return 0.0
    inner = node.node(name)
    seconds = inner.number("seconds")
    inner.close()
    return seconds


def _wrong_host(node: Node) -> str:
    """Read ``true`` (a host that cannot be reached) or the base address of another one."""
    if isinstance(node.raw("wrongHostUrl"), str):
        return node.text("wrongHostUrl")
    return UNREACHABLE if node.flag("wrongHostUrl") else ""


def _operation_failure(node: Node) -> OperationFailure | None:
    if not node.has("operationFailed"):
        return None
    inner = node.node("operationFailed")
    failure = OperationFailure(code=inner.text("code"), message=inner.text("message"))
    inner.close()
    return failure


def _job_failure(node: Node) -> JobFailure | None:
    if not node.has("jobFailed"):
        return None
    inner = node.node("jobFailed")
    failure = JobFailure(after_s=inner.number("afterSeconds"), detail=ErrorDetail.read(inner))
    inner.close()
    return failure


def _job_warnings(node: Node) -> tuple[ErrorDetail, ...]:
    warnings: list[ErrorDetail] = []
    for entry in node.nodes("jobWarnings"):
        warnings.append(ErrorDetail.read(entry))
        entry.close()
    return tuple(warnings)
