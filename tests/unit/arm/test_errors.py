from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import CredentialUnavailableError
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from arm.errors import credential_error, service_error
from arm.reply import Reply
from domain.errors import TerminalError, TransientError, UnknownOutcomeError

if TYPE_CHECKING:
    from domain.errors import RestoreError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(["error", "code", "message", "target", "details", "recommendations", "recommendedAction"])
ERROR_LIKE = st.recursive(
    JSON, lambda inner: st.dictionaries(MEMBERS, inner | st.lists(inner, max_size=3)), max_leaves=15
)
NOT_SUCCESS = st.integers(min_value=300, max_value=999)


GROUP_PATH = "/subscriptions/s/resourceGroups/g"
VM_PATH = f"{GROUP_PATH}/providers/Microsoft.Compute/virtualMachines/vm1"
INTERFACE_PATH = f"{GROUP_PATH}/providers/Microsoft.Network/networkInterfaces/nic1"
DEPLOYMENT_PATH = f"{GROUP_PATH}/providers/Microsoft.Resources/deployments/d1"


def reply(
    status: int,
    content: bytes = b"",
    headers: dict[str, str] | None = None,
    wait_s: float | None = None,
    *,
    call: tuple[str, str] = ("GET", "/subscriptions/s/x"),
) -> Reply:
    method, path = call
    return Reply(
        method=method,
        path=path,
        client_request_id="c-1",
        status=status,
        headers=CaseInsensitiveDict(headers or {}),
        content=content,
        retry_after_s=wait_s,
    )


