from __future__ import annotations

import base64
import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from local_host.functions import HostError
from local_host.queues import MessageTooLargeError, connect, encode, messages_of
from tests.integration.local_host.stage import HOST_JSON, Relay, calling, eventually
from tests.support.sample_app import sample_functions

if TYPE_CHECKING:
    import threading

    from tests.integration.local_host.stage import Storage


def encoded(body: Any) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def decoded(texts: list[str]) -> list[Any]:
    return [json.loads(base64.b64decode(text)) for text in texts]


def with_queue_settings(**settings: Any) -> dict[str, Any]:
    return {"extensions": {"queues": {**HOST_JSON["extensions"]["queues"], **settings}}}


def test_a_message_runs_its_function_and_the_answer_is_sent(storage: Storage) -> None:
    with calling(queues=True):
        eventually(lambda: storage.exists(storage.requests))
        sent = storage.queue(storage.requests).send_message(encoded({"a": 1}))
        answers = eventually(lambda: decoded(storage.take(storage.answers)))
        eventually(lambda: not storage.queue(storage.requests).get_queue_properties().approximate_message_count)

    assert answers == [{"got": {"a": 1}, "id": sent.id, "dequeueCount": 1, "popReceipt": True, "aware": True}]


def test_messages_that_wait_already_are_all_taken(storage: Storage) -> None:
    queue = storage.queue(storage.requests)
    queue.create_queue()
    for number in range(40):
        queue.send_message(encoded({"n": number}))

    answers = list[Any]()
    with calling(queues=True, host_json=with_queue_settings(batchSize=4, newBatchThreshold=0)):
        eventually(lambda: answers.extend(decoded(storage.take(storage.answers))) or len(answers) == 40)

    assert sorted(answer["got"]["n"] for answer in answers) == list(range(40))


def test_a_list_becomes_one_message_for_each_element(storage: Storage) -> None:
    storage.queue(storage.requests).create_queue()
    storage.queue(storage.requests).send_message(encoded({"many": ['{"n": 1}', "[2]"]}))

    answers = list[Any]()
    with calling(queues=True):
        eventually(lambda: answers.extend(decoded(storage.take(storage.answers))) or len(answers) == 2)

    assert sorted(answers, key=str) == [[2], {"n": 1}]


def test_an_output_that_is_not_set_sends_nothing(storage: Storage) -> None:
    queue = storage.queue(storage.requests)
    queue.create_queue()
    queue.send_message(encoded({"silent": True}))

    with calling(queues=True):
        eventually(lambda: not queue.get_queue_properties().approximate_message_count)

    assert not storage.exists(storage.answers)


