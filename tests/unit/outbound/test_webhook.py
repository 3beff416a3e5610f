"""The webhook: signed, posted once, and its URL in no message."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from domain.errors import TransientError
from outbound import webhook as outbound_webhook
from outbound.webhook import SignedWebhook
from tests.support.arm_server import HANG, ArmServer
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = {"id": "r1", "status": "Completed", "reason": "schön"}
R1 = {"restore_id": "r1", "event": "Completed"}


def test_a_known_body_has_the_known_signature() -> None:
    with Receiver() as receiver:
        SignedWebhook(receiver.url, "key").post({"id": "r1"}, **R1)

    [request] = receiver.got
    assert request.body == b'{"id": "r1"}'
    # printf '{"id": "r1"}' | openssl dgst -sha256 -hmac key
    signature = "sha256=8da6f1aefc1c9a7c853e6841b7857ee8740cdfe4fe44713c607b7f69cc7b455d"
    assert request.headers["X-Restore-Signature-256"] == signature
    assert (request.headers["X-Restore-Id"], request.headers["X-Restore-Event"]) == ("r1", "Completed")


def test_an_event_of_a_recovery_is_known_by_its_own_header() -> None:
    with Receiver() as receiver:
        SignedWebhook(receiver.url, "key").post({"event": "Failed"}, recovery_id="r1", event="Failed")

    [request] = receiver.got
    assert (request.headers["X-Recovery-Id"], request.headers["X-Restore-Event"]) == ("r1", "Failed")
    assert "X-Restore-Id" not in request.headers
    assert request.headers["X-Restore-Signature-256"].startswith("sha256=")


@pytest.mark.parametrize("status", [300, 302, 400, 401, 404, 429, 500, 503])
def test_a_status_other_than_2xx_is_transient_is_not_retried_here_and_does_not_show_the_url(status: int) -> None:
    with Receiver(answers=[status]) as receiver:
        webhook = SignedWebhook(f"{receiver.url}/?code=hidden", "key")
        with pytest.raises(TransientError) as caught:
            webhook.post(DOCUMENT, **R1)

    assert len(receiver.got) == 1
    assert str(status) in caught.value.message
    assert "hidden" not in str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as other, Receiver(answers=[307], location=other.url) as receiver:
        webhook = SignedWebhook(receiver.url, "key")
        with pytest.raises(TransientError):
            webhook.post(DOCUMENT, **R1)

    assert other.got == []


def test_a_refused_connection_is_transient_and_does_not_show_the_url() -> None:
    with Receiver() as receiver:
        url = receiver.url
    webhook = SignedWebhook(f"{url}/?code=hidden", "key")
    with pytest.raises(TransientError) as caught:
        webhook.post(DOCUMENT, **R1)

    assert "hidden" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_no_netrc_no_proxy_and_no_cookie_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Receiver() as proxy, Receiver() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        webhook = SignedWebhook(receiver.url, "key")
        webhook.post(DOCUMENT, **R1)
        webhook.post(DOCUMENT, **R1)

    assert proxy.got == []
    assert [{"Authorization", "Cookie"} & set(request.headers) for request in receiver.got] == [set(), set()]


def test_an_invalid_host_name_is_transient() -> None:
    with pytest.raises(TransientError):
        SignedWebhook(f"https://{'a' * 70}.example/?code=hidden", "key").post(DOCUMENT, **R1)


def test_a_receiver_that_does_not_answer_in_time_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_webhook, "_TIMEOUTS_S", (1.0, 0.1))
    with closing(ArmServer()) as server:
        server.answers(HANG)

        with pytest.raises(TransientError, match="could not be reached"):
            SignedWebhook(server.url, "key").post(DOCUMENT, **R1)