def error_for(status: int, body: Any = None) -> RestoreError:
    return service_error(reply(status, b"" if body is None else json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("status", "service_code", "kind", "code", "words"),
    [
        (401, "InvalidAuthenticationToken", TerminalError, "AuthorizationFailed", "managed identity"),
        (403, "AuthorizationFailed", TerminalError, "AuthorizationFailed", "Backup Operator"),
        (403, "LinkedAuthorizationFailed", TerminalError, "AuthorizationFailed", "Storage Account Contributor"),
        (404, "ResourceNotFound", TerminalError, "NotFound", "does not know"),
        (400, "BMSUserErrorInvalidInput", TerminalError, "RestoreRefused", "BMSUserErrorInvalidInput"),
        (409, "Conflict", TerminalError, "RestoreRefused", "refused"),
        (302, "Found", TerminalError, "RestoreRefused", "refused"),
        (408, "RequestTimeout", TransientError, "ServiceUnavailable", "failed to process"),
        (429, "ResourceRequestsThrottled", TransientError, "ServiceUnavailable", "fewer requests"),
        (500, "CloudInternalError", TransientError, "ServiceUnavailable", "failed to process"),
        (503, "ServiceUnavailable", TransientError, "ServiceUnavailable", "failed to process"),
    ],
)
def test_every_status_has_its_error(
    status: int, service_code: str, kind: type[RestoreError], code: str, words: str
) -> None:
    error = error_for(status, {"error": {"code": service_code, "message": "m"}})

    assert type(error) is kind
    assert error.code == code
    assert words in error.message
    assert error.details[0].code == service_code


@pytest.mark.parametrize("service_code", ["AuthorizationFailed", "LinkedAuthorizationFailed"])
def test_a_missing_permission_names_the_check_and_the_document(service_code: str) -> None:
    message = error_for(403, {"error": {"code": service_code, "message": "m"}}).message

    assert "GET /api/preflight" in message
    assert "docs/deploying.md" in message


BUSY_CODES = [
    "BMSUserErrorObjectLocked",
    "bmsusererrorobjectlocked",
    "390026",
    "UserErrorRestoreOperationInProgress",
    "UserErrorBackupOperationInProgress",
    "SystemBackupOperationInProgress",
    "UserErrorAnotherRestoreInProgressOnSameTarget",
    "AnotherOperationInProgress",
    "BMSUserErrorConflictingProtectionOperation",
    "UserErrorItemLocked",
]


@pytest.mark.parametrize("status", [400, 403, 409, 429])
@pytest.mark.parametrize(
    "service_code",
    ["CloudDosAbsoluteLimitReached", "CloudDosAbsoluteLimitReachedWithRetry", "CloudDosTimeboudLimitReached"],
)
def test_a_blocked_vault_is_transient_and_no_refusal(status: int, service_code: str) -> None:
    content = json.dumps({"error": {"code": service_code, "message": "blocked"}}).encode()

    error = service_error(reply(status, content, wait_s=None), once=True)

    assert (type(error), error.code) == (TransientError, "VaultBlocked")


class TestABusyItem:
    @pytest.mark.parametrize("status", [400, 409])
    @pytest.mark.parametrize("service_code", BUSY_CODES)
    def test_is_transient_and_keeps_the_wait(self, status: int, service_code: str) -> None:
        content = json.dumps({"error": {"code": service_code, "message": "busy"}}).encode()

        error = service_error(reply(status, content, wait_s=2.0), once=True)

        assert (type(error), error.code, error.retry_after_s) == (TransientError, "ItemBusy", 2.0)
        assert (error.details[0].code, error.details[0].message) == (service_code, "busy")

    @pytest.mark.parametrize(
        "body",
        [
            {"code": "UserErrorRestoreOperationInProgress", "message": "bare"},
            {"error": {"code": "Conflict", "details": [{"code": "BMSUserErrorObjectLocked", "message": "m"}]}},
        ],
    )
    def test_is_recognised_in_every_form_of_error_body(self, body: Any) -> None:
        assert error_for(409, body).code == "ItemBusy"

    @pytest.mark.parametrize("body", [None, {"error": {"code": "Conflict"}}, {"error": {"code": "NobodyKnowsThis"}}])
    def test_is_also_a_conflict_that_asks_for_a_wait(self, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()

        assert service_error(reply(409, content, wait_s=30.0)).code == "ItemBusy"
        assert service_error(reply(400, content, wait_s=30.0)).code == "RestoreRefused"

    @pytest.mark.parametrize(
        "service_code",
        [
            "ScopeLocked",
            "ReadOnlyDisabledSubscription",
            "MissingSubscriptionRegistration",
            "SubscriptionNotRegistered",
            "ResourceGroupBeingDeleted",
            "RequestDisallowedByPolicy",
            "UserErrorVmAlreadyExists",
            "UserErrorCoreCountSubscriptionQuotaReached",
            "UserErrorJobNotInProgress",
        ],
    )
    def test_is_not_assumed_from_a_refusal(self, service_code: str) -> None:
        content = json.dumps({"error": {"code": service_code, "message": "no"}}).encode()

        for status, wait_s in ((400, None), (409, None), (409, 30.0)):
            error = service_error(reply(status, content, wait_s=wait_s))
            assert (type(error), error.code) == (TerminalError, "RestoreRefused")

    def test_is_not_assumed_from_a_refusal_for_several_reasons(self) -> None:
        details = [{"code": "BMSUserErrorObjectLocked"}, {"code": "UserErrorQuotaReached"}]

        assert error_for(400, {"error": {"code": "BadRequest", "details": details}}).code == "RestoreRefused"

    @pytest.mark.parametrize(("status", "code"), [(403, "AuthorizationFailed"), (404, "NotFound")])
    def test_needs_a_conflict_or_a_bad_request(self, status: int, code: str) -> None:
        assert error_for(status, {"error": {"code": "BMSUserErrorObjectLocked"}}).code == code


class TestAChangeOfAVm:
    CALLS = (
        ("PATCH", VM_PATH),
        ("POST", f"{VM_PATH.lower()}/start"),
        ("PATCH", f"{VM_PATH.replace('virtualMachines', 'disks')}/providers/Microsoft.Resources/tags/default"),
    )

    @staticmethod
    def error(status: int, code: str, call: tuple[str, str], wait_s: float | None = None) -> RestoreError:
        content = json.dumps({"error": {"code": code, "message": "m"}}).encode()
        return service_error(reply(status, content, wait_s=wait_s, call=call))

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize(
        ("status", "service_code"),
        [
            (409, "Conflict"),
            (409, "ConflictingConcurrentWriteNotAllowed"),
            (409, "AttachDiskWhileBeingDetached"),
            (409, "OperationPreempted"),
            (409, "RetryableError"),
            (409, "retryableerror"),
            (409, "AnotherOperationInProgress"),
            (412, "PreconditionFailed"),
            (412, "NobodyKnowsThis"),
        ],
    )
    def test_waits_while_something_else_changes_it(self, status: int, service_code: str, call: tuple[str, str]) -> None:
        for wait_s in (None, 5.0):
            error = self.error(status, service_code, call, wait_s)

            assert (type(error), error.code, error.retry_after_s) == (TransientError, "MachineBusy", wait_s)

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize(
        "service_code", ["OperationNotAllowed", "PropertyChangeNotAllowed", "ConflictingUserInput", "ScopeLocked"]
    )
    def test_is_refused_where_waiting_does_not_help(self, service_code: str, call: tuple[str, str]) -> None:
        error = self.error(409, service_code, call)

        assert (type(error), error.code) == (TerminalError, "RestoreRefused")

    def test_waits_for_an_unknown_conflict_if_azure_says_how_long(self) -> None:
        assert self.error(409, "NobodyKnowsThis", self.CALLS[0], 30.0).code == "MachineBusy"
        assert self.error(409, "ScopeLocked", self.CALLS[0], 30.0).code == "RestoreRefused"

    @pytest.mark.parametrize(
        ("status", "service_code", "words"),
        [
            (409, "ScopeLocked", "Remove the ReadOnly lock"),
            (403, "AuthorizationFailed", "SwapDisks"),
            (403, "LinkedAuthorizationFailed", "SwapDisks"),
        ],
    )
    def test_that_is_refused_says_what_a_person_must_do(self, status: int, service_code: str, words: str) -> None:
        error = self.error(status, service_code, self.CALLS[0])

        assert words in error.message
        assert error.details[0].code == service_code

    @pytest.mark.parametrize("call", [*CALLS, ("PUT", INTERFACE_PATH), ("POST", "/subscriptions/s/x")])
    @pytest.mark.parametrize(
        ("service_code", "words"),
        [("RequestDisallowedByPolicy", "An Azure Policy"), ("DenyAssignmentAuthorizationFailed", "A deny assignment")],
    )
    def test_that_no_role_would_allow_asks_for_no_role(
        self, service_code: str, words: str, call: tuple[str, str]
    ) -> None:
        error = self.error(403, service_code, call)

        assert type(error) is TerminalError
        assert words in error.message
        assert "Contributor" not in error.message

    def test_a_lock_that_forbids_only_deletion_is_not_called_read_only(self) -> None:
        error = self.error(409, "ScopeLocked", ("DELETE", f"{GROUP_PATH}/providers/Microsoft.Compute/disks/d1"))

        assert "forbids to delete the disk" in error.message
        assert "ReadOnly" not in error.message

    @pytest.mark.parametrize(
        ("call", "role"),
        [
            (("PUT", VM_PATH), "CreateVirtualMachinesFromDisks"),
            (("PUT", INTERFACE_PATH), "CreateVirtualMachinesFromDisks"),
            (("PUT", DEPLOYMENT_PATH), "CreateVirtualMachinesFromDisks"),
            (("POST", f"{VM_PATH}/attachDetachDataDisks"), "AttachDisks"),
            (("DELETE", f"{GROUP_PATH}/providers/Microsoft.Compute/disks/d1"), "DeleteDisks"),
            (("PATCH", VM_PATH), "SwapDisks"),
        ],
    )
    @pytest.mark.parametrize("service_code", ["AuthorizationFailed", "LinkedAuthorizationFailed"])
    def test_that_lacks_a_permission_names_the_role_of_its_feature(
        self, call: tuple[str, str], role: str, service_code: str
    ) -> None:
        error = self.error(403, service_code, call)

        assert error.is_forbidden
        assert f"the role {role}," in error.message

    def test_waits_for_another_change_of_an_interface(self) -> None:
        error = self.error(409, "AnotherOperationInProgress", ("PUT", INTERFACE_PATH))

        assert (type(error), error.code) == (TransientError, "MachineBusy")

    @pytest.mark.parametrize(
        ("call", "status", "service_code", "code"),
        [
            (("GET", VM_PATH), 409, "Conflict", "RestoreRefused"),
            (("POST", "/subscriptions/s/providers/Microsoft.RecoveryServices/x"), 409, "Conflict", "RestoreRefused"),
            (("POST", "/subscriptions/s/providers/Microsoft.RecoveryServices/x"), 412, "X", "RestoreRefused"),
            (("PATCH", VM_PATH), 429, "OperationNotAllowed", "ServiceUnavailable"),
            (("PATCH", VM_PATH), 403, "RequestDisallowedByPolicy", "RestoreRefused"),
            (("PATCH", VM_PATH), 403, "DenyAssignmentAuthorizationFailed", "AuthorizationFailed"),
        ],
    )
    def test_has_its_own_meaning_alone(self, call: tuple[str, str], status: int, service_code: str, code: str) -> None:
        error = self.error(status, service_code, call)

        assert error.code == code
        assert "SwapDisks" not in error.message


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
def test_a_server_failure_of_a_request_to_be_sent_once_is_an_unknown_outcome(status: int) -> None:
    error = service_error(reply(status, wait_s=7.0), once=True)

    assert isinstance(error, UnknownOutcomeError)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("status", "kind"), [(429, TransientError), (400, TerminalError), (403, TerminalError), (307, TerminalError)]
)
def test_a_refusal_is_not_an_unknown_outcome(status: int, kind: type[RestoreError]) -> None:
    assert type(service_error(reply(status), once=True)) is kind


def test_the_services_texts_recommendations_and_request_ids_are_kept() -> None:
    headers = {
        "x-ms-request-id": "r-1",
        "X-MS-Correlation-Request-Id": "k-1",
        "x-ms-failure-cause": "gateway",
    }
    body = {
        "error": {
            "code": "UserErrorX",
            "message": "It failed.",
            "target": "zones",
            "recommendations": ["Do this.", "Then that."],
            "details": [{"code": "Inner", "message": "Because.", "target": "t"}, {}, "?", {"message": "Only words."}],
        }
    }

    error = service_error(reply(400, json.dumps(body).encode(), headers))

    assert [detail.to_json() for detail in error.details] == [
        {
            "code": "UserErrorX",
            "message": "It failed. Do this. Then that.",
            "target": "zones",
            "additionalInfo": [
                {
                    "type": "AzureResponse",
                    "info": {
                        "httpStatus": 400,
                        "requestId": "r-1",
                        "correlationRequestId": "k-1",
                        "clientRequestId": "c-1",
                        "failureCause": "gateway",
                    },
                }
            ],
        },
        {"code": "Inner", "message": "Because.", "target": "t"},
        {"code": "Unknown", "message": "Only words."},
    ]


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", "Http500", "The service gave no message."),
        (b"<html><h1>502</h1></html>", "Http500", "The service gave no message."),
        (b'{"code": "Bare", "message": "m"}', "Bare", "m"),
        (b'{"code": 400158, "message": "m", "recommendedAction": "Wait."}', "400158", "m Wait."),
        (b'{"error": "invalid_client", "message": "m"}', "invalid_client", "m"),
        (b'\xef\xbb\xbf{"error": {"code": "Marked", "message": "m"}}', "Marked", "m"),
        (b"[" * 100_000, "Http500", "The service gave no message."),
    ],
)
def test_every_form_of_error_body_is_read(content: bytes, code: str, message: str) -> None:
    detail = service_error(reply(500, content)).details[0]

    assert (detail.code, detail.message) == (code, message)


