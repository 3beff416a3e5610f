"""A blob is read with a token for storage, from the account of the restore and from no other host."""

from __future__ import annotations

import gzip
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, override

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from arm.blobs import MAX_BLOB_BYTES, BlobReader
from arm.connections import Timeouts
from domain.errors import RestoreError, TerminalError, TransientError
from tests.support.arm_server import DROP, ArmServer, FakeIdentity, Raw, Say, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
ACCOUNT = "stagingweu"
NAME = "azuredeploy064ee552-fb05-4d1c-a2c3-80051f40b533.json"
CONTAINER = "web01-6449bf5b196841f69f31a91cad72e551"
URI = f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}/{NAME}"
MIB = 1024 * 1024


def a_reader(endpoint: str, identity: FakeIdentity, **options: Any) -> BlobReader:
    return BlobReader(endpoint, identity, clock=lambda: NOW, **options)


@pytest.fixture
def reader(server: ArmServer, identity: FakeIdentity) -> Iterator[BlobReader]:
    with closing(a_reader(server.url, identity)) as reader:
        yield reader


class Wire(BaseAdapter):
    """Takes what would be sent over https, and answers with an empty blob."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []

    @override
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent.append(request)
        raise requests.ConnectionError("nothing is connected")

    @override
    def close(self) -> None:
        pass


def sent_in_cloud(uri: str, arm: str = "https://management.azure.com", account: str = ACCOUNT) -> str:
    """Return to where a reader of this cloud sends its call, and check that it is sent no other one."""
    wire, identity = Wire(), FakeIdentity()
    with closing(a_reader(arm, identity)) as reader:
        reader._http.mount("https://", wire)
        reader._http.mount("http://", wire)
        with pytest.raises(TransientError, match="ConnectionError"):
            reader.read(account, uri)
    (request,) = wire.sent
    assert identity.made[0].scopes == ["https://storage.azure.com/.default"]
    return str(request.url)


class TestTheCall:
    def test_has_a_token_for_storage_and_its_version(
        self, server: ArmServer, reader: BlobReader, identity: FakeIdentity
    ) -> None:
        server.answers(Say(206, b"{}"))

        assert reader.read(ACCOUNT, URI) == b"{}"

        (request,) = server.requests
        assert (request.method, request.target) == ("GET", f"/{ACCOUNT}/{CONTAINER}/{NAME}")
        assert identity.made[0].scopes == ["https://storage.azure.com/.default"]
        assert request.headers["Authorization"] == "Bearer token-1"
        assert request.headers["x-ms-version"] == "2021-08-06"
        assert request.headers["x-ms-client-request-id"]

    def test_after_a_401_the_token_is_renewed_once(self, server: ArmServer, reader: BlobReader) -> None:
        server.answers(Say(401), Say(206, b"{}"))

        reader.read(ACCOUNT, URI)

        assert [call.headers["Authorization"] for call in server.requests] == ["Bearer token-1", "Bearer token-2"]

    def test_a_second_401_is_an_authorization_failure(self, server: ArmServer, reader: BlobReader) -> None:
        server.answers(Say(401), Say(401))

        with pytest.raises(TerminalError, match="AuthorizationFailed"):
            reader.read(ACCOUNT, URI)

        assert len(server.requests) == 2

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, server: ArmServer, reader: BlobReader, status: int) -> None:
        server.answers(Say(status, headers={"Location": f"{server.url}/elsewhere"}))

        with pytest.raises(TerminalError, match="RestoreRefused"):
            reader.read(ACCOUNT, URI)

        assert len(server.requests) == 1

    def test_without_a_token_nothing_is_sent(self, server: ArmServer) -> None:
        def no_identity() -> Any:
            raise ValueError("no identity")

        with closing(BlobReader(server.url, no_identity, clock=lambda: NOW)) as reader, pytest.raises(RestoreError):
            reader.read(ACCOUNT, URI)

        assert server.requests == []

    def test_the_credential_is_closed(self, server: ArmServer, reader: BlobReader, identity: FakeIdentity) -> None:
        server.answers(Say(206, b"{}"))
        reader.read(ACCOUNT, URI)

        reader.close()

        assert identity.made[0].closed


class TestTheHost:
    @pytest.mark.parametrize(
        ("arm", "suffix"),
        [
            ("https://management.azure.com", "core.windows.net"),
            ("https://westeurope.management.azure.com", "core.windows.net"),
            ("https://management.usgovcloudapi.net/", "core.usgovcloudapi.net"),
            ("https://management.chinacloudapi.cn", "core.chinacloudapi.cn"),
        ],
    )
    def test_is_that_of_the_account_in_the_cloud(self, arm: str, suffix: str) -> None:
        uri = f"https://{ACCOUNT}.blob.{suffix}/{CONTAINER}/{NAME}"

        assert sent_in_cloud(uri, arm) == uri

    def test_a_signature_in_the_address_is_not_sent(self) -> None:
        assert sent_in_cloud(f"{URI}?sv=2019-07-07&sig=x#y") == URI

    def test_case_and_the_usual_port_make_no_difference(self) -> None:
        given_uri = f"https://StagingWEU.blob.core.windows.net:443/{CONTAINER}/{NAME}"

        assert sent_in_cloud(given_uri, account="StagingWEU") == URI

    def test_names_are_encoded_again(self) -> None:
        base = f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}"

        assert sent_in_cloud(f"{base}/a%20b/c%3Fd%23.json") == f"{base}/a%20b/c%3Fd%23.json"

    @pytest.mark.parametrize(
        "uri",
        [
            f"https://other.blob.core.windows.net/{CONTAINER}/{NAME}",
            f"https://{ACCOUNT}.blob.core.windows.net.example.com/{CONTAINER}/{NAME}",
            f"https://{ACCOUNT}.blob.core.usgovcloudapi.net/{CONTAINER}/{NAME}",
            f"https://{ACCOUNT}.file.core.windows.net/{CONTAINER}/{NAME}",
            f"https://{ACCOUNT}.blob.core.windows.net@example.com/{CONTAINER}/{NAME}",
            f"https://user@{ACCOUNT}.blob.core.windows.net/{CONTAINER}/{NAME}",
            f"https://example.com/{ACCOUNT}.blob.core.windows.net/{NAME}",
            f"https://example.com\\@{ACCOUNT}.blob.core.windows.net/{CONTAINER}/{NAME}",
            f"https://{ACCOUNT}.blob.core.windows.net:8443/{CONTAINER}/{NAME}",
            f"http://{ACCOUNT}.blob.core.windows.net/{CONTAINER}/{NAME}",
            f"//{ACCOUNT}.blob.core.windows.net/{CONTAINER}/{NAME}",
            f"/{CONTAINER}/{NAME}",
            "https://[::1/x",
            "https://127.0.0.1:10000/stagingweu/x/y",
            "",
        ],
    )
    def test_of_another_address_is_refused(self, server: ArmServer, uri: str) -> None:
        identity = FakeIdentity()
        for endpoint in (server.url, "https://management.azure.com"):
            with (
                closing(a_reader(endpoint, identity)) as reader,
                pytest.raises(TerminalError, match=f"not in storage account {ACCOUNT}") as caught,
            ):
                reader.read(ACCOUNT, uri)
            assert caught.value.code == "RestoreRefused"
        assert server.requests == []
        assert identity.made == []

    @pytest.mark.parametrize(
        "path", ["", "/", "/c", f"/{CONTAINER}/", "/Up/x", "/../x", f"/{CONTAINER}/a/%2e%2e/b", "/a//b"]
    )
    def test_without_container_and_name_is_refused(self, server: ArmServer, reader: BlobReader, path: str) -> None:
        with pytest.raises(TerminalError, match="no usable container or name"):
            reader.read(ACCOUNT, f"https://{ACCOUNT}.blob.core.windows.net{path}")

        assert server.requests == []

    @pytest.mark.parametrize("account", ["", "a", "x" * 25, "example.com/", "a@b"])
    def test_of_a_name_that_is_no_account_is_refused(self, reader: BlobReader, account: str) -> None:
        with pytest.raises(TerminalError, match="is not in storage account"):
            reader.read(account, f"https://{account}.blob.core.windows.net/{CONTAINER}/{NAME}")

    def test_of_an_unknown_cloud_is_refused(self, identity: FakeIdentity) -> None:
        with (
            closing(a_reader("https://management.example.com", identity)) as reader,
            pytest.raises(TerminalError, match="does not know the addresses of storage"),
        ):
            reader.read(ACCOUNT, URI)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.text(st.sampled_from("htps:/.@\\?#%[]stagingweublobcorewindowsnet-01"), max_size=80))
    @example(f"https://{ACCOUNT}.blob.core.windows.net%2Fx@example.com/a/b")
    def test_whatever_the_address_only_the_account_gets_a_token(self, text: str) -> None:
        wire = Wire()
        with closing(a_reader("https://management.azure.com", FakeIdentity())) as reader:
            for scheme in ("https://", "http://"):
                reader._http.mount(scheme, wire)
            for uri in (text, f"https://{text}", f"https://{ACCOUNT}.blob.core.windows.net{text}"):
                with pytest.raises(RestoreError):
                    reader.read(ACCOUNT, uri)

        assert all(str(call.url).startswith(f"https://{ACCOUNT}.blob.core.windows.net/") for call in wire.sent)


class TestTheSize:
    def test_of_a_mebibyte_is_read(self, server: ArmServer, reader: BlobReader) -> None:
        server.answers(Say(206, b"x" * MIB))

        assert len(reader.read(ACCOUNT, URI)) == MIB
        assert server.requests[0].headers["x-ms-range"] == f"bytes=0-{MAX_BLOB_BYTES}"

    def test_of_one_byte_more_is_refused(self, server: ArmServer, reader: BlobReader) -> None:
        server.answers(Say(206, b"x" * (MIB + 1)))

        with pytest.raises(TerminalError, match="larger than 1 MiB"):
            reader.read(ACCOUNT, URI)

    def test_without_an_end_is_not_read_on(self, server: ArmServer, reader: BlobReader) -> None:
        endless = Stream(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65536)
        server.answers(endless)

        with pytest.raises(TerminalError, match="larger than 1 MiB"):
            reader.read(ACCOUNT, URI)

        assert endless.sent < 64 * MIB  # what the sockets took in before the client hung up

    def test_of_what_a_blob_decompresses_to_counts(self, server: ArmServer, reader: BlobReader) -> None:
        server.answers(Say(206, gzip.compress(b"x" * (MIB + 1)), {"Content-Encoding": "gzip"}))

        with pytest.raises(TerminalError, match="larger than 1 MiB"):
            reader.read(ACCOUNT, URI)


def an_error(code: str, message: str = "Said.") -> bytes:
    return f"\ufeff<Error><Code>{code}</Code><Message>{message}\nRequestId:1</Message></Error>".encode()


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "code", "error_code", "words"),
        [
            (403, "AuthorizationPermissionMismatch", "AuthorizationFailed", ["Storage Blob Data Reader", ACCOUNT]),
            (403, "AuthorizationFailure", "AuthorizationFailed", ["firewall", ACCOUNT]),
            (404, "BlobNotFound", "NotFound", ["does not have this blob", ACCOUNT]),
            (404, "ContainerNotFound", "NotFound", ["does not have this blob"]),
            (400, "InvalidHeaderValue", "RestoreRefused", ["refused the request"]),
            (409, "PublicAccessNotPermitted", "RestoreRefused", ["refused the request"]),
        ],
    )
    def test_say_what_is_missing_where(
        self, server: ArmServer, reader: BlobReader, status: int, code: str, error_code: str, words: list[str]
    ) -> None:
        headers = {"x-ms-error-code": code, "x-ms-request-id": "r-1"}
        server.answers(Say(status, an_error(code, "Not now."), headers))

        with pytest.raises(TerminalError) as caught:
            reader.read(ACCOUNT, URI)

        error = caught.value
        assert error.code == error_code
        assert all(word in error.message for word in [*words, f"HTTP {status} {code}"])
        (detail,) = error.details
        assert (detail.code, detail.message) == (code, "Not now.")
        assert detail.info is not None
        assert (detail.info["httpStatus"], detail.info["requestId"]) == (status, "r-1")

    @pytest.mark.parametrize("status", [408, 429, 500, 503])
    def test_that_pass_are_transient(self, server: ArmServer, reader: BlobReader, status: int) -> None:
        server.answers(Say(status, b"", {"Retry-After": "7"}))

        with pytest.raises(TransientError, match="ServiceUnavailable") as caught:
            reader.read(ACCOUNT, URI)

        assert caught.value.retry_after_s == 7
        assert caught.value.details[0].code == f"Http{status}"

    @pytest.mark.parametrize("answer", [DROP, Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")])
    def test_of_the_network_are_transient(self, server: ArmServer, reader: BlobReader, answer: Raw) -> None:
        server.answers(answer)

        with pytest.raises(TransientError, match="ServiceUnavailable"):
            reader.read(ACCOUNT, URI)

    def test_of_a_silent_server(self, server: ArmServer, identity: FakeIdentity) -> None:
        server.answers(Stream(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x", every_s=0.02))
        swift = Timeouts(connect_s=2.0, read_s=0.1)

        with closing(a_reader(server.url, identity, timeouts=swift)) as reader, pytest.raises(TransientError):
            reader.read(ACCOUNT, URI)

    def test_have_no_secret_in_them(self, server: ArmServer, reader: BlobReader) -> None:
        server.answers(Say(403, an_error("AuthenticationFailed", "for https://x/y?sv=1&sig=SECRET")))

        with pytest.raises(TerminalError) as caught:
            reader.read(ACCOUNT, f"{URI}?sig=SECRET")

        assert "SECRET" not in str(caught.value.to_json())
