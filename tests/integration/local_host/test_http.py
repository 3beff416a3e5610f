from __future__ import annotations

import pytest

from local_host import server
from tests.integration.local_host.stage import Caller, calling


def test_a_function_gets_method_url_query_headers_route_and_body(call: Caller) -> None:
    answer = call("POST", "/api/echo/J%C3%B6rg/a/b?x=1&x=2", headers={"X-Test": "yes"}, data=b"12345")

    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "method": "POST",
        "url": f"{call.host.url}/api/echo/J%C3%B6rg/a/b?x=1&x=2",
        "params": {"x": "1,2"},
        "route": {"name": "Jörg", "rest": "a/b"},
        "header": "yes",
        "length": 5,
    }


def test_the_rest_of_a_path_may_be_missing(call: Caller) -> None:
    assert call("GET", "/api/echo/you").json()["route"] == {"name": "you"}


@pytest.mark.parametrize("path", ["/api/echo/fixed", "/API/Echo/Fixed/"])
def test_a_literal_segment_wins_over_a_parameter_in_any_case(call: Caller, path: str) -> None:
    answer = call("GET", path)

    assert answer.text == "naïve echo_fixed GET"
    assert answer.headers["Content-Type"] == "text/plain; charset=latin-1"
    assert answer.headers["X-Answer"] == "42"
    assert answer.cookies["a"] == "b"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_a_route_without_name_and_methods_is_the_functions_name_and_takes_all(call: Caller, method: str) -> None:
    answer = call(method, "/api/anything", data=b"123")

    assert (answer.status_code, answer.text) == (200, f"{method} 3")


def test_a_known_route_with_another_method_names_those_it_has(call: Caller) -> None:
    answer = call("DELETE", "/api/echo/you")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET,POST")


@pytest.mark.parametrize("path", ["/", "/api", "/api/nothing", "/echo/you", "/api/echo"])
def test_an_unknown_route_is_not_found(call: Caller, path: str) -> None:
    assert call("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("path", "told"), [("/api/fails", "ValueError: GET"), ("/api/odd", "cannot take a HttpRequest")]
)
def test_a_function_that_fails_is_a_500_and_logged(
    call: Caller, caplog: pytest.LogCaptureFixture, path: str, told: str
) -> None:
    answer = call("GET", path)

    assert (answer.status_code, answer.text) == (500, "")
    assert told in caplog.text


def test_big_bodies_reach_the_function(call: Caller) -> None:
    assert call("POST", "/api/anything", data=b"x" * 5_000_000).text == "POST 5000000"


def test_bodies_over_the_hosts_limit_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_BODY_BYTES", 1000)

    with calling() as call:
        assert call("POST", "/api/anything", data=b"x" * 1001).status_code == 413


def test_the_route_prefix_is_that_of_host_json() -> None:
    with calling(host_json={"extensions": {"http": {"routePrefix": ""}}}) as call:
        assert call("GET", "/anything").text == "GET 0"
