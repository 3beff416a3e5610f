"""The failures that the app distinguishes, and how they are stored in histories and shown to callers.

The class of an error says whether it is transient; ``domain.restore.failure`` decides what follows from that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from domain.codec import JsonOf, as_json
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
AUTHENTICATION_REQUIRED = "AuthenticationRequired"
AUTHORIZATION_FAILED = "AuthorizationFailed"
RESOURCE_GUARD_CLOSED = "ResourceGuardClosed"
ITEM_BUSY = "ItemBusy"
MACHINE_BUSY = "MachineBusy"
VAULT_BLOCKED = "VaultBlocked"
DEADLINE_EXCEEDED = "DeadlineExceeded"
APPROVAL_TIMED_OUT = "ApprovalTimedOut"
REJECTED = "Rejected"
COOLING_DOWN = "CoolingDown"
HOURLY_BUDGET_SPENT = "HourlyBudgetSpent"
SERVICE_UNAVAILABLE = "ServiceUnavailable"
INTERNAL_ERROR = "InternalError"
LATE_DELIVERY = "LateDelivery"
TEMPLATE_REFUSED = "TemplateRefused"
CREATION_FAILED = "CreationFailed"
ATTACHMENT_FAILED = "AttachmentFailed"

# Histories, queue messages and status documents are limited in size; error texts of services and names of callers are
# not.
_MAX_MESSAGE = 1000
_MAX_NAME = 200
_MAX_TEXT = 4000
_MAX_DETAILS = 100
_HTTP_FORBIDDEN = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditionalInfo:
    """The HTTP status and the request ids of a call to Azure, by which its support can find the call."""

    type: str
    info: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReason:
    """One reason for an error."""

    code: str
    message: str
    target: str | None = field(default=None, metadata={"description": "A JSON path into the request."})
    additional_info: tuple[AdditionalInfo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """What went wrong and what to do next."""

    code: str
    message: str
    details: tuple[JsonOf[ErrorReason], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """One entry of an error's ``details``, in ARM's shape.

    ``target`` is a JSON path into the request; ``info`` is written as ARM's ``additionalInfo`` (HTTP status and request
    ids of an answer of Azure). Secrets are removed from the texts here, because they often quote other services; then
    the texts are truncated, because histories, queue messages and status documents are limited in size.
    """

    code: str
    message: str
    target: str | None = None
    info: Json | None = None

    def __post_init__(self) -> None:
        """Redact and truncate the texts."""
        for name, bound in (("code", _MAX_NAME), ("message", _MAX_MESSAGE), ("target", _MAX_NAME)):
            text: str | None = getattr(self, name)
            object.__setattr__(self, name, text and redacted(text[:_MAX_TEXT])[:bound])

    def to_json(self) -> Json:
        """Return ARM's ``{"code", "message", "target"?, "additionalInfo"?}``."""
        info = (AdditionalInfo(type="AzureResponse", info=self.info),) if self.info else ()
        return as_json(ErrorReason(code=self.code, message=self.message, target=self.target, additional_info=info))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        extra: list[Json] = data.get("additionalInfo") or [{}]
        return cls(code=data["code"], message=data["message"], target=data.get("target"), info=extra[0].get("info"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreWarning:
    """A problem that did not end a restore, but that its caller should know."""

    code: str
    message: str
    settled_time: datetime | None = field(
        default=None, metadata={"description": "When the problem ended; absent as long as it lasts."}
    )


class RestoreError(Exception):
    """Base of all failures that the app distinguishes. ``code`` is stable: histories store it, callers read it.

    ``retry_after_s`` is the wait in seconds that the service asked for, or ``None``. Terminal errors have it too: while
    Azure works on a restore, a call that failed with one is made again.
    Secrets are removed from ``message`` here, once for logs, histories and answers: it often quotes other services.
    """

    def __init__(
        self, code: str, message: str, details: Iterable[ErrorDetail] = (), *, retry_after_s: float | None = None
    ) -> None:
        self.code = code
        self.message = redacted(message[:_MAX_TEXT])
        self.details = tuple(details)
        self.retry_after_s = retry_after_s
        super().__init__(f"{code}: {self.message}")

    @property
    def is_forbidden(self) -> bool:
        """Whether Azure answered 403, so that a role is missing; after a 401 the token is wrong."""
        info = self.details[0].info if self.details else None
        return self.code == AUTHORIZATION_FAILED and info is not None and info.get("httpStatus") == _HTTP_FORBIDDEN

    def to_json(self) -> Json:
        """Return ARM's inner error object ``{"code", "message", "details"}``."""
        details = tuple(detail.to_json() for detail in self.details[:_MAX_DETAILS])
        return as_json(ErrorBody(code=self.code, message=self.message[:_MAX_MESSAGE], details=details))

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, retry_after_s: float | None = None) -> Self:
        """Read what ``to_json`` wrote."""
        details = [ErrorDetail.from_json(detail) for detail in data.get("details", ())]
        return cls(data["code"], data["message"], details, retry_after_s=retry_after_s)


class TransientError(RestoreError):
    """Worth repeating unchanged: throttling, 5xx on a read, dropped sockets."""


class TerminalError(RestoreError):
    """Repeating cannot help; a person or a new request must change something."""


class UnknownOutcomeError(RestoreError):
    """It is unknown whether the service accepted the request. It is never repeated before its job is searched for."""


class InvalidRequestError(TerminalError):
    """A request that can never work. ``details`` names every problem, each with its ``target``."""

    def __init__(self, problems: Iterable[ErrorDetail]) -> None:
        problems = tuple(problems)
        summary = "; ".join(f"{p.target}: {p.message}" if p.target else p.message for p in problems[:3])
        more = f" (and {len(problems) - 3} more, see details)" if len(problems) > 3 else ""  # noqa: PLR2004 - as above
        super().__init__(INVALID_REQUEST, f"The request cannot be accepted: {summary}{more}", problems)
