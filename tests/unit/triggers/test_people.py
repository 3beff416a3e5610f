"""Who may call a route of people, with function keys and with App Service authentication in front."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from domain.principal import Authenticator, Right
from tests.support.principals import person
from triggers.people import Authentication, PeopleRoutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

JSON = {"Content-Type": "application/json"}
NAME = "ada@example.com"


class Seen:
    """What a route's function has been called with."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.requests: list[func.HttpRequest] = []

    def show(self, req: func.HttpRequest) -> func.HttpResponse:
        self.requests.append(req)
        self.bodies.append(req.get_body())
        return func.HttpResponse("done")

    async def change(self, req: func.HttpRequest) -> func.HttpResponse:
        return self.show(req)


def route(add: Callable[[PeopleRoutes, Seen], None], by: Authenticator) -> tuple[Any, Seen]:
    """Return the one function of an app with this route, and what it has seen."""
    app, seen = df.DFApp(), Seen()
    routes = PeopleRoutes(df.Blueprint(), Authentication(by))
    add(routes, seen)
    app.register_functions(routes.blueprint)
    functions = [each for each in app.get_functions() if each.get_trigger().type == "httpTrigger"]  # type: ignore[union-attr]
    (only,) = [each for each in functions if "builtin" not in str(each.get_function_name())]
    return only, seen


def call(function: Any, headers: dict[str, str], body: bytes = b"", method: str = "POST") -> func.HttpResponse:
    request = func.HttpRequest(
        method,
        "https://app.example/api/things/1?top=5",
        headers=headers,
        params={"top": "5"},
        route_params={"id": "1"},
        body=body,
    )
    answer = function.get_user_function()(req=request)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def code(answer: func.HttpResponse) -> str:
    return json.loads(answer.get_body())["error"]["code"]


def get(headers: dict[str, str], by: Authenticator = Authenticator.APP_SERVICE) -> tuple[func.HttpResponse, Seen]:
    function, seen = route(lambda routes, seen: routes.get("things/{id}", seen.show), by)
    return call(function, headers, method="GET"), seen


def post(
    headers: dict[str, str],
    body: bytes = b"",
    *,
    right: Right = Right.OPERATE,
    by: Authenticator = Authenticator.APP_SERVICE,
) -> tuple[func.HttpResponse, Seen]:
    def add(routes: PeopleRoutes, seen: Seen) -> None:
        routes.post("things/{id}", seen.change, right, person="by")

    function, seen = route(add, by)
    return call(function, headers, body), seen


def signed_in(*roles: str, **more: str) -> dict[str, str]:
    return {"X-MS-CLIENT-PRINCIPAL": person(NAME, *roles), **JSON, **more}


