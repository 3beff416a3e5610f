"""The errors of the blob service."""

from __future__ import annotations

from simulator.tenant import TENANT_ID

_CHALLENGE = (
    f"Bearer authorization_uri=https://login.microsoftonline.com/{TENANT_ID}/oauth2/authorize "
    "resource_id=https://storage.azure.com"
)
_SEE_HEADER = (
    "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."
)


class StorageError(Exception):
    """An answer of the blob service in its own form; ``detail`` is the reason of a failed authentication."""

    def __init__(self, status: int, code: str, message: str, detail: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's headers say of the error."""
        challenge = {"WWW-Authenticate": _CHALLENGE} if self.status == 401 else {}  # noqa: PLR2004 - Unauthorized
        return {"x-ms-error-code": self.code, **challenge}


def server_busy() -> StorageError:
    """503 for a partition that has too much to do."""
    return StorageError(503, "ServerBusy", "The server is busy.")


def no_authentication() -> StorageError:
    """401 for a call with neither token, nor key, nor signature."""
    return StorageError(401, "NoAuthenticationInformation", _SEE_HEADER)


def wrong_token(detail: str) -> StorageError:
    """401 for a token that is unknown, expired, or for another audience."""
    return StorageError(401, "InvalidAuthenticationInfo", _SEE_HEADER, detail)


def authentication_failed(detail: str) -> StorageError:
    """403 for what cannot authenticate a call: a wrong signature, or a token in a version that knows none."""
    return StorageError(
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
        "including the signature.",
        detail,
    )


def keys_not_permitted() -> StorageError:
    """403 for a key, or what is signed with one, at an account that takes none."""
    return StorageError(
        403,
        "KeyBasedAuthenticationNotPermitted",
        "Key based authentication is not permitted on this storage account.",
    )


def network_not_allowed() -> StorageError:
    """403 for a caller that the account's firewall keeps out."""
    return StorageError(403, "AuthorizationFailure", "This request is not authorized to perform this operation.")


def no_permission() -> StorageError:
    """403 for a caller without a role for the data."""
    return StorageError(
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
    )


def container_not_found() -> StorageError:
    """404 for a container that is not there."""
    return StorageError(404, "ContainerNotFound", "The specified container does not exist.")


def blob_not_found() -> StorageError:
    """404 for a blob that is not there."""
    return StorageError(404, "BlobNotFound", "The specified blob does not exist.")


def wrong_blob_type() -> StorageError:
    """409 for a call that another type of blob knows."""
    return StorageError(409, "InvalidBlobType", "The blob type is invalid for this operation.")


def invalid_range() -> StorageError:
    """416 for a range behind the end of a blob."""
    return StorageError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")


def invalid_header() -> StorageError:
    """400 for a header whose value cannot be."""
    return StorageError(
        400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format."
    )


def invalid_parameter() -> StorageError:
    """400 for a query parameter whose value cannot be, or that is not known here."""
    return StorageError(
        400,
        "InvalidQueryParameterValue",
        "Value for one of the query parameters specified in the request URI is invalid.",
    )


def unsupported_verb() -> StorageError:
    """405 for a call that changes something: the simulator only reads."""
    return StorageError(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")


def no_content() -> StorageError:
    """501 for the content of a disk, which the simulator does not keep."""
    return StorageError(501, "NotImplemented", "The simulator keeps no content of disks.")
