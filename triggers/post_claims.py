"""The claims of attempts to post a restore, as orchestrations of the task hub (``docs/decisions/0003``)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.answers import Answer
from domain.errors import TransientError
from domain.restore.answers import Claim
from domain.wire import as_object
from orchestrations.names import HOLD_POST_CLAIM
from triggers.hub import read_payload

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.restore.calls import ClaimPost

_RESTORE: Final = "claimed"  # the token of all claims in a restore's own name: a repeated claim is granted again


class PostClaims:
    """Makes claims in one task hub."""

    def __init__(self, client: df.SyncDurableFunctionsClient) -> None:
        self._client = client

    def take(self, client_request_id: str, attempt: int) -> bool:
        """Claim an attempt durably for one delivery of the trigger; return false if it is already claimed.

        Raises ``TransientError`` when the task hub cannot be reached; then nothing was posted.
        """
        return self._take(client_request_id, attempt, str(uuid.uuid4()))

    def claim_post(self, call: ClaimPost) -> Answer[Claim]:
        """Claim an attempt in its restore's own name, so that no delivery of the trigger posts under it."""
        return Answer(Claim(is_ours=self._take(call.client_request_id, call.attempt, _RESTORE)))

    def _take(self, client_request_id: str, attempt: int, token: str) -> bool:
        """Claim the attempt unless it is claimed; return whether the claim has this token.

        If two claims start at the same moment, only one instance runs, and its input has the token that counts.
        """
        claim_id = f"post-{client_request_id}-{attempt}"
        failure: Exception | None = None
        try:
            state = self._client.get_orchestration_state(claim_id, fetch_payloads=True)
            if state is None:
                try:
                    self._client.schedule_new_orchestration(
                        HOLD_POST_CLAIM, input={"token": token}, instance_id=claim_id
                    )
                except Exception as error:  # noqa: BLE001 - raised below, unless the claim exists nevertheless
                    failure = error
                state = self._client.get_orchestration_state(claim_id, fetch_payloads=True)
        except Exception as error:
            raise _not_claimed_error(error) from error
        if state is None:
            raise _not_claimed_error(failure or LookupError(f"{claim_id} was started but cannot be found")) from failure
        return as_object(read_payload(state.serialized_input)).get("token") == token


def _not_claimed_error(failure: Exception) -> TransientError:
    message = (
        f"The restore was not posted: its attempt could not be recorded in the task hub ({failure}). It is tried again."
    )
    return TransientError(errors.SERVICE_UNAVAILABLE, message)
