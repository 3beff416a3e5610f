"""Who may call the routes that people use: callers with a function key, or callers whom Entra has authenticated.

With App Service authentication in front, the host lets everybody through to these routes, and the app itself demands
the principal that the platform adds to each request.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

import azure.functions as func

from domain import errors
from domain.errors import RestoreError, TerminalError
from domain.people import is_named, same_person
from domain.principal import Authenticator, Principal, Right
from triggers.answers import error_response, invalid, media_type_of, read_optional_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import azure.durable_functions as df

    from domain.errors import Json

_LOG = logging.getLogger(__name__)
_FORBIDDEN: Final = 403
_NOT_IN_FRONT: Final = (
    "RESTORE_TRUST_EASYAUTH is true, but the platform does not say that App Service authentication is on "
    "(WEBSITE_AUTH_ENABLED), so anybody could forge the headers of a caller. The app believes none of them and goes on "
    "to demand function keys. Turn App Service authentication on (docs/page-access.md), or set RESTORE_TRUST_EASYAUTH "
    "to false."
)


class _ForbiddenError(TerminalError):
    """The caller is known, but may not do this."""

    def __init__(self, message: str) -> None:
        super().__init__(errors.AUTHORIZATION_FAILED, message)


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who lets callers in. ``problem`` says why it is not App Service, although ``RESTORE_TRUST_EASYAUTH`` is true."""

    by: Authenticator
    problem: str | None = None

    @classmethod
    def of(cls, env: Mapping[str, str], *, is_wanted: bool) -> Self:
        """Return what the environment of the process and the setting say.

        App Service sets ``WEBSITE_SITE_NAME``, and ``WEBSITE_AUTH_ENABLED`` where its authentication is on. Outside
        Azure there is nothing that could be in front, so the setting alone decides there.
        """
        is_on = env.get("WEBSITE_AUTH_ENABLED", "").strip().casefold() in {"true", "1"}
        if is_wanted and "WEBSITE_SITE_NAME" in env and not is_on:
            return cls(Authenticator.FUNCTION_KEY, _NOT_IN_FRONT)
        return cls(Authenticator.APP_SERVICE if is_wanted else Authenticator.FUNCTION_KEY)

    @property
    def is_app_service(self) -> bool:
        """Whether each request of a person has a principal that can be believed."""
        return self.by is Authenticator.APP_SERVICE

    def log(self) -> None:
        """Log what is wrong, if anything is."""
        if self.problem is not None:
            _LOG.error("APP SERVICE AUTHENTICATION IS NOT TRUSTED. %s", self.problem)


@dataclass(frozen=True, slots=True)
class PeopleRoutes:
    """Adds routes to a blueprint, each with the right that its caller needs.

    With function keys a route is what it is without this class. With App Service authentication it is open for the
    host, and answers 401 without a principal, and 403 where the principal lacks the right.
    """

    blueprint: df.Blueprint
    authentication: Authentication

    def get(self, route: str, function: Callable[..., Any]) -> None:
        """Add a route that shows something."""
        self._add("GET", route, function, lambda req: _admit(req, Right.READ))

    def post(self, route: str, function: Callable[..., Any], right: Right, *, person: str) -> None:
        """Add a route that changes something.

        ``person`` is the member of the body that says who calls. With App Service authentication this is the
        principal's name: a body that names another person is refused with 400. As browsers add their cookies to what
        other sites send, the request must also be one that a form of another site cannot send.
        """
        self._add("POST", route, function, lambda req: _with_person(req, _admit_change(req, right), person))

    def _add(
        self,
        method: str,
        route: str,
        function: Callable[..., Any],
        admit: Callable[[func.HttpRequest], func.HttpRequest],
    ) -> None:
        level = func.AuthLevel.FUNCTION
        if self.authentication.is_app_service:
            # The level and the check belong together: a route without the check keeps the app's level, FUNCTION.
            level, function = func.AuthLevel.ANONYMOUS, _checked(function, admit)
        if "client" in inspect.signature(function).parameters:
            function = cast("Callable[..., Any]", self.blueprint.durable_client_input(client_name="client")(function))
        self.blueprint.route(route=route, methods=[method], auth_level=level)(function)


