"""A key for all functions of the local host, as the Functions host demands one in Azure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.local_host.stage import Caller, calling

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def keyed() -> Iterator[Caller]:
    with calling(function_key="s3cret") as caller:
        yield caller


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({}, {}),
        ({"code": ""}, {}),
        ({"code": "S3CRET"}, {}),
        ({"key": "s3cret"}, {}),
        ({}, {"x-functions-key": "s3cret2"}),
        ({}, {"x-functions-key": "é"}),
        ({"code": "s3cret"}, {"x-functions-key": "other"}),  # the header wins
    ],
)
def test_a_function_key_is_needed_and_without_it_the_answer_is_empty(
    keyed: Caller, query: dict[str, str], headers: dict[str, str]
) -> None:
    sent = {name: value.encode() for name, value in headers.items()}
    answer = keyed("GET", "/api/echo/you", params=query, headers=sent)

    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"code": "s3cret"}, {}),
        ({}, {"X-Functions-Key": "s3cret"}),
        ({"code": "no"}, {"x-functions-key": "s3cret"}),
    ],
)
def test_a_function_key_opens_a_function(keyed: Caller, query: dict[str, str], headers: dict[str, str]) -> None:
    assert keyed("GET", "/api/echo/you", params=query, headers=headers).status_code == 201


def test_a_function_key_is_not_needed_for_an_anonymous_function(keyed: Caller) -> None:
    assert keyed("GET", "/api/open").text == "GET open"


def test_a_function_key_comes_after_route_and_method(keyed: Caller) -> None:
    assert keyed("GET", "/api/nothing").status_code == 404
    assert keyed("DELETE", "/api/echo/you").status_code == 405
