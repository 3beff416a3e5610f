"""Who calls, as App Service authentication (Entra) tells the app, and what this caller may do."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from domain import errors
from domain.errors import TerminalError
from domain.people import is_named
from domain.reading import strict_json
from domain.texts import without_hidden_characters
from domain.wire import as_list, as_object, as_text

MAX_HEADER: Final = 64 * 1024
"""The longest header that is read. The platform's front end takes shorter ones only."""
MAX_NAME: Final = 256
_ENTRA: Final = "aad"
_CLAIMS: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_ROLE_TYPES: Final = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
# The types of claims that name the caller, the best first. The last ones are all that an application has.
_NAME_TYPES: Final = (
    "preferred_username",
    "upn",
    f"{_CLAIMS}/upn",
    "email",
    f"{_CLAIMS}/emailaddress",
    "name",
    f"{_CLAIMS}/name",
    "oid",
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "azp",
    "appid",
)


class Right(StrEnum):
    """What a caller may do. ``role`` is the app role of Entra that gives it."""

    READ = "read"
    OPERATE = "operate"
    APPROVE = "approve"

    @property
    def role(self) -> str:
        """The value of the app role, such as ``Restore.Read``."""
        return f"Restore.{self.capitalize()}"


ALL_RIGHTS: Final = tuple(Right)


class Authenticator(StrEnum):
    """Who lets callers in: the host, by its function keys, or App Service authentication (Entra)."""

    FUNCTION_KEY = "functionKey"
    APP_SERVICE = "appService"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller that Entra has authenticated: the name under which it acts, and its rights in the order of ``Right``."""

    name: str
    rights: tuple[Right, ...]

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Self:
        """Read the headers of App Service authentication, by their names in lower case.

        ``X-MS-CLIENT-PRINCIPAL`` is base64 of the JSON ``{"auth_typ", "claims": [{"typ", "val"}], "name_typ",
        "role_typ"}`` (learn.microsoft.com, "Work with user identities in Azure App Service authentication"). A part of
        it that cannot be read could be a role, and without roles a caller has all rights: so nothing is skipped.
        Raises ``TerminalError`` ``AuthenticationRequired`` if there is no such header, if it cannot be read, or if it
        does not come from Entra: whoever has an account elsewhere, and so no roles, is not let in.
        """
        data = _decoded(headers.get("x-ms-client-principal", ""))
        claims = [_claim(entry) for entry in as_list(data.get("claims"))]
        if data.get("auth_typ") != _ENTRA or not claims:
            raise _unreadable()
        name_types = (as_text(data.get("name_typ")) or "", *_NAME_TYPES)
        named = (value for wanted in name_types for kind, value in claims if kind == wanted)
        names = map(_clean, (*named, headers.get("x-ms-client-principal-name", "")))
        name = next(filter(is_named, names), None)
        if name is None:
            raise _unreadable()
        role_types = _ROLE_TYPES | {as_text(data.get("role_typ"))}
        return cls(name=name, rights=_rights([value for kind, value in claims if kind in role_types]))


def _rights(roles: list[str]) -> tuple[Right, ...]:
    """Return all rights for a caller without any role: whom Entra lets in is then the only limit."""
    if not roles:
        return ALL_RIGHTS
    given = {right for right in ALL_RIGHTS if right.role in roles}
    return tuple(right for right in ALL_RIGHTS if right in given or (right is Right.READ and given))


def _decoded(header: str) -> Mapping[str, Any]:
    if not header:
        raise TerminalError(
            errors.AUTHENTICATION_REQUIRED,
            "Sign in first: App Service authentication did not say who calls. In a browser, load the page again; "
            "programs send an Entra token for this app in the header Authorization.",
        )
    try:
        if len(header) > MAX_HEADER:
            raise _unreadable()
        return as_object(strict_json(base64.b64decode(header, validate=True).decode()))
    except ValueError as error:
        raise _unreadable() from error


def _claim(entry: object) -> tuple[str, str]:
    claim = as_object(entry)
    kind, value = claim.get("typ"), claim.get("val")
    if not (isinstance(kind, str) and isinstance(value, str)):
        raise _unreadable()
    return kind, value


def _clean(name: str) -> str:
    """Return a name on one line, without characters that cannot be seen, and cut to ``MAX_NAME``."""
    return " ".join(without_hidden_characters(name[: 4 * MAX_NAME]).split())[:MAX_NAME].strip()


def _unreadable() -> TerminalError:
    message = "The app cannot read who calls: X-MS-CLIENT-PRINCIPAL must be that of a caller who signed in with Entra."
    return TerminalError(errors.AUTHENTICATION_REQUIRED, message)
