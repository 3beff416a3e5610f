"""Every failure we can name, and what crosses a durable boundary of it.

Retryability is a fact on the error; the orchestrator asks nothing else before it tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from domain.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

type Json = dict[str, Any]

INVALID_REQUEST = "InvalidRequest"
REQUEST_CONFLICT = "RequestConflict"
REQUEST_ID_REUSED = "RequestIdReused"
REQUEST_TOO_LARGE = "RequestTooLarge"
UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"
NOT_FOUND = "NotFound"
NOT_PROTECTED = "NotProtected"
NO_MATCHING_RECOVERY_POINT = "NoMatchingRecoveryPoint"
VALIDATION_FAILED = "ValidationFailed"
RESTORE_REFUSED = "RestoreRefused"
RESTORE_FAILED = "RestoreFailed"
RESTORE_CANCELLED = "RestoreCancelled"
AUTHORIZATION_FAILED = "AuthorizationFailed"
RESOURCE_GUARD_CLOSED = "ResourceGuardClosed"
DEADLINE_EXCEEDED = "DeadlineExceeded"
APPROVAL_TIMED_OUT = "ApprovalTimedOut"
REJECTED = "Rejected"
COOLING_DOWN = "CoolingDown"
HOURLY_BUDGET_SPENT = "HourlyBudgetSpent"
SERVICE_UNAVAILABLE = "ServiceUnavailable"
INTERNAL_ERROR = "InternalError"
LATE_DELIVERY = "LateDelivery"

# History, queue messages and status documents have bounds; a service's error text and a caller's names need not.
_LONGEST_MESSAGE = 1000
_LONGEST_NAME = 200
_LONGEST_TEXT = 4000
_MOST_DETAILS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """One entry of an error's ``details``, in ARM's shape.

    ``target`` is a JSON path into the request; ``info`` goes out as ARM's ``additionalInfo``
    (HTTP status and request ids of an Azure answer, so that support can find the call).
    """

    code: str
    message: str
    target: str | None = None
    info: Json | None = None

    def __post_init__(self) -> None:
        """Take secrets out of the words, which are often not ours."""
        object.__setattr__(self, "code", redacted(self.code[:_LONGEST_TEXT]))
        object.__setattr__(self, "message", redacted(self.message[:_LONGEST_TEXT]))
        if self.target is not None:
            object.__setattr__(self, "target", redacted(self.target[:_LONGEST_TEXT]))

    def to_json(self) -> Json:
        """Return ARM's ``{"code", "message", "target"?, "additionalInfo"?}``."""
        body: Json = {"code": self.code[:_LONGEST_NAME], "message": self.message[:_LONGEST_MESSAGE]}
        if self.target is not None:
            body["target"] = self.target[:_LONGEST_NAME]
        if self.info:
            body["additionalInfo"] = [{"type": "AzureResponse", "info": self.info}]
        return body

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        extra: list[Json] = data.get("additionalInfo") or [{}]
        return cls(code=data["code"], message=data["message"], target=data.get("target"), info=extra[0].get("info"))


class RestoreError(Exception):
    """Base of every failure we can name. ``code`` is stable: it is stored in history and read by callers.

    Secrets are taken out of ``message`` here, once for logs, history and answers: it often quotes others.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, code: str, message: str, details: Iterable[ErrorDetail] = ()) -> None:
        message = redacted(message[:_LONGEST_TEXT])
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = tuple(details)

    def to_json(self) -> Json:
        """Return ARM's inner error object ``{"code", "message", "details"}``."""
        details = [detail.to_json() for detail in self.details[:_MOST_DETAILS]]
        return {"code": self.code, "message": self.message[:_LONGEST_MESSAGE], "details": details}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        details = [ErrorDetail.from_json(detail) for detail in data.get("details", ())]
        return cls(data["code"], data["message"], details)


class TransientError(RestoreError):
    """Worth repeating unchanged: throttling, 5xx on a read, dropped sockets.

    ``retry_after_s`` is the wait that the service asked for, in seconds; ``None`` when it named none.
    """

    retryable = True

    def __init__(
        self, code: str, message: str, details: Iterable[ErrorDetail] = (), *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code, message, details)
        self.retry_after_s = retry_after_s


class TerminalError(RestoreError):
    """Repeating cannot help; a person or a new request must change something.

    ``retry_after_s`` as on :class:`TransientError`: while Azure works on a restore, even such an answer may pass.
    """

    def __init__(
        self, code: str, message: str, details: Iterable[ErrorDetail] = (), *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code, message, details)
        self.retry_after_s = retry_after_s


class OpenOutcomeError(RestoreError):
    """The answer leaves it open whether the service took the request. Never repeated before somebody looked.

    ``retry_after_s`` as on :class:`TransientError`.
    """

    def __init__(
        self, code: str, message: str, details: Iterable[ErrorDetail] = (), *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code, message, details)
        self.retry_after_s = retry_after_s


class InvalidRequestError(TerminalError):
    """A request that can never work. ``details`` names every problem, each with its ``target``."""

    def __init__(self, problems: Iterable[ErrorDetail]) -> None:
        problems = tuple(problems)
        summary = "; ".join(f"{p.target}: {p.message}" if p.target else p.message for p in problems[:3])
        more = f" (and {len(problems) - 3} more, see details)" if len(problems) > 3 else ""  # noqa: PLR2004 - as above
        super().__init__(INVALID_REQUEST, f"The request cannot be accepted: {summary}{more}", problems)