class TestWhoLetsCallersIn:
    @pytest.mark.parametrize(
        ("env", "is_wanted", "by"),
        [
            ({}, False, Authenticator.FUNCTION_KEY),
            ({}, True, Authenticator.APP_SERVICE),
            ({"WEBSITE_SITE_NAME": "app", "WEBSITE_AUTH_ENABLED": "True"}, True, Authenticator.APP_SERVICE),
            ({"WEBSITE_SITE_NAME": "app", "WEBSITE_AUTH_ENABLED": "true"}, True, Authenticator.APP_SERVICE),
            ({"WEBSITE_SITE_NAME": "app", "WEBSITE_AUTH_ENABLED": "True"}, False, Authenticator.FUNCTION_KEY),
        ],
    )
    def test_is_what_the_setting_says(self, env: dict[str, str], is_wanted: bool, by: Authenticator) -> None:
        assert Authentication.of(env, is_wanted=is_wanted) == Authentication(by, None)

    @pytest.mark.parametrize("said", [None, "", "False", "false", "0", "no"])
    def test_in_azure_is_the_host_unless_the_platform_says_otherwise(
        self, said: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        env = {"WEBSITE_SITE_NAME": "app"} | ({} if said is None else {"WEBSITE_AUTH_ENABLED": said})
        authentication = Authentication.of(env, is_wanted=True)

        assert authentication.by is Authenticator.FUNCTION_KEY
        authentication.log()
        [(_, level, message)] = caplog.record_tuples
        assert level == logging.ERROR
        assert "Turn App Service authentication on" in message
        assert authentication.problem
        assert authentication.problem in message

    def test_is_not_worth_a_word_in_the_log_if_all_is_well(self, caplog: pytest.LogCaptureFixture) -> None:
        Authentication.of({}, is_wanted=True).log()

        assert caplog.records == []


class TestWithFunctionKeys:
    def test_a_forged_principal_has_no_effect(self) -> None:
        forged = {"X-MS-CLIENT-PRINCIPAL": person("mallory", "Restore.Read")}
        answer, seen = post(forged, b'{"by": "ada"}', by=Authenticator.FUNCTION_KEY)

        assert (answer.status_code, seen.bodies) == (200, [b'{"by": "ada"}'])
        assert get({}, by=Authenticator.FUNCTION_KEY)[0].status_code == 200

    @pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Sec-Fetch-Site": "cross-site"}])
    def test_a_route_is_what_it_is_without_authentication(self, headers: dict[str, str]) -> None:
        assert post(headers, by=Authenticator.FUNCTION_KEY)[0].status_code == 200

    def test_the_host_demands_a_key(self) -> None:
        for by, level in ((Authenticator.FUNCTION_KEY, "function"), (Authenticator.APP_SERVICE, "anonymous")):
            function, _ = route(lambda routes, seen: routes.get("things", seen.show), by)
            assert function.get_trigger().auth_level.value == level


class TestReading:
    @pytest.mark.parametrize(
        "headers", [{}, {"X-MS-CLIENT-PRINCIPAL": "nonsense"}, {"X-MS-CLIENT-PRINCIPAL-NAME": "ada"}]
    )
    def test_needs_a_principal(self, headers: dict[str, str]) -> None:
        answer, seen = get(headers)

        assert (answer.status_code, code(answer), seen.requests) == (401, "AuthenticationRequired", [])

    @pytest.mark.parametrize("roles", [(), ("Restore.Read",), ("Restore.Operate",), ("Restore.Approve",)])
    def test_is_part_of_each_role(self, roles: tuple[str, ...]) -> None:
        assert get({"X-MS-CLIENT-PRINCIPAL": person(NAME, *roles)})[0].status_code == 200

    def test_needs_one_of_the_apps_roles_if_there_are_any(self) -> None:
        answer, seen = get({"X-MS-CLIENT-PRINCIPAL": person(NAME, "Another.Role")})

        assert (answer.status_code, code(answer), seen.requests) == (403, "AuthorizationFailed", [])
        assert "Restore.Read" in json.loads(answer.get_body())["error"]["message"]


class TestChanging:
    @pytest.mark.parametrize(
        ("right", "roles", "status"),
        [
            (Right.OPERATE, (), 200),
            (Right.OPERATE, ("Restore.Operate",), 200),
            (Right.OPERATE, ("Restore.Approve",), 403),
            (Right.OPERATE, ("Restore.Read",), 403),
            (Right.APPROVE, (), 200),
            (Right.APPROVE, ("Restore.Operate",), 403),
            (Right.APPROVE, ("Restore.Approve",), 200),
            (Right.APPROVE, ("Restore.Read", "Another.Role"), 403),
        ],
    )
    def test_needs_the_role_for_it(self, right: Right, roles: tuple[str, ...], status: int) -> None:
        answer, seen = post(signed_in(*roles), right=right)

        assert (answer.status_code, len(seen.requests)) == (status, int(status == 200))
        if status == 403:
            assert code(answer) == "AuthorizationFailed"
            assert right.role in json.loads(answer.get_body())["error"]["message"]

    @pytest.mark.parametrize("headers", [{}, {"X-MS-CLIENT-PRINCIPAL": ""}, {"X-MS-CLIENT-PRINCIPAL-NAME": NAME}])
    def test_needs_a_principal(self, headers: dict[str, str]) -> None:
        answer, seen = post({**JSON, **headers}, b'{"by": "ada"}')

        assert (answer.status_code, seen.requests) == (401, [])

    @pytest.mark.parametrize(
        "kind",
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
         "application/jsonx", "text/plain; application/json", "application/problem+json"],
    )  # fmt: skip
    @pytest.mark.parametrize("body", [b"", b"{}"])
    def test_needs_a_media_type_that_no_form_can_send(self, kind: str, body: bytes) -> None:
        answer, seen = post({**signed_in(), "Content-Type": kind}, body)

        assert (answer.status_code, code(answer), seen.requests) == (415, "UnsupportedMediaType", [])

    @pytest.mark.parametrize("kind", ["application/json", "Application/JSON ; charset=utf-8"])
    def test_takes_json_as_it_is_written(self, kind: str) -> None:
        assert post({**signed_in(), "Content-Type": kind})[0].status_code == 200

    @pytest.mark.parametrize("site", ["cross-site", " Cross-Site"])
    def test_from_a_page_of_another_site_is_refused(self, site: str) -> None:
        answer, seen = post({**signed_in(), "Sec-Fetch-Site": site})

        assert (answer.status_code, code(answer), seen.requests) == (403, "AuthorizationFailed", [])

    @pytest.mark.parametrize("site", ["same-origin", "none", ""])
    def test_from_its_own_page_is_taken(self, site: str) -> None:
        assert post({**signed_in(), "Sec-Fetch-Site": site})[0].status_code == 200