@given(status=NOT_SUCCESS, body=ERROR_LIKE, once=st.booleans())
def test_any_json_gives_a_bounded_error(status: int, body: Any, once: bool) -> None:
    error = service_error(reply(status, json.dumps(body).encode()), once=once)

    assert 1 <= len(error.details) <= 20
    assert all(detail.code and 0 < len(detail.message) <= 4000 for detail in error.details)
    assert json.loads(json.dumps(error.to_json())) == error.to_json()


@given(status=NOT_SUCCESS, content=st.binary())
def test_any_bytes_give_an_error(status: int, content: bytes) -> None:
    assert service_error(reply(status, content)).message


class FakeResponse:
    """The part of azure-core's response that its errors read."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        self.reason = "?"


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REFUSED = "Token request error: (invalid_scope) 400, No User Assigned or Delegated Managed Identity found"


@pytest.mark.parametrize(
    "error",
    [
        CredentialUnavailableError(message="No managed identity endpoint found."),
        ClientAuthenticationError(message=REFUSED),
        ClientAuthenticationError(message="denied", response=FakeResponse(401)),  # type: ignore[arg-type]
        caused_by(
            CredentialUnavailableError(message="no"),
            HttpResponseError(message="no", response=FakeResponse(400)),  # type: ignore[arg-type]
        ),
    ],
)
def test_a_refused_token_is_terminal(error: Exception) -> None:
    found = credential_error(error)

    assert isinstance(found, TerminalError)
    assert found.code == "AuthorizationFailed"
    assert str(error) in found.details[0].message


@pytest.mark.parametrize(
    "error",
    [
        ServiceRequestError("no route"),
        TimeoutError("late"),
        json.JSONDecodeError("Expecting value", "<html>", 0),
        ClientAuthenticationError(message="busy", response=FakeResponse(429)),  # type: ignore[arg-type]
        ClientAuthenticationError(message="down", response=FakeResponse(503)),  # type: ignore[arg-type]
        caused_by(CredentialUnavailableError(message="no response"), ServiceRequestError("no route")),
        ClientAuthenticationError(message="Token request error: (invalid_scope) 503, The service is starting"),
        ClientAuthenticationError(message="Attempted credentials: x: Failed to establish a new connection: 111"),
    ],
)
def test_a_transient_failure_of_the_identity_endpoint_is_transient(error: Exception) -> None:
    assert isinstance(credential_error(error), TransientError)
