"""Tokens, and what clients learn about the cloud before they have one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests

from simulator.tenant import CLIENT_ID, PRINCIPAL_ID, TENANT_ID
from tests.conformance.caller import SUBSCRIPTION_ID, VAULT, Caller, error_code

if TYPE_CHECKING:
    from simulator.server import Simulator

ARM_AUDIENCES = (
    "https://management.azure.com",
    "https://management.azure.com/",
    "https://management.core.windows.net",
    "https://management.core.windows.net/",
)


def claims(token: str) -> dict[str, Any]:
    """Read a token as az does: it looks at the tenant, and not at the signature."""
    return jwt.decode(token, algorithms=["RS256"], options={"verify_signature": False})


class TestTokens:
    def test_say_for_whom_and_for_what_they_are(self, arm: Caller) -> None:
        answer = arm.token(resource="https://storage.azure.com/").json()

        said = claims(answer["access_token"])
        assert (said["aud"], said["iss"]) == ("https://storage.azure.com/", f"https://sts.windows.net/{TENANT_ID}/")
        assert (said["tid"], said["oid"], said["sub"]) == (TENANT_ID, PRINCIPAL_ID, PRINCIPAL_ID)
        assert (said["appid"], said["ver"], said["idtyp"]) == (CLIENT_ID, "1.0", "app")
        assert said["xms_mirid"].lower().startswith(f"/subscriptions/{SUBSCRIPTION_ID}/resourcegroups/")
        assert said["exp"] == int(answer["expires_on"]) == pytest.approx(time.time() + 86400, abs=60)
        assert said["nbf"] == said["iat"] < time.time() + 1

    @pytest.mark.parametrize(
        ("query", "claim"), [("client_id", "appid"), ("object_id", "oid"), ("mi_res_id", "xms_mirid")]
    )
    def test_name_the_identity_that_was_asked_for(self, arm: Caller, query: str, claim: str) -> None:
        answer = arm.token(**{query: "of-the-caller"}).json()

        assert claims(answer["access_token"])[claim] == "of-the-caller"

    @pytest.mark.parametrize("audience", ARM_AUDIENCES)
    def test_of_the_resource_manager_open_it(self, arm: Caller, audience: str) -> None:
        arm.session.headers["Authorization"] = f"Bearer {arm.token(resource=audience).json()['access_token']}"

        assert arm.get(VAULT).status_code == 200

    def test_of_the_address_itself_open_it_as_in_a_cloud_of_its_own(self, arm: Caller) -> None:
        token = arm.token(resource=arm.simulator.url).json()["access_token"]
        arm.session.headers["Authorization"] = f"Bearer {token}"

        assert arm.get(VAULT).status_code == 200

    @pytest.mark.parametrize("audience", ["https://storage.azure.com/", "https://management.azure.com/x"])
    def test_of_another_audience_do_not(self, arm: Caller, audience: str) -> None:
        arm.session.headers["Authorization"] = f"Bearer {arm.token(resource=audience).json()['access_token']}"

        answer = arm.get(VAULT)

        assert (answer.status_code, error_code(answer)) == (401, "InvalidAuthenticationTokenAudience")
        assert answer.json()["error"]["message"] == (
            f"The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match "
            "with one of the allowed audiences 'https://management.core.windows.net/',"
            "'https://management.core.windows.net','https://management.azure.com/','https://management.azure.com'."
        )

    def test_that_somebody_changed_are_invalid(self, arm: Caller) -> None:
        head, _, _ = arm.token().json()["access_token"].split(".")
        stranger = jwt.encode({"aud": ARM_AUDIENCES[0], "exp": 4102444800, "tid": TENANT_ID}, "x" * 32)
        arm.session.headers["Authorization"] = f"Bearer {'.'.join([head, *stranger.split('.')[1:]])}"

        answer = arm.get(VAULT)

        assert (answer.status_code, error_code(answer)) == (401, "InvalidAuthenticationToken")


class TestMetadata:
    @pytest.mark.parametrize("version", ["2015-01-01", "2019-05-01", "2022-09-01"])
    def test_needs_no_token(self, simulator: Simulator, version: str) -> None:
        answer = requests.get(f"{simulator.url}/metadata/endpoints?api-version={version}", timeout=10)

        assert answer.status_code == 200

    def test_of_2022_is_the_cloud_itself(self, secure: Simulator) -> None:
        cloud = self.metadata(secure, "2022-09-01")

        assert cloud["resourceManager"] == f"{secure.url}/"
        assert cloud["authentication"]["audiences"] == [
            "https://management.core.windows.net/",
            "https://management.azure.com/",
        ]
        assert cloud["suffixes"]["storage"] == "core.windows.net"

    def test_of_2019_is_a_list_of_clouds(self, secure: Simulator) -> None:
        (cloud,) = self.metadata(secure, "2019-05-01")

        assert (cloud["name"], cloud["resourceManager"]) == ("AzureCloud", f"{secure.url}/")
        assert cloud["gallery"] == "https://gallery.azure.com/"

    def test_of_2015_is_short(self, secure: Simulator) -> None:
        assert self.metadata(secure, "2015-01-01").keys() == {
            "galleryEndpoint",
            "graphEndpoint",
            "portalEndpoint",
            "authentication",
        }

    def test_of_another_version_is_refused(self, simulator: Simulator) -> None:
        answer = requests.get(f"{simulator.url}/metadata/endpoints?api-version=2035-01-01", timeout=10)

        assert (answer.status_code, error_code(answer)) == (400, "InvalidApiVersionParameter")

    def metadata(self, simulator: Simulator, version: str) -> Any:
        address = f"{simulator.url}/metadata/endpoints?api-version={version}"
        return requests.get(address, verify=str(simulator.certificate), timeout=10).json()