def _checked(function: Callable[..., Any], admit: Callable[[func.HttpRequest], func.HttpRequest]) -> Callable[..., Any]:
    """Return the function of a route with a check of the caller before it; ``admit`` raises ``RestoreError``."""

    def refused(error: RestoreError) -> func.HttpResponse:
        return error_response(error, _FORBIDDEN if isinstance(error, _ForbiddenError) else None)

    # The worker runs coroutines on its event loop and everything else in a thread: a function stays what it is.
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def answer_later(req: func.HttpRequest, *others: Any, **named: Any) -> func.HttpResponse:
            try:
                admitted = admit(req)
            except RestoreError as error:
                return refused(error)
            return await function(admitted, *others, **named)

        return answer_later

    @functools.wraps(function)
    def answer(req: func.HttpRequest, *others: Any, **named: Any) -> func.HttpResponse:
        try:
            admitted = admit(req)
        except RestoreError as error:
            return refused(error)
        return function(admitted, *others, **named)

    return answer


def principal_of(req: func.HttpRequest) -> Principal:
    """Return who calls; raises ``TerminalError`` ``AuthenticationRequired``. Only where App Service says who calls."""
    return Principal.from_headers(cast("Mapping[str, str]", req.headers))


def _admit(req: func.HttpRequest, right: Right) -> func.HttpRequest:
    _check_right(principal_of(req), right)
    return req


def _admit_change(req: func.HttpRequest, right: Right) -> Principal:
    """Return who calls; raises the errors that answer 401, 403 and 415."""
    principal = principal_of(req)
    headers = cast("Mapping[str, str]", req.headers)
    if headers.get("Sec-Fetch-Site", "").strip().casefold() == "cross-site":
        raise _ForbiddenError("A page of another site sent this request; the app takes changes from its own page only.")
    if media_type_of(req) != "application/json":  # a form cannot send it, and a script of another site must ask first
        message = (
            "Send Content-Type: application/json, also without a body: it shows that no form of another site asks."
        )
        raise RestoreError(errors.UNSUPPORTED_MEDIA_TYPE, message)
    _check_right(principal, right)
    return principal


def _check_right(principal: Principal, right: Right) -> None:
    if right not in principal.rights:
        raise _ForbiddenError(
            f"{principal.name} lacks the app role {right.role}. Whoever manages the app's registration in Entra can "
            "assign it (docs/page-access.md); sign in again afterwards."
        )


def _with_person(req: func.HttpRequest, principal: Principal, person: str) -> func.HttpRequest:
    """Return the request with the principal's name as the member ``person`` of its body.

    Raises ``InvalidRequestError`` if the body names anybody else.
    """
    body = read_optional_json(req)
    if not isinstance(body, dict):
        return req  # the route says what is wrong with it
    members = cast("Json", body)
    given = members.get(person)
    is_absent = given is None or (isinstance(given, str) and not is_named(given))
    if not is_absent and not (isinstance(given, str) and same_person(given, principal.name)):
        raise invalid(person, f"must be left out, or be who signed in: {principal.name}")
    # Not longer than what the caller sent, but for the name: the route has a limit.
    body_with_name = json.dumps({**members, person: principal.name}, ensure_ascii=False, separators=(",", ":"))
    return func.HttpRequest(
        req.method,
        req.url,
        headers=cast("Mapping[str, str]", req.headers),
        params=cast("Mapping[str, str]", req.params),
        route_params=cast("Mapping[str, str]", req.route_params),
        body=body_with_name.encode(errors="surrogatepass"),  # half a surrogate pair is no UTF-8: the route refuses it
    )
