"""What opens something does not stay in a text; what helps does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.azure.jobs import Job
from domain.codec import pack
from domain.errors import ErrorDetail, InvalidRequestError, RestoreError
from domain.redaction import redacted

SECRET = "s3cr3t-Va1ue_0123456789"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL20ifQ.c2lnbmF0dXJl-_"

LEAKS = [
    f"Authorization: Bearer {SECRET}",
    f'{{"Authorization": "Bearer {SECRET}"}}',
    f"bearer {SECRET}, sent twice: BEARER {SECRET}.",
    f"SharedKey account:{SECRET}",
    f"https://a.blob.core.windows.net/c/x.vhd?sv=2025-11-05&sr=b&sig={SECRET}&se=2026",
    f"see (https://a.blob.core.windows.net/c/x.vhd?sig={SECRET}).",
    f'"https://a.example/x?code={SECRET}"',
    f"HTTPS://A.EXAMPLE/?{SECRET}",
    f"?sv=1&sig={SECRET}",
    f"/subscriptions/s/operationsStatus/1?api-version=1&t=639206722615199273&c={SECRET}&s={SECRET}&h={SECRET}",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}==;EndpointSuffix=x",
    f"Endpoint=sb://a/;SharedAccessKey={SECRET}",
    f"BlobEndpoint=https://a/;SharedAccessSignature=sv=1&sig={SECRET}",
    f'{{"access_token": "{SECRET}", "x": 1}}',
    f'{{\\"access_token\\": \\"{SECRET}\\"}}',
    f"client_secret={SECRET}&grant_type=x",
    f"X-IDENTITY-HEADER: {SECRET}",
    f"password: {SECRET}",
    # as people paste them into a comment
    f"approved, see /api/alerts?code={SECRET}",
    f"POST /api/restores?clientId=x&code={SECRET}, then wait",
    f"https%3A%2F%2Fapp.example%2Fapi%2Falerts%3Fcode%3D{SECRET}",
    f"sig%3D{SECRET}%26se%3D2026",
    f"password='{SECRET}'",
    f"{{'client_secret': '{SECRET}'}}",
    f"client_secret = {SECRET}",
    f"client-secret: {SECRET}",
    f"AZURE_CLIENT_SECRET={SECRET}",
    f"clientSecret={SECRET}",
    f"x-functions-key: {SECRET}",
    f"curl -H 'x-functions-key:{SECRET}' https://app.example",
    f"Ocp-Apim-Subscription-Key: {SECRET}",
    f"api-key={SECRET}",
    f"function key: {SECRET}",
    f"host key={SECRET}",
    f"the master key is {SECRET}",
    f"webhook secret: {SECRET}",
    f"RESTORE_WEBHOOK_SECRET={SECRET}",
    f"az storage message put --account-key {SECRET} --queue-name q",
    f"az storage message put --sas-token '{SECRET}'",
    f"az login --service-principal --password {SECRET}",
    f'--connection-string "AccountName=a;AccountKey={SECRET}=="',
    f"token={SECRET}",
    f"pwd={SECRET}; secret={SECRET}",
    f"Bearer {SECRET[:6]}1",
    f"Authorization: Basic {SECRET}",
    f"https://user:{SECRET}@app.example/x",
    f"https://hooks.slack.com/services/T000/B000/{SECRET}",
    f"https://x.webhook.office.com/webhookb2/a@b/IncomingWebhook/{SECRET}/c",
    f"https://discord.com/api/webhooks/1/{SECRET}",
    f"https://events.pagerduty.com/integration/{SECRET}/enqueue",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
]
BARE = {
    "a storage account's key": f"{'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6' * 2}=="[2:],
    "a function's key": "kQ3v9yZ0pX7hT2mJ5nR8sW1uB4cD6eF9gH2jK5lM8nPqAzFuR7tYxw==",
    "a function's key in a URL": "kQ3v9yZ0pX7hT2mJ5nR8sW1uB4cD6eF9gH2jK5lM8nPqAzFuR7tYxw%3D%3D",
    "a client secret": "abc8Q~dEfGh1jKlMn0pQrStUvWxYz23456789AbC",
    "a token of GitHub": "ghp_0123456789abcdefABCDEF0123456789abcd",
    "a token of Slack": "xoxb-0123456789-abcdefABCDEF",
}


@pytest.mark.parametrize("what", BARE)
def test_a_secret_is_recognised_by_its_form(what: str) -> None:
    assert redacted(f"Approved. It is {BARE[what]}, by the way.") == "Approved. It is (removed), by the way."


@pytest.mark.parametrize("secret", [*BARE.values(), JWT, "eyJhbGciOiJub25l.eyJzdWIi.x", f"github_pat_{'1aB' * 10}"])
def test_a_text_that_is_nothing_but_a_secret_is_recognised(secret: str) -> None:
    assert redacted(secret) == "(removed)"


@pytest.mark.parametrize("name", ["bearer ", "bearer\t", "password:", "password="])
def test_a_name_of_a_secret_is_enough(name: str) -> None:
    assert redacted(f"{name}abcdef0123456789") == f"{name}(removed)".replace("\t", " ")


@pytest.mark.parametrize("text", LEAKS)
def test_a_secret_is_taken_out(text: str) -> None:
    assert SECRET not in redacted(text)


def test_a_token_is_known_by_its_looks() -> None:
    assert redacted(f"The token {JWT} has expired.") == "The token (removed) has expired."


@pytest.mark.parametrize(
    "text",
    [
        "Core Count subscription quota has been reached. See https://aka.ms/quota for help.",
        "See https://go.microsoft.com/fwlink/?LinkId=808978",
        "Call https://management.azure.com/subscriptions/s?api-version=2025-08-01 again.",
        "The bearer token is missing. Basic authentication is off.",
        "Is the disk attached? Signature verification failed.",
        "The job is not (yet) listed: id=ca08b1d3-0000-4000-8000-000000000001",
        "/subscriptions/s/resourceGroups/rg?t=1",
        "Failed with code=UserErrorRestoreOperationInProgress, error code: 400; Code=Conflict.",
        "Failed to acquire token: AADSTS700016: the application was not found.",
        "Is this the secret? The key is in the safe. The password is with ada.",
        "continuationToken=abc was not found; the access key: rotate it.",
        "INC-4711: approved by ada@example.org after a call with bob (+49 30 1234567)",
        "https://app.example/runtime/webhooks/durabletask/instances/1",
        "The secret: https://kv.vault.azure.net/secrets/disk-1/0123 was not found.",
        "https://tickets.example/browse/INC-4711#comment-2",
        "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv",
        "https://kv.vault.azure.net/keys/disk-key/0123456789abcdef0123456789abcdef",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert redacted(text) == text


@given(
    st.text()
    | st.lists(st.sampled_from([*LEAKS, "://", "?", "&s=", "sig=", " ", '"', "a" * 20]), max_size=6).map("".join)
)
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    once = redacted(text)

    assert redacted(once) == once


@pytest.mark.parametrize("text", ["a" * 100_000, "x://" * 25_000, "bearer " * 15_000, "eyJ" * 30_000, "&s=" * 30_000])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    assert len(redacted(text)) > 0


def test_no_error_tells_one() -> None:
    leak = f"https://a.example/x?sig={SECRET}"
    detail = ErrorDetail(code=leak, message=leak, target=leak)

    for error in (RestoreError("X", leak, [detail]), InvalidRequestError([detail])):
        assert SECRET not in f"{error} {error!r} {error.message} {error.to_json()}"
        assert "https://a.example/x" in error.message


def test_no_job_tells_one() -> None:
    leak = f"https://a.blob.core.windows.net/c/config.json?sv=1&sig={SECRET}"
    extended = {
        "propertyBag": {"Config Blob Uri": leak, "Template Blob Uri": leak, "Else": f"AccountKey={SECRET}"},
        "tasksList": [{"taskId": leak, "status": leak, "taskExecutionDetails": leak}],
        "dynamicErrorMessage": leak,
    }
    errors = [{"errorString": leak, "recommendations": [leak]}]
    job = Job.from_api(
        {"name": "j", "properties": {"status": "Failed", "errorDetails": errors, "extendedInfo": extended}}
    )

    assert SECRET not in f"{job} {pack(job)} {job.result()}"
    assert job.result().config_blob_uri == "https://a.blob.core.windows.net/c/config.json"
    assert job.result().template_blob_uri == "https://a.blob.core.windows.net/c/config.json"
