"""The files of the operator's page, and what the page is told about who calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import azure.functions as func
import pytest

from domain.principal import Authenticator
from tests.support.principals import principal
from triggers import page
from triggers.page import HEADERS, MEDIA_TYPES, PageApi
from triggers.people import Authentication

if TYPE_CHECKING:
    from domain.errors import Json

BY_KEY = PageApi(version="1.2.3", authentication=Authentication(Authenticator.FUNCTION_KEY))
BY_APP_SERVICE = PageApi(version="1.2.3", authentication=Authentication(Authenticator.APP_SERVICE))
FOLDER = page._FOLDER
NAMES = sorted(path.name for path in FOLDER.iterdir())
MAX_BYTES = 150 * 1024


def request(path: str = "ui", **headers: str) -> func.HttpRequest:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    name = path.rpartition("/")[2]
    return func.HttpRequest(
        "GET", f"https://app.example/api/{path}", headers=sent, route_params={"file": name}, body=b""
    )


def file(name: str, **headers: str) -> func.HttpResponse:
    return BY_KEY.get_page_file(request(f"ui/{name}", **headers))


def test_the_page_is_index_html() -> None:
    answer = BY_KEY.get_page(request())

    assert (answer.status_code, answer.get_body()) == (200, (FOLDER / "index.html").read_bytes())
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_with_a_slash_too_many_the_relative_links_would_break_so_the_browser_is_sent_on() -> None:
    answer = BY_KEY.get_page(request("ui/"))

    assert (answer.status_code, answer.headers["Location"]) == (308, "../ui")


def test_only_files_that_a_page_is_made_of_are_in_the_folder_and_they_are_small() -> None:
    assert [name for name in NAMES if not name.endswith(tuple(MEDIA_TYPES))] == []
    assert sum((FOLDER / name).stat().st_size for name in NAMES) <= MAX_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_served_with_its_type_and_the_headers_that_protect_it(name: str) -> None:
    answer = file(name)

    assert (answer.status_code, answer.get_body()) == (200, (FOLDER / name).read_bytes())
    assert answer.headers["Content-Type"] == MEDIA_TYPES[f".{name.rpartition('.')[2]}"]
    assert {header: answer.headers[header] for header in HEADERS} == HEADERS


def test_the_headers_let_nothing_of_another_host_in_and_nobody_frame_the_page() -> None:
    assert HEADERS == {
        "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*", ' "a",W/{} '])
def test_what_the_browser_has_is_not_sent_again(known: str) -> None:
    etag = file("index.html").headers["ETag"]

    answer = file("index.html", If_None_Match=known.format(etag))

    assert (answer.status_code, answer.get_body(), answer.headers["ETag"]) == (304, b"", etag)
    assert {header: answer.headers[header] for header in HEADERS} == HEADERS


@pytest.mark.parametrize("known", ["", '"other"', 'W/"other"', "index.html"])
def test_what_the_browser_has_of_another_version_is_sent(known: str) -> None:
    assert file("index.html", If_None_Match=known).status_code == 200


def test_each_file_has_an_etag_of_its_own() -> None:
    assert len({file(name).headers["ETag"] for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    "name",
    ["", "none.js", "INDEX.HTML", "..", "../page.py", "..\\page.py", "/etc/passwd", "index.html\0", "__init__.py"],
)
def test_no_other_name_is_a_file(name: str) -> None:
    answer = BY_KEY.get_page_file(
        func.HttpRequest("GET", "https://app.example/api/ui/x", route_params={"file": name}, body=b"")
    )

    assert (answer.status_code, json.loads(answer.get_body())["error"]["code"]) == (404, "NotFound")


def session(api: PageApi, **headers: str) -> Json:
    answer = api.get_session(request("ui/session", **headers))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return json.loads(answer.get_body())


class TestTheSession:
    def test_of_a_key_has_all_rights_and_no_name_whatever_headers_say(self) -> None:
        forged = principal(("name", "mallory"), ("roles", "Restore.Read"))

        assert session(BY_KEY, X_MS_CLIENT_PRINCIPAL=forged) == {
            "authentication": "functionKey",
            "name": None,
            "may": ["read", "operate", "approve"],
            "version": "1.2.3",
        }

    def test_of_a_principal_has_its_name_and_rights(self) -> None:
        told = session(BY_APP_SERVICE, X_MS_CLIENT_PRINCIPAL=principal(("name", "ada"), ("roles", "Restore.Approve")))

        assert told == {
            "authentication": "appService",
            "name": "ada",
            "may": ["read", "approve"],
            "version": "1.2.3",
        }

    @pytest.mark.parametrize("header", ["", "nonsense", principal(("roles", "Restore.Read"))])
    def test_of_nobody_has_no_rights(self, header: str) -> None:
        told = session(BY_APP_SERVICE, X_MS_CLIENT_PRINCIPAL=header)

        assert (told["authentication"], told["name"], told["may"]) == ("appService", None, [])