def test_a_function_that_fails_sees_the_message_again_until_it_is_poison(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    queue, poison = storage.queue(storage.requests), f"{storage.requests}-poison"
    queue.create_queue()
    queue.send_message(encoded({"fail": "no luck"}))

    with calling(queues=True):
        buried = eventually(lambda: storage.take(poison))
        eventually(lambda: not queue.get_queue_properties().approximate_message_count)

    first, second = (each.created for each in caplog.records if "failed on message" in each.getMessage())
    assert second - first > 0.9  # host.json's visibilityTimeout is 1 s, kept in whole seconds by the service
    assert decoded(buried) == [{"fail": "no luck"}]


def test_a_message_that_was_tried_too_often_elsewhere_is_poison_at_once(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    queue = storage.queue(storage.requests)
    queue.create_queue()
    queue.send_message(encoded({"a": 1}))
    for _ in range(2):
        eventually(lambda: list(queue.receive_messages(visibility_timeout=1)))

    with calling(queues=True):
        buried = eventually(lambda: storage.take(f"{storage.requests}-poison"))

    assert decoded(buried) == [{"a": 1}]
    assert "failed on message" not in caplog.text


def test_a_message_that_is_not_base64_is_poison_as_it_stands(storage: Storage) -> None:
    storage.queue(storage.requests).create_queue()
    storage.queue(storage.requests).send_message('{"plain": "text"}')

    with calling(queues=True):
        buried = eventually(lambda: storage.take(f"{storage.requests}-poison"))

    assert buried == ['{"plain": "text"}']


def test_white_space_in_base64_is_ignored_as_dotnet_does(storage: Storage) -> None:
    storage.queue(storage.requests).create_queue()
    storage.queue(storage.requests).send_message("\r\n\t ".join(encoded({"a": 1})))

    with calling(queues=True):
        answers = eventually(lambda: decoded(storage.take(storage.answers)))

    assert answers[0]["got"] == {"a": 1}


def test_base64_of_what_is_not_utf_8_fails_the_function_until_it_is_poison(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    text = base64.b64encode(b'{"a": "\xe4"}').decode()
    storage.queue(storage.requests).create_queue()
    storage.queue(storage.requests).send_message(text)

    with calling(queues=True):
        assert eventually(lambda: storage.take(f"{storage.requests}-poison")) == [text]

    assert caplog.text.count("failed on message") == 2


def test_without_encoding_an_empty_message_and_what_is_not_json_arrive_and_are_poison_as_they_stand(
    storage: Storage,
) -> None:
    storage.queue(storage.requests).create_queue()
    for text in ("", "nø JSON"):
        storage.queue(storage.requests).send_message(text)
    buried = list[str]()

    with calling(queues=True, host_json=with_queue_settings(messageEncoding="none")):
        eventually(lambda: buried.extend(storage.take(f"{storage.requests}-poison")) or len(buried) == 2)

    assert {text or "" for text in buried} == {"", "nø JSON"}


def test_without_encoding_messages_are_plain_text(storage: Storage) -> None:
    storage.queue(storage.requests).create_queue()
    storage.queue(storage.requests).send_message('{"plain": "täxt"}')

    with calling(queues=True, host_json=with_queue_settings(messageEncoding="none")):
        answers = eventually(lambda: storage.take(storage.answers))

    assert json.loads(answers[0])["got"] == {"plain": "täxt"}


def test_a_return_value_is_sent_where_the_binding_says(storage: Storage) -> None:
    with calling(queues=True) as call:
        eventually(lambda: storage.exists("sample-relay"))
        storage.queue("sample-relay").send_message(base64.b64encode(b"Ada").decode())
        answer = base64.b64decode(eventually(lambda: storage.take(storage.answers))[0]).decode()
        instance = answer.removeprefix("started ")

        assert call.finished(instance)["output"] == "hello Ada"


def test_a_return_value_without_binding_is_a_failure(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    with calling(queues=True):
        eventually(lambda: storage.exists("sample-chatty"))
        storage.queue("sample-chatty").send_message(encoded("x"))
        eventually(lambda: storage.take("sample-chatty-poison"))

    assert "has no $return binding" in caplog.text


def test_an_activity_sends_to_a_queue(storage: Storage) -> None:
    with calling(queues=True) as call:
        assert call.run("publish", {"status": "Completed"}) == "published"

    sent = decoded(storage.take(storage.answers))
    assert {each["status"] for each in sent} == {"Completed"}
    assert len(sent) in {1, 2}  # two where the engine ran the turn twice


def test_storage_that_is_away_is_named_once_and_used_when_it_is_there(
    storage: Storage, azurite: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    there = azurite.rpartition(":")[2].partition("/")[0]
    monkeypatch.setenv("AzureWebJobsStorage", azurite.replace(there, str(port)))

    def warned(words: str) -> int:
        return sum(f"{storage.requests} {words}" in record.getMessage() for record in caplog.records)

    with ExitStack() as later, calling(queues=True) as call:
        eventually(lambda: warned("cannot be read"))
        assert call("GET", "/api/anything").status_code == 200
        later.enter_context(Relay(port, int(there)))
        eventually(lambda: warned("can be read again"))
        storage.queue(storage.requests).send_message(encoded({"a": 1}))
        eventually(lambda: storage.take(storage.answers))

    assert warned("cannot be read") == 1


def test_a_message_that_cannot_be_settled_is_left_and_named(
    storage: Storage, let_go: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    queue = storage.queue(storage.requests)
    queue.create_queue()
    queue.send_message(encoded({"hold": True}))

    with calling(queues=True):
        assert sample_functions.holding.wait(20)
        queue.clear_messages()
        let_go.set()
        eventually(lambda: "could not be settled" in caplog.text)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AzureWebJobsStorage", "", "AzureWebJobsStorage, which a queue binding names as its connection, is not set"),
        ("AzureWebJobsStorage", "nonsense", "AzureWebJobsStorage is not a storage connection string"),
        ("SAMPLE_REQUESTS", None, "SAMPLE_REQUESTS, which a binding names as %SAMPLE_REQUESTS%, is not set"),
    ],
)
@pytest.mark.usefixtures("storage")
def test_settings_that_cannot_serve_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, told: str
) -> None:
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)

    with pytest.raises(HostError, match=told), calling(queues=True):
        pass


def test_development_storage_is_the_emulator_at_its_usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")

    assert connect("AzureWebJobsStorage").url.rstrip("/") == "http://127.0.0.1:10001/devstoreaccount1"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("text", [b"text"]),
        (b"\x00bytes", [b"\x00bytes"]),
        ({"a": 1}, [b'{\r\n  "a": 1\r\n}']),
        (
            ' ["a", {"b": [2, "\u00e4"], "c": {}}, 7] ',
            [b"a", '{\r\n  "b": [\r\n    2,\r\n    "\u00e4"\r\n  ],\r\n  "c": {}\r\n}'.encode(), b"7"],
        ),
        (b'{"a": 1}', [b'{"a": 1}']),
        ("[not json", [b"[not json"]),
        (["a", "b"], [b"a", b"b"]),
    ],
)
def test_what_an_output_is_given_becomes_messages(given: Any, sent: list[bytes]) -> None:
    assert messages_of(given) == sent


def test_what_looks_like_json_and_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra data"):
        messages_of('{"a": 1}\n{"b": 2}')


def test_a_message_is_refused_when_its_base64_is_above_64_kib() -> None:
    assert len(encode(b"x" * 49_152, in_base64=True)) == 65_536
    with pytest.raises(MessageTooLargeError, match="65540 bytes is above 65536"):
        encode(b"x" * 49_153, in_base64=True)
    with pytest.raises(MessageTooLargeError):
        encode("\u00e4".encode() * 32_769, in_base64=False)


def test_without_encoding_bytes_become_text_as_dotnet_reads_them() -> None:
    assert encode(b"{\xff}", in_base64=False) == "{\ufffd}"
    assert encode(b"e30=", in_base64=False) == "e30="


def test_a_message_that_is_too_large_fails_its_function_even_where_queues_are_off() -> None:
    with calling() as call:
        told = call.finished(call.start("publish", {"text": ["x"] * 5000}))

    assert told["runtimeStatus"] == "Failed"
    assert "is above 65536" in told["output"]


def test_what_an_output_cannot_take_is_refused() -> None:
    with pytest.raises(TypeError, match="queue cannot take a int"):
        messages_of(42)
