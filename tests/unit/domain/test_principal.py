"""Who calls, from the header of App Service authentication, which is hostile until the platform has made it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import RestoreError
from domain.people import is_named
from domain.principal import ALL_RIGHTS, MAX_HEADER, MAX_NAME, Principal, Right
from domain.reading import Problems, prose
from tests.support.strategies import THOROUGH

if TYPE_CHECKING:
    from domain.errors import Json

EMAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
READ, OPERATE, APPROVE = Right


def encoded(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def a_principal(*claims: tuple[str, str], **members: Any) -> Json:
    listed = [{"typ": kind, "val": value} for kind, value in claims]
    return {"auth_typ": "aad", "claims": listed, "name_typ": EMAIL, "role_typ": ROLE, **members}


def read(*claims: tuple[str, str], header_name: str | None = None, **members: Any) -> Principal:
    headers = {"x-ms-client-principal": encoded(a_principal(*claims, **members))}
    if header_name is not None:
        headers["x-ms-client-principal-name"] = header_name
    return Principal.from_headers(headers)


def refused(header: str | None) -> str:
    with pytest.raises(RestoreError) as caught:
        Principal.from_headers({} if header is None else {"x-ms-client-principal": header})
    assert caught.value.code == "AuthenticationRequired"
    return caught.value.message


class TestTheName:
    LADDER = (
        (EMAIL, "typed@example.com"),
        ("preferred_username", "ada@example.com"),
        ("upn", "upn@example.com"),
        ("email", "mail@example.com"),
        ("name", "Ada Lovelace"),
        (OBJECT_ID, "5b5450db"),
        ("appid", "0aab1234"),
    )

    @pytest.mark.parametrize("first", range(len(LADDER)))
    def test_is_the_best_that_there_is(self, first: int) -> None:
        claims = self.LADDER[first:]

        assert read(*reversed(claims)).name == claims[0][1]

    def test_is_what_the_platform_calls_the_name(self) -> None:
        claims = (("preferred_username", "ada@example.com"), ("nick", "countess"))

        assert read(*claims, name_typ="nick").name == "countess"
        assert read(*claims, name_typ=5).name == "ada@example.com"

    def test_is_that_of_the_header_if_no_claim_has_one(self) -> None:
        assert read(("roles", "Restore.Read"), header_name="ada").name == "ada"
        assert read(("name", "claimed"), header_name="ada").name == "claimed"

    def test_of_two_claims_of_one_type_is_the_first(self) -> None:
        assert read(("name", "first"), ("name", "second")).name == "first"

    @pytest.mark.parametrize("blank", ["", " \t", "\u200b", "\u3164\u2800", "\ud800", "\x00\x07"])
    def test_that_cannot_be_seen_is_none(self, blank: str) -> None:
        assert read(("preferred_username", blank), ("name", "Ada")).name == "Ada"
        assert refused(encoded(a_principal(("name", blank))))

    @pytest.mark.parametrize(
        ("name", "cleaned"),
        [
            ("Ada\r\nLovelace", "Ada Lovelace"),
            ("\x1b[31mAda\x00", "[31mAda"),
            ("A\u202eda\ufeff", "Ada"),
            ("  Ada\u2028 L ", "Ada L"),
            ("Ada\ud800", "Ada"),
            ("x" * 10_000, "x" * MAX_NAME),
        ],
    )
    def test_is_one_short_line(self, name: str, cleaned: str) -> None:
        assert read(("name", name)).name == cleaned


class TestTheRights:
    @pytest.mark.parametrize(
        ("roles", "may"),
        [
            ([], ALL_RIGHTS),
            (["Restore.Read"], (READ,)),
            (["Restore.Operate"], (READ, OPERATE)),
            (["Restore.Approve"], (READ, APPROVE)),
            (["Restore.Approve", "Restore.Operate"], ALL_RIGHTS),
            (["Restore.Read", "Restore.Read"], (READ,)),
            (["Another.Role"], ()),
            (["restore.approve"], ()),
            (["Restore.Approve "], ()),
            (["Restore.Read,Restore.Approve"], ()),
            ([""], ()),
        ],
    )
    @pytest.mark.parametrize("kind", ["roles", ROLE, "groups-as-roles"])
    def test_are_those_of_the_roles(self, roles: list[str], may: tuple[Right, ...], kind: str) -> None:
        claims = [(kind, role) for role in roles]

        assert read(("name", "ada"), *claims, role_typ="groups-as-roles").rights == may

    def test_of_all_kinds_of_role_claims_count_together(self) -> None:
        claims = (("roles", "Restore.Approve"), (ROLE, "Restore.Operate"), ("mine", "Restore.Read"))

        assert read(("name", "ada"), *claims, role_typ="mine").rights == ALL_RIGHTS

    @pytest.mark.parametrize("kind", ["wids", "groups", "role", "Roles", "scp", ""])
    def test_are_not_taken_from_other_claims(self, kind: str) -> None:
        assert read(("name", "ada"), (kind, "Restore.Approve"), ("roles", "Restore.Read"), role_typ=None).rights == (
            READ,
        )


class TestAHeaderThatIsNone:
    def test_is_an_invitation_to_sign_in(self) -> None:
        assert "Sign in" in refused(None)
        assert "Sign in" in refused("")

    @pytest.mark.parametrize(
        "header",
        [
            "nonsense!",
            "a",
            "=",
            "é",
            encoded(a_principal(("name", "ada"))) + "," + encoded(a_principal(("name", "ada"))),
            encoded(a_principal(("name", "ada"))).replace("=", "") + "\n",
            base64.b64encode(b"not JSON").decode(),
            base64.b64encode(b"\xff\xfe").decode(),
            base64.b64encode(b"[" * 40_000).decode(),
            base64.b64encode(b'{"auth_typ": "aad", "claims": NaN}').decode(),
            base64.b64encode(b'{"auth_typ": "x", "auth_typ": "aad", "claims": [{"typ": "name", "val": "a"}]}').decode(),
            encoded(a_principal(("name", "a" * MAX_HEADER))),
            *map(encoded, (None, 5, "ada", [], [a_principal(("name", "ada"))], {})),
        ],
        ids=lambda header: header[:20],
    )
    def test_is_refused(self, header: str) -> None:
        assert "cannot read who calls" in refused(header)

    @pytest.mark.parametrize("claims", [None, {}, "name", [], 5, {"typ": "name", "val": "ada"}])
    def test_without_a_list_of_claims_is_refused(self, claims: Any) -> None:
        assert refused(encoded(a_principal(claims=claims)))

    @pytest.mark.parametrize(
        "claim",
        [None, "roles", [], {}, {"typ": "roles"}, {"val": "x"}, {"typ": "roles", "val": None}, {"typ": 5, "val": "x"},
         {"typ": "roles", "val": ["Restore.Read"]}],
    )  # fmt: skip
    def test_with_a_claim_that_cannot_be_read_is_refused_for_it_might_be_a_role(self, claim: Any) -> None:
        good = a_principal(("name", "ada"))["claims"]

        assert refused(encoded(a_principal(claims=[*good, claim])))

    @pytest.mark.parametrize("kind", ["google", "github", "facebook", "AAD", "", None, 5])
    def test_of_another_provider_is_refused_for_anybody_may_have_an_account_there(self, kind: Any) -> None:
        assert refused(encoded(a_principal(("name", "ada"), auth_typ=kind)))


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
_CLAIM = st.fixed_dictionaries({"typ": st.sampled_from(["name", "roles", ROLE, "oid"]) | st.text(), "val": st.text()})
_HOSTILE = st.fixed_dictionaries(
    {"auth_typ": st.just("aad") | _JSON, "claims": st.lists(_CLAIM | _JSON, max_size=4) | _JSON},
    optional={"name_typ": _JSON, "role_typ": _JSON},
)


@given(
    _HOSTILE.map(encoded) | _JSON.map(encoded) | st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode())
)
@THOROUGH
def test_whatever_the_header_is_the_caller_has_a_name_or_is_refused(header: str) -> None:
    try:
        principal = Principal.from_headers({"x-ms-client-principal": header})
    except RestoreError:
        refused(header)
        return
    problems = Problems()
    prose(principal.name, "by", problems)
    assert not problems.found  # as `by` it goes wherever a name from a body may go
    assert is_named(principal.name)
    assert len(principal.name) <= MAX_NAME
    assert not principal.rights or READ in principal.rights