class TestThePerson:
    @pytest.mark.parametrize(
        "sent", [{}, None, {"by": None}, {"by": ""}, {"by": " \u200b"}, {"by": "ADA@example.com "}, {"by": NAME}]
    )
    def test_is_the_principal(self, sent: Json | None) -> None:
        answer, seen = post(signed_in(), b"" if sent is None else json.dumps(sent).encode())

        assert (answer.status_code, [json.loads(body) for body in seen.bodies]) == (200, [{"by": NAME}])

    @pytest.mark.parametrize("other", ["bob", "ada", 5, ["ada@example.com"], {}, False, "ada@example.com,bob"])
    def test_cannot_be_another(self, other: Any) -> None:
        answer, seen = post(signed_in(), json.dumps({"by": other, "comment": "go"}).encode())

        assert (answer.status_code, code(answer), seen.requests) == (400, "InvalidRequest", [])
        [detail] = json.loads(answer.get_body())["error"]["details"]
        assert detail["target"] == "by"
        assert NAME in detail["message"]

    @pytest.mark.parametrize(
        "body", [b'{"by": "ada@example.com", "by": "bob"}', b"{", b"\xff", b"x" * (1024 * 1024 + 1)]
    )
    def test_is_not_looked_for_in_what_is_no_json(self, body: bytes) -> None:
        answer, seen = post(signed_in(), body)

        assert (answer.status_code, seen.requests) == (413 if len(body) > 100 else 400, [])

    @pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b'[{"by": "bob"}]'])
    def test_is_not_put_where_the_route_finds_no_object(self, body: bytes) -> None:
        _, seen = post(signed_in(), body)

        assert seen.bodies == [body]

    def test_leaves_the_rest_of_the_request_as_it_is(self) -> None:
        sent = {"comment": "\u00fc \U0001f600", "number": 5.0, "deep": [{"a": None}]}
        _, seen = post(signed_in(**{"X-Test": "yes"}), json.dumps(sent).encode())

        [request] = seen.requests
        assert json.loads(request.get_body()) == {**sent, "by": NAME}
        assert (request.method, request.url) == ("POST", "https://app.example/api/things/1?top=5")
        assert (dict(request.params), dict(request.route_params)) == ({"top": "5"}, {"id": "1"})
        assert request.headers["x-test"] == "yes"

    def test_makes_no_body_too_long(self) -> None:
        sent = json.dumps({"comment": "\u00fc" * 500_000}, ensure_ascii=False).encode()
        _, seen = post(signed_in(), sent)

        assert len(seen.bodies[0]) <= len(sent) + len(NAME) + 10

    def test_leaves_half_a_surrogate_pair_to_the_route(self) -> None:
        _, seen = post(signed_in(), b'{"comment": "\\ud800"}')

        assert seen.bodies
