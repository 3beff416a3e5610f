"""Ids as people paste them from shells, spreadsheets and web pages: with white space around, or hidden characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.decide import decide_alert
from domain.alerts.rules_file import read_rules
from domain.azure.resource_ids import VIRTUAL_MACHINE, ResourceId
from domain.errors import InvalidRequestError
from domain.requests import RestoreRequest
from domain.restore.calls import entity_key
from domain.restore.document import refused_document
from domain.texts import WHITE_SPACE, hidden_character, trimmed
from tests.support.azure import VAULT_ID, VM_ID, a_request
from tests.support.hub import START
from tests.support.strategies import BASES, ENCRYPTION_SET, NAMES
from tests.unit.domain.alerts.payloads import METRIC, alert_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

AROUND = ["\r", "\n", "\r\n", "\t", " ", "\xa0", "\ufeff", "\u2003", "\u3000", "\u2028", "\x85", " \r\n\ufeff"]
INSIDE = [
    "\x00",
    "\t",
    "\r",
    "\x7f",
    "\xa0",
    "\xad",
    "\u200b",
    "\u202e",
    "\u2060",
    "\ufeff",
    "\ud800",
    "\u3164",
    "\ufe0f",
]
AT_THE_END = ["\x00", "\x1b", "\u200b", "\u202e", "\xad", "\udfff", "\u3164", "\ue000"]


def problem(body: Json) -> Any:
    with pytest.raises(InvalidRequestError) as caught:
        RestoreRequest.from_json(body)
    [found] = caught.value.details
    return found


def ids_in(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each text in a request that is an id or a native name."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from ids_in(member, (*path, name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from ids_in(entry, (*path, index))
    elif isinstance(value, str) and (str(path[-1]).lower().endswith(("id", "name")) or "/" in value):
        yield path


def changed(value: Any, path: tuple[str | int, ...], text: str) -> Any:
    """Return the request with ``text`` put behind the id at the path, and before it."""
    if not path:
        return f"{text}{value}{text}"
    if isinstance(value, list):
        return [changed(entry, path[1:], text) if index == path[0] else entry for index, entry in enumerate(value)]
    return {**value, path[0]: changed(value[path[0]], path[1:], text)}


WHOLE = {
    **BASES["AlternateLocation"],
    **NAMES,
    "vaultId": VAULT_ID,
    "recoveryPoint": {"id": "1103996678573089"},
    "encryptionDetails": {"kekVaultId": VAULT_ID},
    "securedVMDetails": {
        "dataDiskEncryptionSettings": {"perDiskEncryptionSetIds": [{"lun": 0, "diskEncryptionSetId": ENCRYPTION_SET}]}
    },
    "resourceGuardOperationRequests": ["/subscriptions/1/guard/requests/default"],
}


class TestWhiteSpaceAround:
    @pytest.mark.parametrize("text", AROUND)
    @pytest.mark.parametrize("path", list(ids_in(WHOLE)), ids=lambda path: ".".join(map(str, path)))
    def test_every_id_is_taken_without_it(self, path: tuple[str | int, ...], text: str) -> None:
        plain = RestoreRequest.from_json(WHOLE)
        padded = RestoreRequest.from_json(changed(WHOLE, path, text))

        assert padded == plain
        assert padded.fingerprint == plain.fingerprint

    @pytest.mark.parametrize("end", [*AROUND, "/ ", " /", "/\r\n", " / \t/"])
    def test_with_or_without_it_the_vm_is_the_same(self, end: str) -> None:
        request = RestoreRequest.from_json(a_request(sourceResourceId=f"{VM_ID}{end}"))

        assert request.source_resource_id == VM_ID
        assert entity_key(request.source_resource_id or "") == entity_key(VM_ID)

    @pytest.mark.parametrize("text", AROUND)
    def test_an_alert_names_the_same_vm_and_has_the_same_id(self, text: str) -> None:
        plain = alert_of(METRIC, None, VM_ID)
        padded = alert_of({**METRIC, "alertId": f"{text}{plain.alert_id}{text}"}, None, f"{text}{VM_ID}{text}")

        assert (padded.vm_ids, padded.alert_id) == (plain.vm_ids, plain.alert_id)

    @pytest.mark.parametrize("text", AROUND)
    def test_a_rule_with_it_denies_the_vm(self, text: str) -> None:
        rules = read_rules(
            {"rules": [{"name": "never", "match": {"sourceResourceIds": [f"{VM_ID}{text}"]}, "deny": True}]}
        )
        [decision] = decide_alert(alert_of(METRIC, None, VM_ID), rules, START, {})

        assert decision.decision == "Refused"

    def test_two_entries_that_differ_only_by_it_are_duplicates(self) -> None:
        assert "appears twice" in problem(a_request(resourceGuardOperationRequests=["/a/b", "/a/b\r"])).message

    @given(st.text())
    def test_nothing_but_white_space_is_removed(self, text: str) -> None:
        assert text.strip(WHITE_SPACE) == trimmed(text)
        assert trimmed(text) in text


class TestHiddenCharacters:
    @pytest.mark.parametrize("char", INSIDE)
    @pytest.mark.parametrize("field", ["sourceResourceId", "storageAccountId", "containerName", "requestId"])
    def test_one_inside_is_named_by_its_code_point(self, field: str, char: str) -> None:
        body = {**WHOLE, "requestId": "request-0123456789"}
        text = body[field]
        found = problem({**body, field: f"{text[:11]}{char}{text[11:]}"})

        assert (found.code, found.target) == ("InvalidValue", field)
        assert f"contains U+{ord(char):04X} at position 12" in found.message

    @pytest.mark.parametrize("char", AT_THE_END)
    @pytest.mark.parametrize("field", ["sourceResourceId", "storageAccountId", "protectedItemName", "requestId"])
    def test_one_at_the_end_too(self, field: str, char: str) -> None:
        body = {**WHOLE, "requestId": "r"}

        assert f"ends in U+{ord(char):04X}" in problem({**body, field: f"{body[field]}{char}"}).message

    @pytest.mark.parametrize(
        ("members", "told"),
        [
            ({"requestId": "r1\r"}, "ends in U+000D"),
            ({"requestId": "r1 "}, "ends in U+0020"),
            ({"recoveryType": " RestoreDisks"}, "contains U+0020 at position 1"),
            ({"recoveryType": "RestoreDisks\r"}, "ends in U+000D"),
            ({"recoveryPoint": {"atOrBefore": "2026-11-20T06:00:00Z\u200b"}}, "ends in U+200B"),
            ({"reason": "a\nb\x00"}, "U+0000 at position 4"),
            ({"recoveryPoint": {"id": "11039966\u200b78573089"}}, "contains U+200B at position 9"),
        ],
    )
    def test_in_other_members_as_well(self, members: Json, told: str) -> None:
        assert told in problem(a_request(**members)).message

    @pytest.mark.parametrize("name", [" web-rg", "web-rg "])
    def test_a_space_at_the_edge_of_a_name_is_named(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"U\+0020"):
            ResourceId.parse(VM_ID.replace("web-rg", name), VIRTUAL_MACHINE)

    def test_an_alert_whose_vm_id_has_one_says_so(self) -> None:
        [sentence] = alert_of(METRIC, None, f"{VM_ID}\u200b").unresolved

        assert "ends in U+200B" in sentence

    @given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
    def test_letters_digits_and_punctuation_of_any_script_are_not_hidden(self, text: str) -> None:
        filler = set("\u115f\u1160\u2800\u3164\uffa0")
        assert (hidden_character(text) is None) == (not filler & set(text))


SECRET = "s3cr3t-Va1ue_0123456789"


@pytest.mark.parametrize("member", ["reason", "requestedBy"])
def test_a_secret_in_a_request_is_removed(member: str) -> None:
    leak = f"see https://app.example/api/alerts?code={SECRET}, AccountKey={SECRET}"
    request = RestoreRequest.from_json(a_request(**{member: leak}))

    assert SECRET not in f"{request.to_json()}"
    assert request.body[member].startswith("see https://app.example/api/alerts")


def test_a_secret_in_a_refused_message_is_removed() -> None:
    sent = dict.fromkeys(("sourceResourceId", "recoveryType", "requestId", "requestedBy", "reason"), f"sig={SECRET}")
    error = problem(a_request(v=1))
    document = refused_document(restore_id="1", created=START, error=InvalidRequestError([error]), sent=sent)

    assert SECRET not in str(document)
    assert document["reason"] == "sig=(removed)"
