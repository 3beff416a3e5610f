from __future__ import annotations

from urllib.parse import unquote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from arm.addresses import has_origin, is_results_url, is_usable, operation_id_of, path_of, resource_path, with_query
from domain.errors import InvalidRequestError

ENDPOINT = "https://management.azure.com"
NAME = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in {".", ".."}
)
URL_PIECE = st.sampled_from(
    [
        "https",
        "http",
        "://",
        "//",
        "management.azure.com",
        "evil.example",
        "@",
        "\\",
        ":",
        "443",
        "/",
        "?",
        "#",
        "x",
        " ",
        "[",
        "]",
        ".",
        "%40",
    ]
)


@given(st.lists(NAME, min_size=1, max_size=8))
def test_every_name_is_one_segment_of_the_url_that_is_sent(names: list[str]) -> None:
    path = with_query(resource_path("/".join(names)), "2025-08-01")

    sent = requests.Request("GET", ENDPOINT + path).prepare()

    assert sent.url is not None
    target, _, query = sent.url.removeprefix(ENDPOINT + "/").partition("?")
    assert [unquote(segment) for segment in target.split("/")] == names
    assert query == "api-version=2025-08-01"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_an_empty_name_and_dots_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be part of a resource id"):
        resource_path("/subscriptions/s", "backupJobs", name, "cancel")


def test_semicolons_of_native_names_are_encoded() -> None:
    assert resource_path("/a", "VM;iaasvmcontainerv2;rg;vm") == "/a/VM%3Biaasvmcontainerv2%3Brg%3Bvm"


def test_a_filter_is_encoded() -> None:
    assert (
        with_query("/a", "1", "operation eq 'Restore'") == "/a?api-version=1&%24filter=operation%20eq%20%27Restore%27"
    )


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("https://management.azure.com/x?y#z", True),
        ("HTTPS://Management.Azure.COM:443/x", True),
        ("https://management.azure.com", True),
        ("http://management.azure.com/x", False),
        ("http://management.azure.com:443/x", False),
        ("https://management.azure.com:8443/x", False),
        ("https://management.azure.com.evil.example/x", False),
        ("https://management.azure.com@evil.example/x", False),
        ("https://evil.example\\@management.azure.com/x", False),
        ("https://user@management.azure.com/x", False),
        ("//management.azure.com/x", False),
        ("/subscriptions/x", False),
        ("https://[management.azure.com/x", False),
        ("https://management.azure.com:99999/x", False),
        ("", False),
    ],
)
def test_a_url_must_have_the_endpoints_scheme_host_and_port(url: str, is_ours: bool) -> None:
    assert has_origin(url, ENDPOINT) is is_ours


def test_the_port_of_the_endpoint_is_compared() -> None:
    assert has_origin("http://127.0.0.1:8080/x", "http://127.0.0.1:8080")
    assert not has_origin("http://127.0.0.1/x", "http://127.0.0.1:8080")


@given(st.lists(URL_PIECE, max_size=9).map("".join))
def test_the_http_client_finds_the_same_host_in_a_url(url: str) -> None:
    if has_origin(url, ENDPOINT):
        sent = requests.Request("GET", url).prepare().url

        assert sent is not None
        assert parse_url(sent).host == "management.azure.com"
        assert parse_url(sent).scheme == "https"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert "?" not in path_of(text)
    assert operation_id_of(text) not in {"", ".", ".."}
    assert is_results_url(text) in {True, False}
    assert is_usable(text, ENDPOINT) in {True, False}


@pytest.mark.parametrize(
    ("url", "operation_id"),
    [
        ("https://management.azure.com/a/operationsStatus/ca08?api-version=1&t=/x", "ca08"),
        ("https://evil.example/a/operationsStatus/ca08", "ca08"),
        ("https://management.azure.com/a/backupCrrOperationsStatus/NjQ3Mz%3D", "NjQ3Mz="),
        ("https://management.azure.com/a/operationsStatus/", None),
        ("https://management.azure.com", None),
        ("https://management.azure.com/a/%2E%2E", None),
    ],
)
def test_the_operation_id_is_the_last_segment(url: str, operation_id: str | None) -> None:
    assert operation_id_of(url) == operation_id


@pytest.mark.parametrize("kind", ["operationResults", "backupOperationResults", "backupValidateOperationResults"])
def test_results_urls_differ_from_status_urls(kind: str) -> None:
    assert is_results_url(f"{ENDPOINT}/vaults/v/{kind}/ca08?api-version=1")
    assert not is_results_url(f"{ENDPOINT}/vaults/v/operationsStatus/ca08")


def test_a_url_with_a_doubled_subscription_is_unusable() -> None:
    assert not is_usable(f"{ENDPOINT}/subscriptions//Subscriptions/s/x/operationResults/ca08", ENDPOINT)
    assert is_usable(f"{ENDPOINT}/subscriptions/s/x/operationResults/ca08", ENDPOINT)
