"""The results webhook: signed, bounded, and silent about its URL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from arm import webhook
from arm.webhook import ResultWebhook
from domain.errors import TransientError
from tests.support.arm_server import ArmServer, Stream
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = {"id": "r1", "status": "Completed", "reason": "schön"}


def test_a_known_body_has_the_known_signature() -> None:
    with Receiver() as receiver:
        hook = ResultWebhook(receiver.url, "key")
        hook.post({"id": "r1"})

    [got] = receiver.got
    assert got.body == b'{"id": "r1"}'
    # printf '{"id": "r1"}' | openssl dgst -sha256 -hmac key
    wanted = "sha256=8da6f1aefc1c9a7c853e6841b7857ee8740cdfe4fe44713c607b7f69cc7b455d"
    assert got.headers["X-Restore-Signature-256"] == wanted


@pytest.mark.parametrize("status", [300, 302, 400, 401, 404, 429, 500, 503])
def test_all_but_success_is_worth_another_try_and_the_url_stays_secret(status: int) -> None:
    with Receiver(answers=[status]) as receiver:
        hook = ResultWebhook(f"{receiver.url}/?code=hidden", "key")
        with pytest.raises(TransientError) as caught:
            hook.post(DOCUMENT)

    assert str(status) in caught.value.message
    assert "hidden" not in str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as other, Receiver(answers=[307], location=other.url) as receiver:
        hook = ResultWebhook(receiver.url, "key")
        with pytest.raises(TransientError):
            hook.post(DOCUMENT)

    assert other.got == []


def test_nobody_there_is_worth_another_try_and_the_url_stays_secret() -> None:
    with Receiver() as receiver:
        url = receiver.url
    hook = ResultWebhook(f"{url}/?code=hidden", "key")
    with pytest.raises(TransientError) as caught:
        hook.post(DOCUMENT)

    assert "hidden" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_neither_a_netrc_nor_a_proxy_nor_a_cookie_has_a_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Receiver() as proxy, Receiver() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        hook = ResultWebhook(receiver.url, "key")
        hook.post(DOCUMENT)
        hook.post(DOCUMENT)

    assert proxy.got == []
    assert [{"Authorization", "Cookie"} & set(each.headers) for each in receiver.got] == [set(), set()]


def test_a_host_that_no_name_can_be_is_worth_no_more_than_a_message() -> None:
    with pytest.raises(TransientError):
        ResultWebhook(f"https://{'a' * 70}.example/?code=hidden", "key").post(DOCUMENT)


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_TIMEOUT_S", (1.0, 0.1))
    with closing(ArmServer()) as server:
        server.answers(Stream(b"HTTP/1.1 200 OK\r\nX-A: ", b"x", 0.02))

        with pytest.raises(TransientError, match="could not be reached"):
            ResultWebhook(server.url, "s3cret").post({"id": "r-1"})
